"""What the venue says a key may do: judged, kept with the key, audited."""

from __future__ import annotations

from project.lib import audit, clock, feed
from venues.messages import Permissions
from venues.models import Account, Credential


def keep(account_code: str, permissions: Permissions | None) -> None:
    """Judge and keep the answer of a probe; the result starts with `refused` where the key may not be used."""
    account = Account.objects.select_for_update().get(pk=account_code)
    credential = Credential.objects.select_for_update().get(account=account, is_active=True)
    credential.probed_at = clock.now()
    credential.permissions = dict(vars(permissions)) if permissions else {}
    credential.probe_result = _judge(permissions, account.probe_waived_by)
    credential.save(update_fields=["probed_at", "permissions", "probe_result"])
    detail = {"account": account.code, "result": credential.probe_result}
    audit.record("executor", "key.probe", credential.fingerprint, detail)
    feed.announce("accounts", "key.probed", account.code, account=account.code)


def _judge(permissions: Permissions | None, waived_by: str) -> str:
    can_withdraw = permissions.can_withdraw if permissions else None
    if can_withdraw:
        return "refused: this key may withdraw"
    if permissions is not None and permissions.can_trade is False:
        return "refused: this key may not trade"
    if can_withdraw is None:
        return (
            f"unknown, waived by {waived_by}" if waived_by else "refused: the venue does not say what this key may do"
        )
    return "trade without withdraw"

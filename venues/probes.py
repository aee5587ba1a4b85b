"""What the venue says a key may do: judged, kept with the key, audited."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.conf import settings

from project.lib import audit, clock, feed
from venues import credentials
from venues.messages import Permissions
from venues.models import Account, Credential, KeyState

UNSAID = "refused: the venue does not say what this key may do"
OPEN_TO_ALL = "refused: this key works from any address"
WIDENED = "refused: this key was restricted to addresses and no longer is"
# What a second person may take upon themselves; the right to move money is never among it.
WAIVABLE = frozenset({UNSAID, OPEN_TO_ALL, WIDENED})


def keep(account_code: str, permissions: Permissions | None, problem: str = "") -> str:
    """Judge and keep the answer of a probe of the active key; return the result, which starts with `refused` where it is.

    A probe without an answer says nothing new about a key that had one before: its verdict stands.
    """
    account = Account.objects.select_for_update(no_key=True).get(pk=account_code)
    credential = Credential.objects.select_for_update(no_key=True).get(account=account, state=KeyState.ACTIVE)
    before = credential.probe_result
    if permissions is None and before and not before.startswith("refused"):
        credential.probe_error = (problem or "no answer")[:200]
        credential.save(update_fields=["probe_error"])
        return before
    _judged(credential, permissions, account.probe_waived_by, problem)
    if before and not before.startswith("refused") and credential.probe_result.startswith("refused"):
        audit.record("executor", "account.stopped", account.code, {"reason": credential.probe_result})
    feed.announce("accounts", "key.probed", account.code, account=account.code)
    return credential.probe_result


def keep_candidate(account_code: str, credential_id: uuid.UUID, permissions: Permissions | None, problem: str) -> None:
    """Decide about a new key by what it proved: it takes the place of the active one, or is refused and that one stays."""
    account = Account.objects.select_for_update(no_key=True).get(pk=account_code)
    found = Credential.objects.select_for_update(no_key=True).filter(pk=credential_id, state=KeyState.CANDIDATE)
    candidate = found.first()
    if candidate is None:
        return  # withdrawn or replaced meanwhile
    _judged(candidate, permissions, account.probe_waived_by, problem)
    if problem:
        candidate.probe_result = f"refused: {problem}"[:200]
    if candidate.probe_result.startswith("refused"):
        candidate.state = KeyState.REFUSED
        if candidate.probe_result not in WAIVABLE:
            candidate.sealed_data_key = candidate.nonce = candidate.ciphertext = b""
    else:
        for active in Credential.objects.filter(account=account, state=KeyState.ACTIVE):
            credentials.retire(active)
        candidate.state = KeyState.ACTIVE
    candidate.save()
    detail = {"version": candidate.version, "result": candidate.probe_result}
    audit.record("executor", f"credential.{candidate.state}", account.code, detail)
    feed.announce("accounts", "credential_changed", account.code, account=account.code, data=detail)
    feed.wake(account.code)


def judge(permissions: Permissions | None, *, waived_by: str, was_ip_restricted: bool | None) -> str:
    """Say in words what the rights of a key mean for its use."""
    if permissions is not None and permissions.can_withdraw:
        return "refused: this key may withdraw"
    if permissions is not None and permissions.can_transfer:
        return "refused: this key may transfer funds"
    if permissions is not None and permissions.can_trade is False:
        return "refused: this key may not trade"
    doubt = _doubt(permissions, was_ip_restricted)
    if doubt and waived_by:
        return f"{doubt.removeprefix('refused: ')}; waived by {waived_by}"
    return doubt or "trade without withdraw"


def _doubt(permissions: Permissions | None, was_ip_restricted: bool | None) -> str:
    if permissions is None or permissions.can_withdraw is None:
        return UNSAID
    if permissions.ip_restricted:
        return ""
    if was_ip_restricted and permissions.ip_restricted is False:
        return WIDENED
    return OPEN_TO_ALL if settings.KEYS_NEED_IP_RESTRICTION else ""


def _judged(credential: Credential, permissions: Permissions | None, waived_by: str, problem: str) -> None:
    credential.probed_at, credential.probe_error = clock.now(), "" if permissions else problem[:200]
    credential.permissions = {name: _plain(value) for name, value in vars(permissions).items()} if permissions else {}
    if permissions is not None and permissions.expires_at is not None:
        credential.expires_at = permissions.expires_at
    credential.probe_result = judge(
        permissions, waived_by=credential.waived_by or waived_by, was_ip_restricted=credential.was_ip_restricted
    )[:200]
    if permissions is not None and credential.was_ip_restricted is None:
        credential.was_ip_restricted = permissions.ip_restricted
    credential.save(
        update_fields=["probed_at", "probe_error", "permissions", "expires_at", "probe_result", "was_ip_restricted"]
    )
    detail = {"account": credential.account_id, "result": credential.probe_result}
    audit.record("executor", "key.probe", credential.fingerprint, detail)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value

"""Issue and revoke API tokens; the key itself is shown once and never stored."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime

from django.contrib.auth.models import User

from project.authentication import digest
from project.lib import audit, clock, feed
from project.lib.models import ApiToken

PREFIX = "gpl_"
_SHOWN = 10


def issue(
    user: User,
    label: str,
    accounts: Sequence[str] = (),
    expires_at: datetime | None = None,
    *,
    is_read_only: bool = False,
    actor: str = "",
) -> tuple[ApiToken, str]:
    """Make a token for a person and return it with its key, which cannot be read again."""
    key = PREFIX + secrets.token_urlsafe(32)
    with feed.transaction():
        token = ApiToken.objects.create(
            user=user,
            label=label,
            prefix=key[:_SHOWN],
            key_hash=digest(key),
            accounts=sorted(set(accounts)),
            is_read_only=is_read_only,
            expires_at=expires_at,
        )
        detail = {"user": user.get_username(), "label": label, "accounts": token.accounts, "is_read_only": is_read_only}
        audit.record(actor or user.get_username(), "token.issue", token.id, detail)
        feed.announce("tokens", "token.issued", token.id)
    return token, key


def revoke(token: ApiToken, actor: str) -> None:
    """End a token at once; safe to repeat."""
    with feed.transaction():
        if not ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=clock.now()):
            return
        audit.record(actor, "token.revoke", token.id, {"label": token.label})
        feed.announce("tokens", "token.revoked", token.id)

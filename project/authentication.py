"""`Authorization: Token <key>`: keys are looked up by hash; expired, revoked and unknown ones look the same."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Q
from rest_framework import authentication, exceptions
from rest_framework.request import Request

from project.lib import clock
from project.lib.models import ApiToken

KEYWORD = "Token"
KEY_CHARACTERS_MAX = 200
LAST_USED_STEP = timedelta(minutes=1)
REFUSAL = "This token is not valid: unknown, expired, revoked, or its person may no longer sign in. Make a new one."


def digest(key: str) -> str:
    """Return the hash a key is stored under. Keys carry 256 random bits, so a fast hash is enough."""
    return hashlib.sha256(key.encode()).hexdigest()


class TokenAuthentication(authentication.BaseAuthentication):
    """Sign a request in by its API token; one query, and one write a minute to note the use."""

    def authenticate(self, request: Request) -> tuple[object, ApiToken] | None:
        """Return (user, token), or None when the request carries no token. Raises AuthenticationFailed."""
        scheme, _, key = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != KEYWORD.lower():
            return None
        key = key.strip()
        if not key or len(key) > KEY_CHARACTERS_MAX or not key.isascii() or not key.isprintable():
            raise exceptions.AuthenticationFailed("The header must read: Authorization: Token <key>.")
        now = clock.now()
        token = (
            ApiToken.objects.select_related("user")
            .filter(
                Q(expires_at=None) | Q(expires_at__gt=now), key_hash=digest(key), revoked_at=None, user__is_active=True
            )
            .annotate(group_names=ArrayAgg("user__groups__name", filter=Q(user__groups__isnull=False), default=[]))
            .first()
        )
        if token is None:
            raise exceptions.AuthenticationFailed(REFUSAL)
        if token.last_used_at is None or token.last_used_at < now - LAST_USED_STEP:
            ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        """Name the scheme in the 401."""
        return KEYWORD

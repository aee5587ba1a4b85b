"""Venues and accounts as people make and switch them: checked, audited, announced."""

from __future__ import annotations

import difflib
import re
from typing import TypeVar
from urllib.parse import urlsplit

from django.conf import settings
from django.db import IntegrityError, transaction

from project.lib import audit, clock, feed, rules
from venues import capabilities
from venues.exchanges import EXCHANGES
from venues.models import Account, AccountStatus, Venue
from venues.targets import VenueTarget

Row = TypeVar("Row", Venue, Account)
CODE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,62}[A-Za-z0-9])?\Z", re.ASCII)
LABEL_CHARACTERS_MAX = 120
URL_CHARACTERS_MAX = 500


class Invalid(Exception):
    """A value cannot be taken: which field, a code for programs, a sentence for people, the nearest valid value if any."""

    def __init__(self, field: str, code: str, message: str, nearest: str | None = None) -> None:
        super().__init__(message)
        self.field, self.code, self.message, self.nearest = field, code, message, nearest


def create_venue(
    *, code: str, exchange: str, rest_url: str = "", ws_url: str = "", sandbox: bool = False, actor: str
) -> Venue:
    """Create a venue. Without rest_url it is the real exchange, and live trading stays off. Raises Invalid."""
    _check_code(code)
    _check_exchange(exchange)
    rest_url, ws_url = _check_urls(rest_url.strip(), ws_url.strip())
    with feed.transaction():
        if Venue.objects.filter(code=code).exists():
            raise Invalid("code", "TAKEN", f"There is a venue {code!r} already. Choose another code.")
        venue = _insert(Venue(code=code, exchange=exchange, rest_url=rest_url, ws_url=ws_url, sandbox=sandbox))
        detail = {"exchange": exchange, "rest_url": rest_url, "environment": venue.environment}
        audit.record(actor, "venue.created", code, detail)
        feed.announce("venues", "venue_created", code, data=detail)
    return venue


def create_account(*, code: str, venue: Venue, label: str = "", actor: str) -> Account:
    """Create an account at a venue; it stays `new` until a key is stored and activation is requested. Raises Invalid."""
    _check_code(code)
    if len(label) > LABEL_CHARACTERS_MAX:
        raise Invalid("label", "TOO_LONG", f"A label has at most {LABEL_CHARACTERS_MAX} characters.")
    can = capabilities.for_exchange(venue.exchange)
    if not can.is_tradable:
        message = f"No order may go to {venue.exchange}: {can.refusal}. Choose another exchange."
        raise Invalid("venue", "NOT_TRADABLE", message)
    with feed.transaction():
        if Account.objects.filter(code=code).exists():
            raise Invalid("code", "TAKEN", f"There is an account {code!r} already. Choose another code.")
        account = _insert(Account(code=code, venue=venue, label=label.strip()))
        audit.record(actor, "account.created", code, {"venue": venue.code})
        feed.announce(
            "accounts", "account_created", code, account=code, data={"venue": venue.code, "status": account.status}
        )
    return account


def request_activation(account: Account, *, actor: str, waive_probe: bool = False) -> Account:
    """Ask the owner to probe the key, recover, reconcile and open the gate. Accepted at any time; wakes the owner."""
    with feed.transaction():
        account.activation_requested_at = clock.now()
        account.probe_waived_by = actor[:150] if waive_probe else ""
        account.save(update_fields=["activation_requested_at", "probe_waived_by"])
        audit.record(actor, "account.activation_requested", account.code, {"waive_probe": waive_probe})
        feed.announce("accounts", "activation_requested", account.code, account=account.code)
        feed.wake(account.code)
    return account


def set_status(account: Account, status: str, reason: str = "") -> None:
    """Move an account to a status with its reason; announced when either changed. Raises ValueError for no such status."""
    if status not in AccountStatus.values:
        raise ValueError(f"no account status {status!r}")
    reason = reason[:300]
    with feed.transaction():
        changed = Account.objects.filter(pk=account.pk).exclude(status=status, status_reason=reason)
        if changed.update(status=status, status_reason=reason, status_at=clock.now()):
            data = {"status": status, "reason": reason}
            feed.announce("accounts", "status_changed", account.code, account=account.code, data=data)
    account.refresh_from_db(fields=["status", "status_reason", "status_at"])


def set_live(venue: Venue, on: bool, actor: str) -> Venue:
    """Switch real trading at a venue on or off. Orders go out only where GAPLESS_LIVE=1 as well. Raises Invalid."""
    if on and venue.environment != "LIVE":
        raise Invalid(
            "live", "NOT_A_LIVE_VENUE", f"{venue.code} is a {venue.environment} venue; it trades without this switch."
        )
    with feed.transaction():
        venue.is_live = on
        venue.save(update_fields=["is_live"])
        rules.changed()
        audit.record(
            actor, "venue.live_on" if on else "venue.live_off", venue.code, {"server_allows": settings.LIVE_ALLOWED}
        )
        feed.announce("venues", "live_changed", venue.code, data={"is_live": on, "may_trade": venue.may_trade})
        for code in venue.accounts.values_list("code", flat=True):
            feed.wake(code)
    return venue


def target(venue: Venue) -> VenueTarget:
    """Return what a gateway needs to know about a venue."""
    return VenueTarget(
        code=venue.code, exchange=venue.exchange, rest_url=venue.rest_url, ws_url=venue.ws_url, sandbox=venue.sandbox,
        may_trade=venue.may_trade, quirks=tuple(venue.quirks), limits=declared_limits(venue.limits),
    )  # fmt: skip


def declared_limits(limits: dict[str, float]) -> tuple[tuple[float, float], ...]:
    """Return what a test server is said to allow an address, as (per second, burst); nothing when nothing is said."""
    return ((float(limits["per_second"]), float(limits.get("burst", limits["per_second"]))),) if limits else ()


def nearest_exchange(exchange: str) -> str | None:
    """Return the exchange id that looks most like this text, or None."""
    return next(iter(difflib.get_close_matches(exchange.strip().lower(), EXCHANGES, 1, 0.5)), None)


def _insert(row: Row) -> Row:
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        raise Invalid("code", "TAKEN", f"The code {row.code!r} was taken a moment ago. Choose another.") from None
    return row


def _check_code(code: str) -> None:
    if not isinstance(code, str) or not CODE.match(code):
        near = re.sub(r"[^a-z0-9_-]+", "-", str(code).lower()).strip("-_")[:64] or None
        raise Invalid("code", "BAD_CODE", "A code has 1 to 64 characters: letters, digits, - and _ inside.", near)


def _check_exchange(exchange: str) -> None:
    if exchange not in EXCHANGES:
        near = nearest_exchange(str(exchange))
        hint = f" Did you mean {near!r}?" if near else ""
        raise Invalid("exchange", "EXCHANGE_UNKNOWN", f"There is no exchange {exchange!r}.{hint}", near)


def _check_urls(rest_url: str, ws_url: str) -> tuple[str, str]:
    if not rest_url and not ws_url:
        return "", ""
    if not settings.CUSTOM_URLS_ALLOWED:
        raise Invalid(
            "rest_url",
            "CUSTOM_URLS_OFF",
            "This server takes no custom addresses. Leave rest_url and ws_url out, or have an administrator set GAPLESS_CUSTOM_URLS=1.",
        )
    if not rest_url:
        raise Invalid("rest_url", "REQUIRED", "ws_url without rest_url would mix a test stream with the real exchange.")
    _check_url("rest_url", rest_url, ("http", "https"))
    ws_url = ws_url or "ws" + rest_url[4:]
    _check_url("ws_url", ws_url, ("ws", "wss"))
    return rest_url.rstrip("/"), ws_url.rstrip("/")


def _check_url(field: str, url: str, schemes: tuple[str, ...]) -> None:
    wanted = f"Write {schemes[0]}://host:port/path or {schemes[1]}://host:port/path."
    try:
        parts = urlsplit(url)
        port_is_good = parts.port is None or parts.port > 0
    except ValueError:
        raise Invalid(field, "BAD_URL", f"This is not an address. {wanted}") from None
    if len(url) > URL_CHARACTERS_MAX or not url.isprintable() or " " in url:
        raise Invalid(field, "BAD_URL", f"This is not an address. {wanted}")
    if parts.scheme not in schemes or not parts.hostname or not port_is_good:
        raise Invalid(field, "BAD_URL", f"This is not an address of this kind. {wanted}")
    if parts.username is not None or parts.password is not None:
        raise Invalid(field, "CREDENTIALS_IN_URL", "Addresses carry no user or password: they are shown and logged.")
    if parts.query or parts.fragment:
        raise Invalid(field, "BAD_URL", f"An address has no ? or # part. {wanted}")

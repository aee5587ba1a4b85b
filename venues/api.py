"""Venues, accounts, keys and instruments over HTTP; keys go in and never come out."""

from __future__ import annotations

import difflib
import uuid
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from project.lib import audit, feed, problems
from project.lib.rest import Filter, Listing, Rows, View, choices
from venues import accounts, capabilities, credentials, keys
from venues.models import Account, AccountStatus, Credential, Instrument, StreamSession, Venue
from venues.serializers import (
    AccountInput,
    AccountOutput,
    ActivationInput,
    InstrumentOutput,
    KeyInput,
    KeyOutput,
    LiveInput,
    StreamSessionOutput,
    VenueInput,
    VenueOutput,
    WaiverInput,
)


class VenueRows(Rows):
    """Venues at which the caller has accounts; all of them for an unlimited caller."""

    resource = "venues"
    queryset = Venue.objects.all()
    serializer_class: type[VenueOutput] = VenueOutput
    ordering = ("code",)

    def visible(self, rows: Any) -> Any:
        """Narrow to the venues of the caller's accounts."""
        codes = self.caller().accounts
        return rows if codes is None else rows.filter(pk__in=Account.objects.filter(pk__in=codes).values("venue_id"))


class Venues(Listing, VenueRows):
    """Add a venue; list venues."""

    parameters = ("account",)
    filters: Mapping[str, Filter] = {"exchange": Filter(path="exchange")}

    def get_queryset(self) -> Any:
        """Narrow to the venue of one account."""
        rows = super().get_queryset()
        code = self.request.query_params.get("account")
        return rows if code is None else rows.filter(pk=self.account_scope(code, Account.objects.all()).venue_id)

    @extend_schema(request=VenueInput, responses={201: VenueOutput})
    def post(self, request: Request) -> Response:
        refuse_limited(self)
        wanted = self.read(VenueInput)
        quirks, actor = checked_quirks(wanted.pop("quirks"), wanted["rest_url"]), self.caller().actor
        limits = checked_limits(wanted.pop("limits"), wanted["rest_url"])
        try:
            with feed.transaction():
                venue = accounts.create_venue(**wanted, actor=actor)
                if quirks or limits:
                    venue.quirks, venue.limits = quirks, limits
                    venue.save(update_fields=["quirks", "limits"])
                    audit.record(actor, "venue.quirks_set", venue.code, {"quirks": quirks, "limits": limits})
        except accounts.Invalid as refusal:
            raise problems.from_field_problems([refusal]) from None
        return self.written(venue, 201, {"Location": request.build_absolute_uri(f"{venue.pk}/")})


class LiveSwitch(VenueRows):
    """The switch that lets orders go to the real exchange; admins only."""

    def switch(self, code: str) -> Any:
        """Set is_live and return the venue. Raises Problem."""
        refuse_limited(self)
        if not self.caller().may("live", "PATCH"):
            raise problems.Problem(403, "FORBIDDEN", "Only an admin switches a venue to live. Nothing was changed.")
        venue, wanted = self.one("venue", code=code), self.read(LiveInput)["is_live"]
        if wanted and not settings.LIVE_ALLOWED:
            raise problems.conflict(
                "LIVE_DISABLED",
                "Live trading is switched off for this installation; no order can reach a real exchange. Start with "
                "GAPLESS_LIVE=1 to allow it, then switch the venue.",
            )
        try:
            accounts.set_live(venue, wanted, self.caller().actor)
        except accounts.Invalid as refusal:
            raise problems.conflict(refusal.code, f"Nothing was changed. {refusal.message}") from None
        return self.one("venue", code=code)


class AccountRows(Rows):
    """Accounts."""

    resource = "accounts"
    account_path = "code"
    queryset = Account.objects.all()
    serializer_class = AccountOutput
    ordering = ("code",)


class Accounts(Listing, AccountRows):
    """Add an account at a venue; list accounts."""

    filters: Mapping[str, Filter] = {
        "account": Filter(path="code", kind="account"),
        "venue": Filter(path="venue_id"),
        "status": Filter(path="status", choices=choices(AccountStatus.values)),
    }

    @extend_schema(request=AccountInput, responses={201: AccountOutput})
    def post(self, request: Request) -> Response:
        refuse_limited(self)
        wanted = self.read(AccountInput)
        venue = Venue.objects.filter(pk=wanted["venue"]).first()
        if venue is None:
            raise problems.not_found(
                "venue", "venue", wanted["venue"], Venue.objects.values_list("pk", flat=True)[:500]
            )
        try:
            account = accounts.create_account(
                code=wanted["code"], venue=venue, label=wanted["label"], actor=self.caller().actor
            )
        except accounts.Invalid as refusal:
            raise problems.from_field_problems([refusal]) from None
        return self.written(account, 201, {"Location": request.build_absolute_uri(f"{account.pk}/")})


class OneAccount(AccountRows):
    """One account and its status."""

    @extend_schema(responses=AccountOutput)
    def get(self, request: Request, code: str) -> Response:
        return self.written(self.one("account", code=code))


class Keys(Listing):
    """Enter a new API key; while another one serves the account it is proved first. List what is known of the keys."""

    resource = "keys"
    queryset = Credential.objects.all()
    serializer_class = KeyOutput
    ordering = ("-version",)
    filters: Mapping[str, Filter] = {"account": Filter(path="account_id", kind="account")}

    def get_queryset(self) -> Any:
        """Narrow to the account of the path."""
        rows = super().get_queryset()
        return rows if "code" not in self.kwargs else rows.filter(account_id=self.kwargs["code"])

    @extend_schema(responses=KeyOutput(many=True))
    def get(self, request: Request, code: str) -> Response:
        self.account_scope(code, Account.objects.all(), "code")
        return super().get(request)

    @extend_schema(request=KeyInput, responses={201: KeyOutput})
    def post(self, request: Request, code: str) -> Response:
        account = self.account_scope(code, Account.objects.all(), "code")
        key = self.read(KeyInput)
        try:
            caller = self.caller()
            credential = credentials.seal(account, **key, created_by=caller.actor, person=caller.person)
        except credentials.BadKey as refusal:
            raise problems.refused_fields([problems.field_error(refusal.field, "INVALID", str(refusal))]) from None
        except FileNotFoundError:
            detail = (
                "The executors' public key is missing, so the API key cannot be sealed; it was not stored. Run "
                "`manage.py init_secrets`, then send the key again."
            )
            raise problems.Problem(503, "SECRETS_MISSING", detail) from None
        return self.written(credential, 201)


class OneKey(Rows):
    """One API key, without the key."""

    resource = "keys"
    queryset = Credential.objects.all()
    serializer_class = KeyOutput

    def key(self, code: str, id: uuid.UUID) -> Any:
        """Return a key of an account. Raises Problem."""
        self.account_scope(code, Account.objects.all(), "code")
        return self.one("key", id=id, account_id=code)

    @extend_schema(responses=KeyOutput)
    def get(self, request: Request, code: str, id: uuid.UUID) -> Response:
        return self.written(self.key(code, id))

    @extend_schema(responses=KeyOutput)
    def delete(self, request: Request, code: str, id: uuid.UUID) -> Response:
        return self.written(keys.withdraw(self.key(code, id), actor=self.caller().actor))


class Waiver(OneKey):
    """A second person lets a key be used although the venue does not say what it may do."""

    resource = "waivers"
    http_method_names = ["post"]

    @extend_schema(request=WaiverInput, responses={200: KeyOutput})
    def post(self, request: Request, code: str, id: uuid.UUID) -> Response:
        key, caller = self.key(code, id), self.caller()
        reason = self.read(WaiverInput)["reason"]
        try:
            return self.written(keys.waive(key, person=caller.person, actor=caller.actor, reason=reason))
        except keys.Refused as refusal:
            raise problems.conflict(refusal.code, f"Nothing was changed. {refusal.message}") from None


class Activation(AccountRows):
    """Ask for an account to be opened: probe, recovery and reconciliation follow, then it is ready."""

    @extend_schema(request=ActivationInput, responses={202: AccountOutput})
    def post(self, request: Request, code: str) -> Response:
        account = self.one("account", code=code)
        waive_probe = self.read(ActivationInput)["waive_probe"]
        if waive_probe and not ("admin" in self.caller().roles and settings.CUSTOM_URLS_ALLOWED):
            raise problems.Problem(
                403,
                "WAIVER_NOT_ALLOWED",
                "The probe of the key's permissions may be waived only by an admin, where custom venue URLs are allowed "
                "(GAPLESS_CUSTOM_URLS=1). The account stays as it was.",
            )
        return self.written(
            accounts.request_activation(account, actor=self.caller().actor, waive_probe=waive_probe), 202
        )


class StreamSessions(Listing):
    """The connections of streams: when each stood, why it ended, how long it took to come back."""

    resource = "stream-sessions"
    queryset = StreamSession.objects.all()
    serializer_class = StreamSessionOutput
    ordering = ("-id",)
    filters: Mapping[str, Filter] = {
        "account": Filter(path="account_id", kind="account"),
        "kind": Filter(path="kind", choices=choices(["private", "book"])),
        "symbol": Filter(path="symbol"),
    }


class Instruments(Listing):
    """What can be traded where."""

    resource = "instruments"
    account_path = ""
    queryset = Instrument.objects.all()
    serializer_class = InstrumentOutput
    ordering = ("id",)
    parameters = ("account",)
    filters: Mapping[str, Filter] = {
        "venue": Filter(path="venue_id"),
        "symbol": Filter(path="symbol"),
        "is_active": Filter(path="is_active", kind="flag"),
    }

    def get_queryset(self) -> Any:
        """Narrow to the venue of one account."""
        rows = super().get_queryset()
        code = self.request.query_params.get("account")
        return rows if code is None else rows.filter(venue_id=self.account_scope(code, Account.objects.all()).venue_id)


def checked_quirks(names: list[str], rest_url: str) -> list[str]:
    """Return the quirks without repeats. Raises Problem for a name nobody knows, and for a real exchange, which has none."""
    problem = None
    unknown = next((name for name in names if name not in capabilities.QUIRKS), None)
    if unknown is not None:
        near = difflib.get_close_matches(unknown, capabilities.QUIRKS, 1)
        message = f"There is no quirk of this name; there are {', '.join(capabilities.QUIRKS)}."
        problem = problems.field_error(
            "quirks", "QUIRK_UNKNOWN", message, got=unknown, nearest=near[0] if near else None
        )
    elif names and not rest_url:
        message = "Only a server with an address of its own (rest_url) has quirks; a real exchange is as it is known."
        problem = problems.field_error("quirks", "QUIRKS_NEED_REST_URL", message)
    if problem is not None:
        raise problems.refused_fields([problem])
    return list(dict.fromkeys(names))


def checked_limits(limits: dict[str, float], rest_url: str) -> dict[str, float]:
    """Return the limits a test server declares. Raises Problem for a real exchange, whose limits are known."""
    if limits and not rest_url:
        message = "Only a server with an address of its own (rest_url) declares limits; a real exchange's are known."
        raise problems.refused_fields([problems.field_error("limits", "LIMITS_NEED_REST_URL", message)])
    return dict(limits)


def refuse_limited(view: View) -> None:
    """Refuse a change that reaches beyond accounts from a token that is limited to some."""
    if view.caller().accounts is not None:
        detail = "This token is limited to some accounts, and the change reaches beyond them. Nothing was changed."
        raise problems.Problem(403, "FORBIDDEN", detail)

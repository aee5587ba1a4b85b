"""Halts over HTTP: stop new orders with a reason, and lift one stop."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from django.db.models import Q
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from project.lib import problems
from project.lib.rest import Filter, Listing, Rows
from risk import halts
from risk.models import Halt
from risk.serializers import HaltInput, HaltOutput, ReleaseInput
from venues.models import Account, Venue


class HaltRows(Rows):
    """Halts that touch the caller's accounts."""

    resource = "halts"
    queryset = Halt.objects.all()
    serializer_class = HaltOutput
    ordering = ("-created_at", "id")

    def visible(self, rows: Any) -> Any:
        """Show the global halts and those of the caller's accounts and their venues."""
        accounts = self.caller().accounts
        return rows if accounts is None else rows.filter(_touching(accounts))


class Halts(Listing, HaltRows):
    """Engage a halt; list halts, newest first."""

    parameters = ("account",)
    filters: Mapping[str, Filter] = {
        "scope": Filter(path="scope"),
        "in_force": Filter(path="released_at__isnull", kind="flag"),
    }

    def get_queryset(self) -> Any:
        """Narrow to the halts that stop one account."""
        rows = super().get_queryset()
        code = self.request.query_params.get("account")
        if code is None:
            return rows
        self.account_scope(code, Account.objects.all())
        return rows.filter(_touching({code}))

    @extend_schema(request=HaltInput, responses={201: HaltOutput})
    def post(self, request: Request) -> Response:
        wanted = self.read(HaltInput)
        self._check_scope(wanted["scope"])
        try:
            halt = halts.engage(wanted["scope"], wanted["reason"], self.caller().actor, wanted["state"])
        except halts.Refused as refusal:
            raise problems.Problem(400, "REFUSED", f"Nothing was halted: {refusal}.") from None
        return self.written(halt, 201, {"Location": request.build_absolute_uri(f"{halt.pk}/")})

    def _check_scope(self, scope: str) -> None:
        kind, _, code = scope.partition(":")
        if kind == "account" and code:
            self.account_scope(code, Account.objects.all(), "scope")
            return
        if self.caller().accounts is not None:
            detail = "This token is limited to some accounts; it may halt those only. Nothing was halted."
            raise problems.Problem(403, "FORBIDDEN", detail)
        if scope == "global":
            return
        if kind != "venue" or not code:
            close = difflib.get_close_matches(scope, ["global"], n=1, cutoff=0.4)
            message = f"must be one of {', '.join(halts.SCOPES)}"
            nearest = close[0] if close else "global"
            raise problems.refused_fields(
                [problems.field_error("scope", "INVALID", message, got=scope, nearest=nearest)]
            )
        if not Venue.objects.filter(pk=code).exists():
            raise problems.not_found("scope", "venue", code, Venue.objects.values_list("pk", flat=True)[:500])


class OneHalt(HaltRows):
    """One halt; deleting it means lifting it, with a reason, and it stays on record."""

    @extend_schema(responses=HaltOutput)
    def get(self, request: Request, id: str) -> Response:
        return self.written(self.one("halt", id=id))

    @extend_schema(request=ReleaseInput, responses={200: HaltOutput})
    def delete(self, request: Request, id: str) -> Response:
        halt = self.one("halt", id=id)
        is_wider = not halt.scope.startswith("account:")
        if is_wider and self.caller().accounts is not None:
            raise problems.Problem(
                403, "FORBIDDEN", "This token is limited to some accounts; the halt covers others too."
            )
        try:
            released = halts.release(halt, self.read(ReleaseInput)["reason"], self.caller().actor)
        except halts.Refused as refusal:
            raise problems.conflict("REFUSED", f"Nothing was released: {refusal}.") from None
        return self.written(released)


def _touching(codes: Any) -> Q:
    venues = Account.objects.filter(pk__in=codes).values_list("venue_id", flat=True).distinct()
    scopes = ["global", *(f"account:{code}" for code in codes), *(f"venue:{venue}" for venue in venues)]
    return Q(scope__in=scopes)

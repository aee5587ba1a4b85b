"""Maintenance windows and draining over HTTP."""

from __future__ import annotations

from collections.abc import Mapping

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from project.lib import problems
from project.lib.fields import Id, Input, Moment, Nothing, Output
from project.lib.rest import Filter, Listing, Rows, choices
from venues import draining, maintenance
from venues.accounts import Invalid
from venues.api import AccountRows, VenueRows, refuse_limited
from venues.models import Account, MaintenanceWindow, Venue
from venues.serializers import AccountOutput, VenueOutput


class WindowOutput(Output):
    """A time in which a venue takes no orders; a sudden one has no end until the venue says so."""

    id = Id()
    venue = serializers.CharField(source="venue_id")
    source = serializers.ChoiceField(choices=MaintenanceWindow.Source.values)
    starts_at = Moment()
    ends_at = Moment(allow_null=True)
    reason = serializers.CharField()
    created_by = serializers.CharField()
    created_at = Moment()
    cancelled_at = Moment(allow_null=True)
    cancelled_by = serializers.CharField()


class WindowInput(Input):
    """A maintenance that a venue has announced."""

    venue = serializers.CharField(max_length=64)
    starts_at = Moment()
    ends_at = Moment()
    reason = serializers.CharField(max_length=300)


class DrainInput(Input):
    """Why no new orders are taken."""

    reason = serializers.CharField(max_length=300)


class WindowRows(Rows):
    """Windows of venues: every caller sees them all."""

    resource = "maintenance"
    account_path = ""
    queryset = MaintenanceWindow.objects.all()
    serializer_class = WindowOutput
    ordering = ("-starts_at", "id")


class Windows(Listing, WindowRows):
    """Plan a maintenance window; list windows, the newest first."""

    filters: Mapping[str, Filter] = {
        "venue": Filter(path="venue_id"),
        "source": Filter(path="source", choices=choices(MaintenanceWindow.Source.values)),
    }

    @extend_schema(request=WindowInput, responses={201: WindowOutput})
    def post(self, request: Request) -> Response:
        refuse_limited(self)
        try:
            window = maintenance.plan(**self.read(WindowInput), actor=self.caller().actor)
        except Invalid as refusal:
            raise problems.from_field_problems([refusal]) from None
        return self.written(window, 201, {"Location": request.build_absolute_uri(f"{window.pk}/")})


class OneWindow(WindowRows):
    """One window; deleting it means calling it off, or ending it now."""

    @extend_schema(responses=WindowOutput)
    def get(self, request: Request, id: str) -> Response:
        return self.written(self.one("maintenance window", id=id))

    @extend_schema(request=Nothing, responses={200: WindowOutput})
    def delete(self, request: Request, id: str) -> Response:
        refuse_limited(self)
        window = self.one("maintenance window", id=id)
        self.read(Nothing)
        try:
            return self.written(maintenance.cancel(window, self.caller().actor))
        except Invalid as refusal:
            raise problems.conflict(refusal.code, f"Nothing was changed. {refusal.message}") from None


class _Draining(Rows):
    """Begin and end the draining of one row."""

    kind: type[Account] | type[Venue]

    def _change(self, code: str, reason: str | None) -> Response:
        actor = self.caller().actor
        try:
            if reason is None:
                return self.written(draining.end(self.kind, code, actor))
            return self.written(draining.begin(self.kind, code, reason, actor))
        except Invalid as refusal:
            raise problems.conflict(refusal.code, f"Nothing was changed. {refusal.message}") from None


class AccountDraining(_Draining, AccountRows):
    """Let an account take no new orders until nothing is open, or let it take them again."""

    kind = Account

    @extend_schema(request=DrainInput, responses={200: AccountOutput})
    def post(self, request: Request, code: str) -> Response:
        account = self.one("account", code=code)
        return self._change(account.code, self.read(DrainInput)["reason"])

    @extend_schema(request=Nothing, responses={200: AccountOutput})
    def delete(self, request: Request, code: str) -> Response:
        account = self.one("account", code=code)
        self.read(Nothing)
        return self._change(account.code, None)


class VenueDraining(_Draining, VenueRows):
    """Let no account of a venue take new orders until nothing is open there, or let them take them again."""

    kind = Venue

    @extend_schema(request=DrainInput, responses={200: VenueOutput})
    def post(self, request: Request, code: str) -> Response:
        venue = self.one("venue", code=code)
        refuse_limited(self)
        return self._change(venue.code, self.read(DrainInput)["reason"])

    @extend_schema(request=Nothing, responses={200: VenueOutput})
    def delete(self, request: Request, code: str) -> Response:
        venue = self.one("venue", code=code)
        refuse_limited(self)
        self.read(Nothing)
        return self._change(venue.code, None)

"""Error decisions over HTTP: say what an answer of a venue proves, and take it back."""

from __future__ import annotations

from collections.abc import Mapping

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from project.lib import problems
from project.lib.fields import Id, Input, Moment, Output
from project.lib.rest import Filter, Listing, Rows, choices
from venues import decisions
from venues.accounts import Invalid
from venues.api import refuse_limited
from venues.models import ErrorDecision, Operation


class DecisionOutput(Output):
    """A row of the error matrix that a person added; in force until it is revoked."""

    id = Id()
    family = serializers.CharField()
    venue = serializers.CharField(source="venue_id", allow_null=True)
    operation = serializers.ChoiceField(choices=Operation.values)
    venue_code = serializers.CharField()
    fragment = serializers.CharField()
    ruling = serializers.ChoiceField(choices=ErrorDecision.Ruling.values)
    reason_code = serializers.CharField()
    is_transient = serializers.BooleanField()
    cause = serializers.ChoiceField(choices=ErrorDecision.Cause.values)
    note = serializers.CharField()
    decided_by = serializers.CharField()
    created_at = Moment()
    revoked_at = Moment(allow_null=True)
    revoked_by = serializers.CharField()
    revoke_reason = serializers.CharField()


class DecisionInput(Input):
    """What an answer proves: for a family of exchanges (the id of its first one), or for one venue."""

    family = serializers.CharField(max_length=64, required=False, default="")
    venue = serializers.CharField(max_length=64, required=False, default="")
    operation = serializers.ChoiceField(choices=Operation.values)
    venue_code = serializers.CharField(max_length=80, required=False, allow_blank=True, default="")
    fragment = serializers.CharField(max_length=120, required=False, allow_blank=True, default="")
    ruling = serializers.ChoiceField(choices=ErrorDecision.Ruling.values)
    reason_code = serializers.CharField(max_length=64, required=False, allow_blank=True, default="")
    is_transient = serializers.BooleanField(required=False, default=False)
    cause = serializers.ChoiceField(choices=ErrorDecision.Cause.values, default=ErrorDecision.Cause.SYSTEM)
    note = serializers.CharField(max_length=500)


class RevocationInput(Input):
    """Why the decision no longer holds."""

    reason = serializers.CharField(max_length=500)


class DecisionRows(Rows):
    """Decisions reach beyond accounts: every caller sees all of them."""

    resource = "error_decisions"
    account_path = ""
    queryset = ErrorDecision.objects.all()
    serializer_class = DecisionOutput
    ordering = ("-created_at", "id")


class Decisions(Listing, DecisionRows):
    """Decide what an answer proves; list the decisions, newest first."""

    filters: Mapping[str, Filter] = {
        "family": Filter(path="family"),
        "venue": Filter(path="venue_id"),
        "operation": Filter(path="operation", choices=choices(Operation.values)),
        "in_force": Filter(path="revoked_at__isnull", kind="flag"),
    }

    @extend_schema(request=DecisionInput, responses={201: DecisionOutput})
    def post(self, request: Request) -> Response:
        refuse_limited(self)
        wanted = self.read(DecisionInput)
        try:
            decision = decisions.make(**wanted, actor=self.caller().actor)
        except Invalid as refusal:
            raise problems.from_field_problems([refusal]) from None
        return self.written(decision, 201, {"Location": request.build_absolute_uri(f"{decision.pk}/")})


class OneDecision(DecisionRows):
    """One decision; deleting it means revoking it, with a reason, and it stays on record."""

    @extend_schema(responses=DecisionOutput)
    def get(self, request: Request, id: str) -> Response:
        return self.written(self.one("error decision", id=id))

    @extend_schema(request=RevocationInput, responses={200: DecisionOutput})
    def delete(self, request: Request, id: str) -> Response:
        refuse_limited(self)
        decision = self.one("error decision", id=id)
        try:
            revoked = decisions.revoke(decision, self.read(RevocationInput)["reason"], self.caller().actor)
        except Invalid as refusal:
            raise problems.conflict("REFUSED", f"Nothing was revoked: {refusal.message}.") from None
        return self.written(revoked)

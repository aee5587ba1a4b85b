"""Reactions over HTTP: what shall happen when a venue does badly, and what has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from project.lib import problems
from project.lib.fields import Id, Input, Moment, Nothing, Output
from project.lib.rest import Filter, Listing, Rows, choices
from risk import reactions
from risk.models import Firing, Reaction
from venues.accounts import Invalid
from venues.api import refuse_limited


class ReactionOutput(Output):
    """A rule: when it fires, what it does, how it is let go."""

    id = Id()
    venue = serializers.CharField(source="venue_id", allow_null=True)
    trigger = serializers.ChoiceField(choices=Reaction.Trigger.values)
    threshold = serializers.IntegerField(allow_null=True)
    action = serializers.ChoiceField(choices=Reaction.Action.values)
    release = serializers.ChoiceField(choices=Reaction.Release.values)
    calm_seconds = serializers.IntegerField()
    reason = serializers.CharField()
    created_by = serializers.CharField()
    created_at = Moment()
    revoked_at = Moment(allow_null=True)
    revoked_by = serializers.CharField()


class ReactionInput(Input):
    """A rule for one venue, or without one for all. A score needs a threshold of points."""

    venue = serializers.CharField(max_length=64, required=False, allow_blank=True, default="")
    trigger = serializers.ChoiceField(choices=Reaction.Trigger.values)
    threshold = serializers.IntegerField(required=False, allow_null=True, default=None)
    action = serializers.ChoiceField(choices=Reaction.Action.values)
    release = serializers.ChoiceField(choices=Reaction.Release.values)
    calm_seconds = serializers.IntegerField(required=False, default=300)
    reason = serializers.CharField(max_length=300)


class FiringOutput(Output):
    """One time that a rule fired."""

    id = Id()
    reaction = Id(source="reaction_id")
    venue = serializers.CharField(source="venue_id")
    account = serializers.CharField(source="account_id", allow_null=True)
    scope = serializers.CharField()
    halt = Id(source="halt_id", allow_null=True)
    evidence = serializers.JSONField()
    fired_at = Moment()
    last_seen_at = Moment()
    ended_at = Moment(allow_null=True)


class ReactionRows(Rows):
    """Rules reach beyond accounts: every caller sees all of them."""

    resource = "reactions"
    account_path = ""
    queryset = Reaction.objects.all()
    serializer_class: Any = ReactionOutput
    ordering = ("-created_at", "id")


class Reactions(Listing, ReactionRows):
    """Choose what shall happen; list the rules, the newest first."""

    filters: Mapping[str, Filter] = {
        "venue": Filter(path="venue_id"),
        "trigger": Filter(path="trigger", choices=choices(Reaction.Trigger.values)),
        "in_force": Filter(path="revoked_at__isnull", kind="flag"),
    }

    @extend_schema(request=ReactionInput, responses={201: ReactionOutput})
    def post(self, request: Request) -> Response:
        refuse_limited(self)
        try:
            reaction = reactions.make(**self.read(ReactionInput), actor=self.caller().actor)
        except Invalid as refusal:
            raise problems.from_field_problems([refusal]) from None
        return self.written(reaction, 201, {"Location": request.build_absolute_uri(f"{reaction.pk}/")})


class OneReaction(ReactionRows):
    """One rule; deleting it ends it. What it has halted stays so until a person releases it."""

    @extend_schema(responses=ReactionOutput)
    def get(self, request: Request, id: str) -> Response:
        return self.written(self.one("reaction", id=id))

    @extend_schema(request=Nothing, responses={200: ReactionOutput})
    def delete(self, request: Request, id: str) -> Response:
        refuse_limited(self)
        reaction = self.one("reaction", id=id)
        self.read(Nothing)
        try:
            return self.written(reactions.revoke(reaction, self.caller().actor))
        except Invalid as refusal:
            raise problems.conflict(refusal.code, f"Nothing was changed. {refusal.message}.") from None


class Firings(Listing):
    """What has fired, the newest first; without an end it still holds."""

    resource = "firings"
    account_path = ""
    queryset = Firing.objects.all()
    serializer_class = FiringOutput
    ordering = ("-fired_at", "id")
    filters: Mapping[str, Filter] = {
        "venue": Filter(path="venue_id"),
        "is_standing": Filter(path="ended_at__isnull", kind="flag"),
    }

    def visible(self, rows: Any) -> Any:
        """Narrow to the caller's accounts, and to what concerns a whole venue."""
        accounts = self.caller().accounts
        return rows if accounts is None else rows.filter(account=None) | rows.filter(account__in=accounts)

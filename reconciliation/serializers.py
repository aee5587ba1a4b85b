"""What the API shows and takes of runs, breaks and coverage."""

from __future__ import annotations

from rest_framework import serializers

from project.lib.fields import DecimalText, Id, Input, Moment, Output
from reconciliation.models import Break, Coverage, Run


class RunOutput(Output):
    """One comparison of an account's books with its venue."""

    id = Id()
    account = serializers.CharField(source="account_id")
    trigger = serializers.CharField()
    requested_by = serializers.CharField()
    status = serializers.ChoiceField(choices=Run.Status.values)
    summary = serializers.JSONField()
    opened = serializers.IntegerField()
    closed = serializers.IntegerField()
    requested_at = Moment()
    started_at = Moment(allow_null=True)
    finished_at = Moment(allow_null=True)


class RunInput(Input):
    """Which account to compare now."""

    account = serializers.CharField(max_length=64)


class BreakOutput(Output):
    """A difference between our books and a venue's."""

    id = Id()
    account = serializers.CharField(source="account_id")
    kind = serializers.ChoiceField(choices=Break.Kind.values)
    subject = serializers.CharField()
    status = serializers.ChoiceField(choices=Break.Status.values)
    asset = serializers.CharField()
    ours = serializers.CharField()
    theirs = serializers.CharField()
    delta = DecimalText(allow_null=True)
    order = Id(source="order_id", allow_null=True)
    fill = Id(source="fill_id", allow_null=True)
    evidence = serializers.JSONField()
    seen_count = serializers.IntegerField()
    owner = serializers.CharField()
    first_seen_at = Moment()
    last_seen_at = Moment()
    opened_at = Moment(allow_null=True)
    resolved_at = Moment(allow_null=True)
    resolved_by = serializers.CharField()
    resolution = serializers.CharField()
    resolution_reason = serializers.CharField()


class BreakEventOutput(Output):
    """What happened to a break."""

    at = Moment()
    actor = serializers.CharField()
    kind = serializers.CharField()
    detail = serializers.JSONField()


class BreakDetailOutput(BreakOutput):
    """A break with its history."""

    events = BreakEventOutput(many=True)


class ResolutionInput(Input):
    """How a break ends: explained, or adjusted by a counter-entry."""

    action = serializers.ChoiceField(choices=["explain", "adjust"])
    reason = serializers.CharField(max_length=500)


class AssignmentInput(Input):
    """Who looks after a break."""

    owner = serializers.CharField(max_length=150)


class CoverageOutput(Output):
    """What is proved for an account and surface, and since when."""

    account = serializers.CharField(source="account_id")
    surface = serializers.CharField()
    status = serializers.ChoiceField(choices=Coverage.Status.values)
    proved_at = Moment(allow_null=True)
    checked_at = Moment(allow_null=True)
    detail = serializers.CharField()

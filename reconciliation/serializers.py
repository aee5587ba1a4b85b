"""What the API shows and takes of runs and coverage."""

from __future__ import annotations

from rest_framework import serializers

from project.lib.fields import Id, Input, Moment, Output
from reconciliation.models import Coverage, Run


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


class CoverageOutput(Output):
    """What is proved for an account and surface, and since when."""

    account = serializers.CharField(source="account_id")
    surface = serializers.CharField()
    status = serializers.ChoiceField(choices=Coverage.Status.values, source="standing")
    proved_at = Moment(allow_null=True)
    checked_at = Moment(allow_null=True)
    detail = serializers.CharField()

"""What the API shows and takes of statements and their mappings."""

from __future__ import annotations

from rest_framework import serializers

from project.lib.fields import Id, Input, Moment, Output
from reconciliation import statements
from reconciliation.models import Statement
from reconciliation.statement_presets import BY_CODE


class StatementOutput(Output):
    """A venue's export of trades, compared with our fills, or refused with nothing taken in."""

    id = Id()
    account = serializers.CharField(source="account_id")
    mapping = Id(source="mapping_id")
    filename = serializers.CharField()
    digest = serializers.CharField()
    status = serializers.ChoiceField(choices=Statement.Status.values)
    standing = serializers.SerializerMethodField()
    lines = serializers.IntegerField()
    window_from = Moment(allow_null=True)
    window_to = Moment(allow_null=True)
    summary = serializers.JSONField()
    imported_by = serializers.CharField()
    imported_at = Moment()

    def get_standing(self, row: Statement) -> str:
        """Say what it came to; `agrees` only where everything was compared and equal."""
        return statements.standing(row)


class FindingOutput(Output):
    """A break that a statement speaks of."""

    break_id = Id(source="discrepancy_id")
    line = serializers.IntegerField(allow_null=True)
    agrees = serializers.BooleanField()
    kind = serializers.CharField(source="discrepancy.kind")
    subject = serializers.CharField(source="discrepancy.subject")
    status = serializers.CharField(source="discrepancy.status")


class StatementDetailOutput(StatementOutput):
    """A statement with its problems and the breaks it speaks of."""

    problems = serializers.JSONField()
    findings = serializers.SerializerMethodField()

    def get_findings(self, row: Statement) -> list[dict[str, object]]:
        """Return the breaks, differences first."""
        found = row.findings.select_related("discrepancy").order_by("agrees", "line", "id")
        return list(FindingOutput(found[:1000], many=True).data)


class StatementInput(Input):
    """A file and how to read it, as multipart/form-data."""

    account = serializers.CharField(max_length=64)
    file = serializers.FileField(allow_empty_file=True, max_length=200)
    mapping = serializers.IntegerField(required=False, help_text="Id of a mapping; the newest of the venue without.")
    window_from = Moment(required=False)
    window_to = Moment(required=False)
    covers = serializers.ChoiceField(choices=list(statements.COVERS), default="all")
    although_nothing_matches = serializers.ChoiceField(choices=["true", "false"], default="false")


class StatementMappingOutput(Output):
    """One version of how a venue's export is read."""

    id = Id()
    venue = serializers.CharField(source="venue_id")
    version = serializers.IntegerField()
    label = serializers.CharField()
    columns = serializers.JSONField()
    options = serializers.JSONField()
    created_by = serializers.CharField()
    created_at = Moment()


class StatementMappingInput(Input):
    """A new version: columns and options, or a preset, of which what is given here stands instead."""

    venue = serializers.CharField(max_length=64)
    label = serializers.CharField(max_length=100, required=False, allow_blank=True)
    preset = serializers.ChoiceField(choices=list(BY_CODE), required=False)
    columns = serializers.JSONField(required=False)
    options = serializers.JSONField(required=False)

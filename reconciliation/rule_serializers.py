"""What the API shows and takes of rules, their dry runs, the history of coverage and the statistics of breaks."""

from __future__ import annotations

from decimal import Decimal

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from project.lib import decimals
from project.lib.fields import DecimalText, Id, Input, Moment, Output
from reconciliation import dry_runs, rules
from reconciliation.models import Break, Coverage, Rule


class RuleOutput(Output):
    """One version of a rule. A version never changes."""

    id = Id()
    code = serializers.CharField()
    version = serializers.IntegerField()
    status = serializers.SerializerMethodField()
    action = serializers.ChoiceField(choices=Rule.Action.values)
    kinds = serializers.ListField(child=serializers.CharField())
    scope = serializers.CharField()
    asset = serializers.CharField()
    absolute = DecimalText(allow_null=True)
    basis_points = DecimalText(allow_null=True)
    usd = DecimalText(allow_null=True)
    grace_seconds = serializers.IntegerField()
    reason = serializers.CharField()
    created_by = serializers.CharField()
    created_at = Moment()
    active_from = Moment(allow_null=True)
    retired_at = Moment(allow_null=True)
    retired_by = serializers.CharField()

    def get_status(self, rule: Rule) -> str:
        """Return draft, active or retired."""
        return rules.status(rule)


class Bound(serializers.CharField):
    """A bound as an exact decimal string."""

    def __init__(self, places: int, below: Decimal = decimals.LIMIT) -> None:
        self.places, self.below = places, below
        super().__init__(max_length=60, required=False, allow_null=True, default=None)

    def run_validation(self, data: object = serializers.empty) -> Decimal | None:
        """Parse it exactly; more places than a rule keeps are refused, never rounded."""
        text = super().run_validation(data)
        if text is None:
            return None
        try:
            number = decimals.parse(text)
        except ValueError as error:
            raise serializers.ValidationError(str(error), "MALFORMED") from None
        if number < 0 or number >= self.below or not decimals.is_multiple(number, Decimal(1).scaleb(-self.places)):
            message = f"must be 0 or more, below {self.below:f}, with at most {self.places} decimals"
            raise serializers.ValidationError(message, "OUT_OF_RANGE")
        return number


@extend_schema_field({"type": "array", "items": {"type": "string", "enum": list(Break.Kind.values)}})
class Kinds(serializers.Field):
    """A list of kinds of breaks."""

    def to_internal_value(self, data: object) -> list[str]:
        """Read it; every name that is none is told."""
        if not isinstance(data, list) or not all(isinstance(kind, str) for kind in data):
            raise serializers.ValidationError("must be a list of strings", "MALFORMED")
        wrong = sorted(set(data) - set(Break.Kind.values))
        if wrong:
            raise serializers.ValidationError(f"no kinds of breaks: {', '.join(wrong)[:200]}", "INVALID")
        return sorted(set(data))


class RuleInput(Input):
    """A new version of a rule, as a draft. Every bound it names must hold; `kinds` empty means all that can be tolerated."""

    code = serializers.SlugField(max_length=64)
    action = serializers.ChoiceField(choices=Rule.Action.values)
    kinds = Kinds(required=False, default=list)
    scope = serializers.CharField(max_length=100, required=False, default="global")
    asset = serializers.CharField(max_length=32, required=False, allow_blank=True, default="")
    absolute = Bound(18)
    basis_points = Bound(4, Decimal(10) ** 8)
    usd = Bound(2)
    grace_seconds = serializers.IntegerField(min_value=0, max_value=rules.GRACE_SECONDS_MAX, required=False, default=0)
    reason = serializers.CharField(max_length=300)


class DryRunInput(Input):
    """Over how many past days."""

    days = serializers.IntegerField(min_value=1, max_value=dry_runs.DAYS_MAX, required=False, default=dry_runs.DAYS)


class DryRunOutput(Output):
    """What a version would have done. `digest` is what an activation names."""

    id = Id()
    rule = Id(source="rule_id")
    days = serializers.IntegerField()
    result = serializers.JSONField()
    digest = serializers.CharField()
    run_by = serializers.CharField()
    run_at = Moment()


class ActivationInput(Input):
    """The digest of the dry run of exactly this version that you have looked at."""

    dry_run = serializers.CharField(max_length=64)


class CoverageChangeOutput(Output):
    """One change of what is proved."""

    id = Id()
    account = serializers.CharField(source="account_id")
    surface = serializers.CharField()
    status = serializers.ChoiceField(choices=Coverage.Status.values)
    at = Moment()
    detail = serializers.CharField()


class DayOutput(Output):
    """Breaks and runs of one day, UTC."""

    day = serializers.DateField()
    opened = serializers.IntegerField()
    closed = serializers.IntegerField()
    runs = serializers.IntegerField()
    runs_incomplete = serializers.IntegerField()


class KindOutput(Output):
    """Breaks of one kind, and how long those closed had been open."""

    kind = serializers.ChoiceField(choices=Break.Kind.values)
    opened = serializers.IntegerField()
    closed = serializers.IntegerField()
    closed_by_rules = serializers.IntegerField()
    open = serializers.IntegerField()
    suspected = serializers.IntegerField()
    median_seconds = DecimalText(allow_null=True)
    p90_seconds = DecimalText(allow_null=True)


class StatisticsOutput(Output):
    """Breaks opened and closed, and runs, of the past days."""

    days = serializers.IntegerField()
    per_day = DayOutput(many=True)
    kinds = KindOutput(many=True)

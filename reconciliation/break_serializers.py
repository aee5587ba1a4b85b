"""What the API shows and takes of breaks."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from project.lib.fields import DecimalText, Id, Input, Moment, Output
from reconciliation import evidence, workflow
from reconciliation.counter_entries import BOOKS
from reconciliation.models import Break

EVENTS_SHOWN_MAX = 100


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
    version = serializers.IntegerField(
        help_text="Raised by every decision and change of value; an If-Match with an older one is refused."
    )
    stream = serializers.CharField()
    severity = serializers.ChoiceField(choices=Break.Severity.values)
    severity_usd = DecimalText(allow_null=True)
    tolerance = serializers.JSONField()
    recurrence = serializers.IntegerField()
    owner = serializers.CharField()
    team = serializers.CharField()
    cause = serializers.CharField()
    snoozed_until = Moment(allow_null=True)
    due_at = Moment(allow_null=True)
    economic_at = Moment(allow_null=True)
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
    """A break with the newest part of its history, oldest first; `events_count` says how long all of it is."""

    events = serializers.SerializerMethodField()
    events_count = serializers.SerializerMethodField(help_text="All entries; `breaks/<id>/events/` lists them.")

    @extend_schema_field(BreakEventOutput(many=True))
    def get_events(self, row: Break) -> list[Any]:
        """Return the newest entries of the history, oldest first."""
        return list(BreakEventOutput(evidence.newest_history(row, EVENTS_SHOWN_MAX), many=True).data)

    def get_events_count(self, row: Break) -> int:
        """Return how many entries the whole history has."""
        return row.events.count()


class ResolutionInput(Input):
    """How a break ends: explained, fixed by the venue, or adjusted by a counter-entry against a book; `delta` is what you saw."""

    action = serializers.ChoiceField(choices=["explain", "venue_fixed", "adjust"])
    reason = serializers.CharField(max_length=500)
    book = serializers.ChoiceField(choices=list(BOOKS), default="adjustments")
    delta = serializers.CharField(max_length=60, required=False)
    cause = serializers.ChoiceField(choices=["", *workflow.CAUSES], default="")


class ReversalInput(Input):
    """Why counter-entries are taken back."""

    reason = serializers.CharField(max_length=500)


class LegOutput(Output):
    """One leg of an entry; a debit raises what a book holds."""

    book = serializers.CharField()
    debit = serializers.CharField()
    credit = serializers.CharField()


class EntryOutput(Output):
    """One counter-entry."""

    memo = serializers.CharField()
    legs = LegOutput(many=True)


class BookOutput(Output):
    """A book before and after; `before` is null where it is not added up here."""

    book = serializers.CharField()
    before = serializers.CharField(allow_null=True)
    change = DecimalText()
    after = serializers.CharField(allow_null=True)


class EffectOutput(Output):
    """Everything a counter-entry would do, and what stands in its way (`refusal`, empty when nothing does)."""

    asset = serializers.CharField()
    book = serializers.CharField()
    amount = serializers.CharField()
    entries = EntryOutput(many=True)
    books = BookOutput(many=True)
    total_before = serializers.CharField()
    total_after = serializers.CharField()
    venue_total = serializers.CharField(allow_null=True)
    venue_as_of = Moment(allow_null=True)
    difference_before = serializers.CharField(allow_null=True)
    difference_after = serializers.CharField(allow_null=True)
    orders_alive = serializers.IntegerField()
    positions = serializers.ListField(child=serializers.DictField(child=serializers.CharField()))
    limits = serializers.ListField(child=serializers.DictField(child=serializers.CharField()))
    warning = serializers.CharField()
    usd = DecimalText(allow_null=True)
    price_source = serializers.CharField()
    price_at = Moment(allow_null=True)
    needs_approval = serializers.BooleanField()
    why = serializers.CharField()
    refusal = serializers.CharField()


class AssignmentInput(Input):
    """Who looks after a break: a person ("" for nobody), a team, or with `to_previous` whom it belonged to before."""

    owner = serializers.CharField(max_length=150, allow_blank=True, default="")
    team = serializers.CharField(max_length=64, allow_blank=True, required=False)
    to_previous = serializers.BooleanField(default=False)


class NoteInput(Input):
    """A remark; empty only where it says what a venue answered."""

    text = serializers.CharField(max_length=500, allow_blank=True, default="")


class WaitingInput(Input):
    """What the venue was asked."""

    asked = serializers.CharField(max_length=500)


class SnoozeInput(Input):
    """Until when a break is out of sight, 30 days at most."""

    until = Moment()
    reason = serializers.CharField(max_length=500, allow_blank=True, default="")


class CauseInput(Input):
    """Why a break came about; empty takes the cause back."""

    cause = serializers.ChoiceField(choices=["", *workflow.CAUSES])


class ReasonInput(Input):
    """Why."""

    reason = serializers.CharField(max_length=500)


class LinesInput(Input):
    """Candidates by their keys, and an amount of one's own with its reason."""

    candidates = serializers.ListField(child=serializers.CharField(max_length=240), max_length=200, default=list)
    amount = serializers.CharField(max_length=60, allow_blank=True, default="")
    note = serializers.CharField(max_length=300, allow_blank=True, default="")


class LineRemovalInput(Input):
    """Which lines go, by their ids."""

    lines = serializers.ListField(child=serializers.IntegerField(min_value=1), min_length=1, max_length=200)


class LineOutput(Output):
    """Something that explains a part of a break."""

    id = serializers.IntegerField()
    source = serializers.CharField()
    reference = serializers.CharField()
    asset = serializers.CharField()
    amount = DecimalText()
    note = serializers.CharField()
    added_by = serializers.CharField()
    added_at = Moment()


class CandidateOutput(Output):
    """Something known that may explain a part; `means` is what one says by taking it."""

    key = serializers.CharField()
    source = serializers.CharField()
    amount = DecimalText()
    at = Moment(allow_null=True)
    text = serializers.CharField()
    means = serializers.CharField()
    is_exact = serializers.BooleanField()


class LinesOutput(Output):
    """The lines of a break, what they leave unexplained, and what may explain it; null where the break has no amount."""

    asset = serializers.CharField()
    delta = DecimalText(allow_null=True)
    remaining = DecimalText(allow_null=True)
    lines = LineOutput(many=True)
    candidates = CandidateOutput(many=True)
    unsettled_orders = serializers.ListField(child=serializers.CharField())


class CountsOutput(Output):
    """How many differences each tab of the queue has, and how many are overdue."""

    open = serializers.IntegerField()
    mine = serializers.IntegerField()
    waiting_for_venue = serializers.IntegerField()
    awaiting_approval = serializers.IntegerField()
    snoozed = serializers.IntegerField()
    suspected = serializers.IntegerField()
    overdue = serializers.IntegerField()

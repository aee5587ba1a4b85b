"""Run, Break, BreakLine, BreakEvent, Rule, DryRun, Coverage, CoverageChange, StatementMapping, Statement, StatementLine, StatementFinding."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.db.models import Q

from orders.models import Fill, Order, Transfer
from project.lib import clock, ids
from risk.models import Approval
from venues.models import Account, Snapshot, Surface, Venue

STALE_AFTER_INTERVALS = 3


class Run(models.Model):
    """One comparison of an account's books with what its venue said."""

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        PARTIAL = "partial", "some surfaces could not be checked"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="runs")
    trigger = models.CharField(max_length=16, default="schedule")
    requested_by = models.CharField(max_length=150, blank=True, default="")
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.QUEUED)
    summary = models.JSONField(default=dict)
    opened = models.PositiveIntegerField(default=0)
    closed = models.PositiveIntegerField(default=0)
    requested_at = models.DateTimeField(default=clock.now)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["-requested_at"], name="run_newest"),
            models.Index(fields=["account", "trigger", "-requested_at"], name="run_account_newest"),
            models.Index(fields=["requested_at"], condition=Q(status="queued"), name="run_waiting"),
        ]


class Break(models.Model):
    """A difference between our books and the venue, with an owner and a history, closed with evidence."""

    class Kind(models.TextChoices):
        ORDER_MISSING_AT_VENUE = "order_missing_at_venue"
        ORDER_STATUS = "order_status"
        EXTERNAL_ORDER = "external_order"
        FILL_MISSING_HERE = "fill_missing_here"
        FILL_MISSING_AT_VENUE = "fill_missing_at_venue"
        FILL_DIFFERS = "fill_differs"
        FEE_DIFFERS = "fee_differs"
        WRONG_SIDE = "wrong_side"
        UNMAPPED = "unmapped_symbol"
        LATE_FILL = "late_fill"
        OVERFILL = "overfill"
        BALANCE = "balance"
        BALANCE_FROZEN = "balance_frozen"
        POSITION = "position"
        TRANSFER = "transfer"
        TRANSFER_MISSING_AT_VENUE = "transfer_missing_at_venue"
        TRANSFER_DIFFERS = "transfer_differs"
        TRANSFER_DUPLICATED = "transfer_duplicated"
        ILLEGAL_TRANSITION = "illegal_transition"
        UNREADABLE = "unreadable"
        DELAYED_FILL = "delayed_fill"
        ACKNOWLEDGED_THEN_DENIED = "acknowledged_then_denied"
        STREAM_DIFFERS = "stream_differs"
        THROTTLED_IN_MOVE = "throttled_in_move"

    class Status(models.TextChoices):
        SUSPECTED = "suspected"
        OPEN = "open"
        INVESTIGATING = "investigating"
        WAITING_FOR_VENUE = "waiting_for_venue"
        AWAITING_APPROVAL = "awaiting_approval"
        RESOLVED = "resolved"

    class Severity(models.TextChoices):
        LOW = "low"
        MEDIUM = "medium"
        HIGH = "high"
        CRITICAL = "critical"

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="breaks")
    kind = models.CharField(max_length=32, choices=Kind.choices)
    subject = models.CharField(max_length=200, help_text="Asset, order id or trade id the break is about.")
    fingerprint = models.CharField(max_length=64)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.SUSPECTED)
    severity = models.CharField(max_length=8, choices=Severity.choices, default=Severity.MEDIUM)
    severity_usd = models.DecimalField(
        max_digits=38,
        decimal_places=2,
        null=True,
        help_text="What the difference is worth; null where no price is known.",
    )
    asset = models.CharField(max_length=32, blank=True, default="")
    ours = models.CharField(max_length=200, blank=True, default="")
    theirs = models.CharField(max_length=200, blank=True, default="", help_text="What the venue says over REST.")
    stream = models.CharField(max_length=200, blank=True, default="", help_text="What its private stream said last.")
    delta = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, null=True, related_name="breaks")
    fill = models.ForeignKey(Fill, on_delete=models.PROTECT, null=True, related_name="breaks")
    transfer = models.ForeignKey(Transfer, on_delete=models.PROTECT, null=True, related_name="breaks")
    snapshot = models.ForeignKey(Snapshot, on_delete=models.SET_NULL, null=True, related_name="breaks")
    evidence = models.JSONField(default=dict)
    tolerance = models.JSONField(
        default=dict, help_text="What was allowed and by which rule; at what the difference would pass."
    )
    rule = models.ForeignKey(
        "reconciliation.Rule", on_delete=models.PROTECT, null=True, related_name="breaks",
        help_text="The rule and version that judged it last.",
    )  # fmt: skip
    seen_count = models.PositiveIntegerField(default=1)
    recurrence = models.PositiveIntegerField(default=0, help_text="How often the same difference was resolved before.")
    owner = models.CharField(max_length=150, blank=True, default="")
    team = models.CharField(max_length=64, blank=True, default="", help_text="The group of people that looks after it.")
    cause = models.CharField(max_length=32, blank=True, default="", help_text="Why it came about, of a fixed list.")
    snoozed_until = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True, help_text="When somebody must have decided, by its severity.")
    economic_at = models.DateTimeField(null=True, help_text="When it happened at the venue, as far as that is known.")
    approval = models.ForeignKey(
        Approval, on_delete=models.PROTECT, null=True, related_name="breaks",
        help_text="The newest request for a second person's word on it.",
    )  # fmt: skip
    version = models.PositiveIntegerField(default=0, help_text="Counts a person's changes: an older page is refused.")
    first_seen_at = models.DateTimeField(default=clock.now)
    last_seen_at = models.DateTimeField(default=clock.now)
    opened_at = models.DateTimeField(null=True)
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.CharField(max_length=150, blank=True, default="")
    resolution = models.CharField(max_length=32, blank=True, default="")
    resolution_reason = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "fingerprint"], condition=~Q(status="resolved"), name="break_one_unresolved"
            )
        ]
        indexes = [
            models.Index(fields=["-first_seen_at"], name="break_newest"),
            models.Index(fields=["account", "fingerprint", "-resolved_at"], name="break_history"),
        ]


class BreakLine(models.Model):
    """Something that explains a part of a break: a trade, a transfer, a fee, or a person's own amount with its reason."""

    class Source(models.TextChoices):
        FILL = "fill"
        FEE = "fee"
        TRANSFER = "transfer"
        PERSON = "person"

    discrepancy = models.ForeignKey(Break, on_delete=models.CASCADE, related_name="lines")
    source = models.CharField(max_length=12, choices=Source.choices)
    reference = models.CharField(max_length=200, help_text="The id of the row or of the venue's fact it stands on.")
    asset = models.CharField(max_length=32)
    amount = models.DecimalField(max_digits=38, decimal_places=18)
    note = models.CharField(max_length=300, blank=True, default="")
    added_by = models.CharField(max_length=150)
    added_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["discrepancy", "source", "reference"], name="break_line_once")]


class BreakEvent(models.Model):
    """What happened to a break: seen, opened, assigned, noted, adjusted, resolved. Append only."""

    discrepancy = models.ForeignKey(Break, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(default=clock.now)
    actor = models.CharField(max_length=150)
    kind = models.CharField(max_length=32)
    detail = models.JSONField(default=dict)


class Rule(models.Model):
    """One version of a rule: what is tolerated, or closed by itself. A version never changes; a newer one replaces it."""

    class Action(models.TextChoices):
        TOLERATE = "tolerate", "no break while the difference is within it"
        CLOSE = "close", "resolve an open break that is within it"

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    code = models.SlugField(max_length=64, help_text="The name all versions share.")
    version = models.PositiveIntegerField()
    action = models.CharField(max_length=8, choices=Action.choices)
    kinds = models.JSONField(default=list, help_text="Kinds of breaks it is about; none means all.")
    scope = models.CharField(
        max_length=100, default="global", help_text="`global`, `venue:<code>` or `account:<code>`."
    )
    asset = models.CharField(max_length=32, blank=True, default="", help_text="Blank for every asset.")
    absolute = models.DecimalField(max_digits=38, decimal_places=18, null=True, help_text="In the asset.")
    basis_points = models.DecimalField(max_digits=12, decimal_places=4, null=True, help_text="Of our own total.")
    usd = models.DecimalField(max_digits=38, decimal_places=2, null=True, help_text="Dust: worth no more than this.")
    grace_seconds = models.PositiveIntegerField(default=0, help_text="For how long it may stand before it counts.")
    reason = models.CharField(max_length=300)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(default=clock.now)
    active_from = models.DateTimeField(null=True, help_text="Null while it is a draft that only dry runs use.")
    retired_at = models.DateTimeField(null=True)
    retired_by = models.CharField(max_length=150, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["code", "version"], name="rule_version_once"),
            models.UniqueConstraint(
                fields=["code"], condition=Q(active_from__isnull=False, retired_at=None), name="rule_one_active"
            ),
        ]


class DryRun(models.Model):
    """What one version of a rule would have done to the breaks of some past days. Changes nothing; append only."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    rule = models.ForeignKey(Rule, on_delete=models.PROTECT, related_name="dry_runs")
    days = models.PositiveIntegerField()
    result = models.JSONField(help_text="Counts, sums in USD and the breaks by what would have become of them.")
    digest = models.CharField(max_length=64, help_text="SHA-256 of the rule and the result as canonical JSON.")
    run_by = models.CharField(max_length=150)
    run_at = models.DateTimeField(default=clock.now)

    class Meta:
        indexes = [models.Index(fields=["rule", "-run_at"], name="dry_run_newest")]


def read_interval(surface: str) -> timedelta:
    """Return how often a surface is read when all is well."""
    seconds = {
        Surface.OPEN_ORDERS: settings.EXECUTOR["open_orders_seconds"],
        Surface.FILLS: settings.EXECUTOR["fills_seconds"],
    }.get(Surface(surface), settings.EXECUTOR["balances_seconds"])
    return timedelta(seconds=max(seconds, settings.RECONCILIATION_SECONDS))


def too_old(now: datetime, path: str = "") -> Q:
    """Return the condition on coverage rows whose proof is too old to count; `path` leads to them from another model."""
    found = Q()
    for surface in Surface:
        limit = now - STALE_AFTER_INTERVALS * read_interval(surface)
        found |= Q(**{f"{path}surface": surface, f"{path}proved_at__lt": limit})
    return found


class Coverage(models.Model):
    """What has been proved for an account and surface, and how long ago. Only `proved` is green."""

    class Status(models.TextChoices):
        NEVER = "never"
        PROVED = "proved"
        STALE = "stale"
        FAILED = "failed"
        UNSUPPORTED = "unsupported"

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="coverage")
    surface = models.CharField(max_length=16, choices=Surface.choices)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.NEVER)
    proved_at = models.DateTimeField(
        null=True, help_text="Request time of the newest good read that agreed with our books."
    )
    checked_at = models.DateTimeField(null=True)
    snapshot_number = models.BigIntegerField(
        default=0, help_text="The newest snapshot looked at; rows above it are news."
    )
    summary = models.JSONField(default=dict, help_text="What that look told: agreed, different, skipped.")
    changed_at = models.DateTimeField(null=True, help_text="When a look last changed a break or this status.")
    detail = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "surface"], name="coverage_once")]

    @property
    def tolerated_count(self) -> int:
        """How many differences the newest look let pass by a rule."""
        return sum(self.summary.get("tolerated", {}).values())

    @property
    def standing(self) -> str:
        """Its status now: a proof that has become too old is none, even while nobody is there to write that down."""
        if self.status != self.Status.PROVED or self.surface not in Surface.values:
            return str(self.status)
        limit = clock.now() - STALE_AFTER_INTERVALS * read_interval(self.surface)
        is_young = self.proved_at is not None and self.proved_at >= limit
        return str(self.Status.PROVED if is_young else self.Status.STALE)


class CoverageChange(models.Model):
    """One change of what is proved for an account and surface: the history of the coverage map. Append only."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="coverage_changes", db_index=False)
    surface = models.CharField(max_length=16, choices=Surface.choices)
    status = models.CharField(max_length=16, choices=Coverage.Status.choices)
    at = models.DateTimeField(default=clock.now)
    detail = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        indexes = [models.Index(fields=["account", "surface", "-at"], name="coverage_history")]


class StatementMapping(models.Model):
    """Which column of a venue's CSV export means what. A version never changes; the newest of a venue is offered first."""

    venue = models.ForeignKey(Venue, on_delete=models.PROTECT, related_name="statement_mappings")
    version = models.PositiveIntegerField()
    label = models.CharField(max_length=100, blank=True, default="", help_text="Which of the venue's exports it reads.")
    columns = models.JSONField(default=dict, help_text="Our field to the header of theirs.")
    options = models.JSONField(
        default=dict, help_text="Delimiter, decimal sign, time format and zone, words for sides."
    )
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["venue", "version"], name="statement_mapping_once")]


class Statement(models.Model):
    """A venue's own export of trades, taken in whole or not at all, and compared with our fills."""

    class Status(models.TextChoices):
        REFUSED = "refused", "lines could not be read; nothing was taken in"
        COMPARED = "compared"

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="statements")
    mapping = models.ForeignKey(StatementMapping, on_delete=models.PROTECT, related_name="statements")
    filename = models.CharField(max_length=200)
    digest = models.CharField(max_length=64, help_text="SHA-256 of the file as it came.")
    status = models.CharField(max_length=12, choices=Status.choices)
    problems = models.JSONField(default=list, help_text="Every bad line: number, column, what is wrong with it.")
    lines = models.PositiveIntegerField(default=0)
    window_from = models.DateTimeField(null=True)
    window_to = models.DateTimeField(null=True)
    summary = models.JSONField(default=dict)
    imported_by = models.CharField(max_length=150)
    imported_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "digest"], condition=Q(status="compared"), name="statement_once")
        ]
        indexes = [models.Index(fields=["-imported_at"], name="statement_newest")]


class StatementLine(models.Model):
    """One trade as a statement tells it."""

    statement = models.ForeignKey(Statement, on_delete=models.CASCADE, related_name="rows")
    number = models.PositiveIntegerField(help_text="Of the line in the file.")
    symbol = models.CharField(max_length=64)
    side = models.CharField(max_length=4)
    venue_trade_id = models.CharField(max_length=100)
    price = models.DecimalField(max_digits=38, decimal_places=18)
    quantity = models.DecimalField(max_digits=38, decimal_places=18)
    fee = models.DecimalField(
        max_digits=38, decimal_places=18, null=True, help_text="Null where the export tells none."
    )
    fee_asset = models.CharField(max_length=32, blank=True, default="")
    executed_at = models.DateTimeField()
    venue_order_id = models.CharField(max_length=100, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["statement", "number"], name="statement_line_once"),
            models.UniqueConstraint(
                fields=["statement", "symbol", "venue_trade_id", "side"], name="statement_trade_once"
            ),
        ]


class StatementFinding(models.Model):
    """A break that a statement speaks of: the difference it found, and the line that tells it (none for what it lacks)."""

    statement = models.ForeignKey(Statement, on_delete=models.PROTECT, related_name="findings", db_index=False)
    discrepancy = models.ForeignKey(Break, on_delete=models.PROTECT, related_name="findings")
    line = models.PositiveIntegerField(null=True)
    agrees = models.BooleanField(default=False, help_text="The statement says what our books say, against the break.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["statement", "discrepancy"], name="statement_finding_once")]

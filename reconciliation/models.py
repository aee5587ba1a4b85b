"""Run, Break, BreakEvent, Coverage."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from orders.models import Fill, Order
from project.lib import clock, ids
from venues.models import Account, Snapshot, Surface


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
        LATE_FILL = "late_fill"
        OVERFILL = "overfill"
        BALANCE = "balance"
        ILLEGAL_TRANSITION = "illegal_transition"
        UNREADABLE = "unreadable"

    class Status(models.TextChoices):
        SUSPECTED = "suspected"
        OPEN = "open"
        INVESTIGATING = "investigating"
        RESOLVED = "resolved"

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="breaks")
    kind = models.CharField(max_length=32, choices=Kind.choices)
    subject = models.CharField(max_length=200, help_text="Asset, order id or trade id the break is about.")
    fingerprint = models.CharField(max_length=64)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.SUSPECTED)
    asset = models.CharField(max_length=32, blank=True, default="")
    ours = models.CharField(max_length=200, blank=True, default="")
    theirs = models.CharField(max_length=200, blank=True, default="")
    delta = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, null=True, related_name="breaks")
    fill = models.ForeignKey(Fill, on_delete=models.PROTECT, null=True, related_name="breaks")
    snapshot = models.ForeignKey(Snapshot, on_delete=models.SET_NULL, null=True, related_name="breaks")
    evidence = models.JSONField(default=dict)
    seen_count = models.PositiveIntegerField(default=1)
    owner = models.CharField(max_length=150, blank=True, default="")
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


class BreakEvent(models.Model):
    """What happened to a break: seen, opened, assigned, noted, adjusted, resolved. Append only."""

    discrepancy = models.ForeignKey(Break, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(default=clock.now)
    actor = models.CharField(max_length=150)
    kind = models.CharField(max_length=32)
    detail = models.JSONField(default=dict)


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

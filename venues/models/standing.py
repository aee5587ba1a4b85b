"""How budgets, channels, streams, books and venues do, maintenance, and what people decided of error codes."""

from __future__ import annotations

from datetime import timedelta

from django.db import models

from project.lib import clock, ids
from venues.books import BOOK_MEANINGS
from venues.models.accounts import Account, Venue

BOOK_SEEN_WITHIN = timedelta(seconds=15)


class BudgetShare(models.Model):
    """What one process may use of one limit of a venue, and what it does with it; the others get the rest."""

    group = models.CharField(max_length=600, help_text="Whom the venue counts together: an address, or a key.")
    bucket = models.CharField(max_length=32)
    holder = models.CharField(max_length=120)
    account = models.CharField(max_length=64, blank=True, default="", help_text="Empty for a limit of an address.")
    capacity = models.FloatField()
    per_seconds = models.FloatField()
    is_shared = models.BooleanField(default=True)
    granted = models.FloatField()
    wanted = models.FloatField()
    used = models.FloatField()
    waiting = models.IntegerField(default=0)
    waited_ms = models.FloatField(default=0)
    renewed_at = models.DateTimeField()
    expires_at = models.DateTimeField(help_text="Until then it is used; a window later it is somebody else's.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["group", "bucket", "holder"], name="budget_share_once")]
        indexes = [models.Index(fields=["account"], name="budget_share_account")]

    @property
    def remaining(self) -> float:
        """How many units of the whole limit the process believes are left."""
        return max(0.0, self.capacity - self.used)


class RateStop(models.Model):
    """A venue's own word that nothing may be sent for a while: it survives a restart and holds for every process."""

    group = models.CharField(primary_key=True, max_length=600)
    until_at = models.DateTimeField()
    reason = models.CharField(max_length=200, blank=True, default="")
    noted_at = models.DateTimeField()


class ChannelHealth(models.Model):
    """One channel of an account (submit, cancel, query, stream): latency, errors, staleness, breaker."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="channels")
    capability = models.CharField(max_length=16)
    breaker = models.CharField(max_length=16, default="closed")
    breaker_reason = models.CharField(max_length=200, blank=True, default="")
    requests = models.BigIntegerField(default=0)
    errors = models.BigIntegerField(default=0)
    reconnects = models.BigIntegerField(default=0)
    latency_ms_p50 = models.FloatField(null=True)
    latency_ms_p95 = models.FloatField(null=True)
    latency_ms_p99 = models.FloatField(null=True)
    recent_requests = models.IntegerField(default=0)
    recent_errors = models.IntegerField(default=0)
    heard_at = models.DateTimeField(null=True, help_text="Last good answer or frame.")
    clock_offset_ms = models.IntegerField(null=True, help_text="How far the venue's clock is ahead.")
    detections = models.JSONField(default=dict, help_text="Kinds of asymmetric failures of the last minutes, counted.")
    last_success_at = models.DateTimeField(null=True)
    last_error_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=200, blank=True, default="")
    updated_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "capability"], name="channel_health_once")]


class BookHealth(models.Model):
    """A public book that an account needs, as its owner sees it; see venues.books.BookStats."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="books")
    symbol = models.CharField(max_length=64)
    is_fresh = models.BooleanField()
    reason = models.CharField(max_length=40, blank=True, default="")
    best_bid = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    best_ask = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    levels = models.PositiveIntegerField(default=0)
    changed_at = models.DateTimeField(null=True)
    updates = models.BigIntegerField(default=0)
    repeats = models.BigIntegerField(default=0)
    snapshots = models.BigIntegerField(default=0)
    gaps = models.BigIntegerField(default=0)
    checksum_failures = models.BigIntegerField(default=0)
    crossings = models.BigIntegerField(default=0)
    unreadable = models.BigIntegerField(default=0)
    reconnects = models.BigIntegerField(default=0)
    updated_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "symbol"], name="book_health_once")]

    @property
    def stands_fresh(self) -> bool:
        """Whether it was fresh when its owner last looked, and the owner still looks."""
        return self.is_fresh and clock.now() - self.updated_at < BOOK_SEEN_WITHIN

    @property
    def meaning(self) -> str:
        """What its reason means."""
        return BOOK_MEANINGS.get(self.reason, "its owner has not looked at it lately")


class StreamSession(models.Model):
    """One connection of an account's stream, from its subscription until its loss; see venues.streams.Session."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="stream_sessions")
    kind = models.CharField(max_length=16, choices=[("private", "private"), ("book", "book")])
    symbol = models.CharField(max_length=64, blank=True, default="")
    connected_at = models.DateTimeField()
    tries = models.PositiveIntegerField(default=1)
    reconnect_ms = models.BigIntegerField(null=True)
    live_at = models.DateTimeField(null=True)
    healed_ms = models.BigIntegerField(null=True)
    ended_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=40, blank=True, default="")
    detail = models.CharField(max_length=100, blank=True, default="")
    frames = models.BigIntegerField(default=0)
    dropped = models.BigIntegerField(default=0)
    resyncs = models.PositiveIntegerField(default=0)
    last_message_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["account", "-connected_at"], name="stream_session_newest")]


class HealthSample(models.Model):
    """How well a venue was in one minute; points are null where nobody measured, or in maintenance."""

    venue = models.ForeignKey(Venue, on_delete=models.CASCADE, related_name="health_samples", db_index=False)
    at = models.DateTimeField()
    state = models.CharField(max_length=16)
    points = models.PositiveSmallIntegerField(null=True)
    channels = models.JSONField(default=dict, help_text="Points per channel.")
    reasons = models.JSONField(default=list)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["venue", "at"], name="health_sample_once")]
        indexes = [models.Index(fields=["at"], name="health_sample_at")]


class MaintenanceWindow(models.Model):
    """A time in which a venue takes no orders: planned by a person, or since the venue said so itself."""

    class Source(models.TextChoices):
        PLANNED = "planned"
        VENUE = "venue", "the venue says so"

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    venue = models.ForeignKey(Venue, on_delete=models.CASCADE, related_name="maintenance_windows")
    source = models.CharField(max_length=8, choices=Source.choices)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, help_text="Null while the venue has not said that it is over.")
    reason = models.CharField(max_length=300)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(default=clock.now)
    cancelled_at = models.DateTimeField(null=True)
    cancelled_by = models.CharField(max_length=150, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["venue"],
                condition=models.Q(source="venue", ends_at=None, cancelled_at=None),
                name="maintenance_one_sudden",
            )
        ]
        indexes = [models.Index(fields=["venue", "-starts_at"], name="maintenance_newest")]


class Operation(models.TextChoices):
    ANY = "any", "any action"
    SUBMIT = "submit"
    CANCEL = "cancel"
    AMEND = "amend"


class ErrorDecision(models.Model):
    """What a person decided that a venue's answer proves. Never changed: revoked, and decided anew."""

    class Ruling(models.TextChoices):
        DEFINITIVE_REJECT = "definitive_reject", "Definitive reject: refused, and final"
        NOT_SENT = "not_sent", "Not executed: the venue did nothing"
        AMBIGUOUS = "ambiguous", "Ambiguous: it proves nothing, the order is looked up"
        RATE_LIMITED = "rate_limited", "Rate limited: nothing done, wait"
        BANNED_UNTIL = "banned_until", "Banned until a time: nothing done, send nothing"
        AUTH = "auth", "The key is refused: nothing done, orders wait"
        MAINTENANCE = "maintenance", "Maintenance: nothing done, orders pause"

    class Cause(models.TextChoices):
        PARAMETER = "parameter", "the order's own values"
        SYSTEM = "system", "the account or the venue"

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    family = models.CharField(max_length=64)
    venue = models.ForeignKey(Venue, on_delete=models.PROTECT, null=True, related_name="error_decisions")
    operation = models.CharField(max_length=8, choices=Operation.choices)
    venue_code = models.CharField(max_length=80, help_text="A trailing * matches every code that begins so.")
    fragment = models.CharField(max_length=120, blank=True, default="", help_text="What the message must contain.")
    ruling = models.CharField(max_length=20, choices=Ruling.choices)
    reason_code = models.CharField(max_length=64)
    is_transient = models.BooleanField(default=False)
    cause = models.CharField(max_length=12, choices=Cause.choices, default=Cause.SYSTEM)
    note = models.CharField(max_length=500)
    decided_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(default=clock.now)
    revoked_at = models.DateTimeField(null=True)
    revoked_by = models.CharField(max_length=150, blank=True, default="")
    revoke_reason = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        indexes = [models.Index(fields=["-created_at"], condition=models.Q(revoked_at=None), name="decision_in_force")]


class ErrorCase(models.Model):
    """A venue's answer that no row classifies: a person decides what it proves. One open per family, action and code."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    family = models.CharField(max_length=64)
    operation = models.CharField(max_length=8, choices=Operation.choices)
    venue_code = models.CharField(max_length=80, blank=True, default="")
    messages = models.JSONField(default=list, help_text="What the venue said, the newest last.")
    http_status = models.PositiveSmallIntegerField(null=True)
    exception_class = models.CharField(max_length=64, blank=True, default="")
    judged_outcome = models.CharField(max_length=12)
    judged_code = models.CharField(max_length=64)
    count = models.PositiveIntegerField(default=0)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    decision = models.ForeignKey(ErrorDecision, on_delete=models.PROTECT, null=True, related_name="cases")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["family", "operation", "venue_code"],
                condition=models.Q(decision=None),
                name="error_case_one_open",
            )
        ]
        indexes = [models.Index(fields=["-last_seen_at"], name="error_case_newest")]

"""Rows every app may write in its own transactions: feed, audit, schedule slots, API tokens."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from project.lib import clock, ids


class FeedCounter(models.Model):
    """The one counter behind the feed; incremented last in a transaction, so numbers become visible in order."""

    id = models.SmallIntegerField(primary_key=True)
    value = models.BigIntegerField(default=0)


class FeedEntry(models.Model):
    """One committed fact, as every reader (page, socket, API) sees it."""

    seq = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField(default=clock.now)
    topic = models.CharField(max_length=32)
    kind = models.CharField(max_length=48)
    object_id = models.CharField(max_length=160)
    account = models.CharField(max_length=64, blank=True, default="")
    data = models.JSONField(default=dict)

    class Meta:
        indexes = [models.Index(fields=["at"], name="feed_at")]


class RulesRevision(models.Model):
    """Counts up with every change of halts, limits and the live switch: an attempt commits only under the rules it was checked by."""

    id = models.SmallIntegerField(primary_key=True)
    value = models.BigIntegerField(default=0)


class AuditEntry(models.Model):
    """One change made by a person, a token or a rule; hash-chained to the entry before it."""

    sequence = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()
    actor = models.CharField(max_length=150)
    action = models.CharField(max_length=64)
    subject = models.CharField(max_length=200)
    detail = models.JSONField(default=dict)
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)


class ScheduleSlot(models.Model):
    """A periodic job's time slot, claimed once by whoever inserts it first: 0, 1 or 3 schedulers do the same."""

    job = models.CharField(max_length=64)
    slot_at = models.DateTimeField()
    claimed_at = models.DateTimeField(default=clock.now)
    finished_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "slot_at"], name="schedule_slot_once")]


class ApiToken(models.Model):
    """A key to the API: stored as a hash, shown once, bound to a person and optionally to some accounts."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    label = models.CharField(max_length=80)
    prefix = models.CharField(max_length=12)
    key_hash = models.CharField(max_length=64, unique=True)
    accounts = models.JSONField(default=list, help_text="Account codes this token may use; empty means all.")
    is_read_only = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=clock.now)
    expires_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

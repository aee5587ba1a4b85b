"""Limit, Halt, Reaction, Firing, Approval."""

from __future__ import annotations

from django.db import models

from project.lib import clock, ids
from venues.models import Account, Venue


class Limit(models.Model):
    """A ceiling for a scope: `global`, `venue:<code>` or `account:<code>`. The tightest applies."""

    class Name(models.TextChoices):
        NOTIONAL_MAX = "notional_max", "largest notional of one order (quote currency)"
        QUANTITY_MAX = "quantity_max", "largest quantity of one order"
        OPEN_ORDERS_MAX = "open_orders_max", "most orders open at once"
        PRICE_COLLAR_PERCENT = "price_collar_percent", "furthest limit price from the last price, in percent"

    scope = models.CharField(max_length=100, default="global")
    name = models.CharField(max_length=32, choices=Name.choices)
    value = models.DecimalField(max_digits=38, decimal_places=18)
    version = models.PositiveIntegerField(default=1)
    updated_at = models.DateTimeField(default=clock.now)
    updated_by = models.CharField(max_length=150, blank=True, default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["scope", "name"], name="limit_scope_name")]


class Halt(models.Model):
    """A stop, from one person with a reason, until it is released. Cancels always pass."""

    class State(models.TextChoices):
        HALTED = "halted"
        REDUCING = "reducing"

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    scope = models.CharField(max_length=100)
    state = models.CharField(max_length=16, choices=State.choices, default=State.HALTED)
    reason = models.CharField(max_length=300)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(default=clock.now)
    released_at = models.DateTimeField(null=True)
    released_by = models.CharField(max_length=150, blank=True, default="")
    release_reason = models.CharField(max_length=300, blank=True, default="")


class Reaction(models.Model):
    """What shall happen when a venue does badly: a rule a person chose, with how it is let go. Revoked, never changed."""

    class Trigger(models.TextChoices):
        SCORE = "score_below", "its score is below"
        DELAYED_FILL = "delayed_fill", "trades are told late"
        ACKNOWLEDGED_THEN_DENIED = "acknowledged_then_denied", "an order is taken, then denied"
        STREAM_DIFFERS = "stream_differs", "the stream differs from REST"
        THROTTLED_IN_MOVE = "throttled_in_move", "it slows us down in a fast market"

    class Action(models.TextChoices):
        ALERT = "alert", "tell people"
        REDUCE = "reduce", "only orders that reduce"
        HALT = "halt", "no new orders"

    class Release(models.TextChoices):
        PERSON = "person", "a person lets go"
        CALM = "calm", "let go after a time of calm"

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    venue = models.ForeignKey(Venue, on_delete=models.CASCADE, null=True, related_name="reactions")
    trigger = models.CharField(max_length=32, choices=Trigger.choices)
    threshold = models.PositiveSmallIntegerField(null=True, help_text="Points, for a score.")
    action = models.CharField(max_length=8, choices=Action.choices)
    release = models.CharField(max_length=8, choices=Release.choices)
    calm_seconds = models.PositiveIntegerField(default=300)
    reason = models.CharField(max_length=300)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(default=clock.now)
    revoked_at = models.DateTimeField(null=True)
    revoked_by = models.CharField(max_length=150, blank=True, default="")


class Firing(models.Model):
    """One time that a reaction was triggered, with the evidence; over when the cause has been away long enough."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    reaction = models.ForeignKey(Reaction, on_delete=models.PROTECT, related_name="firings")
    venue = models.ForeignKey(Venue, on_delete=models.CASCADE, related_name="firings")
    account = models.ForeignKey(Account, on_delete=models.CASCADE, null=True, related_name="firings")
    scope = models.CharField(max_length=100)
    evidence = models.JSONField(default=dict)
    halt = models.ForeignKey(Halt, on_delete=models.SET_NULL, null=True, related_name="firings")
    fired_at = models.DateTimeField(default=clock.now)
    last_seen_at = models.DateTimeField(default=clock.now)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["reaction", "scope"], condition=models.Q(ended_at=None), name="firing_one_at_a_time"
            )
        ]
        indexes = [models.Index(fields=["-fired_at"], name="firing_newest")]


class Approval(models.Model):
    """A change that needs a second, different person: requested by one, bound to the hash of exactly that change."""

    class Status(models.TextChoices):
        PENDING = "pending"
        APPROVED = "approved", "approved and carried out"
        REFUSED = "refused"
        WITHDRAWN = "withdrawn"
        EXPIRED = "expired"
        OUTDATED = "outdated", "what it was about has changed since"

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    action = models.CharField(max_length=48, help_text="What is to be done: `break.adjust` and the like.")
    subject = models.CharField(max_length=200, help_text="The id of the row it is about.")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, related_name="approvals")
    summary = models.CharField(max_length=300, help_text="The change in one sentence, for a person.")
    change = models.JSONField(help_text="Everything that will be done, to the last digit.")
    change_hash = models.CharField(max_length=64, help_text="SHA-256 of the change as canonical JSON.")
    amount_usd = models.DecimalField(max_digits=38, decimal_places=2, null=True)
    reason = models.CharField(max_length=500)
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.PENDING)
    requested_by = models.CharField(max_length=150, help_text="The actor, as in the audit.")
    requested_by_person = models.CharField(max_length=150, help_text="The person behind it; never the one who decides.")
    requested_at = models.DateTimeField(default=clock.now)
    expires_at = models.DateTimeField()
    decided_by = models.CharField(max_length=150, blank=True, default="")
    decided_at = models.DateTimeField(null=True)
    decision_reason = models.CharField(max_length=500, blank=True, default="")
    result = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["action", "subject"], condition=models.Q(status="pending"), name="approval_one_pending"
            )
        ]
        indexes = [models.Index(fields=["-requested_at"], name="approval_newest")]

"""Order, OrderGroup, OrderEvent, Attempt, Intent, Fill, DeadLetter, AccountLease, Anomaly."""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Any

from django.db import models
from django.db.models import Q

from orders.states import Mutation, Status
from project.lib import clock, ids, symbols
from venues.models import Account, ErrorCase

ZERO = Decimal(0)
_ALIVE = ~Q(status__in=["denied", "filled", "cancelled", "expired", "rejected"])
_SHOWN = Context(prec=12)  # the value it is divided by is rounded to 18 decimals

# Append-only rows carry their order's or fill's account without a foreign key of its own: the check cost more than the
# row (a quarter of what booking a fill costs the database), and `verify_ledger` and `replay --check` prove the same.
# Foreign keys that an index of the model begins with have none of their own: Django would make two for each.


def money(**options: Any) -> models.DecimalField[Decimal, Decimal]:
    """Return the one column type for prices, quantities and amounts."""
    return models.DecimalField(max_digits=38, decimal_places=18, **options)


class Order(models.Model):
    """An order intent and where it stands. Written by orders.events alone; a projection of its events."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="orders", db_index=False)
    client_order_id = models.CharField(max_length=64)
    body_digest = models.CharField(max_length=64)
    symbol = models.CharField(max_length=64)
    side = models.CharField(max_length=4)
    type = models.CharField(max_length=20)
    quantity = money()
    price = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    trigger_price = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    trailing_offset = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    time_in_force = models.CharField(max_length=4, default="gtc")
    post_only = models.BooleanField(default=False)
    reduce_only = models.BooleanField(default=False)
    expires_at = models.DateTimeField(null=True)
    strategy = models.CharField(max_length=64, blank=True, default="")
    source = models.CharField(max_length=150, blank=True, default="", help_text="Person or token that sent it.")
    is_external = models.BooleanField(default=False, help_text="Placed at the venue by somebody else, adopted here.")
    group = models.ForeignKey("orders.OrderGroup", on_delete=models.PROTECT, null=True, related_name="orders")
    group_role = models.CharField(max_length=16, blank=True, default="")

    status = models.CharField(max_length=16, default=Status.RECEIVED)
    mutation = models.CharField(max_length=16, default=Mutation.NONE)
    filled_quantity = money(default=ZERO)
    filled_value = money(default=ZERO)
    reason_code = models.CharField(max_length=64, blank=True, default="")
    reason_message = models.CharField(max_length=500, blank=True, default="")
    reason_venue_code = models.CharField(max_length=64, blank=True, default="")
    venue_order_id = models.CharField(max_length=100, blank=True, default="")
    submit_tries = models.PositiveSmallIntegerField(default=0)
    trigger_state = models.CharField(
        max_length=16, blank=True, default="", help_text="armed or triggered, when we watch."
    )
    trigger_extreme = models.DecimalField(max_digits=38, decimal_places=18, null=True, help_text="Best price so far.")
    ended_at = models.DateTimeField(null=True, help_text="When it ended, by the venue's clock where it said so.")
    last_price_seen = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    version = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(default=clock.now)
    updated_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "client_order_id"], name="order_client_id_for_ever"),
            models.UniqueConstraint(
                fields=["account", "symbol", "venue_order_id"], condition=~Q(venue_order_id=""), name="order_venue_id"
            ),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="order_quantity_positive"),
        ]
        indexes = [
            models.Index(fields=["account", "status"], condition=_ALIVE, name="order_alive"),
            models.Index(
                fields=["account", "expires_at"], condition=Q(expires_at__isnull=False) & _ALIVE, name="order_expiring"
            ),
            models.Index(fields=["account", "group"], condition=Q(group__isnull=False) & _ALIVE, name="order_grouped"),
            models.Index(fields=["-created_at", "id"], name="order_newest"),
            models.Index(fields=["account", "-created_at"], name="order_account_newest"),
        ]

    @property
    def leaves_quantity(self) -> Decimal:
        """What may still fill: nothing once the order is terminal."""
        from_quantity = max(self.quantity - self.filled_quantity, ZERO)
        return ZERO if self.status in {"denied", "filled", "cancelled", "expired", "rejected"} else from_quantity

    @property
    def average_price(self) -> Decimal | None:
        """Value filled divided by quantity filled, or None before the first fill.

        The value of an inverse contract is in its base asset and its quantity in quote asset: the other way round.
        """
        if not self.filled_quantity:
            return None
        if symbols.split(self.symbol).is_inverse:
            return _SHOWN.divide(self.filled_quantity, self.filled_value) if self.filled_value else None
        return self.filled_value / self.filled_quantity


class OrderGroup(models.Model):
    """Orders that belong together: one cancels the other (oco), entry with exits (bracket), a ladder (scaled)."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="order_groups")
    client_group_id = models.CharField(max_length=64)
    body_digest = models.CharField(max_length=64)
    kind = models.CharField(max_length=16)
    data = models.JSONField(default=dict)
    source = models.CharField(max_length=150, blank=True, default="")
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "client_group_id"], name="order_group_client_id_for_ever")
        ]


class OrderEvent(models.Model):
    """One thing that happened to an order, in the account's own gapless sequence. Append only."""

    account = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="events", db_constraint=False, db_index=False
    )
    sequence = models.BigIntegerField()
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="events", db_index=False)
    kind = models.CharField(max_length=32)
    status_before = models.CharField(max_length=16, blank=True, default="")
    status_after = models.CharField(max_length=16, blank=True, default="")
    data = models.JSONField(default=dict)
    source = models.CharField(max_length=32)
    occurred_at = models.DateTimeField(null=True, help_text="The venue's claim.")
    received_at = models.DateTimeField(help_text="When this process had it in hand.")
    recorded_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "sequence"], name="event_sequence_once")]
        indexes = [models.Index(fields=["order", "sequence"], name="event_order")]


class Attempt(models.Model):
    """One wire action, committed before its first byte leaves."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="attempts", db_index=False)
    account = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="attempts", db_constraint=False, db_index=False
    )
    action = models.CharField(max_length=8)
    venue_client_id = models.CharField(max_length=40)
    epoch = models.BigIntegerField()
    request_digest = models.CharField(max_length=64)
    window_ms = models.IntegerField()
    valid_until = models.DateTimeField(
        null=True, help_text="After this the venue refuses the request; null: no such window."
    )
    sent_at = models.DateTimeField()
    request = models.JSONField(default=dict)
    outcome = models.CharField(max_length=12, blank=True, default="", help_text="Blank while in flight.")
    outcome_at = models.DateTimeField(null=True)
    code = models.CharField(max_length=64, blank=True, default="")
    message = models.CharField(max_length=500, blank=True, default="")
    venue_order_id = models.CharField(max_length=100, blank=True, default="")
    evidence = models.JSONField(default=list)
    lookups_absent = models.PositiveIntegerField(default=0)
    last_lookup_at = models.DateTimeField(null=True)
    resolved_at = models.DateTimeField(null=True)
    resolution = models.CharField(max_length=32, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "venue_client_id"],
                name="attempt_client_id_once",
                condition=~Q(action="cancel") & ~Q(venue_client_id=""),
            )
        ]
        indexes = [
            models.Index(fields=["order"], name="attempt_order_newest"),
            models.Index(
                fields=["account", "venue_order_id"], condition=~Q(venue_order_id=""), name="attempt_venue_id"
            ),
            models.Index(
                fields=["account", "sent_at"],
                name="attempt_unresolved",
                condition=Q(outcome__in=["", "unknown"], resolved_at=None),
            ),
        ]


class Intent(models.Model):
    """What web asks the owner to do: cancel an order, activate or probe an account. A row, then a wake-up."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="intents")
    order = models.ForeignKey(Order, on_delete=models.PROTECT, null=True, related_name="intents")
    action = models.CharField(max_length=16)
    data = models.JSONField(default=dict)
    requested_by = models.CharField(max_length=150)
    requested_at = models.DateTimeField(default=clock.now)
    done_at = models.DateTimeField(null=True)
    result = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        indexes = [models.Index(fields=["account"], condition=Q(done_at=None), name="intent_waiting")]


class Fill(models.Model):
    """One trade of ours, booked once: unique by account, symbol, venue trade id and side."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="fills")
    account = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="fills", db_constraint=False, db_index=False
    )
    symbol = models.CharField(max_length=64)
    side = models.CharField(max_length=4)
    price = money()
    quantity = money()
    quote_quantity = money()
    fee = money(default=ZERO)
    fee_asset = models.CharField(max_length=32, blank=True, default="")
    realised_pnl = money(default=ZERO)
    liquidity = models.CharField(max_length=5, blank=True, default="")
    venue_trade_id = models.CharField(max_length=100)
    venue_order_id = models.CharField(max_length=100)
    source = models.CharField(max_length=32)
    executed_at = models.DateTimeField()
    recorded_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "symbol", "venue_trade_id", "side"], name="fill_once")
        ]
        indexes = [
            models.Index(fields=["account", "-executed_at"], name="fill_account_newest"),
            models.Index(fields=["-executed_at", "id"], name="fill_newest"),
        ]


class DeadLetter(models.Model):
    """A doubt the product could not settle by itself; exposure stays reserved until a person closes it."""

    class Status(models.TextChoices):
        OPEN = "open"
        RESOLVED = "resolved"

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="dead_letters")
    attempt = models.ForeignKey(Attempt, on_delete=models.PROTECT, null=True, related_name="dead_letters")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="dead_letters")
    cause = models.CharField(max_length=64)
    explanation = models.CharField(max_length=500)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.OPEN)
    money_at_risk = money()
    money_at_risk_asset = models.CharField(max_length=32)
    evidence = models.JSONField(default=list)
    looked_at = models.DateTimeField(null=True)
    resolution = models.CharField(max_length=32, blank=True, default="")
    resolution_reason = models.CharField(max_length=500, blank=True, default="")
    resolved_by = models.CharField(max_length=150, blank=True, default="")
    created_at = models.DateTimeField(default=clock.now)
    resolved_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["attempt"], condition=Q(status="open"), name="dead_letter_one_open")
        ]


class AccountLease(models.Model):
    """Who may talk to an account's venue. The epoch rises with every change of owner."""

    account = models.OneToOneField(Account, on_delete=models.CASCADE, primary_key=True, related_name="lease")
    holder = models.CharField(max_length=120, blank=True, default="")
    epoch = models.BigIntegerField(default=0)
    expires_at = models.DateTimeField(null=True)
    renewed_at = models.DateTimeField(null=True)
    nonce_floor = models.BigIntegerField(default=0)
    build = models.CharField(max_length=64, blank=True, default="")


class Anomaly(models.Model):
    """A venue fact that should not have happened, recorded by the owner; reconciliation turns it into a break."""

    class Kind(models.TextChoices):
        LATE_FILL = "late_fill"
        OVERFILL = "overfill"
        ILLEGAL_TRANSITION = "illegal_transition"
        EXTERNAL_ORDER = "external_order"
        FILL_DIFFERS = "fill_differs"
        UNREADABLE = "unreadable"
        UNCLASSIFIED = "unclassified_answer"
        DELAYED_FILL = "delayed_fill"
        ACKNOWLEDGED_THEN_DENIED = "acknowledged_then_denied"
        STREAM_DIFFERS = "stream_differs"
        THROTTLED_IN_MOVE = "throttled_in_move"

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="anomalies", db_index=False)
    kind = models.CharField(max_length=32, choices=Kind.choices)
    subject = models.CharField(max_length=200)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, null=True, related_name="anomalies")
    fill = models.ForeignKey(Fill, on_delete=models.PROTECT, null=True, related_name="anomalies")
    case = models.ForeignKey(ErrorCase, on_delete=models.SET_NULL, null=True, related_name="anomalies")
    data = models.JSONField(default=dict)
    seen_at = models.DateTimeField(default=clock.now)
    handled_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["seen_at"], condition=Q(handled_at=None), name="anomaly_waiting"),
            models.Index(fields=["account", "-seen_at"], name="anomaly_recent"),
        ]

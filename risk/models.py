"""Limit, Halt."""

from __future__ import annotations

from django.db import models

from project.lib import clock, ids


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

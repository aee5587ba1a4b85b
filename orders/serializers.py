"""What the API shows of orders, events, fills, doubts and the ledger, and what it takes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.reverse import reverse

from orders.models import DeadLetter, Order
from orders.states import Mutation, Status
from project.lib import decimals
from project.lib.fields import DecimalText, Id, Input, Moment, Output

_AVERAGE_STEP = Decimal(1).scaleb(-decimals.SCALE)


class FeeOutput(Output):
    """What the fills of an order cost, in one asset."""

    asset = serializers.CharField()
    amount = DecimalText()


class StatusReasonOutput(Output):
    """Why an order is where it is: our code, a sentence, and the venue's own code where it gave one."""

    code = serializers.CharField()
    message = serializers.CharField()
    venue_code = serializers.CharField()


class OrderOutput(Output):
    """An order intent and where it stands."""

    id = Id()
    client_order_id = serializers.CharField()
    account = serializers.CharField(source="account_id")
    symbol = serializers.CharField()
    side = serializers.CharField()
    type = serializers.CharField()
    quantity = DecimalText()
    price = DecimalText(allow_null=True)
    time_in_force = serializers.CharField()
    post_only = serializers.BooleanField()
    reduce_only = serializers.BooleanField()
    trigger_price = DecimalText(allow_null=True)
    expires_at = Moment(allow_null=True)
    status = serializers.ChoiceField(choices=[status.value for status in Status])
    mutation = serializers.ChoiceField(choices=[mutation.value for mutation in Mutation])
    filled_quantity = DecimalText()
    leaves_quantity = DecimalText()
    average_price = serializers.SerializerMethodField()
    fees = serializers.SerializerMethodField()
    status_reason = serializers.SerializerMethodField()
    venue_order_id = serializers.SerializerMethodField()
    created_at = Moment()
    updated_at = Moment()
    strategy = serializers.CharField()
    is_external = serializers.BooleanField()
    version = serializers.IntegerField()
    events = serializers.SerializerMethodField()
    fills = serializers.SerializerMethodField()

    @extend_schema_field(DecimalText(allow_null=True))
    def get_average_price(self, order: Order) -> str | None:
        """Return value by quantity filled, to 18 decimals."""
        average = order.average_price
        return None if average is None else decimals.write(decimals.CONTEXT.quantize(average, _AVERAGE_STEP))

    @extend_schema_field(FeeOutput(many=True))
    def get_fees(self, order: Order) -> list[dict[str, str | None]]:
        """Return the fees the view summed for the whole page."""
        return self.context.get("fees", {}).get(order.pk, [])

    @extend_schema_field(StatusReasonOutput(allow_null=True))
    def get_status_reason(self, order: Order) -> dict[str, str] | None:
        """Return why, or null when there is nothing to explain."""
        if not order.reason_code:
            return None
        return {"code": order.reason_code, "message": order.reason_message, "venue_code": order.reason_venue_code}

    def get_venue_order_id(self, order: Order) -> str | None:
        """Return the venue's id, or null while it gave none."""
        return order.venue_order_id or None

    @extend_schema_field({"type": "string", "format": "uri"})
    def get_events(self, order: Order) -> str:
        """Return the link to the order's events."""
        return self._base() + f"orders/{order.pk}/events/"

    @extend_schema_field({"type": "string", "format": "uri"})
    def get_fills(self, order: Order) -> str:
        """Return the link to the order's fills."""
        return self._base() + f"fills/?order={order.pk}"

    def _base(self) -> str:
        if "base" not in self.context:
            self.context["base"] = reverse("api:index", request=self.context.get("request"))
        return str(self.context["base"])


class OrderInput(Input):
    """An order intent. Decimals are strings; orders.requests checks every rule."""

    client_order_id = serializers.CharField(max_length=64)
    account = serializers.CharField(max_length=64)
    symbol = serializers.CharField(max_length=64)
    side = serializers.ChoiceField(choices=["buy", "sell"])
    type = serializers.ChoiceField(choices=["limit", "market"])
    quantity = DecimalText()
    price = DecimalText(required=False)
    time_in_force = serializers.ChoiceField(choices=["gtc", "ioc", "fok"], required=False)
    post_only = serializers.BooleanField(required=False)
    reduce_only = serializers.BooleanField(required=False)
    trigger_price = DecimalText(required=False)
    expires_at = Moment(required=False)
    strategy = serializers.CharField(max_length=64, required=False)


class AmendInput(Input):
    """A change of quantity or price of an order."""

    quantity = DecimalText(required=False)
    price = DecimalText(required=False)


class OrderEventOutput(Output):
    """One thing that happened to an order."""

    sequence = serializers.IntegerField()
    order = Id(source="order_id")
    account = serializers.CharField(source="account_id")
    kind = serializers.CharField()
    status_before = serializers.CharField()
    status_after = serializers.CharField()
    data = serializers.JSONField()
    source = serializers.CharField()
    occurred_at = Moment(allow_null=True)
    received_at = Moment()
    recorded_at = Moment()


class FillOutput(Output):
    """One trade of ours at a venue."""

    id = Id()
    order = Id(source="order_id")
    account = serializers.CharField(source="account_id")
    symbol = serializers.CharField()
    side = serializers.CharField()
    price = DecimalText()
    quantity = DecimalText()
    quote_quantity = DecimalText()
    fee = DecimalText()
    fee_asset = serializers.CharField()
    liquidity = serializers.CharField()
    venue_trade_id = serializers.CharField()
    venue_order_id = serializers.CharField()
    executed_at = Moment()
    recorded_at = Moment()


class PositionOutput(Output):
    """Net traded quantity of a symbol, with average entry and realised profit and loss."""

    account = serializers.CharField(source="account_id")
    symbol = serializers.CharField()
    quantity = DecimalText()
    entry_price = DecimalText(allow_null=True)
    realised_pnl = DecimalText()
    updated_at = Moment()


class BalanceOutput(Output):
    """What the ledger says an account has of one asset, beside what the venue last said."""

    account = serializers.CharField(source="account_id")
    asset = serializers.CharField()
    total = DecimalText()
    free = DecimalText(source="venue_free", allow_null=True)
    held = DecimalText(source="venue_held", allow_null=True)
    venue_total = DecimalText(allow_null=True)
    as_of = Moment(allow_null=True)
    updated_at = Moment()


class PostingOutput(Output):
    """One leg of a journal entry; the legs of an entry sum to zero per asset."""

    id = Id()
    entry = Id()
    leg = serializers.IntegerField()
    account = serializers.CharField(source="account_id")
    asset = serializers.CharField()
    book = serializers.CharField()
    amount = DecimalText()
    cause = serializers.CharField()
    fill = Id(source="fill_id", allow_null=True)
    reference = serializers.CharField()
    memo = serializers.CharField()
    posted_at = Moment()


class DeadLetterOutput(Output):
    """A doubt about an order that waits for a person, with its evidence."""

    id = Id()
    order = Id(source="order_id")
    attempt = Id(source="attempt_id", allow_null=True)
    account = serializers.CharField(source="account_id")
    cause = serializers.CharField()
    explanation = serializers.CharField()
    status = serializers.ChoiceField(choices=DeadLetter.Status.values)
    money_at_risk = DecimalText()
    money_at_risk_asset = serializers.CharField()
    evidence = serializers.JSONField()
    looked_at = Moment(allow_null=True)
    resolution = serializers.CharField()
    resolution_reason = serializers.CharField()
    resolved_by = serializers.CharField()
    created_at = Moment()
    resolved_at = Moment(allow_null=True)


class BindingInput(Input):
    """Which order at the venue this one is, and how one knows."""

    venue_order_id = serializers.CharField(max_length=100)
    reason = serializers.CharField(max_length=500)


class AbsenceInput(Input):
    """How one knows that the order never reached the venue."""

    reason = serializers.CharField(max_length=500)


def fee_rows(rows: Any) -> dict[Any, list[dict[str, str | None]]]:
    """Group (order id, asset, sum) rows by order."""
    fees: dict[Any, list[dict[str, str | None]]] = {}
    for order_id, asset, amount in rows:
        fees.setdefault(order_id, []).append({"asset": asset, "amount": decimals.write(amount)})
    return fees

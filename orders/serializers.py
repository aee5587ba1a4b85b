"""What the API shows of orders, events, fills, doubts and the ledger, and what it takes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.reverse import reverse

from orders import group_requests, ladder, requests
from orders.models import DeadLetter, Order, OrderGroup, Transfer
from orders.states import ALIVE, Mutation, Status
from orders.triggers import ARMED, DORMANT, TRIGGERED, WAITING
from project.lib import decimals
from project.lib.fields import DecimalText, Id, Input, Moment, Output

TRIGGER_STATES = (DORMANT, ARMED, WAITING, TRIGGERED)
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
    trailing_offset = DecimalText(allow_null=True)
    trigger_state = serializers.ChoiceField(choices=["", *TRIGGER_STATES])
    trigger_extreme = DecimalText(allow_null=True)
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
    ended_at = Moment(allow_null=True)
    group = Id(source="group_id", allow_null=True)
    group_role = serializers.CharField()
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
    type = serializers.ChoiceField(choices=requests.TYPES)
    quantity = DecimalText()
    price = DecimalText(required=False)
    time_in_force = serializers.ChoiceField(choices=requests.TIMES_IN_FORCE, required=False)
    post_only = serializers.BooleanField(required=False)
    reduce_only = serializers.BooleanField(required=False)
    trigger_price = DecimalText(required=False)
    trailing_offset = DecimalText(required=False)
    expires_at = Moment(required=False)
    strategy = serializers.CharField(max_length=64, required=False)


class AmendInput(Input):
    """A change of an order; what is left out stays. The quantity is the new total, filled part included."""

    quantity = DecimalText(required=False)
    price = DecimalText(required=False)
    trigger_price = DecimalText(required=False)
    expires_at = Moment(required=False)


class WishOutput(Output):
    """Something asked of an order after it was accepted; `result` says in words what came of it."""

    id = Id()
    order = Id(source="order_id")
    account = serializers.CharField(source="account_id")
    action = serializers.CharField()
    data = serializers.JSONField()
    requested_by = serializers.CharField()
    requested_at = Moment()
    done_at = Moment(allow_null=True)
    result = serializers.CharField()


class OrderGroupOutput(Output):
    """Orders that belong together, in the order they were made."""

    id = Id()
    client_group_id = serializers.CharField()
    account = serializers.CharField(source="account_id")
    kind = serializers.ChoiceField(choices=group_requests.KINDS)
    is_alive = serializers.SerializerMethodField()
    data = serializers.JSONField()
    created_at = Moment()
    orders = serializers.SerializerMethodField()

    def get_is_alive(self, group: OrderGroup) -> bool:
        """Say whether any of its orders has not ended."""
        return any(Status(order.status) in ALIVE for order in group.orders.all())

    @extend_schema_field(OrderOutput(many=True))
    def get_orders(self, group: OrderGroup) -> Any:
        """Return its orders in full."""
        members = sorted(group.orders.all(), key=lambda order: (order.created_at, order.pk))
        return OrderOutput(members, many=True, context=self.context).data


class LegInput(Input):
    """One of two orders of which one cancels the other."""

    type = serializers.ChoiceField(choices=[kind for kind in requests.TYPES if kind != "market"])
    price = DecimalText(required=False)
    trigger_price = DecimalText(required=False)
    trailing_offset = DecimalText(required=False)


class EntryInput(LegInput):
    """The order that opens a bracket."""

    type = serializers.ChoiceField(choices=requests.TYPES)
    time_in_force = serializers.ChoiceField(choices=requests.TIMES_IN_FORCE, required=False)
    expires_at = Moment(required=False)
    post_only = serializers.BooleanField(required=False)


class TakeProfitInput(Input):
    """The limit order that takes a bracket's profit."""

    price = DecimalText()


class StopInput(Input):
    """The order that stops a bracket's loss: at a price, to a limit where `price` is given, or trailing."""

    trigger_price = DecimalText(required=False)
    price = DecimalText(required=False)
    trailing_offset = DecimalText(required=False)


class OrderGroupInput(Input):
    """A group intent; orders.group_requests checks every rule.

    oco takes legs; bracket takes entry, take_profit and stop; scaled takes price_from, price_to, count, distribution.
    """

    client_group_id = serializers.CharField(max_length=group_requests.CLIENT_GROUP_ID_MAX)
    account = serializers.CharField(max_length=64)
    kind = serializers.ChoiceField(choices=group_requests.KINDS)
    symbol = serializers.CharField(max_length=64)
    side = serializers.ChoiceField(choices=["buy", "sell"])
    quantity = DecimalText()
    reduce_only = serializers.BooleanField(required=False)
    strategy = serializers.CharField(max_length=64, required=False)
    time_in_force = serializers.ChoiceField(choices=requests.TIMES_IN_FORCE, required=False)
    expires_at = Moment(required=False)
    post_only = serializers.BooleanField(required=False)
    legs = LegInput(many=True, required=False)
    entry = EntryInput(required=False)
    take_profit = TakeProfitInput(required=False)
    stop = StopInput(required=False)
    price_from = DecimalText(required=False)
    price_to = DecimalText(required=False)
    count = serializers.IntegerField(
        min_value=group_requests.COUNT_MIN, max_value=group_requests.COUNT_MAX, required=False
    )
    distribution = serializers.ChoiceField(choices=ladder.DISTRIBUTIONS, required=False)


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
    realised_pnl = DecimalText()
    fee = DecimalText()
    fee_asset = serializers.CharField()
    liquidity = serializers.CharField()
    venue_trade_id = serializers.CharField()
    venue_order_id = serializers.CharField()
    executed_at = Moment()
    recorded_at = Moment()


class PositionOutput(Output):
    """Net traded quantity of a symbol, average entry, profit and loss; of a contract also what the venue says, as of `as_of`.

    unrealised_pnl is ours, at our own books' last_price; mark_price, margin and venue_unrealised_pnl are the venue's;
    leverage is what its position is worth at mark_price as a multiple of margin.
    """

    account = serializers.CharField(source="account_id")
    symbol = serializers.CharField()
    quantity = DecimalText()
    entry_price = DecimalText(allow_null=True)
    realised_pnl = DecimalText()
    unrealised_pnl = DecimalText(allow_null=True)
    last_price = DecimalText(allow_null=True)
    last_price_at = Moment(allow_null=True)
    venue_quantity = DecimalText(allow_null=True)
    mark_price = DecimalText(allow_null=True)
    venue_unrealised_pnl = DecimalText(allow_null=True)
    margin = DecimalText(allow_null=True)
    leverage = DecimalText(allow_null=True)
    as_of = Moment(allow_null=True)
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


class TransferOutput(Output):
    """Money that a venue moved without a trade; `amount` is what it did to our total, its `fee` included."""

    id = Id()
    account = serializers.CharField(source="account_id")
    kind = serializers.ChoiceField(choices=Transfer.Kind.values)
    venue_transfer_id = serializers.CharField()
    asset = serializers.CharField()
    amount = DecimalText()
    fee = DecimalText()
    symbol = serializers.CharField()
    reference = serializers.CharField()
    source = serializers.CharField()
    occurred_at = Moment()
    recorded_at = Moment()


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

"""Orders over HTTP: accept once, show, amend, cancel; their events, doubts and the books they lead to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Q, Sum
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from orders import dead_letters, intake, positions, requests
from orders.models import Balance, DeadLetter, Fill, Intent, Order, OrderEvent, Position, Posting, Transfer
from orders.serializers import (
    AbsenceInput,
    AmendInput,
    BalanceOutput,
    BindingInput,
    DeadLetterOutput,
    FillOutput,
    OrderEventOutput,
    OrderInput,
    OrderOutput,
    PositionOutput,
    PostingOutput,
    TransferOutput,
    WishOutput,
    fee_rows,
)
from orders.states import Status
from project.lib import problems
from project.lib.fields import Nothing
from project.lib.rest import Filter, Listing, Rows, choices
from venues.models import Account

ACCOUNT = Filter(path="account_id", kind="account")


def json_object(request: Request) -> dict[str, Any]:
    """Return the body when it is a JSON object. Raises Problem."""
    body = request.data
    if not isinstance(body, dict):
        raise problems.refused_fields([problems.field_error("", "NOT_AN_OBJECT", "the body must be a JSON object")])
    return body


def fees_of(orders: Sequence[Order]) -> dict[Any, list[dict[str, str | None]]]:
    """Sum the fees of those orders that have fills, per order and asset."""
    filled = [order.pk for order in orders if order.filled_quantity]
    if not filled:
        return {}
    sums = Fill.objects.filter(Q(order_id__in=filled) & ~Q(fee_asset=""))
    totals = sums.values("order_id", "fee_asset").order_by("fee_asset").annotate(amount=Sum("fee"))
    return fee_rows(totals.values_list("order_id", "fee_asset", "amount"))


class OrderRows(Rows):
    """Orders, with the fees of a whole page read at once."""

    resource = "orders"
    queryset = Order.objects.all()
    serializer_class = OrderOutput
    ordering = ("-created_at", "id")

    def context_for(self, rows: Sequence[Order]) -> dict[str, Any]:
        """Sum the fees of the orders that have fills."""
        return {"fees": fees_of(rows)}


class Orders(Listing, OrderRows):
    """Accept an intent, once for ever per account and client order id; list orders, newest first."""

    filters: Mapping[str, Filter] = {
        "account": ACCOUNT,
        "client_order_id": Filter(path="client_order_id"),
        "status": Filter(path="status", choices=choices(Status)),
        "symbol": Filter(path="symbol"),
        "strategy": Filter(path="strategy"),
        "venue_order_id": Filter(path="venue_order_id"),
        "group": Filter(path="group_id", kind="uuid"),
    }

    def get_queryset(self) -> Any:
        """Name the accounts when searching by client order id, so that its unique index serves."""
        rows = super().get_queryset()
        if "client_order_id" in self.request.query_params and "account" not in self.request.query_params:
            rows = rows.filter(account_id__in=Account.objects.values("code"))
        return rows

    @extend_schema(request=OrderInput, responses={202: OrderOutput, 200: OrderOutput})
    def post(self, request: Request) -> Response:
        try:
            wanted = requests.parse(json_object(request))
            account = self.account_scope(wanted.account, Account.objects.select_related("venue"))
            accepted = intake.accept(wanted, account, source=self.caller().actor)
        except requests.Invalid as refusal:
            raise problems.from_field_problems(refusal.problems) from None
        except intake.Conflict as conflict:
            error = problems.field_error("client_order_id", "TAKEN", "belongs to an order with another body")
            detail = (
                f"{conflict}. Nothing was sent for this request. Use a new client_order_id for a new order, or post the "
                "first body again to read the first order."
            )
            raise problems.conflict(
                "CLIENT_ORDER_ID_TAKEN", detail, errors=[error], order_id=str(conflict.order.pk)
            ) from None
        location = request.build_absolute_uri(f"{accepted.order.pk}/")
        if accepted.is_new:
            return self.written(accepted.order, 202, {"Location": location})
        return self.written(accepted.order, 200, {"Location": location, "Idempotent-Replayed": "true"})


class OneOrder(OrderRows):
    """One order; its version is the ETag, so that polling costs little."""

    @extend_schema(responses=OrderOutput)
    def get(self, request: Request, id: str) -> Response:
        order = self.one("order", id=id)
        etag = f'"{order.version}"'
        if etag in [tag.strip().removeprefix("W/") for tag in request.headers.get("If-None-Match", "").split(",")]:
            return Response(status=304, headers={"ETag": etag})
        return self.written(order, headers={"ETag": etag})

    @extend_schema(request=AmendInput, responses={202: OrderOutput})
    def patch(self, request: Request, id: str) -> Response:
        order = self.one("order", id=id)
        try:
            intake.request_amendment(order, requests.parse_amendment(json_object(request)), actor=self.caller().actor)
        except requests.Invalid as refusal:
            raise problems.from_field_problems(refusal.problems) from None
        except intake.NotAmendable as refusal:
            raise problems.conflict("NOT_AMENDABLE", f"Nothing was changed: {refusal}.") from None
        return self.written(self.one("order", id=id), 202)


class Events(Listing):
    """What happened to one order, oldest first."""

    resource = "orders"
    queryset = OrderEvent.objects.all()
    serializer_class = OrderEventOutput
    ordering = ("sequence",)
    filters: Mapping[str, Filter] = {"account": ACCOUNT}

    def get_queryset(self) -> Any:
        """Narrow to the order of the path."""
        rows = super().get_queryset()
        return rows if "id" not in self.kwargs else rows.filter(order_id=self.kwargs["id"])

    @extend_schema(responses=OrderEventOutput(many=True))
    def get(self, request: Request, id: str) -> Response:
        if not self.visible(Order.objects.all()).filter(pk=id).exists():
            raise problems.not_found("id", "order", str(id))
        return super().get(request)


class Wishes(Listing):
    """What was asked of one order after it was accepted, and what came of it in words; newest first."""

    resource = "orders"
    queryset = Intent.objects.all()
    serializer_class = WishOutput
    ordering = ("-requested_at", "id")

    def get_queryset(self) -> Any:
        """Narrow to the order of the path."""
        rows = super().get_queryset()
        return rows if "id" not in self.kwargs else rows.filter(order_id=self.kwargs["id"])

    @extend_schema(responses=WishOutput(many=True))
    def get(self, request: Request, id: str) -> Response:
        if not self.visible(Order.objects.all()).filter(pk=id).exists():
            raise problems.not_found("id", "order", str(id))
        return super().get(request)


class Cancellation(OrderRows):
    """Ask for an order to be cancelled: a request, not a fact; it may still fill."""

    @extend_schema(request=Nothing, responses={202: OrderOutput})
    def post(self, request: Request, id: str) -> Response:
        self.read(Nothing)
        order = self.one("order", id=id)
        try:
            intake.request_cancellation(order, actor=self.caller().actor)
        except intake.NotCancellable as refusal:
            raise problems.conflict("NOT_CANCELLABLE", f"Nothing was sent: {refusal}.") from None
        return self.written(self.one("order", id=id), 202)


class DeadLetterRows(Rows):
    """Doubts the product could not settle by itself."""

    resource = "dead_letters"
    queryset = DeadLetter.objects.all()
    serializer_class = DeadLetterOutput
    ordering = ("-created_at", "id")


class DeadLetters(Listing, DeadLetterRows):
    """List the doubts, newest first."""

    filters: Mapping[str, Filter] = {
        "account": ACCOUNT,
        "status": Filter(path="status", choices=choices(DeadLetter.Status.values)),
        "order": Filter(path="order_id", kind="uuid"),
        "cause": Filter(path="cause"),
    }


class OneDeadLetter(DeadLetterRows):
    """One doubt with its evidence."""

    @extend_schema(responses=DeadLetterOutput)
    def get(self, request: Request, id: str) -> Response:
        return self.written(self.one("dead letter", id=id))


class DeadLetterRequest(DeadLetterRows):
    """A person's request about a doubt; the account's owner carries it out and the feed tells the result."""

    def asked(self, id: str, ask: Any, **arguments: str) -> Response:
        """Pass the request on and answer 202 with the dead letter. Raises Problem when it is refused."""
        letter = self.one("dead letter", id=id)
        try:
            ask(letter, actor=self.caller().actor, **arguments)
        except dead_letters.Refused as refusal:
            raise problems.conflict("REFUSED", f"Nothing was changed: {refusal}.") from None
        return self.written(letter, 202)


class Look(DeadLetterRequest):
    """Ask the venue again."""

    @extend_schema(request=Nothing, responses={202: DeadLetterOutput})
    def post(self, request: Request, id: str) -> Response:
        self.read(Nothing)
        return self.asked(id, dead_letters.request_look)


class Binding(DeadLetterRequest):
    """State which order at the venue this is; it is verified before it is believed."""

    @extend_schema(request=BindingInput, responses={202: DeadLetterOutput})
    def post(self, request: Request, id: str) -> Response:
        return self.asked(id, dead_letters.request_binding, **self.read(BindingInput))


class Absence(DeadLetterRequest):
    """State that the order never reached the venue; a later fill is still booked."""

    @extend_schema(request=AbsenceInput, responses={202: DeadLetterOutput})
    def post(self, request: Request, id: str) -> Response:
        return self.asked(id, dead_letters.request_absence, **self.read(AbsenceInput))


class Fills(Listing):
    """Every trade booked, newest first."""

    resource = "fills"
    queryset = Fill.objects.all()
    serializer_class = FillOutput
    ordering = ("-executed_at", "id")
    filters: Mapping[str, Filter] = {
        "account": ACCOUNT,
        "order": Filter(path="order_id", kind="uuid"),
        "symbol": Filter(path="symbol"),
        "side": Filter(path="side", choices=("buy", "sell")),
        "venue_trade_id": Filter(path="venue_trade_id"),
        "venue_order_id": Filter(path="venue_order_id"),
    }


class Transfers(Listing):
    """Money that moved without a trade, newest first: deposits, withdrawals, funding, settlements and the like."""

    resource = "transfers"
    queryset = Transfer.objects.all()
    serializer_class = TransferOutput
    ordering = ("-occurred_at", "id")
    filters: Mapping[str, Filter] = {
        "account": ACCOUNT,
        "kind": Filter(path="kind", choices=choices(Transfer.Kind.values)),
        "asset": Filter(path="asset"),
        "symbol": Filter(path="symbol"),
        "reference": Filter(path="reference"),
        "venue_transfer_id": Filter(path="venue_transfer_id"),
    }


class Positions(Listing):
    """Net quantity per account and symbol, what it is worth now, and of contracts the venue's own word."""

    resource = "positions"
    queryset = Position.objects.select_related("account")
    serializer_class = PositionOutput
    ordering = ("id",)
    filters: Mapping[str, Filter] = {"account": ACCOUNT, "symbol": Filter(path="symbol")}

    def shown(self, rows: Sequence[Position]) -> list[Any]:
        """Value a page of positions at once."""
        positions.value(rows)
        return super().shown(rows)


class Balances(Listing):
    """What each account has: the ledger's total beside the venue's word."""

    resource = "balances"
    queryset = Balance.objects.all()
    serializer_class = BalanceOutput
    ordering = ("id",)
    filters: Mapping[str, Filter] = {"account": ACCOUNT, "asset": Filter(path="asset")}


class Ledger(Listing):
    """The postings, newest first."""

    resource = "ledger"
    queryset = Posting.objects.all()
    serializer_class = PostingOutput
    ordering = ("-id",)
    filters: Mapping[str, Filter] = {
        "account": ACCOUNT,
        "asset": Filter(path="asset"),
        "book": Filter(path="book", choices=choices(Posting.Book.values)),
        "entry": Filter(path="entry", kind="uuid"),
        "fill": Filter(path="fill_id", kind="uuid"),
        "cause": Filter(path="cause"),
    }

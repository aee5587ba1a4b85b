"""Fills, transfers, positions, balances and the ledger behind them."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from orders import queries
from orders.models import Posting, Transfer
from project.lib import clock, pages
from venues.models import Account

CHIPS = {"account": "account", "symbol": "symbol", "side": "side", "asset": "asset", "book": "book", "cause": "cause",
         "kind": "kind"}  # fmt: skip
FILL_HEAD = ("executed_at", "account", "symbol", "side", "quantity", "price", "quote_quantity", "fee", "fee_asset",
             "liquidity", "venue_trade_id", "order", "client_order_id")  # fmt: skip
TRANSFER_HEAD = ("occurred_at", "account", "kind", "asset", "amount", "fee", "symbol", "reference", "venue_transfer_id",
                 "recorded_at", "id")  # fmt: skip


def _common(request: HttpRequest) -> dict[str, Any]:
    common: dict[str, Any] = {
        "chips": pages.chips(request, CHIPS),
        "is_filtered": bool(pages.filters(request)),
        "now": clock.now(),
    }
    if not request.GET.get("fragment"):
        common["accounts"] = Account.objects.order_by("code")
    return common


@pages.page()
def fills(request: HttpRequest) -> HttpResponseBase:
    found = queries.fills(request.GET.dict())
    if request.GET.get("format") == "csv":
        rows = found.order_by("-executed_at", "id").iterator(chunk_size=1000)
        return pages.csv_answer("fills", FILL_HEAD, (
            [fill.executed_at.isoformat(), fill.account_id, fill.symbol, fill.side, fill.quantity, fill.price, fill.quote_quantity,
             fill.fee, fill.fee_asset, fill.liquidity, fill.venue_trade_id, fill.order_id, fill.order.client_order_id]
            for fill in rows
        ))  # fmt: skip
    context = {**_common(request), "slice": pages.newest_first(request, found, "executed_at")}
    return pages.render(request, "orders/fills.html", context, {"fills": "orders/_fills.html"})


@pages.page()
def transfers(request: HttpRequest) -> HttpResponseBase:
    found = queries.transfers(request.GET.dict())
    if request.GET.get("format") == "csv":
        rows = found.order_by("-occurred_at", "id").iterator(chunk_size=1000)
        return pages.csv_answer("transfers", TRANSFER_HEAD, (
            [row.occurred_at.isoformat(), row.account_id, row.kind, row.asset, row.amount, row.fee, row.symbol, row.reference,
             row.venue_transfer_id, row.recorded_at.isoformat(), row.id]
            for row in rows
        ))  # fmt: skip
    context = {
        **_common(request),
        "slice": pages.newest_first(request, found, "occurred_at"),
        "kinds": Transfer.Kind.values,
    }
    return pages.render(request, "orders/transfers.html", context, {"transfers": "orders/_transfers.html"})


@pages.page()
def positions(request: HttpRequest) -> HttpResponseBase:
    context = {**_common(request), "positions": queries.positions(request.GET.dict())}
    return pages.render(request, "orders/positions.html", context, {"positions": "orders/_positions.html"})


@pages.page()
def balances(request: HttpRequest) -> HttpResponseBase:
    context = {**_common(request), "balances": queries.balances(request.GET.dict())}
    return pages.render(request, "orders/balances.html", context, {"balances": "orders/_balances.html"})


@pages.page()
def ledger(request: HttpRequest) -> HttpResponseBase:
    filters = request.GET.dict()
    context = {
        **_common(request),
        "slice": pages.newest_first(request, queries.postings(filters), "posted_at"),
        "books": Posting.Book.values,
    }
    if filters.get("account") and filters.get("asset"):
        context["totals"] = queries.book_totals(filters)
    return pages.render(request, "orders/ledger.html", context, {"postings": "orders/_postings.html"})

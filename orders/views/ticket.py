"""The order ticket: what a person types becomes the same request as the API's."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.http import HttpRequest, HttpResponse

from orders import intake, queries, requests
from orders.forms import Ticket, new_client_order_id
from orders.models import Order
from project.lib import access, decimals, pages
from risk import halts
from venues import capabilities
from venues.models import Account

SHOWN = (
    "account", "symbol", "side", "type", "quantity", "price", "trigger_price", "trailing_offset", "time_in_force", "expires_at",
)  # fmt: skip


@pages.page(writes="orders")
def ticket(request: HttpRequest) -> HttpResponse:
    form = Ticket(request.POST) if request.method == "POST" else Ticket(initial=_initial(request))
    if request.method == "POST" and form.is_valid():
        answer = _send(request, form)
        if answer is not None:
            return answer
    context = {"form": form, **_preview(form.data if form.is_bound else form.initial)}
    return pages.render(request, "orders/ticket.html", context, status=422 if form.is_bound else 200)


@pages.page()
def preview(request: HttpRequest) -> HttpResponse:
    return HttpResponse(pages.fragment(request, "orders/_preview.html", _preview(request.GET)))


@pages.page()
def fields(request: HttpRequest) -> HttpResponse:
    form = Ticket(initial={**_initial(request), "post_only": "post_only" in request.GET})
    return HttpResponse(pages.fragment(request, "orders/_ticket_fields.html", {"form": form}))


def _initial(request: HttpRequest) -> dict[str, Any]:
    values = {name: request.GET[name] for name in SHOWN if name in request.GET}
    codes = dict(Account.objects.order_by("-code").values_list("status", "code"))
    values.setdefault("account", codes.get("ready") or next(iter(codes.values()), ""))
    return {"side": "buy", "type": "limit", "time_in_force": "gtc", **values, "client_order_id": new_client_order_id()}


def _send(request: HttpRequest, form: Ticket) -> HttpResponse | None:
    account: Account = form.cleaned_data["account"]
    try:
        accepted = intake.accept(form.request, account, source=access.caller(request).actor)
    except requests.Invalid as error:
        form.refuse(error.problems)
        return None
    except intake.Conflict as error:
        fresh = request.POST.copy()
        fresh["client_order_id"] = new_client_order_id()
        form.data = fresh
        form.add_error(None, f"This ticket was sent already and made order {error.order.id}; nothing new was sent. "
                             "What stands here now is a new ticket: check it and send it if you want a second order.")  # fmt: skip
        return None
    return _answer(request, accepted.order, accepted.is_new)


def _answer(request: HttpRequest, order: Order, is_new: bool) -> HttpResponse:
    url = f"/orders/{order.id}/"
    if not is_new:
        return pages.done(request, "This ticket was sent before; here is its order. Nothing was sent twice.", url)
    if order.status == "denied":
        return pages.refused(request, f"{order.reason_code}: {order.reason_message}", url)
    return pages.done(request, f"Order {order.client_order_id} is queued for the owner of {order.account_id}.", url)


def _preview(values: Any) -> dict[str, Any]:
    account = Account.objects.select_related("venue").filter(pk=values.get("account") or "").first()
    if account is None:
        return {"account": None}
    symbols = queries.instruments(account.venue_id)
    instrument = next((one for one in symbols if one.symbol == values.get("symbol")), None)
    quantity, typed = _amount(values.get("quantity")), _amount(values.get("price"))
    typed = typed if values.get("type") in requests.PRICED else _amount(values.get("trigger_price"))
    typed = typed if values.get("type") in (*requests.PRICED, *requests.TRIGGERED) else None
    price = typed or (instrument.last_price if instrument else None)
    return {
        "account": account,
        "symbols": symbols,
        "instrument": instrument,
        "notional": quantity * price if quantity and price else None,
        "is_estimate": typed is None,
        "is_watched": _is_watched(account, values),
        "balances": queries.free_balances(account, (instrument.base, instrument.quote)) if instrument else [],
        "state": halts.state_for(account.code, account.venue_id),
    }


def _is_watched(account: Account, values: Any) -> bool:
    can = capabilities.for_exchange(account.venue.exchange, account.venue.quirks)
    kind = str(values.get("type"))
    return intake.is_watched(
        kind, can, is_dated_market=values.get("time_in_force") == "gtd" and kind not in requests.PRICED
    )


def _amount(text: Any) -> Decimal | None:
    try:
        return decimals.parse(str(text).strip())
    except ValueError:
        return None

"""The blotter, one order, and the wishes to amend or cancel it."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect

from orders import intake, queries, requests, states
from orders.forms import AmendForm, sentence
from orders.models import Intent, Order
from project.lib import access, clock, ids, pages
from venues.models import Account

STATUSES = [status.value for status in states.Status]
CHIPS = {
    "account": "account",
    "symbol": "symbol",
    "status": "status",
    "client_order_id": "client id",
    "strategy": "strategy",
}


@pages.page()
def blotter(request: HttpRequest) -> HttpResponseBase:
    filters = request.GET.dict()
    found = queries.orders(filters)
    if filters.get("format") == "csv":
        return pages.csv_answer("orders", queries.EXPORT_HEAD, queries.export_rows(found))
    part = filters.get("fragment")
    tab = filters.get("tab") if filters.get("tab") in queries.TABS else "all"
    context: dict[str, Any] = {
        "tab": tab,
        "chips": pages.chips(request, CHIPS),
        "is_filtered": bool(pages.filters(request, tab=None)),
    }
    if part != "table":
        counts = queries.tab_counts()
        context["tabs"] = [
            {"name": name, "label": label, "count": counts.get(name), "url": f"?{pages.filters(request, tab=name)}"}
            for name, (label, _) in queries.TABS.items()
        ]
    if part != "tabs":
        context["slice"] = pages.newest_first(request, found, "created_at")
        _mark_waiting(context["slice"].rows)
    if not part:
        context |= {"accounts": Account.objects.order_by("code"), "statuses": STATUSES}
    return pages.render(
        request, "orders/list.html", context, {"table": "orders/_table.html", "tabs": "orders/_tabs.html"}
    )


@pages.page()
def order(request: HttpRequest, order_id: uuid.UUID) -> HttpResponse:
    found = get_object_or_404(Order.objects.select_related("account__venue", "group"), pk=order_id)
    _mark_waiting([found])
    return _show(request, found, AmendForm(found))


def _show(request: HttpRequest, found: Order, form: AmendForm, status: int = 200) -> HttpResponse:
    may_amend = states.Status(found.status) not in states.TERMINAL and not found.is_external
    context = {
        "order": found,
        "form": form if may_amend else None,
        "siblings": queries.siblings(found),
        "now": clock.now(),
        "events": list(found.events.order_by("sequence")),
        "attempts": list(found.attempts.order_by("sent_at", "id")),
        "fills": list(found.fills.order_by("executed_at", "id")),
        "wishes": list(found.intents.filter(action__in=["amend", "cancel"]).order_by("-requested_at")),
        "letters": [
            {"explanation": letter.explanation, "url": f"/dead-letters/{letter.id}/"}
            for letter in found.dead_letters.filter(status="open").order_by("-created_at")
        ],
    }
    return pages.render(request, "orders/detail.html", context, {"order": "orders/_order.html"}, status=status)


@pages.page()
def by_client_id(request: HttpRequest, client_order_id: str) -> HttpResponse:
    found = Order.objects.filter(client_order_id=client_order_id).order_by("-created_at")
    account = request.GET.get("account")
    return redirect("order", get_object_or_404(found.filter(account_id=account) if account else found[:1]).id)


@pages.command("orders")
def cancel(request: HttpRequest, order_id: uuid.UUID) -> HttpResponse:
    found = get_object_or_404(Order.objects.select_related("account__venue"), pk=order_id)
    back = f"/orders/{found.id}/"
    try:
        intake.request_cancellation(found, actor=access.caller(request).actor)
    except intake.NotCancellable as error:
        if request.headers.get("HX-Request"):
            return _row(request, order_id, status=409)
        return pages.refused(request, str(error), back)
    if request.headers.get("HX-Request"):
        return _row(request, order_id)
    return pages.done(request, "Cancel requested. The order may still fill until the venue confirms.", back)


@pages.command("orders")
def amend(request: HttpRequest, order_id: uuid.UUID) -> HttpResponse:
    found = get_object_or_404(Order.objects.select_related("account__venue", "group"), pk=order_id)
    form, back = AmendForm(found, request.POST), f"/orders/{order_id}/"
    try:
        intent = intake.request_amendment(found, form.amendment(), actor=access.caller(request).actor)
    except requests.Invalid as error:
        for problem in error.problems:
            form.add_error(problem.field if problem.field in form.fields else None, sentence(problem))
        _mark_waiting([found])
        return _show(request, found, form, status=422)
    except intake.NotAmendable as error:
        return pages.refused(request, str(error), back)
    if intent is None:
        return pages.done(request, "Nothing differs from the order as it is; nothing was asked.", back)
    return pages.done(request, "Change requested. The order stands as it was until the venue confirms.", back)


@pages.command("orders")
def cancel_many(request: HttpRequest) -> HttpResponse:
    wanted = [text for text in request.POST.getlist("order") if ids.is_uuid(text)][: pages.PAGE_ROWS]
    asked, skipped, actor = 0, list[str](), access.caller(request).actor
    for found in Order.objects.filter(pk__in=wanted).order_by("created_at", "id"):
        try:
            intake.request_cancellation(found, actor=actor)
            asked += 1
        except intake.NotCancellable:
            skipped.append(found.client_order_id)
    if not asked:
        return pages.refused(request, f"{len(skipped)} ticked, none of them alive.", "/orders/")
    left = f" Skipped, ended already: {', '.join(skipped[:10])}." if skipped else ""
    return pages.done(
        request,
        f"{asked} cancel{'' if asked == 1 else 's'} requested; they may still fill until the venue confirms.{left}",
        "/orders/",
    )


def _row(request: HttpRequest, order_id: uuid.UUID, status: int = 200) -> HttpResponse:
    found = Order.objects.select_related("account__venue").get(pk=order_id)
    _mark_waiting([found])
    return HttpResponse(pages.fragment(request, "orders/_row.html", {"order": found}), status=status)


def _mark_waiting(rows: list[Order]) -> None:
    wishes = Intent.objects.filter(order__in=[row.pk for row in rows], action__in=["amend", "cancel"], done_at=None)
    asked = set(wishes.values_list("order_id", "action"))
    for row in rows:
        row.cancel_requested = (row.pk, "cancel") in asked or row.mutation.startswith("cancel")  # type: ignore[attr-defined]
        row.is_asked = row.cancel_requested or (row.pk, "amend") in asked or row.mutation != "none"  # type: ignore[attr-defined]
        row.may_cancel = states.Status(row.status) not in states.TERMINAL and not row.cancel_requested  # type: ignore[attr-defined]

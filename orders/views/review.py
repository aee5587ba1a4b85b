"""Dead letters: what is known, the evidence, and the three decisions a person may take."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from orders import dead_letters, queries
from orders.models import DeadLetter, Intent
from project.lib import access, pages
from venues.models import Account

CHIPS = {"account": "account", "cause": "cause"}
DECISIONS = ("look_again", "bind", "declare_absent")


@pages.page()
def letters(request: HttpRequest) -> HttpResponse:
    found = queries.dead_letters(request.GET.dict())
    context = {
        "slice": pages.newest_first(request, found, "created_at"),
        "causes": queries.causes(),
        "status": request.GET.get("status", "open"),
        "chips": pages.chips(request, CHIPS),
        "is_filtered": bool(pages.filters(request)),
    }
    if not request.GET.get("fragment"):
        context["accounts"] = Account.objects.order_by("code")
    return pages.render(request, "orders/dead_letters.html", context, {"letters": "orders/_dead_letters.html"})


@pages.page()
def letter(request: HttpRequest, letter_id: uuid.UUID) -> HttpResponse:
    found = get_object_or_404(DeadLetter.objects.select_related("order", "attempt", "account__venue"), pk=letter_id)
    intents = Intent.objects.filter(order=found.order_id, action__in=DECISIONS).order_by("-requested_at")[:10]
    queue = (
        DeadLetter.objects.filter(status=DeadLetter.Status.OPEN)
        .order_by("-created_at", "id")
        .values_list("id", flat=True)
    )
    context = {
        "letter": found,
        "order": found.order,
        "intents": list(intents),
        "queue": _neighbours(list(queue[:500]), found.id),
    }
    return pages.render(request, "orders/dead_letter.html", context, {"letter": "orders/_dead_letter.html"})


@pages.command("dead_letters")
def look(request: HttpRequest, letter_id: uuid.UUID) -> HttpResponse:
    def ask(found: DeadLetter, actor: str) -> str:
        dead_letters.request_look(found, actor=actor)
        return "The owner of the account looks again; what it finds appears under Evidence."

    return _decide(request, letter_id, ask)


@pages.command("dead_letters")
def bind(request: HttpRequest, letter_id: uuid.UUID) -> HttpResponse:
    def ask(found: DeadLetter, actor: str) -> str:
        reason, venue_order_id = request.POST.get("reason", ""), request.POST.get("venue_order_id", "")
        dead_letters.request_binding(found, venue_order_id=venue_order_id, actor=actor, reason=reason)
        return "Asked. The owner verifies that order with the venue before it believes so."

    return _decide(request, letter_id, ask)


@pages.command("dead_letters")
def declare_absent(request: HttpRequest, letter_id: uuid.UUID) -> HttpResponse:
    def ask(found: DeadLetter, actor: str) -> str:
        dead_letters.request_absence(found, actor=actor, reason=request.POST.get("reason", ""))
        return "Asked. The owner ends the order; a fill that arrives later is still booked."

    return _decide(request, letter_id, ask)


def _decide(request: HttpRequest, letter_id: uuid.UUID, ask: Callable[[DeadLetter, str], str]) -> HttpResponse:
    found = get_object_or_404(DeadLetter, pk=letter_id)
    url = f"/dead-letters/{found.id}/"
    try:
        return pages.done(request, ask(found, access.caller(request).actor), url)
    except dead_letters.Refused as error:
        return pages.refused(request, str(error), url)


def _neighbours(queue: list[uuid.UUID], current: uuid.UUID) -> dict[str, object]:
    if current not in queue:
        return {"position": 0, "total": len(queue), "previous": None, "next": queue[0] if queue else None}
    place = queue.index(current)
    after = queue[place + 1] if place + 1 < len(queue) else None
    return {"position": place + 1, "total": len(queue), "previous": queue[place - 1] if place else None, "next": after}

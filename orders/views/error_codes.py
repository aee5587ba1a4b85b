"""Error codes: answers of venues that nobody has classified, the form to decide, and the decisions in force."""

from __future__ import annotations

import uuid

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from orders import error_cases
from project.lib import access, pages
from venues import cases, decisions
from venues.accounts import Invalid
from venues.forms import DecisionForm
from venues.models import ErrorCase, ErrorDecision

URL = "/error-codes/"
DECISIONS_MAX = 200


@pages.page(writes="error_decisions")
def codes(request: HttpRequest) -> HttpResponse:
    form = DecisionForm(request.POST or None)
    if request.method == "POST" and (answer := _decide(request, form)) is not None:
        return answer
    found = list(cases.open_cases()[: pages.PAGE_ROWS])
    waiting = error_cases.waiting_on([case.pk for case in found])
    context = {
        "cases": [(case, len(waiting.get(case.pk, ())), cases.suggestion(case)) for case in found],
        "decisions": ErrorDecision.objects.order_by("-created_at", "id")[:DECISIONS_MAX],
        "form": form,
    }
    parts = {"cases": "errors/_cases.html", "decisions": "errors/_decisions.html"}
    return pages.render(request, "errors/codes.html", context, parts, 422 if form.errors else 200)


@pages.page(writes="error_decisions")
def case(request: HttpRequest, case_id: uuid.UUID) -> HttpResponse:
    found = get_object_or_404(ErrorCase.objects.select_related("decision"), pk=case_id)
    ruling, reason_code = cases.suggestion(found)
    plain = {
        "family": found.family, "operation": found.operation, "venue_code": found.venue_code, "ruling": ruling,
        "reason_code": reason_code,
    }  # fmt: skip
    form = DecisionForm(request.POST or None, initial=plain)
    if request.method == "POST" and (answer := _decide(request, form)) is not None:
        return answer
    waiting = error_cases.waiting_on([found.pk]).get(found.pk, [])
    context = {
        "case": found, "suggestion": (ErrorDecision.Ruling(ruling).label, reason_code), "form": form,
        "orders": [(order, str(order.pk) in waiting) for order in error_cases.orders_of(found)],
    }  # fmt: skip
    return pages.render(
        request, "errors/case.html", context, {"case": "errors/_case.html"}, 422 if form.errors else 200
    )


@pages.command("error_decisions")
def revoke(request: HttpRequest, decision_id: uuid.UUID) -> HttpResponse:
    decision = get_object_or_404(ErrorDecision, pk=decision_id)
    try:
        decisions.revoke(decision, request.POST.get("reason", ""), access.caller(request).actor)
    except Invalid as refusal:
        return pages.refused(request, refusal.message, URL)
    return pages.done(request, "Revoked. The built-in rows judge that answer again, in every executor.", URL)


def _decide(request: HttpRequest, form: DecisionForm) -> HttpResponse | None:
    if not form.is_valid():
        return None
    try:
        made = decisions.make(**form.cleaned_data, actor=access.caller(request).actor)
    except Invalid as refusal:
        form.refuse(refusal)
        return None
    text = (
        f"Decided: {made.family} {made.operation} {made.venue_code or made.fragment} is {made.get_ruling_display()}. "
        "It holds from the next answer on; orders that are unknown already are still looked up."
    )
    return pages.done(request, text, URL)

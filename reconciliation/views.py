"""Coverage, runs, breaks, and a person's decisions on them."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from project.lib import access, pages
from reconciliation import queries, resolutions, runs
from reconciliation.models import Break, Run
from venues.models import Account

CHIPS = {"account": "account", "kind": "kind", "owner": "owner"}


@pages.page()
def reconciliation(request: HttpRequest) -> HttpResponse:
    part = request.GET.get("fragment")
    context: dict[str, object] = {
        "surfaces": queries.SURFACES,
        "chips": pages.chips(request, CHIPS),
        "is_filtered": bool(pages.filters(request)),
    }
    if part != "runs":
        context["lines"] = queries.coverage_matrix()
    if part != "coverage":
        context["slice"] = pages.newest_first(request, queries.runs(request.GET.dict()), "requested_at", 50)
    parts = {"coverage": "reconciliation/_coverage.html", "runs": "reconciliation/_runs.html"}
    return pages.render(request, "reconciliation/overview.html", context, parts)


@pages.command("reconciliations")
def request_run(request: HttpRequest) -> HttpResponse:
    account = get_object_or_404(Account, pk=request.POST.get("account", ""))
    run = runs.request(account, trigger="person", actor=access.caller(request).actor)
    return pages.done(
        request,
        f"Asked: the owner of {account.code} reads every surface afresh, then the books are compared.",
        f"/reconciliation/runs/{run.id}/",
    )


@pages.page()
def run(request: HttpRequest, run_id: uuid.UUID) -> HttpResponse:
    found = get_object_or_404(Run.objects.select_related("account__venue"), pk=run_id)
    context = {"run": found, "surfaces": found.summary.get("surfaces", {}), "missing": found.summary.get("missing", {})}
    return pages.render(request, "reconciliation/run.html", context, {"run": "reconciliation/_run.html"})


@pages.page()
def breaks(request: HttpRequest) -> HttpResponse:
    tab = request.GET.get("tab") if request.GET.get("tab") in queries.TABS else "open"
    counts = queries.break_counts()
    context: dict[str, object] = {
        "slice": pages.newest_first(request, queries.breaks(request.GET.dict()), "first_seen_at"),
        "tab": tab,
        "tabs": [
            {"name": name, "count": counts.get(name), "url": f"?{pages.filters(request, tab=name)}"}
            for name in queries.TABS
        ],
        "chips": pages.chips(request, CHIPS),
        "is_filtered": bool(pages.filters(request, tab=None)),
    }
    if not request.GET.get("fragment"):
        context["accounts"] = Account.objects.order_by("code")
    return pages.render(request, "reconciliation/breaks.html", context, {"breaks": "reconciliation/_breaks.html"})


@pages.page()
def difference(request: HttpRequest, break_id: uuid.UUID) -> HttpResponse:
    found = get_object_or_404(Break.objects.select_related("account__venue", "snapshot"), pk=break_id)
    people = get_user_model().objects.filter(is_active=True).order_by("username").values_list("username", flat=True)
    context = {
        "break": found,
        "history": list(found.events.order_by("at", "id")),
        "people": people,
        "preview": resolutions.preview(found)
        if found.kind == Break.Kind.BALANCE and found.status != "resolved"
        else None,
    }
    return pages.render(request, "reconciliation/break.html", context, {"break": "reconciliation/_break.html"})


def _decision(act: Callable[[Break, str, str], object], field: str, said: str) -> Callable[..., HttpResponse]:
    @pages.command("breaks")
    def decide(request: HttpRequest, break_id: uuid.UUID) -> HttpResponse:
        found = get_object_or_404(Break, pk=break_id)
        url = f"/breaks/{found.id}/"
        try:
            act(found, access.caller(request).actor, request.POST.get(field, ""))
        except resolutions.Refused as error:
            return pages.refused(request, str(error), url)
        return pages.done(request, said, url)

    return decide  # type: ignore[return-value]


assign = _decision(resolutions.assign, "owner", "Assigned.")
note = _decision(resolutions.note, "text", "Noted in the history.")
explain = _decision(resolutions.explain, "reason", "Explained and resolved. Our books stay as they are.")
adjust = _decision(
    resolutions.adjust,
    "reason",
    "The counter-entry is posted and the break resolved. Nothing was deleted, nothing was traded.",
)
reopen = _decision(resolutions.reopen, "reason", "Open again.")

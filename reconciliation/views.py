"""Coverage and runs."""

from __future__ import annotations

import uuid

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from project.lib import access, pages
from reconciliation import queries, runs
from reconciliation.models import Run
from venues.models import Account

CHIPS = {"account": "account"}


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

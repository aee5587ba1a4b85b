"""Pages of rules and of the history of reconciliation."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from project.lib import access, pages
from reconciliation import dry_runs, history, queries, rules
from reconciliation.models import DryRun, Rule
from reconciliation.rule_forms import RuleForm
from venues.models import Account

URL = "/reconciliation/rules/"
CHIPS = {"account": "account", "surface": "surface"}
DAYS = (7, 30, 90)


@pages.page(writes="rules")
def overview(request: HttpRequest) -> HttpResponse:
    form = RuleForm(request.POST or None, initial=_template(request))
    if request.method == "POST" and form.is_valid():
        try:
            rule = rules.draft(form.cleaned_data, access.caller(request).actor)
        except rules.Refused as refusal:
            form.add_error(None, f"Nothing was written: {refusal}.")
        else:
            text = f"{rule.code} v{rule.version} is a draft without any effect. Run it dry before it may be activated."
            return pages.done(request, text, f"{URL}{rule.pk}/")
    context = {
        "slice": pages.newest_first(request, rules.listed(request.GET.dict()), "created_at"),
        "is_all": request.GET.get("tab") == "all", "form": form, "templates": rules.TEMPLATES,
    }  # fmt: skip
    return pages.render(
        request,
        "reconciliation/rules.html",
        context,
        {"rules": "reconciliation/_rules.html"},
        422 if form.errors else 200,
    )


@pages.page()
def rule(request: HttpRequest, rule_id: uuid.UUID) -> HttpResponse:
    found = get_object_or_404(Rule, pk=rule_id)
    runs = list(DryRun.objects.filter(rule=found).order_by("-run_at")[:20])
    shown = next((run for run in runs if str(run.pk) == request.GET.get("dry_run")), runs[0] if runs else None)
    context = {
        "rule": found, "status": rules.status(found), "dry_runs": runs, "shown": shown,
        "versions": list(Rule.objects.filter(code=found.code).order_by("-version")[:50]), "groups": dry_runs.GROUPS,
        "breaks_count": found.breaks.count(), "days_max": dry_runs.DAYS_MAX, "days": dry_runs.DAYS,
    }  # fmt: skip
    return pages.render(request, "reconciliation/rule.html", context, {"rule": "reconciliation/_rule.html"})


def _decision(act: Callable[[HttpRequest, Rule, str], str]) -> Callable[..., HttpResponse]:
    @pages.command("rules")
    def decide(request: HttpRequest, rule_id: uuid.UUID) -> HttpResponse:
        found = get_object_or_404(Rule, pk=rule_id)
        try:
            said = act(request, found, access.caller(request).actor)
        except rules.Refused as refusal:
            return pages.refused(request, f"{refusal}.", f"{URL}{found.pk}/")
        return pages.done(request, said, f"{URL}{found.pk}/")

    return decide  # type: ignore[return-value]


def _dry_run(request: HttpRequest, found: Rule, actor: str) -> str:
    text = request.POST.get("days", "")
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= dry_runs.DAYS_MAX:
        raise rules.Refused(f"the days must be between 1 and {dry_runs.DAYS_MAX}")
    dry_runs.run(found, actor, int(text))
    return "Run dry: nothing was changed. Look below at what it would have let pass."


def _activate(request: HttpRequest, found: Rule, actor: str) -> str:
    active = rules.activate(found, actor, request.POST.get("dry_run", ""))
    return f"{active.code} v{active.version} judges from the next read on. Every break it judges names it."


def _retire(request: HttpRequest, found: Rule, actor: str) -> str:
    rules.retire(found, actor)
    return f"{found.code} v{found.version} is retired. What it tolerated counts again from the next read on."


dry_run, activate, retire = _decision(_dry_run), _decision(_activate), _decision(_retire)


@pages.page()
def timeline(request: HttpRequest) -> HttpResponse:
    part, account, surface = (request.GET.get(name, "") for name in ("fragment", "account", "surface"))
    text = request.GET.get("days", "")
    days = int(text) if text in {str(each) for each in DAYS} else history.DAYS
    context: dict[str, Any] = {
        "surfaces": queries.SURFACES, "chips": pages.chips(request, CHIPS), "days": days, "account": account,
        "choices": [{"days": each, "url": f"?{pages.filters(request, days=str(each))}"} for each in DAYS],
    }  # fmt: skip
    if part in ("", "map"):
        context["lines"] = history.ages()
    if part in ("", "changes"):
        context["slice"] = pages.newest_first(request, history.changes(account, surface), "at", 50)
        context["cell"] = history.cell(account, surface)
    if part in ("", "trend"):
        is_known = bool(account) and Account.objects.filter(pk=account).exists()
        found = history.statistics(days, [account] if is_known else None)
        context |= {"trend": found, "totals": history.totals(found)}
    parts = {name: f"reconciliation/_history_{name}.html" for name in ("map", "changes", "trend")}
    return pages.render(request, "reconciliation/history.html", context, parts)


def _template(request: HttpRequest) -> dict[str, Any]:
    wanted = request.GET.get("template", "")
    found = next((each for each in rules.TEMPLATES if each["code"] == wanted), None)
    if found is None and (source := request.GET.get("from")):
        row = next(iter(Rule.objects.filter(code=source).order_by("-version")[:1]), None)
        return {**rules.definition(row), "reason": row.reason} if row else {}
    return dict(found or {})

"""The queue of differences on pages: the list, one break, a person's decisions, the export and the evidence."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404

from project.lib import access, clock, pages
from project.lib.pages import Slice
from reconciliation import adjustment_views, evidence, forms, lines, queue, resolutions, workflow
from reconciliation.counter_entries import LINES_MAX
from reconciliation.models import Break
from venues.models import Account

CHIPS = {
    "account": "account", "kind": "kind", "severity": "severity", "owner": "owner", "team": "team", "cause": "cause",
    "asset": "asset", "overdue": "overdue",
}  # fmt: skip
BULK_BUTTONS = (
    ("assign", "Assign", "a"),
    ("snooze", "Snooze", "s"),
    ("explain", "Explain", "e"),
    ("cause", "Cause", ""),
)
HISTORY_SHOWN_MAX = 100
FINDINGS_SHOWN_MAX = 20
Act = Callable[[Break, str, QueryDict, int | None], object]


@pages.page()
def breaks(request: HttpRequest) -> HttpResponseBase:
    person, filters = access.caller(request).person, request.GET.dict()
    found = queue.breaks(filters, person)
    if filters.get("format") == "csv":
        return pages.csv_answer("breaks", queue.EXPORT_HEAD, queue.export_rows(found))
    tab = filters.get("tab") if filters.get("tab") in queue.TABS else "open"
    counts, sort = queue.counts(person), filters.get("sort", "") if filters.get("sort") in queue.SORTS else ""
    context: dict[str, object] = {
        "slice": _sorted(request, found, sort) if sort else pages.newest_first(request, found, "first_seen_at"),
        "tab": tab,
        "tabs": [
            {"name": name, "label": label, "count": counts.get(name), "url": f"?{pages.filters(request, tab=name)}"}
            for name, label in queue.TABS.items()
        ],
        "sort": sort,
        "sorts": [
            {"name": name, "label": label, "url": f"?{pages.filters(request, sort=name)}"}
            for name, label in queue.SORTS.items()
        ],
        "chips": pages.chips(request, CHIPS),
        "is_filtered": bool(pages.filters(request, tab=None, sort=None)),
        "overdue": counts["overdue"],
        "now": clock.now(),
    }
    if not request.GET.get("fragment"):
        context |= {
            "accounts": Account.objects.order_by("code"), "kinds": Break.Kind.values, "severities": queue.SEVERITIES,
            "causes": workflow.CAUSES, "people": forms.people(), "teams": forms.teams(), "bulk_buttons": BULK_BUTTONS,
        }  # fmt: skip
    return pages.render(request, "reconciliation/breaks.html", context, {"breaks": "reconciliation/_breaks.html"})


@pages.page()
def difference(request: HttpRequest, break_id: uuid.UUID) -> HttpResponse:
    related = ("account__venue", "snapshot", "approval", "rule")
    found = get_object_or_404(Break.objects.select_related(*related), pk=break_id)
    given = lines.of(found)
    context = {
        "break": found,
        "sides": queue.sides(found),
        "history": evidence.newest_history(found, HISTORY_SHOWN_MAX),
        "previous_owner": resolutions.previous_owner(found),
        "asked": resolutions.asked_last(found),
        "people": forms.people(),
        "teams": forms.teams(),
        "causes": workflow.CAUSES,
        "spans": forms.SPANS,
        "is_plain": found.kind != Break.Kind.BALANCE,
        "not_now": queue.allowed(found),
        "lines": given,
        "remaining": lines.remaining(found, given),
        "candidates": lines.candidates(found, given) if found.status != Break.Status.RESOLVED else [],
        "unsettled": lines.unsettled(found),
        "earlier": queue.earlier(found) if found.recurrence else [],
        "findings": list(
            found.findings.select_related("statement").order_by("-statement__imported_at")[:FINDINGS_SHOWN_MAX]
        ),
        "evidence_key": _public_key(),
        "now": clock.now(),
        **adjustment_views.panel(request, found),
    }
    return pages.render(request, "reconciliation/break.html", context, {"break": "reconciliation/_break.html"})


@pages.page()
def bundle(request: HttpRequest, break_id: uuid.UUID) -> HttpResponse:
    """Hand out the signed evidence of a break as a file."""
    found = get_object_or_404(Break.objects.select_related("account__venue", "rule", "order"), pk=break_id)
    try:
        text = evidence.bundle(found, access.caller(request).actor)
    except OSError as problem:
        why = f"the evidence could not be signed ({problem.strerror or problem}); see {settings.EVIDENCE_KEY_FILE}"
        return pages.refused(request, why, f"/breaks/{found.id}/")
    name = f"evidence-{found.id}-v{found.version}.json"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(text, content_type="application/json", headers=headers)


def _public_key() -> str:
    try:
        return evidence.public_key()
    except OSError:
        return ""


def _sorted(request: HttpRequest, rows: Any, sort: str) -> Slice:
    cursor, most = request.GET.get("before", ""), pages.PAGE_ROWS
    found = list(queue.after(rows, sort, cursor)[: most + 1])
    base = pages.filters(request)
    next_url = f"?{base}&before={queue.cursor_of(found[most - 1])}".replace("+", "%2B") if len(found) > most else ""
    return Slice(found[:most], f"?{base}" if cursor else "", next_url)


def _decision(act: Act, said: str) -> Callable[..., HttpResponse]:
    @pages.command("breaks")
    def decide(request: HttpRequest, break_id: uuid.UUID) -> HttpResponse:
        found, given = get_object_or_404(Break, pk=break_id), request.POST
        url = f"/breaks/{found.id}/"
        try:
            act(found, access.caller(request).actor, given, forms.version(given))
        except resolutions.Refused as error:
            return pages.refused(request, f"{error}.", url)
        return pages.done(request, said, url)

    return decide  # type: ignore[return-value]


def _assign(row: Break, actor: str, given: QueryDict, version: int | None) -> None:
    owner, team = given.get("owner", ""), given.get("team")
    forms.known(owner, team or "")
    resolutions.assign(row, actor, owner, team=team, version=version)


def _add_lines(row: Break, actor: str, given: QueryDict, version: int | None) -> None:
    picks = given.getlist("pick")[:LINES_MAX]
    lines.add(row, actor, picks, given.get("amount", ""), given.get("note", ""), version=version)


def _remove_line(row: Break, actor: str, given: QueryDict, version: int | None) -> None:
    number = given.get("line", "")
    lines.remove(row, actor, [int(number)] if number.isascii() and number.isdigit() else [], version=version)


assign = _decision(_assign, "Assigned.")
pass_back = _decision(
    lambda row, actor, given, version: resolutions.pass_back(row, actor, version=version), "Passed back."
)
note = _decision(
    lambda row, actor, given, version: resolutions.note(row, actor, given.get("text", ""), version=version),
    "Noted in the history.",
)
wait = _decision(
    lambda row, actor, given, version: resolutions.wait_for_venue(row, actor, given.get("asked", ""), version=version),
    "It waits for the venue now. The comparison goes on: when the books agree again, it closes by itself.",
)
resume = _decision(
    lambda row, actor, given, version: resolutions.resume(row, actor, given.get("text", ""), version=version),
    "Back to investigating.",
)
snooze = _decision(
    lambda row, actor, given, version: resolutions.snooze(
        row, actor, forms.until(given), given.get("reason", ""), version=version
    ),
    "Snoozed. It comes back at that time, and at once when its value changes.",
)
wake = _decision(lambda row, actor, given, version: resolutions.wake(row, actor, version=version), "It is back.")
cause = _decision(
    lambda row, actor, given, version: resolutions.set_cause(row, actor, given.get("cause", ""), version=version),
    "The cause is noted.",
)
explain = _decision(
    lambda row, actor, given, version: resolutions.explain(
        row, actor, given.get("reason", ""), cause=given.get("cause", ""), version=version
    ),
    "Explained and resolved. Our books stay as they are.",
)
fixed = _decision(
    lambda row, actor, given, version: resolutions.mark_fixed(
        row, actor, given.get("reason", ""), cause=given.get("cause", ""), version=version
    ),
    "Resolved: the venue has put it right. Where it has not, the next read makes a new break of it.",
)
reopen = _decision(
    lambda row, actor, given, version: resolutions.reopen(row, actor, given.get("reason", ""), version=version),
    "Open again.",
)
add_lines = _decision(_add_lines, "Added. What remains is worked out afresh.")
remove_line = _decision(_remove_line, "Taken off. What remains is worked out afresh.")

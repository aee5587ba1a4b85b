"""One action on many breaks, on pages: the frozen selection with what would become of each, then what became of each."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from django.http import HttpRequest, HttpResponse

from project.lib import access, ids, pages
from reconciliation import bulk, forms, queue, workflow
from reconciliation.bulk import Item
from reconciliation.models import Break
from reconciliation.resolutions import Refused

SHOWN_MAX = 200


@pages.command("breaks")
def select(request: HttpRequest) -> HttpResponse:
    """Freeze what is selected, or all that matches the filters, and show what the action would do to each."""
    action = request.POST.get("action", "")
    try:
        if action not in bulk.ACTIONS:
            raise Refused(f"there is no action {action[:40]!r} for many breaks")
        token, selection = _selection(request)
    except Refused as error:
        return pages.refused(request, f"{error}.", f"/breaks/?{request.POST.get('filters', '')}")
    return _page(request, token, selection, action, bulk.foresee(selection, action), {})


@pages.command("breaks")
def act(request: HttpRequest) -> HttpResponse:
    """Do the action to the frozen selection, and show what became of each."""
    caller, action, token = access.caller(request), request.POST.get("action", ""), request.POST.get("selection", "")
    try:
        if action not in bulk.ACTIONS:
            raise Refused(f"there is no action {action[:40]!r} for many breaks")
        selection = bulk.thaw(token, caller.person)
    except Refused as error:
        return pages.refused(request, f"{error}.", "/breaks/")
    try:
        given = _given(action, request.POST.dict())
    except Refused as error:
        return _page(
            request, token, selection, action, bulk.foresee(selection, action), {"refusal": str(error)}, status=422
        )
    items = bulk.act(selection, action, caller.actor, given)
    there = Break.objects.filter(pk__in=[item.id for item in items]).values_list("pk", "version")
    again = bulk.freeze(there, caller.person)[0] if there else ""
    return _page(request, again, selection, action, items, {"is_done": True})


def _selection(request: HttpRequest) -> tuple[str, bulk.Selection]:
    person = access.caller(request).person
    if token := request.POST.get("selection", ""):
        return token, bulk.thaw(token, person)
    return bulk.freeze(_selected(request), person)


def _selected(request: HttpRequest) -> list[tuple[uuid.UUID, int]]:
    if request.POST.get("all"):
        filters = dict(parse_qsl(request.POST.get("filters", "")))
        found = queue.breaks(filters, access.caller(request).person)
    else:
        named = [key for key in request.POST.getlist("break") if ids.is_uuid(key)]
        found = Break.objects.filter(pk__in=named[: bulk.SELECTION_MAX + 1])
    return list(found.order_by("pk").values_list("pk", "version")[: bulk.SELECTION_MAX + 1])


def _given(action: str, given: Mapping[str, str]) -> dict[str, Any]:
    """Check what is the same for all before anything is done to any. Raises Refused."""
    values: dict[str, Any] = dict(given)
    match action:
        case "assign":
            forms.known(given.get("owner", ""), given.get("team", ""))
        case "snooze":
            values["until"] = forms.until(given)
        case "explain" if not given.get("reason", "").strip():
            raise Refused("a reason is required, so that whoever reads this later understands it")
    if given.get("cause", "") not in ("", *workflow.CAUSES):
        raise Refused("there is no such cause")
    return values


def _page(
    request: HttpRequest, token: str, selection: bulk.Selection, action: str, items: list[Item],
    more: Mapping[str, Any], status: int = 200,
) -> HttpResponse:  # fmt: skip
    counts = Counter(item.outcome for item in items)
    context = {
        "token": token, "selection": selection, "digest": selection.digest, "action": action, "verb": bulk.ACTIONS[action].verb,
        "actions": bulk.ACTIONS, "fields": bulk.ACTIONS[action].fields, "items": items[:SHOWN_MAX],
        "unseen": max(len(items) - SHOWN_MAX, 0), "counts": counts, "would": counts["would"],
        "reasons": Counter(item.why for item in items if item.why).most_common(10), "filters_back": request.POST.get("filters", ""),
        "people": forms.people(), "teams": forms.teams(), "causes": workflow.CAUSES, "spans": forms.SPANS, **more,
    }  # fmt: skip
    return pages.render(request, "reconciliation/selection.html", context, status=status)

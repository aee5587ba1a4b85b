"""Approvals: what waits for a second person, one of them with everything it does, the decision."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from project import decisions, reauthentication
from project.lib import access, pages
from reconciliation import counter_entries
from risk import approvals
from risk.models import Approval

URL = "/approvals/"
TABS = ("pending", "mine", "history")
CHIPS = {"account": "account", "action": "action"}
PENDING = Approval.Status.PENDING


@pages.page()
def index(request: HttpRequest) -> HttpResponse:
    tab = request.GET.get("tab") if request.GET.get("tab") in TABS else "pending"
    person = access.caller(request).person
    counts = Approval.objects.filter(status=PENDING).aggregate(
        pending=Count("id"), mine=Count("id", filter=Q(requested_by_person=person))
    )
    context = {
        "slice": pages.newest_first(request, _rows(request, str(tab), person), "requested_at"),
        "tab": tab,
        "tabs": [
            {"name": name, "count": counts.get(name), "url": f"?{pages.filters(request, tab=name)}"} for name in TABS
        ],
        "chips": pages.chips(request, CHIPS),
        "is_filtered": bool(pages.filters(request, tab=None)),
        "person": person,
    }
    return pages.render(request, "approvals/list.html", context, {"approvals": "approvals/_list.html"})


@pages.page()
def detail(request: HttpRequest, approval_id: uuid.UUID) -> HttpResponse:
    found = get_object_or_404(Approval.objects.select_related("account__venue"), pk=approval_id)
    context = {"approval": found, **_standing(request, found)}
    return pages.render(request, "approvals/detail.html", context, {"approval": "approvals/_approval.html"})


@pages.command("decisions")
def decide(request: HttpRequest, approval_id: uuid.UUID) -> HttpResponse:
    found, given = get_object_or_404(Approval, pk=approval_id), request.POST
    url, wanted = f"{URL}{found.id}/", given.get("decision", "")
    try:
        caller = access.caller(request)
        if caller.person != found.requested_by_person:  # their own is refused and put on record, password or not
            reauthentication.confirm(request, given.get("password", ""))
        decided = decisions.decide(found, caller, wanted, given.get("change_hash", ""), given.get("reason", ""))
    except (approvals.Refused, reauthentication.NotConfirmed) as refusal:
        return pages.refused(request, f"{refusal}.", url)
    said = "Approved and carried out" if wanted == "approve" else "Refused, nothing was done"
    return pages.done(request, f"{said}: {decided.summary}.", url)


@pages.command("decisions")
def withdraw(request: HttpRequest, approval_id: uuid.UUID) -> HttpResponse:
    found = get_object_or_404(Approval, pk=approval_id)
    url = f"{URL}{found.id}/"
    try:
        decisions.withdraw(found, access.caller(request), request.POST.get("reason", ""))
    except approvals.Refused as refusal:
        return pages.refused(request, f"{refusal}.", url)
    return pages.done(request, "Withdrawn; nothing was done.", url)


def _rows(request: HttpRequest, tab: str, person: str) -> QuerySet[Approval]:
    found = Approval.objects.select_related("account__venue")
    if tab == "mine":
        found = found.filter(requested_by_person=person)
    else:
        found = found.filter(status=PENDING) if tab == "pending" else found.exclude(status=PENDING)
    for name, column in (("account", "account_id"), ("action", "action")):
        if request.GET.get(name):
            found = found.filter(**{column: request.GET[name]})
    return found


def _standing(request: HttpRequest, approval: Approval) -> dict[str, Any]:
    """Say whether this person may decide this now, and what it would do as things stand."""
    caller, is_pending = access.caller(request), approval.status == PENDING
    is_own = caller.person == approval.requested_by_person
    effect = decisions.effect(approval)
    reason = ""
    if is_own:
        reason = "You requested this: a second, different person decides it, whatever session or token you use."
    elif not caller.roles & approvals.ROLES:
        reason = "Needs the role admin or approver."
    elif is_pending and effect is None:
        reason = "What it is about has changed since it was requested; it will be settled as outdated within seconds."
    return {
        "is_pending": is_pending,
        "is_own": is_own,
        "effect": effect,
        "closed": reason,
        "asks_password": reauthentication.is_needed(request),
        "entries": [counter_entries.journal(entry) for entry in approval.change.get("entries", [])],
        "subject_url": f"/breaks/{approval.subject}/" if approval.action.startswith("break.") else "",
        "canonical": approvals.canonical(approval.change),
        "is_unaltered": approvals.digest(approval.change) == approval.change_hash,
    }

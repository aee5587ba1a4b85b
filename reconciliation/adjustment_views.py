"""The counter-entry on the page of a break: its preview, posting or requesting it, taking it back."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from project.lib import access, pages
from reconciliation import adjustments, forms, resolutions
from reconciliation.models import Break
from risk import approvals
from risk.models import Approval


def panel(request: HttpRequest, row: Break) -> dict[str, Any]:
    """Return what the panel shows: the preview against the chosen book, a pending request, a reversal where one is possible."""
    pending = row.approval if row.approval and row.approval.status == Approval.Status.PENDING else None
    is_over = row.status == Break.Status.RESOLVED
    shown = not pending and not is_over and row.kind == Break.Kind.BALANCE
    preview = adjustments.preview(row, request.GET.get("book", "")) if shown else None
    reversal = None if pending else adjustments.preview_reversal(row)
    needs_two = pending or any(one and one["needs_approval"] for one in (preview, reversal))
    requester = pending.requested_by_person if pending else access.caller(request).person
    return {
        "pending": pending,
        "books": adjustments.BOOKS,
        "preview": preview,
        "reversal": reversal,
        "is_alone": bool(needs_two) and not access.has_another(approvals.ROLES, requester),
    }


@pages.command("breaks")
def adjust(request: HttpRequest, break_id: uuid.UUID) -> HttpResponse:
    found, caller, given = get_object_or_404(Break, pk=break_id), access.caller(request), request.POST
    url = f"/breaks/{found.id}/"
    try:
        row = adjustments.adjust(
            found, caller.actor, given.get("reason", ""), person=caller.person,
            book=given.get("book", "adjustments"), expected=given.get("delta", ""), version=forms.version(given),
        )  # fmt: skip
    except resolutions.Refused as error:
        return pages.refused(request, f"{error}.", url)
    if row.approval and row.approval.status == Approval.Status.PENDING:
        return _requested(request, row.approval, url)
    return pages.done(
        request, "The counter-entry is posted and the break resolved. Nothing was deleted, nothing was traded.", url
    )


@pages.command("breaks")
def reverse(request: HttpRequest, break_id: uuid.UUID) -> HttpResponse:
    found, caller = get_object_or_404(Break, pk=break_id), access.caller(request)
    url = f"/breaks/{found.id}/"
    try:
        row = adjustments.reverse(
            found,
            caller.actor,
            request.POST.get("reason", ""),
            person=caller.person,
            version=forms.version(request.POST),
        )
    except resolutions.Refused as error:
        return pages.refused(request, f"{error}.", url)
    if row.approval and row.approval.status == Approval.Status.PENDING:
        return _requested(request, row.approval, url)
    return pages.done(request, "Taken back by entries against it. The difference needs a person again.", url)


def _requested(request: HttpRequest, approval: Approval, url: str) -> HttpResponse:
    return pages.done(
        request, f"Requested: {approval.summary}. Nothing is posted until a second person has approved it.", url
    )

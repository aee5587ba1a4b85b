"""The audit log: who changed what, and whether the chain is whole."""

from __future__ import annotations

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse

from project.lib import audit, pages
from project.lib.models import AuditEntry

CHIPS = {"actor": "who", "action": "what", "subject": "subject"}


@pages.page(writes="tokens")
def log(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        return _verify(request)
    found = AuditEntry.objects.all()
    for name in CHIPS:
        if text := request.GET.get(name, "").strip():
            found = found.filter(Q(**{f"{name}__istartswith": text}))
    before = request.GET.get("before", "")
    if before.isascii() and before.isdigit():
        found = found.filter(sequence__lt=int(before))
    rows = list(found.order_by("-sequence")[: pages.PAGE_ROWS + 1])
    shown, filters = rows[: pages.PAGE_ROWS], pages.filters(request)
    context = {
        "entries": shown,
        "next_url": f"?{filters}{'&' if filters else ''}before={shown[-1].sequence}" if len(rows) > len(shown) else "",
        "newest_url": f"?{filters}" if before else "",
        "chips": pages.chips(request, CHIPS),
        "is_filtered": bool(filters),
    }
    return pages.render(request, "audit/list.html", context, {"entries": "audit/_entries.html"})


def _verify(request: HttpRequest) -> HttpResponse:
    entries = AuditEntry.objects.order_by("sequence")
    wrong = audit.first_difference(entries.iterator(chunk_size=2000))
    if wrong:
        return pages.done(
            request,
            f"The chain is broken: {wrong}. Treat everything after it as unproved and find out who could write there.",
            "/audit/",
            messages.ERROR,
        )
    return pages.done(
        request, f"The chain is whole: {entries.count()} entries, each follows the one before.", "/audit/"
    )

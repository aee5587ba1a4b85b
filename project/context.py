"""What the frame of every page shows: navigation with counts, environments, trading state, halts. At most four queries."""

from __future__ import annotations

from collections import Counter
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db.models import Value
from django.http import HttpRequest

from orders.models import DeadLetter
from project.lib import feed
from reconciliation import queue
from risk import halts
from risk.models import Approval
from venues.models import ErrorCase, Venue

# label, address, what is counted beside it
NAVIGATION = (
    ("Overview", "/", ""),
    ("Orders", "/orders/", ""),
    ("Fills", "/fills/", ""),
    ("Transfers", "/transfers/", ""),
    ("Positions", "/positions/", ""),
    ("Balances", "/balances/", ""),
    ("Portfolio", "/portfolio/", ""),
    ("Dead letters", "/dead-letters/", "dead_letters"),
    ("Breaks", "/breaks/", "breaks"),
    ("Approvals", "/approvals/", "approvals"),
    ("Error codes", "/error-codes/", "error_cases"),
    ("Reconciliation", "/reconciliation/", ""),
    ("Statements", "/statements/", ""),
    ("Venues", "/venues/", ""),
    ("Accounts", "/accounts/", ""),
    ("Risk", "/risk/", "halts"),
    ("Audit", "/audit/", ""),
)


def console(request: HttpRequest) -> dict[str, Any]:
    """Return the variables base.html expects; nothing is read for somebody who is not signed in."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {"version": settings.VERSION}
    in_force = halts.in_force()
    open_letters = DeadLetter.objects.filter(status=DeadLetter.Status.OPEN).values_list(Value("dead_letters"))
    open_cases = ErrorCase.objects.filter(decision=None).values_list(Value("error_cases"))
    pending = Approval.objects.filter(status=Approval.Status.PENDING).values_list(Value("approvals")).order_by()
    waiting = open_letters.order_by().union(open_cases.order_by(), pending, all=True)
    counts = {
        **Counter(name for (name,) in waiting),
        "breaks": queue.open_count(),
        "halts": len(in_force),
    }
    seq = getattr(request, "feed_seq", None)
    return {
        "navigation": [_entry(label, url, counts.get(counted, 0), _path(request)) for label, url, counted in NAVIGATION],
        "environments": sorted({venue.environment for venue in Venue.objects.filter(accounts__isnull=False).distinct()}),
        "trading_state": trading_state([halt.state for halt in in_force if halt.scope == "global"]),
        "halts": [
            {"scope": halt.scope, "state": halt.state.upper(), "reason": halt.reason, "by": halt.created_by,
             "created_at": halt.created_at, "url": f"/risk/#halt-{halt.id}"}
            for halt in in_force
        ],
        "version": settings.VERSION,
        "feed_seq": feed.head() if seq is None else seq,
        "frame_url": "/live/frame/",
    }  # fmt: skip


def trading_state(states: list[str]) -> str:
    """Return the word of the strictest state."""
    return "HALTED" if "halted" in states else "REDUCING" if "reducing" in states else "ACTIVE"


def _entry(label: str, url: str, count: int, path: str) -> dict[str, Any]:
    active = path == url if url == "/" else path.startswith(url)
    return {"label": label, "url": url, "count": count, "active": active, "tone": "danger" if count else ""}


def _path(request: HttpRequest) -> str:
    shown = request.headers.get("HX-Current-URL")
    return urlsplit(shown).path if shown else request.path

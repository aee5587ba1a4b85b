"""One account on one page: status and what comes next, key, channels, balances, open orders, coverage, owner."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from orders import queries as order_queries
from orders import states
from orders.models import AccountLease, Order
from project.lib import access, clock, pages
from reconciliation.models import Coverage
from risk import halts
from venues import probes
from venues import queries as venue_queries
from venues.forms import NewKey
from venues.models import Account

OPEN_ORDERS_MAX = 25


def _state(account: Account) -> dict[str, Any]:
    lease = AccountLease.objects.filter(account=account).first()
    return {
        "next": venue_queries.NEXT[account.status],
        "lease": lease,
        "lease_is_fresh": bool(lease and lease.expires_at and lease.expires_at > clock.now()),
        "own_state": halts.state_for(account.code, account.venue_id),
        "coverage": Coverage.objects.filter(account=account).order_by("id"),
    }


def _keys(account: Account) -> dict[str, Any]:
    return {"keys": account.credentials.order_by("-version")[:10], "waivable": probes.WAIVABLE}


def _books(account: Account) -> dict[str, Any]:
    return {
        "balances": order_queries.balances({"account": account.code}),
        "open_orders": Order.objects.filter(account=account, status__in=states.ALIVE_WORDS).order_by(
            "-created_at", "id"
        )[:OPEN_ORDERS_MAX],
    }


PARTS: dict[str, Any] = {"state": _state, "keys": _keys, "books": _books, "draining": lambda account: {}}


@pages.page()
def account(request: HttpRequest, code: str) -> HttpResponse:
    found = get_object_or_404(venue_queries.accounts(), pk=code)
    part = request.GET.get("fragment", "")
    context: dict[str, Any] = {"account": found}
    for name in [part] if part in PARTS else PARTS:
        context |= PARTS[name](found)
    caller = access.caller(request)
    context |= {"key_form": NewKey(), "may_waive": "admin" in caller.roles and settings.CUSTOM_URLS_ALLOWED}
    return pages.render(request, "accounts/detail.html", context, {name: f"accounts/_{name}.html" for name in PARTS})

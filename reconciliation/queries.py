"""What the reconciliation pages read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Count, QuerySet

from reconciliation.models import Break, Coverage, Run
from venues.models import Account, Surface

SURFACES = [surface.value for surface in Surface]
NEED_A_PERSON = ("open", "investigating")
TABS: dict[str, tuple[str, ...]] = {
    "open": NEED_A_PERSON,
    "suspected": ("suspected",),
    "resolved": ("resolved",),
    "all": (),
}


def breaks(filters: Mapping[str, str]) -> QuerySet[Break]:
    """Return the differences a querystring asks for; those that need a person unless it says otherwise."""
    found = Break.objects.select_related("account__venue")
    statuses = TABS.get(filters.get("tab", "open"), NEED_A_PERSON)
    if statuses:
        found = found.filter(status__in=statuses)
    for name, column in (("account", "account_id"), ("kind", "kind"), ("owner", "owner")):
        if filters.get(name):
            found = found.filter(**{column: filters[name]})
    return found


def break_counts() -> dict[str, int]:
    """Count the unresolved differences per tab."""
    rows: dict[str, int] = dict(
        Break.objects.exclude(status="resolved").values_list("status").annotate(count=Count("id"))
    )
    return {
        name: sum(rows.get(status, 0) for status in statuses)
        for name, statuses in TABS.items()
        if name in ("open", "suspected")
    }


def runs(filters: Mapping[str, str]) -> QuerySet[Run]:
    """Return comparisons."""
    found = Run.objects.select_related("account__venue")
    return found.filter(account_id=filters["account"]) if filters.get("account") else found


def coverage_matrix() -> list[dict[str, Any]]:
    """Return one line per account with one cell per surface; an account never looked at has cells that say never."""
    cells: dict[tuple[str, str], Coverage] = {(cell.account_id, cell.surface): cell for cell in Coverage.objects.all()}
    lines = []
    for account in Account.objects.select_related("venue").order_by("code"):
        own = [cells.get((account.code, surface)) or Coverage(account=account, surface=surface) for surface in SURFACES]
        lines.append({"account": account, "cells": own})
    return lines

"""What the reconciliation pages read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet

from reconciliation.models import Coverage, Run
from venues.models import Account, Surface

SURFACES = [surface.value for surface in Surface]


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

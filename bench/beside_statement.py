"""A process of its own that compares a month of fills with a statement and says how long that took: its memory is nobody else's."""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections import Counter
from pathlib import Path

import django


def main(account_code: str, statement_id: str, how: str) -> None:
    """Compare what stands in PostgreSQL on both sides; write seconds and kinds as JSON."""
    django.setup()
    days, columnar = importlib.import_module("reconciliation.days"), importlib.import_module("reconciliation.columnar")
    fills = importlib.import_module("bench.fills")
    accounts, models = importlib.import_module("venues.models"), importlib.import_module("reconciliation.models")
    account = accounts.Account.objects.select_related("venue").get(code=account_code)
    statement = models.Statement.objects.get(pk=statement_id)
    began = time.perf_counter()
    span = (fills.MONTH, statement.window_to)
    if how == "whole":
        ours, theirs = columnar.booked(account.code, *span), columnar.stated(statement.pk)
        found = columnar.compare(account, ours, theirs, days.reading_of(span[0]))
    else:
        found = days.against_statement(account, statement, *span)
    seconds = time.perf_counter() - began
    kinds = Counter(each.kind for each in found.comparison.differences)
    # Not what the kernel tells the parent: that begins with the parent's own greatest memory.
    [peak] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    sys.stdout.write(
        json.dumps(
            {
                "mib": int(peak.split()[1]) / 1024,
                "seconds": seconds,
                "kinds": kinds,
                "ours": found.ours,
                "theirs": found.theirs,
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])

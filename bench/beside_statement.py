"""A process of its own that compares a day of fills with a statement and says how long that took: its memory is nobody else's."""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections import Counter

import django


def main(account_code: str, statement_id: str) -> None:
    """Compare what stands in PostgreSQL on both sides; write seconds and kinds as JSON."""
    django.setup()
    days, fills = importlib.import_module("reconciliation.days"), importlib.import_module("bench.fills")
    accounts, models = importlib.import_module("venues.models"), importlib.import_module("reconciliation.models")
    account = accounts.Account.objects.select_related("venue").get(code=account_code)
    statement = models.Statement.objects.get(pk=statement_id)
    began = time.perf_counter()
    found = days.against_statement(account, statement, fills.DAY, statement.window_to)
    seconds = time.perf_counter() - began
    kinds = Counter(each.kind for each in found.comparison.differences)
    sys.stdout.write(json.dumps({"seconds": seconds, "kinds": kinds, "ours": found.ours, "theirs": found.theirs}))


if __name__ == "__main__":
    main(*sys.argv[1:])

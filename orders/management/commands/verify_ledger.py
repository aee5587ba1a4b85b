"""Verify the ledger in arithmetic of its own: scaled integers over the stored rows, nothing shared with the ledger code."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from django.core.management.base import BaseCommand
from django.db import connection

from project.lib import moment

UNIT = 10**18
Key = tuple[str, str]


def scaled(number: Decimal) -> int:
    """Turn numeric(38,18) into an integer of 10^-18 units, exactly."""
    sign, digits, exponent = number.as_tuple()
    value = int("".join(map(str, digits)) or "0") * 10 ** (18 + int(exponent))
    return -value if sign else value


def rows(query: str) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a query."""
    with connection.cursor() as cursor:
        cursor.execute(query)
        yield from cursor


def differences() -> Iterator[str]:
    """Yield what does not add up: entries, fills against postings, balances against postings."""
    per_entry: dict[tuple[str, str], int] = defaultdict(int)
    totals: dict[Key, int] = defaultdict(int)
    by_fill: dict[str, dict[Key, int]] = defaultdict(lambda: defaultdict(int))
    for entry, account, asset, book, amount, fill in rows(
        "SELECT entry, account_id, asset, book, amount, fill_id FROM orders_posting ORDER BY posted_at, entry, leg"
    ):
        per_entry[(str(entry), asset)] += scaled(amount)
        if book == "venue":
            totals[(account, asset)] += scaled(amount)
        if fill is not None and book in {"venue", "fees"}:
            by_fill[str(fill)][(asset, book)] += scaled(amount)
    yield from (
        f"entry {entry} does not balance in {asset}: off by {rest} / 10^18"
        for (entry, asset), rest in per_entry.items()
        if rest
    )
    for fill, symbol, side, quantity, quote_quantity, fee, fee_asset in rows(
        "SELECT id, symbol, side, quantity, quote_quantity, fee, fee_asset FROM orders_fill"
    ):
        expected: dict[Key, int] = defaultdict(int)
        base, quote = symbol.split(":")[0].split("/")
        sign = 1 if side == "buy" else -1
        expected[(base, "venue")] += sign * scaled(quantity)
        expected[(quote, "venue")] -= sign * scaled(quote_quantity)
        if fee:
            expected[(fee_asset, "venue")] -= scaled(fee)
            expected[(fee_asset, "fees")] += scaled(fee)
        posted = {key: value for key, value in by_fill.pop(str(fill), {}).items() if value}
        if posted != {key: value for key, value in expected.items() if value}:
            yield f"fill {fill}: its postings are {dict(posted)}, its facts say {dict(expected)} (in 10^-18 units)"
    yield from (f"postings name fill {fill}, which does not exist" for fill in by_fill)
    for account, asset, total in rows("SELECT account_id, asset, total FROM orders_balance ORDER BY account_id, asset"):
        folded = totals.pop((account, asset), 0)
        if folded != scaled(total):
            yield f"balance {account} {asset}: postings sum to {Decimal(folded) / UNIT}, the row says {total}"
    yield from (
        f"balance {account} {asset} has no row, its postings sum to {total}"
        for (account, asset), total in totals.items()
        if total
    )


class Command(BaseCommand):
    help = "Exit 0 when every entry balances and every balance is the sum of its postings, 1 with the first difference."

    def handle(self, *args: Any, **options: Any) -> None:
        with moment.one_moment():
            self._prove()

    def _prove(self) -> None:
        difference = next(differences(), None)
        if difference:
            self.stdout.write(difference)
            sys.exit(1)
        count = next(rows("SELECT count(*), count(DISTINCT entry) FROM orders_posting"))
        self.stdout.write(f"whole: {count[0]} postings in {count[1]} entries balance")

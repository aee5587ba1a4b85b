"""Verify the ledger in arithmetic of its own: scaled integers over the stored rows, nothing shared with the ledger code.

The rows come in the order of their keys through cursors of the server and are held one entry at a time, so that memory
does not grow with history: what stays is a total per account and asset, and a position per account and symbol.
"""

from __future__ import annotations

import heapq
import itertools
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.core.management.base import BaseCommand
from django.db import connection

from orders import digest_proof
from orders.units import UNIT, nearest, scaled, written
from project.lib import moment

CHUNK_ROWS = 5000
SHOWN_MAX = 20
ENTRY_AGE_MAX_MS = 5000
Leg = tuple[str, str, int]
Key = tuple[str, str]
# Causes of entries with two legs that stand on no other row, and the book against which each is posted.
COUNTER_BOOKS = {"opening": "opening", "adjustment": "adjustments"}
# An adjustment may be posted against another book, which the reference of both its legs names.
AGAINST = ("fees", "funding", "transfers")
TRANSFER_BOOKS = {"funding": "funding", "settlement": "funding", "rebate": "fees", "fee": "fees"}
POSTINGS = (
    "SELECT id, entry::text, leg, account_id, asset, book, amount, cause, fill_id::text, reference, posted_at, memo "
    "FROM orders_posting ORDER BY entry, leg"
)
FILLS = (
    "SELECT id::text, account_id, venue_trade_id, symbol, side, quantity, quote_quantity, fee, fee_asset, realised_pnl "
    "FROM orders_fill ORDER BY id"
)
TRANSFERS = "SELECT id::text, account_id, venue_transfer_id, kind, asset, amount, fee FROM orders_transfer ORDER BY id"
BOOKED = (  # in the order in which they were booked, which the log keeps
    "SELECT f.id::text, f.account_id, f.symbol, f.side, f.quantity, f.price, f.realised_pnl, e.sequence, "
    "row_number() OVER (PARTITION BY f.id ORDER BY e.sequence) > 1 FROM orders_fill f "
    "LEFT JOIN orders_orderevent e ON e.account_id = f.account_id AND e.kind IN ('fill', 'late_fill') "
    "AND (e.data->>'fill')::uuid = f.id ORDER BY f.account_id, e.sequence, f.id"
)


class Posting(NamedTuple):
    """A stored posting, its amount in units of 10^-18."""

    id: int
    entry: str
    leg: int
    account: str
    asset: str
    book: str
    amount: int
    cause: str
    fill: str | None
    reference: str
    posted_at: datetime
    memo: str

    @property
    def name(self) -> str:
        """Name it so that a person finds it."""
        return f"posting {self.id} (entry {self.entry}, leg {self.leg})"

    @property
    def is_in_its_time(self) -> bool:
        """Say whether its entry was named when it was posted: an entry's id (UUIDv7) begins with its milliseconds."""
        named = int(self.entry[:8] + self.entry[9:13], 16)
        return abs(named - self.posted_at.timestamp() * 1000) <= ENTRY_AGE_MAX_MS


class Fact(NamedTuple):
    """A trade or transfer, and the legs that follow from it."""

    id: str
    what: str
    account: str
    reference: str
    legs: list[Leg]


class Holding(NamedTuple):
    """A position in units of 10^-18."""

    quantity: int = 0
    entry_price: int | None = None
    realised_pnl: int = 0


def rows(query: str) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a query through a cursor of the server, some thousands at a time."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(query)
        while chunk := cursor.fetchmany(CHUNK_ROWS):
            yield from chunk


def differences() -> Iterator[str]:
    """Yield what does not add up, the postings that are wrong by their names. Call inside a transaction."""
    books = _Books()
    yield from books.entries()
    yield from books.balances()
    yield from books.disputes()
    yield from positions()
    yield from digest_proof.differences()


class _Books:
    """One walk over every posting beside what it must follow from."""

    def __init__(self) -> None:
        self.totals: dict[Key, int] = defaultdict(int)
        self.off: dict[Key, int] = defaultdict(int)
        self.disputed: list[tuple[Posting, Posting]] = []
        self.alone: list[Posting] = []

    def entries(self) -> Iterator[str]:
        """Yield what is wrong with entries, each beside the trade or transfer it follows from."""
        facts = heapq.merge(_fills(), _transfers(), key=lambda fact: fact.id)
        fact = next(facts, None)
        for entry, group in itertools.groupby(_postings(), key=lambda posting: posting.entry):
            legs = list(group)
            self._count(legs)
            while fact and fact.id < entry:
                yield from _without_postings(fact)
                fact = next(facts, None)
            if fact and fact.id == entry:
                yield from _beside(fact, legs)
                fact = next(facts, None)
            else:
                yield from self._on_its_own(legs)
            yield from _at_odds(legs)
        for left in itertools.chain([fact] if fact else [], facts):
            yield from _without_postings(left)

    def balances(self) -> Iterator[str]:
        """Yield the balances that are not the sum of their postings."""
        for account, asset, total in rows("SELECT account_id, asset, total FROM orders_balance"):
            self.off[(account, asset)] = self.totals.pop((account, asset), 0) - scaled(total)
        self.off.update(self.totals)
        for (account, asset), off in sorted(self.off.items()):
            if off:
                yield f"balance {account} {asset}: its postings sum to {written(off)} more than the row says"

    def disputes(self) -> Iterator[str]:
        """Yield which leg is wrong where two contradict each other: the balance row knows what was posted."""
        for venue, counter in self.disputed:
            shift: dict[Key, int] = defaultdict(int)
            shift[(venue.account, venue.asset)] += venue.amount
            shift[(counter.account, counter.asset)] += counter.amount
            is_venue = any(off and self.off[key] == off for key, off in shift.items())
            wrong, other = (venue, counter) if is_venue else (counter, venue)
            yield (
                f"{wrong.name} says {_said(wrong)}; its other leg, posting {other.id}, says {_said(other)}"
                f"{'' if is_venue else ', and the balance agrees with that one'}"
            )
        misplaced = [posting for posting in self.alone if not posting.is_in_its_time]
        for posting in misplaced or self.alone:
            yield f"{posting.name} stands alone: the other leg of its entry is not there, and {_said(posting)} balances nothing"

    def _count(self, legs: Sequence[Posting]) -> None:
        for posting in legs:
            if posting.book == "venue":
                self.totals[(posting.account, posting.asset)] += posting.amount

    def _on_its_own(self, legs: list[Posting]) -> Iterator[str]:
        """Yield what is wrong with an entry that no trade or transfer stands behind: two legs, mirrors of each other."""
        homeless = [posting for posting in legs if posting.fill or posting.cause in {"fill", "transfer"}]
        for posting in homeless:
            origin = f"fill {posting.fill}" if posting.fill else f"a {posting.cause}"
            yield f"{posting.name} says it belongs to {origin}, whose entry this is not"
        legs = [posting for posting in legs if posting not in homeless]
        if not legs:
            return
        for posting in legs[2:]:
            yield f"{posting.name} is one too many: an {legs[0].cause} has two legs"
        if len(legs) == 1:
            if len(self.alone) < SHOWN_MAX:
                self.alone.append(legs[0])
            return
        yield from self._mirrored(*legs[:2])

    def _mirrored(self, venue: Posting, counter: Posting) -> Iterator[str]:
        legs = (venue, counter)
        said = [leg.reference.rpartition(" against ")[2] for leg in legs]
        named = [book if book in AGAINST else "adjustments" for book in said]  # where they disagree, the book decides
        books = {**COUNTER_BOOKS, "adjustment": counter.book if counter.book in named else named[0]}
        causes = [venue.cause, counter.cause, next((c for c, b in books.items() if b == counter.book), "")]
        cause = max(causes, key=causes.count)
        wrong = set()
        for number, posting in enumerate(legs):
            expected = "venue" if number == 0 else books.get(cause)
            problems = []
            if posting.leg != number:
                problems.append(f"its number should be {number}")
            if posting.book != expected:
                problems.append(f"it is posted to {posting.book}, which should be {expected}")
            if posting.cause != cause or cause not in COUNTER_BOOKS:
                problems.append(f"its cause is {posting.cause!r}, which should be {cause!r}")
            if cause == "opening" and posting.asset != posting.reference:
                problems.append(f"it is an opening of {posting.reference}, posted in {posting.asset}")
            if problems:
                wrong.add(posting.id)
                yield f"{posting.name}: {'; '.join(problems)}"
        differs = (venue.account, venue.asset, venue.amount, venue.reference) != (
            counter.account, counter.asset, -counter.amount, counter.reference,
        )  # fmt: skip
        if differs and not wrong and len(self.disputed) < SHOWN_MAX:
            self.disputed.append((venue, counter))


def _postings() -> Iterator[Posting]:
    for row in rows(POSTINGS):
        yield Posting._make((*row[:6], scaled(row[6]), *row[7:]))


def _fills() -> Iterator[Fact]:
    for fill, account, trade, symbol, side, quantity, quote_quantity, fee, fee_asset, realised_pnl in rows(FILLS):
        base, quote, settled = parts_of(symbol)
        sign = 1 if side == "buy" else -1
        legs: list[Leg] = []
        if settled:
            moved = [(settled, scaled(realised_pnl))] if realised_pnl else []
        else:
            moved = [(base, sign * scaled(quantity)), (quote, -sign * scaled(quote_quantity))]
        for asset, amount in moved:
            legs += [(asset, "venue", amount), (asset, "trading", -amount)]
        if fee:
            legs += [(fee_asset, "venue", -scaled(fee)), (fee_asset, "fees", scaled(fee))]
        yield Fact(fill, "fill", account, trade, legs)


def _transfers() -> Iterator[Fact]:
    for transfer, account, reference, kind, asset, amount, fee in rows(TRANSFERS):
        book, moved = TRANSFER_BOOKS.get(kind, "transfers"), scaled(amount)
        charged = -moved if book == "fees" else scaled(fee)
        legs = [(asset, "venue", moved), (asset, book, -moved - charged), (asset, "fees", charged)]
        yield Fact(
            transfer, "transfer", account, reference, [leg for number, leg in enumerate(legs) if not number or leg[2]]
        )


def _beside(fact: Fact, legs: Sequence[Posting]) -> Iterator[str]:
    """Yield what is wrong with the postings of an entry that follows from a trade or transfer, leg by leg."""
    stored = {posting.leg: posting for posting in legs}
    fill = fact.id if fact.what == "fill" else None
    for number, leg in enumerate(fact.legs):
        posting = stored.pop(number, None)
        if posting is None:
            yield from _elsewhere(fact, number)
            continue
        expected = (fact.account, *leg, fact.what, fill, fact.reference)
        told = (posting.account, posting.asset, posting.book, posting.amount)
        if (*told, posting.cause, posting.fill, posting.reference) != expected:
            asset, book, amount = leg
            yield (
                f"{posting.name} says {_said(posting)} because of {posting.cause} {posting.fill or posting.reference}; "
                f"the {fact.what} says {fact.account} {book} {written(amount)} {asset}, reference {fact.reference}"
            )
    for posting in stored.values():
        yield f"{posting.name} is one too many: the {fact.what} has {len(fact.legs)} legs"


def _at_odds(legs: Sequence[Posting]) -> Iterator[str]:
    """Yield the legs whose memo or time is not that of their entry: all of its legs are posted at once, with one memo."""
    for field, says in (("memo", "has the memo"), ("posted_at", "says that it was posted at")):
        if len({getattr(posting, field) for posting in legs}) == 1:
            continue
        told = Counter(getattr(posting, field) for posting in legs).most_common(2)
        odd = [posting for posting in legs if getattr(posting, field) != told[0][0]]
        if told[0][1] == told[1][1]:  # no majority: an entry's own id tells its time
            odd = [posting for posting in legs if field == "posted_at" and not posting.is_in_its_time] or list(legs)
        for posting in odd:
            yield f"{posting.name} {says} '{str(getattr(posting, field))[:80]}', which another leg of its entry does not"


def _without_postings(fact: Fact) -> Iterator[str]:
    for number in range(len(fact.legs)):
        yield from _elsewhere(fact, number)


def _elsewhere(fact: Fact, number: int) -> Iterator[str]:
    yield f"{fact.what} {fact.id} of account {fact.account}: leg {number} of its entry is missing: {_leg(fact.legs[number])}"


def _leg(leg: Leg) -> str:
    asset, book, amount = leg
    return f"{book} {written(amount)} {asset}"


def _said(posting: Posting) -> str:
    return f"{posting.account} {posting.book} {written(posting.amount)} {posting.asset}"


def parts_of(symbol: str) -> tuple[str, str, str]:
    """Take a symbol apart: base, quote, and the asset that settles a contract (blank for spot)."""
    pair, _, settled = symbol.partition(":")
    base, _, quote = pair.partition("/")
    return base, quote, settled.partition("-")[0]


def positions() -> Iterator[str]:
    """Yield the positions that are not what their fills fold to."""
    folded: dict[Key, Holding] = {}
    for fill, account, symbol, side, quantity, price, realised_pnl, sequence, is_again in rows(BOOKED):
        if sequence is None:
            yield f"fill {fill} of account {account} has no event that books it"
        if is_again:
            yield f"fill {fill} of account {account} is booked twice, again by event {sequence}"
            continue
        signed = scaled(quantity) if side == "buy" else -scaled(quantity)
        key = (account, symbol)
        folded[key] = after(folded.get(key, Holding()), symbol, signed, scaled(price), scaled(realised_pnl))
    stored = rows("SELECT account_id, symbol, quantity, entry_price, realised_pnl FROM orders_position")
    for account, symbol, quantity, entry_price, realised_pnl in stored:
        row = Holding(scaled(quantity), None if entry_price is None else scaled(entry_price), scaled(realised_pnl))
        ours = folded.pop((account, symbol), Holding())
        if row != ours:
            yield f"position {account} {symbol}: its fills fold to {_held(ours)}; the row says {_held(row)}"
    yield from (
        f"position {account} {symbol} has no row; its fills fold to {_held(h)}"
        for (account, symbol), h in folded.items()
    )


def after(holding: Holding, symbol: str, signed: int, price: int, realised: int) -> Holding:
    """Return the position after one more trade: what it adds is averaged in, what it closes is realised.

    A contract realises what the venue says; an inverse one is averaged over what it is worth in its base asset.
    """
    base, _, settled = parts_of(symbol)
    quantity, entry, profit = holding
    rest = quantity + signed
    if entry is None or quantity * signed >= 0:
        profit += realised if settled else 0
        if entry is None or quantity == 0:
            return Holding(rest, price if rest else None, profit)
        if settled and settled == base:
            return Holding(rest, nearest(rest * entry * price, quantity * price + signed * entry), profit)
        return Holding(rest, nearest(quantity * entry + signed * price, rest), profit)
    if settled:
        profit += realised
    else:
        closed = -signed if abs(signed) <= abs(quantity) else quantity
        profit = nearest(profit * UNIT + closed * (price - entry), UNIT)
    if rest == 0:
        return Holding(0, None, profit)
    return Holding(rest, price if rest * quantity < 0 else entry, profit)


def _held(holding: Holding) -> str:
    at = "no entry" if holding.entry_price is None else f"at {written(holding.entry_price)}"
    return f"{written(holding.quantity)} {at}, realised {written(holding.realised_pnl)}"


class Command(BaseCommand):
    help = (
        "Exit 0 when every posting follows from a fact and every balance and position from those, 1 with what does not."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        with moment.one_moment():
            self._prove()

    def _prove(self) -> None:
        found = list(itertools.islice(differences(), SHOWN_MAX))
        for difference in sorted(found, key=lambda line: not line.startswith("posting ")):
            self.stdout.write(difference)
        if found:
            sys.exit(1)
        count = next(rows("SELECT count(*), count(*) FILTER (WHERE leg = 0) FROM orders_posting"))
        self.stdout.write(f"whole: {count[0]} postings in {count[1]} entries balance")

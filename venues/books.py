"""A venue's public book, kept by its own numbers: either it is the venue's book, or it says why it is stale. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from venues.checksums import CHECKSUMS, Places
from venues.facts.shapes import BookRule

Level = tuple[Decimal, Decimal]
GATHERED_MAX = 5_000
NUMBERS_KEPT = 1_024
SHALLOW_SHARE = 4


class BookReason(StrEnum):
    """Why a book may not be traded on. The set is closed; what each means stands in BOOK_MEANINGS."""

    STARTING = "BOOK_STARTING"
    DISCONNECTED = "BOOK_DISCONNECTED"
    SILENT = "BOOK_SILENT"
    GAP = "BOOK_GAP"
    CHECKSUM = "BOOK_CHECKSUM"
    CROSSED = "BOOK_CROSSED"
    UNREADABLE = "BOOK_UNREADABLE"
    OVERFLOW = "BOOK_OVERFLOW"
    QUIET = "BOOK_QUIET"


BOOK_MEANINGS: dict[str, str] = {
    BookReason.STARTING: "no snapshot yet",
    BookReason.DISCONNECTED: "the connection was lost; a new one brings a new snapshot",
    BookReason.SILENT: "no sign of life for longer than the freshness limit",
    BookReason.GAP: "a change does not follow on the one before it: something was lost",
    BookReason.CHECKSUM: "the venue's checksum is not that of our book",
    BookReason.CROSSED: "the best bid is not below the best ask, which no book of a venue is",
    BookReason.UNREADABLE: "a frame could not be read, so nobody knows what it changed",
    BookReason.OVERFLOW: "too many changes came before a snapshot did",
    BookReason.QUIET: "nothing has changed for so long that the book is asked for again",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What a venue says about a book: the whole of it, or levels with their new quantities, zero for none.

    first, last, previous: the numbers of its scheme as far as it has them; see facts.shapes.BookRule.
    """

    bids: Sequence[Level]
    asks: Sequence[Level]
    is_snapshot: bool = False
    first: int | None = None
    last: int | None = None
    previous: int | None = None
    checksum: int | None = None


class Side:
    """Price levels of one side, sorted: an update costs a search of O(log n) and a move within the levels kept."""

    __slots__ = ("_is_bid", "horizon", "prices", "quantities")

    def __init__(self, is_bid: bool) -> None:
        self._is_bid = is_bid
        self.prices: list[Decimal] = []  # ascending
        self.quantities: dict[Decimal, Decimal] = {}
        self.horizon: Decimal | None = None  # the worst price up to which everything is known; None: all of it

    def best(self) -> Decimal | None:
        """Return the best price."""
        if not self.prices:
            return None
        return self.prices[-1] if self._is_bid else self.prices[0]

    def levels(self, count: int) -> list[Level]:
        """Return the best levels, best first."""
        prices = self.prices[: -count - 1 : -1] if self._is_bid else self.prices[:count]
        return [(price, self.quantities[price]) for price in prices]

    def put(self, price: Decimal, quantity: Decimal) -> None:
        """Set the quantity at a price; beyond the horizon nothing is kept, since what lies between is unknown."""
        if self.horizon is not None and (price < self.horizon if self._is_bid else price > self.horizon):
            return
        quantities = self.quantities
        if quantity:
            if price not in quantities:
                self.prices.insert(bisect_left(self.prices, price), price)
            quantities[price] = quantity
        elif quantities.pop(price, None) is not None:
            del self.prices[bisect_left(self.prices, price)]

    def trim(self, levels_max: int, has_horizon: bool) -> None:
        """Forget the worst levels above a number of levels, and remember up to where all is known."""
        surplus = len(self.prices) - levels_max
        if surplus <= 0:
            return
        gone = self.prices[:surplus] if self._is_bid else self.prices[levels_max:]
        if self._is_bid:
            del self.prices[:surplus]
        else:
            del self.prices[levels_max:]
        for price in gone:
            del self.quantities[price]
        if has_horizon:
            self.horizon = self.prices[0] if self._is_bid else self.prices[-1]

    def replace(self, levels: Iterable[Level], levels_max: int, has_horizon: bool) -> None:
        """Take a snapshot's levels; one as long as what is kept says nothing about what lies beyond."""
        self.quantities = {price: quantity for price, quantity in levels if quantity}
        self.prices = sorted(self.quantities)
        self.horizon = None
        self.trim(levels_max, has_horizon)
        if has_horizon and len(self.prices) == levels_max:
            self.horizon = self.prices[0] if self._is_bid else self.prices[-1]


@dataclass(kw_only=True)
class Counts:
    """What has happened to a book since its feed was started."""

    updates: int = 0
    repeats: int = 0
    snapshots: int = 0
    gaps: int = 0
    checksum_failures: int = 0
    crossings: int = 0
    unreadable: int = 0


@dataclass(frozen=True, kw_only=True)
class BookStats:
    """One book as it stands; the fields of venues.models.BookHealth."""

    symbol: str
    is_fresh: bool
    reason: str
    best_bid: Decimal | None
    best_ask: Decimal | None
    levels: int
    changed_at: datetime | None
    updates: int
    repeats: int
    snapshots: int
    gaps: int
    checksum_failures: int
    crossings: int
    unreadable: int
    reconnects: int


@dataclass(kw_only=True)
class Book:
    """One book by its venue's scheme. Times are monotonic seconds, brought by the caller.

    reason: why it is not the venue's book; None while it is. Whether it may be traded on is is_fresh().
    places: decimals of price and quantity, for checksums over padded numbers.
    """

    rule: BookRule
    places: Places | None = None
    bids: Side = field(default_factory=lambda: Side(is_bid=True))
    asks: Side = field(default_factory=lambda: Side(is_bid=False))
    reason: BookReason | None = BookReason.STARTING
    number: int | None = None
    changed_at: float = 0.0
    alive_at: float = 0.0
    counts: Counts = field(default_factory=Counts)

    def __post_init__(self) -> None:
        self._gathered: list[Change] = []
        self._numbers: deque[int] = deque(maxlen=NUMBERS_KEPT)
        self._known: set[int] = set()
        self._is_anchored = False

    # --- what a reader asks ---

    def why_stale(self, now: float) -> BookReason | None:
        """Return why the book may not be traded on; None when it may."""
        if self.reason is None and now - self.alive_at > self.rule.fresh_seconds:
            return BookReason.SILENT
        return self.reason

    def is_fresh(self, now: float) -> bool:
        """Say whether the book is the venue's and no older than the freshness limit."""
        return self.why_stale(now) is None

    def middle(self) -> Decimal | None:
        """Return the middle of the best bid and ask; None for an empty side."""
        bid, ask = self.bids.best(), self.asks.best()
        return None if bid is None or ask is None else (bid + ask) / 2

    @property
    def needs_snapshot(self) -> bool:
        """Whether a snapshot is to be fetched: the book is not whole, or few of the levels it knows are left."""
        return self.reason is not None or self.is_shallow

    @property
    def is_shallow(self) -> bool:
        """Whether so many levels were consumed that too few are left within the horizon."""
        least = self.rule.levels_max // SHALLOW_SHARE
        return any(side.horizon is not None and len(side.prices) < least for side in (self.bids, self.asks))

    # --- what a feed tells ---

    def alive(self, now: float) -> None:
        """Note a sign of life that proves a quiet book."""
        self.alive_at = now

    def spoil(self, reason: BookReason) -> None:
        """Call the book stale until the next snapshot; what is gathered for that stays unless the reason spoils it too."""
        if reason in (BookReason.DISCONNECTED, BookReason.UNREADABLE, BookReason.OVERFLOW):
            self._gathered.clear()
        self.reason = reason
        if reason == BookReason.UNREADABLE:
            self.counts.unreadable += 1

    def take(self, change: Change, now: float) -> None:
        """Apply a snapshot or a change, gather it for the snapshot to come, or call the book stale."""
        if change.is_snapshot:
            self._take_snapshot(change, now)
            return
        is_gathered = self.needs_snapshot and self._gather(change)
        if self._gathered and not is_gathered:
            self._gathered.clear()  # no snapshot is needed any more
        if self.reason is not None:
            return  # of a stream: before its snapshot, or after what spoilt the book, a change means nothing
        self._follow(change, now)
        if self.reason is not None and not is_gathered:
            self._gather(change)

    def _gather(self, change: Change) -> bool:
        if self.rule.snapshot != "rest":
            return False
        if len(self._gathered) >= GATHERED_MAX:
            self._gathered.clear()
            if self.reason is not None:
                self.spoil(BookReason.OVERFLOW)
        self._gathered.append(change)
        return True

    def _take_snapshot(self, change: Change, now: float) -> None:
        if self.reason is None and not self._reaches(change):
            return  # it was asked for because the book is shallow, and what we have is newer
        has_horizon = not self.rule.is_window
        self.bids.replace(change.bids, self.rule.levels_max, has_horizon)
        self.asks.replace(change.asks, self.rule.levels_max, has_horizon)
        self.reason, self.number, self._is_anchored = None, change.last, False
        self._numbers.clear()
        self._known.clear()
        self.counts.snapshots += 1
        self.changed_at = self.alive_at = now
        self._verify(change)
        gathered, self._gathered = self._gathered, []
        for position, waiting in enumerate(gathered):
            if self.reason is None:
                self._follow(waiting, now)
            if self.reason is not None:
                self._gathered = gathered[position:]  # the next snapshot may fit what this one does not
                return

    def _reaches(self, snapshot: Change) -> bool:
        """Say whether a snapshot leads up to where the book is, by itself or with what was gathered."""
        last, number = snapshot.last, self.number
        if self.rule.snapshot == "stream" or last is None or number is None or last >= number:
            return True
        first = self._gathered[0] if self._gathered else None
        return first is not None and min(first.first or first.last or 0, first.last or 0) <= last + 1

    def _follow(self, change: Change, now: float) -> None:
        link = self._link(change)
        if link == "old":
            self.counts.repeats += 1
            return
        if link == "gap":
            self.counts.gaps += 1
            self.spoil(BookReason.GAP)
            return
        for price, quantity in change.bids:
            self.bids.put(price, quantity)
        for price, quantity in change.asks:
            self.asks.put(price, quantity)
        self.bids.trim(self.rule.levels_max, not self.rule.is_window)
        self.asks.trim(self.rule.levels_max, not self.rule.is_window)
        self._remember(change)
        self.alive_at = now
        if change.bids or change.asks:
            self.counts.updates += 1
            self.changed_at = now
        self._verify(change)

    def _link(self, change: Change) -> str:
        """Say whether a change is the `next` one, an `old` one that is in the book already, or leaves a `gap`."""
        rule, number, last = self.rule.linked_by, self.number, change.last
        if rule == "checksum":
            return "next"
        if number is None or last is None:
            return "gap"
        if rule == "previous" and change.previous == number:
            return "next"  # also when the venue begins to count anew
        if last in self._known:
            return "old"
        if rule == "step":
            return "next" if last == number + 1 else "gap"
        if not self._is_anchored and last < number + (rule == "span"):
            return "old"  # from before the snapshot
        first = change.first
        if first is None or (rule == "previous" and self._is_anchored):
            return "gap"
        reached = number + 1 if rule == "span" else number
        return "next" if first <= reached <= last else "gap"

    def _remember(self, change: Change) -> None:
        self._is_anchored = True
        if change.last is None:
            return
        if len(self._numbers) == NUMBERS_KEPT:
            self._known.discard(self._numbers[0])
        self._numbers.append(change.last)
        self._known.add(change.last)
        self.number = change.last

    def _verify(self, change: Change) -> None:
        if change.checksum is not None and self.rule.checksum:
            ours = CHECKSUMS[self.rule.checksum](self.bids.levels, self.asks.levels, self.places)
            if ours != change.checksum:
                self.counts.checksum_failures += 1
                self.spoil(BookReason.CHECKSUM)
                return
        bid, ask = self.bids.best(), self.asks.best()
        if bid is not None and ask is not None and bid >= ask:
            self.counts.crossings += 1
            self.spoil(BookReason.CROSSED)

"""A true book that moves, told the way each venue tells its own: what tests compare our book with."""

from __future__ import annotations

import random
from dataclasses import dataclass
from decimal import Decimal

from venues.books import Book, Change, Level
from venues.checksums import CHECKSUMS
from venues.facts.shapes import BookRule

Levels = dict[Decimal, Decimal]
PLACES = (1, 3)
MIDDLE = 1_000


@dataclass(frozen=True)
class Moment:
    """The whole book after one change, and its number."""

    number: int
    bids: Levels
    asks: Levels

    def best(self, side: str, count: int) -> list[Level]:
        """Return the best levels of a side, best first."""
        levels = self.bids if side == "bids" else self.asks
        return sorted(levels.items(), reverse=side == "bids")[:count]


@dataclass(frozen=True)
class Tape:
    """A book from its beginning on, and the changes between its moments."""

    rule: BookRule
    moments: list[Moment]
    changes: list[Change]

    def snapshot(self, position: int) -> Change:
        """Return the book at a moment as a snapshot tells it, no deeper than is kept."""
        moment, most = self.moments[position], self.rule.levels_max
        return Change(
            bids=moment.best("bids", most), asks=moment.best("asks", most), is_snapshot=True,
            last=None if self.rule.linked_by == "checksum" else moment.number, checksum=checksum(self.rule, moment),
        )  # fmt: skip

    def agrees(self, book: Book) -> bool:
        """Say whether a book is the true one as of its own number, or as of some moment where there are no numbers."""
        if self.rule.linked_by == "checksum":
            return any(self._is_at(book, moment) for moment in self.moments)
        return any(moment.number == book.number and self._is_at(book, moment) for moment in self.moments)

    def _is_at(self, book: Book, moment: Moment) -> bool:
        most = self.rule.levels_max
        for name, side in (("bids", book.bids), ("asks", book.asks)):
            true, horizon = moment.best(name, most if self.rule.is_window else 10_000), side.horizon
            if horizon is not None:
                true = [level for level in true if (level[0] >= horizon if name == "bids" else level[0] <= horizon)]
            if side.levels(10_000) != true[: len(true) if horizon is not None else None]:
                return False
        return True


def checksum(rule: BookRule, moment: Moment) -> int | None:
    """Return the venue's checksum of a moment, None where it sends none."""
    if not rule.checksum:
        return None
    return CHECKSUMS[rule.checksum](lambda n: moment.best("bids", n), lambda n: moment.best("asks", n), PLACES)


def tape(rule: BookRule, seed: int, length: int, levels: int = 12) -> Tape:
    """Let a book move so many times; the spread wanders, levels come, change and go."""
    chance = random.Random(seed)
    moments = [Moment(100, _side(chance, MIDDLE, -1, levels), _side(chance, MIDDLE, 1, levels))]
    changes: list[Change] = []
    for _ in range(length):
        before = moments[-1]
        bids, asks = dict(before.bids), dict(before.asks)
        for _ in range(chance.randint(1, 4)):
            _move(chance, bids, asks, levels)
        step = 1 if rule.linked_by in ("step", "checksum") else chance.randint(1, 9)
        after = Moment(before.number + step, bids, asks)
        moments.append(after)
        changes.append(_told(rule, before, after))
    return Tape(rule, moments, changes)


def _told(rule: BookRule, before: Moment, after: Moment) -> Change:
    most = rule.levels_max if rule.is_window else 10_000
    sides: dict[str, list[Level]] = {}
    for name in ("bids", "asks"):
        old, new = dict(before.best(name, most)), dict(after.best(name, most))
        whole = after.bids if name == "bids" else after.asks
        gone = [price for price in old if price not in new]
        if rule.linked_by == "checksum":  # Kraken says nothing of a level that only fell out of the window
            gone = [price for price in gone if price not in whole]
        changed = [(price, quantity) for price, quantity in new.items() if old.get(price) != quantity]
        sides[name] = [(price, Decimal(0)) for price in gone] + changed
    numbers = rule.linked_by != "checksum"
    return Change(
        bids=sides["bids"], asks=sides["asks"], checksum=checksum(rule, after), last=after.number if numbers else None,
        first=before.number + 1 if rule.linked_by == "span" else None,
        previous=before.number if rule.linked_by == "previous" else None,
    )  # fmt: skip


def _side(chance: random.Random, middle: int, sign: int, levels: int) -> Levels:
    return {_price(middle + sign * distance): _quantity(chance) for distance in range(1, levels + 1)}


def _move(chance: random.Random, bids: Levels, asks: Levels, levels: int) -> None:
    side, sign = (bids, -1) if chance.random() < 0.5 else (asks, 1)
    limit = max(bids, default=_price(MIDDLE - 1)) if sign > 0 else min(asks, default=_price(MIDDLE + 1))
    kind = chance.random()
    if side and kind < 0.35 and len(side) > 2:
        del side[chance.choice(sorted(side))]
    elif side and kind < 0.65:
        side[chance.choice(sorted(side))] = _quantity(chance)
    elif len(side) < 2 * levels:
        side[limit + sign * Decimal(chance.randint(1, 3 * levels)) / 10] = _quantity(chance)


def _price(tenths: int) -> Decimal:
    return Decimal(tenths) / 10


def _quantity(chance: random.Random) -> Decimal:
    return Decimal(chance.randint(1, 5_000)) / 1000

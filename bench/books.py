"""How many level changes a second a public book takes, beside a plain dictionary and beside ccxt's book side."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import partial

from ccxt.async_support.base.ws.order_book_side import Asks, Bids

from venues.books import Book, Change, Level
from venues.facts.streaming import BOOKS

LEVELS, UPDATES, LEVELS_PER_UPDATE = 1_000, 20_000, 8
ROUNDS = 3
Work = Callable[[list[Change]], None]


def run() -> str:
    """Return one line: our changes a second and the ratios, the best of interleaved rounds."""
    changes = _changes()
    ccxt = partial(_ccxt, _floats(changes))
    works: dict[str, Work] = {"ours": _ours, "kraken": _with_checksum, "dictionary": _dictionary, "ccxt": ccxt}
    best = dict.fromkeys(works, float("inf"))
    for _ in range(ROUNDS):
        for name, work in works.items():
            began = time.process_time()
            work(changes)
            best[name] = min(best[name], time.process_time() - began)
    rate = {name: len(changes) * LEVELS_PER_UPDATE / seconds for name, seconds in best.items()}
    return (f"public book of {LEVELS:,} levels a side, {LEVELS_PER_UPDATE} levels an update: {rate['ours']:,.0f} levels/s "
            f"({rate['ours'] / LEVELS_PER_UPDATE:,.0f} updates/s), ×{rate['ours'] / rate['ccxt']:.2f} of ccxt's book side on "
            f"floats, ×{rate['ours'] / rate['dictionary']:.2f} of two plain dictionaries; ten levels with Kraken's checksum "
            f"at every update: {rate['kraken'] / LEVELS_PER_UPDATE:,.0f} updates/s")  # fmt: skip


def _changes() -> list[Change]:
    chance = random.Random(1)

    def level(sign: int) -> Level:
        distance = min(int(chance.expovariate(1 / 40)) + 1, LEVELS)
        quantity = Decimal(0) if chance.random() < 0.3 else Decimal(chance.randint(1, 99_999)) / 1000
        return Decimal(200_000 + sign * distance) / 10, quantity

    half = LEVELS_PER_UPDATE // 2
    return [
        Change(bids=[level(-1) for _ in range(half)], asks=[level(1) for _ in range(half)], first=number, last=number)
        for number in range(2, UPDATES + 2)
    ]


def _snapshot(levels: int) -> Change:
    bids, asks = ([(Decimal(200_000 + sign * n) / 10, Decimal(1)) for n in range(1, levels + 1)] for sign in (-1, 1))
    return Change(bids=bids, asks=asks, is_snapshot=True, last=1)


def _ours(changes: list[Change]) -> None:
    book = Book(rule=replace(BOOKS["binance"], levels_max=2 * LEVELS))
    book.take(_snapshot(LEVELS), 0.0)
    for change in changes:
        book.take(change, 0.0)
    if book.counts.updates != len(changes):
        raise RuntimeError("a change was not taken")


def _with_checksum(changes: list[Change]) -> None:
    book = Book(rule=BOOKS["kraken"], places=(1, 3))
    book.take(_snapshot(10), 0.0)
    for (
        change
    ) in changes:  # the checksum is computed and never fits: a new snapshot each time would measure that instead
        book.reason = None
        book.take(replace(change, checksum=-1), 0.0)


def _dictionary(changes: list[Change]) -> None:
    sides: tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]] = ({}, {})
    for change in (_snapshot(LEVELS), *changes):
        for side, levels in zip(sides, (change.bids, change.asks), strict=True):
            for price, quantity in levels:
                if quantity:
                    side[price] = quantity
                else:
                    side.pop(price, None)


def _floats(changes: list[Change]) -> list[list[list[tuple[float, float]]]]:
    return [
        [[(float(price), float(quantity)) for price, quantity in levels] for levels in (change.bids, change.asks)]
        for change in (_snapshot(LEVELS), *changes)
    ]


def _ccxt(told: list[list[list[tuple[float, float]]]], _: list[Change]) -> None:
    bids, asks = Bids(), Asks()
    for pair in told:
        for side, levels in zip((bids, asks), pair, strict=True):
            for price, quantity in levels:
                side.store(price, quantity)

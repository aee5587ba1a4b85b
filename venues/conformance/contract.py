"""The contract: every case in turn against one venue, each on its own, and what came of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from project.lib import clock
from venues.conformance import doubting, ordering, reading, streaming, trading, waiting
from venues.conformance.bench import Bench, Refuted, Skipped
from venues.conformance.cases import REGISTERED, Case
from venues.conformance.losing import LosingWire
from venues.credentials import Secret
from venues.gateway import Gateway, SharedMarkets
from venues.messages import MarketSpec
from venues.targets import VenueTarget

PARTS = (reading, ordering, waiting, trading, doubting, streaming)
CASES = [case for part in PARTS for case in REGISTERED if case.run.__module__ == part.__name__]
Verdict = Literal["proved", "refuted", "skipped"]


class Unusable(Exception):
    """The venue cannot be examined at all; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Conclusion:
    """What one case came to."""

    case: Case
    verdict: Verdict
    detail: str
    seconds: float


class Examination:
    """Runs the cases against one account of one venue, each through a gateway of its own: a breaker opened by one
    case's doubt must not decide the next."""

    def __init__(self, target: VenueTarget, secret: Secret, *, symbol: str = "", nonce_floor: int = 0) -> None:
        self._target, self._secret, self._symbol = target, secret, symbol
        self._shared = SharedMarkets()
        self.nonce_floor = nonce_floor

    async def run(self, *, only: str = "", orders: bool = True, spend: bool = True) -> AsyncIterator[Conclusion]:
        """Run the cases whose name holds `only`, one after another, cleaning up after each.

        Raises Unusable when there is no connection, instrument or price.
        """
        for case in CASES:
            if only in case.name:
                async with self._opened() as bench:
                    yield await _conclude(bench, case, orders=orders, spend=spend)

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Bench]:
        gateway = Gateway("conformance", self._target, self._secret, shared=self._shared, nonce_floor=self.nonce_floor)
        code = self._target.code
        try:
            await gateway.open()
            wire = gateway.through(LosingWire)
            spec = _instrument(await gateway.markets(), self._symbol)
            price = (await gateway.last_prices([spec.symbol])).get(spec.symbol, Decimal(0))
            if price <= 0:
                raise Unusable(f"{code} names no price of {spec.symbol}: choose another with --symbol")
            yield Bench(gateway=gateway, wire=wire, spec=spec, price=price)
        except ConnectionError as problem:
            raise Unusable(f"{code} cannot be reached: {problem}") from None
        finally:
            self.nonce_floor = gateway.nonce_floor()
            await gateway.close()


async def _conclude(bench: Bench, case: Case, *, orders: bool, spend: bool) -> Conclusion:
    began = clock.monotonic_seconds()
    verdict: Verdict
    try:
        if case.spends and not spend:
            raise Skipped("it would trade, which costs a fee: allow it with --spend")
        if case.places_orders and not orders:
            raise Skipped("it would place orders")
        verdict, detail = "proved", await case.run(bench)
    except Skipped as skipped:
        verdict, detail = "skipped", str(skipped)
    except Refuted as refuted:
        verdict, detail = "refuted", str(refuted)
    except Exception as problem:  # its text may quote a signed URL
        verdict, detail = "refuted", f"the case failed with {type(problem).__name__}"
    left = await _left(bench) if case.places_orders and verdict != "skipped" else ""
    if left:
        verdict, detail = "refuted", f"{detail}; {left}"
    return Conclusion(case=case, verdict=verdict, detail=detail, seconds=clock.monotonic_seconds() - began)


async def _left(bench: Bench) -> str:
    try:
        standing = await bench.clean()
    except Exception as problem:
        return f"cleaning up failed ({type(problem).__name__}): look for open orders"
    return f"{standing} orders of the case still stand" if standing else ""


def _instrument(specs: list[MarketSpec], symbol: str) -> MarketSpec:
    usable = [spec for spec in specs if spec.is_active and spec.price_step > 0 and spec.quantity_step > 0]
    for wanted in (symbol,) if symbol else ("BTC/USDT", "BTC/USD", "BTC/USDC", "BTC/USD:BTC", "BTC/EUR"):
        found = next((spec for spec in usable if spec.symbol == wanted), None)
        if found is not None:
            return found
    if symbol or not usable:
        raise Unusable(f"there is no active instrument {symbol or 'with exact steps'}: choose another with --symbol")
    return usable[0]

"""An account at a world of the paper venue that trades honestly, its owner and its comparisons; time is moved, never waited for."""

from __future__ import annotations

import contextlib
import random
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import F

from orders import sweeps
from orders.models import Attempt, Balance, Fill, Order, OrderEvent, Posting, Transfer
from orders.ports import Lease
from project.lib import clock
from reconciliation import anomalies, coverage, runs
from reconciliation.models import Break, Coverage
from tests.factories import AccountFactory, VenueFactory, unguarded
from tests.orders.test_writer import aside
from tests.regressions.rig import Rig
from tests.venues.paper.process import PaperVenue, WorldHandle
from venues.credentials import Secret
from venues.gateway import Gateway, SharedMarkets, VenueTarget
from venues.models import Account, Snapshot

D = Decimal
ROUND = timedelta(seconds=10)
TIMEOUT_SECONDS = 5.0
SPOT = {"BTC/USDT": (D(60000), D("0.01")), "ETH/USDT": (D(3000), D("0.1"))}
INVERSE = "BTC/USD:BTC"
_markets: dict[str, SharedMarkets] = {}


class Scene(Rig):
    """What a planted case needs: honest trading of many sorts, rounds of reading and comparing, and the breaks."""

    def __init__(self, venue: PaperVenue, world: WorldHandle, account: Any, chance: random.Random) -> None:
        super().__init__(venue, world, account)
        self.chance = chance

    def gateway(self, lease: Lease) -> Gateway:
        """Return a closed gateway on the world; instruments are read once for all worlds of an exchange."""
        target = VenueTarget(
            code=self.account.venue_id, exchange=self.world.exchange, rest_url=self.world.rest_url, ws_url=self.world.ws_url,
            may_trade=True,
        )  # fmt: skip
        secret = Secret(self.world.api_key, self.world.secret, self.world.passphrase)
        return Gateway(
            self.account.code, target, secret, timeout_seconds=TIMEOUT_SECONDS, nonce_floor=lease.nonce_floor,
            shared=_markets.setdefault(self.world.exchange, SharedMarkets()),
        )  # fmt: skip

    @property
    def symbols(self) -> list[str]:
        """The symbols that are traded here."""
        return [*SPOT, INVERSE] if self.world.exchange == "deribit" else list(SPOT)

    async def trade_honestly(self, times: int) -> None:
        """Do so many things an honest account does, one after the other: take, rest, be filled, be filled in part, cancel."""
        for _ in range(times):
            symbol, side = self.chance.choice(self.symbols), self.chance.choice(["buy", "sell"])
            if symbol == INVERSE:
                await self.submitted(
                    symbol=symbol, side=side, quantity=str(self.chance.randint(10, 90) * 10),
                    price="61000" if side == "buy" else "59000",
                )  # fmt: skip
                continue
            await self.chance.choice([self._take, self._rest, self._be_filled, self._cancel])(symbol, side)

    async def _take(self, symbol: str, side: str) -> None:
        price, quantity = SPOT[symbol]
        limit = price * (D("1.02") if side == "buy" else D("0.98"))
        await self.submitted(
            symbol=symbol, side=side, quantity=str(quantity * self.chance.randint(1, 9)), price=str(limit)
        )

    async def _rest(self, symbol: str, side: str) -> Order:
        price, quantity = SPOT[symbol]
        away = D("0.9") if side == "buy" else D("1.1")
        return await self.submitted(
            symbol=symbol, side=side, quantity=str(quantity * self.chance.randint(1, 9)), price=str(price * away)
        )

    async def _be_filled(self, symbol: str, side: str) -> None:
        order = await self._rest(symbol, side)
        share = self.chance.choice([1, 2])  # all of it, or half
        step = SPOT[symbol][1] / 10
        quantity = order.quantity / share // step * step
        self.venue.trade(self.world, symbol, "sell" if side == "buy" else "buy", str(quantity))

    async def _cancel(self, symbol: str, side: str) -> None:
        order = await self._rest(symbol, side)
        await self.cancel(order)

    async def round(self) -> list[tuple[str, str, str]]:
        """Read every surface as the owner does and compare as the worker does; return the unresolved breaks. Ten seconds pass."""
        known = self.service.gateway.capabilities
        reads = [sweeps.open_orders, sweeps.fills, sweeps.balances]
        if known.positions:
            reads.append(sweeps.positions)
        if known.transfers:
            reads.insert(2, sweeps.moved)
        for read in reads:
            await read(self.service, reason="schedule")
        found: list[tuple[str, str, str]] = await aside(self._compare)
        self._age_service()
        return found

    @property
    def lag_seconds(self) -> float:
        """How far the venue's reads may lag behind its matching: until then it is not judged."""
        return self.service.gateway.capabilities.read_lag_seconds

    def _age_service(self) -> None:
        if self.service.opened_at is not None:
            self.service.opened_at -= ROUND

    async def pass_time(self) -> None:
        """Let ten seconds pass for everything that is stored."""
        await aside(_age)
        self._age_service()
        await self.service.writer.run(lambda books: books.forget(self.account.code))

    async def settle(self) -> None:
        """Let what was traded be read and lie some time back, as it does on any account by the time of the next read."""
        await self.round()
        await self.pass_time()

    async def breaks(self) -> list[Break]:
        """Return every break there is, resolved ones too."""
        return await self.of(lambda: list(Break.objects.order_by("first_seen_at")))

    async def a_fill(self) -> Fill:
        """Return a trade of spot that is booked, any."""
        fills = await self.of(lambda: list(Fill.objects.exclude(symbol__contains=":").order_by("id")))
        return self.chance.choice(fills)

    def _compare(self) -> list[tuple[str, str, str]]:
        coverage.ensure()
        runs.advance()
        anomalies.open_breaks()
        _age()
        rows = Break.objects.exclude(status=Break.Status.RESOLVED).order_by("kind", "subject")
        return list(rows.values_list("kind", "subject", "status"))


@contextlib.asynccontextmanager
async def open_scene(
    paper: PaperVenue, exchange: str, name: str, chance: random.Random, **world: Any
) -> AsyncIterator[Scene]:
    """Make a still world and an account there, and take the account, for as long as the block lasts."""
    made = paper.create_world(exchange, name, seed=chance.randint(1, 10**6), **world)

    def make() -> Any:
        place = VenueFactory(
            exchange=made.exchange, rest_url=made.rest_url, ws_url=made.ws_url, markets_loaded_at=clock.now()
        )
        return AccountFactory(venue=place)

    scene = Scene(paper, made, await aside(make), chance)
    try:
        await scene.take()
        await aside(scene.account.refresh_from_db)
        yield scene
    finally:
        await scene.close()
        paper.remove_world(made)


def _age() -> None:
    with unguarded():  # what is only ever appended is moved back as well: it happened ten seconds earlier
        Snapshot.objects.update(requested_at=F("requested_at") - ROUND, taken_at=F("taken_at") - ROUND)
        Snapshot.objects.exclude(window_from=None).update(window_from=F("window_from") - ROUND)
        OrderEvent.objects.update(recorded_at=F("recorded_at") - ROUND, received_at=F("received_at") - ROUND)
        Fill.objects.update(executed_at=F("executed_at") - ROUND, recorded_at=F("recorded_at") - ROUND)
        Posting.objects.update(posted_at=F("posted_at") - ROUND)
        Order.objects.update(updated_at=F("updated_at") - ROUND, created_at=F("created_at") - ROUND)
        Account.objects.exclude(opened_at=None).update(opened_at=F("opened_at") - ROUND)
        Transfer.objects.update(occurred_at=F("occurred_at") - ROUND, recorded_at=F("recorded_at") - ROUND)
        Balance.objects.exclude(stream_at=None).update(stream_at=F("stream_at") - ROUND)
        Attempt.objects.update(sent_at=F("sent_at") - ROUND)
    for row in Break.objects.exclude(status=Break.Status.RESOLVED):
        for read in row.evidence.get("reads", []):
            for name in ("requested_at", "taken_at"):
                read[name] = (datetime.fromisoformat(read[name]) - ROUND).isoformat()
        row.save(update_fields=["evidence"])
    for told in Coverage.objects.exclude(summary={}):
        if text := told.summary.get("requested_at"):
            told.summary["requested_at"] = (datetime.fromisoformat(text) - ROUND).isoformat()
            told.save(update_fields=["summary"])

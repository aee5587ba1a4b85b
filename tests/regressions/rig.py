"""An account at a world of the paper venue and its owner, whose steps a test takes one by one, in the order that hurt."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.conf import settings
from django.db.models import F

from orders import cancellation, fold, intake, leases, recovery, resolver, submission, sweeps
from orders.models import Attempt, Order
from orders.owner import Owner
from orders.ports import Lease
from orders.service import Service, Timing
from orders.writer import Writer
from reconciliation import coverage, runs
from reconciliation.models import Break
from tests.factories import AccountFactory, VenueFactory
from tests.orders import scene
from tests.orders.test_writer import aside
from tests.venues.paper.process import PaperVenue, WorldHandle
from tests.venues.recorded import RecordedWire
from venues.adapters.transport import HttpRecord
from venues.credentials import Secret
from venues.gateway import Gateway, SharedMarkets, VenueTarget
from venues.models import Account, Snapshot

Result = TypeVar("Result")
SYMBOL = "BTC/USDT"
TIMEOUT_SECONDS = 0.7
TRIES = 400
PAUSE_SECONDS = 60.0
LATER = timedelta(seconds=10)


class Rig:
    """One account, its owner's service with a real gateway and writer, and the venue's own truth beside them."""

    def __init__(self, venue: PaperVenue, world: WorldHandle, account: Account) -> None:
        self.venue, self.world, self.account = venue, world, account
        self.service: Service
        self._stack = contextlib.AsyncExitStack()

    async def take(self, holder: str = "executor", **timing: float) -> Service:
        """Take the account as an owner does: lease, writer, gateway, markets, recovery."""
        [lease] = await aside(lambda: leases.acquire(holder, 60))
        writer = Writer()
        writer.start()
        self._stack.push_async_callback(stop, writer)
        self.service = Service(
            account=self.account.code, venue=self.account.venue_id, lease=lease, gateway=self.gateway(lease),
            writer=writer, timing=_timing(**timing),
        )  # fmt: skip
        await self.service.gateway.open()
        self._stack.push_async_callback(self.service.gateway.close)
        await recovery.load_markets(self.service)
        await recovery.recover(self.service)
        self.service.is_open = True
        return self.service

    async def take_again(self, holder: str = "another") -> Service:
        """Let the owner end without a word, and another one take the account: nothing is left but the rows."""
        floors = {self.account.code: self.service.gateway.nonce_floor()}
        await aside(lambda: leases.release("executor", floors))
        return await self.take(holder)

    def gateway(self, lease: Lease) -> Gateway:
        """Return a closed gateway on the world."""
        target = VenueTarget(
            code=self.account.venue_id, exchange=self.world.exchange, rest_url=self.world.rest_url, ws_url=self.world.ws_url,
            may_trade=True,
        )  # fmt: skip
        return Gateway(
            self.account.code, target, Secret(self.world.api_key, self.world.secret, self.world.passphrase),
            timeout_seconds=TIMEOUT_SECONDS,
            nonce_floor=lease.nonce_floor, shared=SharedMarkets(),
        )  # fmt: skip

    async def close(self) -> None:
        """Close what was opened, newest first."""
        await self._stack.aclose()

    # what a client and the owner do

    async def queued(self, **changes: Any) -> Order:
        """Return an order that came through intake, resting far from the market unless told otherwise."""
        plain = {"quantity": "0.1", "price": "50000"}
        return await aside(lambda: scene.queued(self.account, **{**plain, **changes}))

    async def submitted(self, **changes: Any) -> Order:
        """Return an order after its submit, whatever came of it."""
        order = await self.queued(**changes)
        await submission.submit(self.service, order.pk)
        return await self.fresh(order)

    async def cancel(self, order: Order, actor: str = "ada") -> bool:
        """Ask for a cancel and carry the wish one step; say whether it is settled."""
        intent = await aside(lambda: intake.request_cancellation(order, actor=actor))
        return await cancellation.cancel(self.service, intent.pk)

    async def resolve(self, times: int = 1) -> None:
        """Take every doubt a step further, so many times; each looks at the venue once more."""
        for _ in range(times):
            await resolver.resolve(self.service)

    async def resolve_until(self, order: Order, *statuses: str) -> Order:
        """Resolve until the order has one of the statuses. Raises AssertionError when it never gets there."""
        for _ in range(TRIES):
            order = await self.fresh(order)
            if order.status in statuses:
                return order
            self.end_pauses()  # a venue that stalled for seconds may have opened one: without it, every try is no try
            await self.resolve()
        raise AssertionError(f"the order stays {order.status}")

    async def offered(self) -> set[Any]:
        """Return what an open owner would take in hand of the rows that wait."""
        owner = Owner(self.service.lease, self.service.writer, self.service.timing, gateways=None)  # type: ignore[arg-type]
        owner.service = self.service
        waiting = await self.service.writer.run(lambda books: books.store.waiting([self.account.code]))
        taken: set[Any] = set()
        owner._take = lambda key, work: taken.add(key)  # type: ignore[method-assign]
        owner.offer(waiting.queued.get(self.account.code, ()), waiting.wishes.get(self.account.code, ()))
        return taken

    async def age(self, seconds: float) -> None:
        """Let everything that was sent have been sent so long ago."""
        delta = timedelta(seconds=seconds)

        def move() -> None:
            Attempt.objects.update(sent_at=F("sent_at") - delta, valid_until=F("valid_until") - delta)
            Order.objects.update(created_at=F("created_at") - delta, updated_at=F("updated_at") - delta)

        await aside(move)
        await self.service.writer.run(lambda books: books.forget(self.account.code))

    def end_pauses(self) -> None:
        """Let the time be over for which the gateway leaves a venue alone that failed too often in a row."""
        for breaker in self.service.gateway._breakers.values():
            if breaker._opened_at is not None:
                breaker._opened_at -= PAUSE_SECONDS

    # what is true

    async def fresh(self, order: Order) -> Order:
        """Return the order as it is stored now."""
        return await aside(lambda: Order.objects.get(pk=order.pk))

    async def of(self, function: Callable[[], Result]) -> Result:
        """Return what a function of the database says."""
        answer: Result = await aside(function)
        return answer

    async def assert_books_are_whole(self) -> None:
        """Fold every event and posting anew and compare with what is stored."""
        assert await aside(lambda: list(fold.differences())) == []

    def fault(self, fault: str, operation: str = "any", **extra: Any) -> str:
        """Let the venue misbehave."""
        return self.venue.add_fault(self.world, fault, operation, **extra)

    def fired(self, fault: str) -> int:
        """Return how often a kind of fault has happened."""
        return sum(row["fault"] == fault for row in self.venue.journal(self.world, "fault"))

    def placed(self) -> int:
        """Return how many orders the venue has ever accepted of us."""
        return len(self.venue.journal(self.world, "accepted"))

    async def compared(self, *surfaces: str) -> list[tuple[str, str, str]]:
        """Read surfaces as the owner does, compare as the worker does; return the breaks (kind, subject, status)."""
        reads = {"open_orders": sweeps.open_orders, "fills": sweeps.fills, "balances": sweeps.balances}
        for surface in surfaces:
            await reads[surface](self.service, reason="schedule")

        def compare() -> list[tuple[str, str, str]]:
            coverage.ensure()
            runs.advance()
            # the next read is a later one: two at once are one
            Snapshot.objects.update(requested_at=F("requested_at") - LATER, taken_at=F("taken_at") - LATER)
            rows = Break.objects.exclude(status=Break.Status.RESOLVED).order_by("kind", "subject")
            for row in rows:
                for read in row.evidence["reads"]:
                    for name in ("requested_at", "taken_at"):
                        read[name] = (datetime.fromisoformat(read[name]) - LATER).isoformat()
                row.save()
            return list(rows.values_list("kind", "subject", "status"))

        found: list[tuple[str, str, str]] = await aside(compare)
        return found


@contextlib.asynccontextmanager
async def open_rig(venue: PaperVenue, world: WorldHandle) -> AsyncIterator[Rig]:
    """Make an account at the world and take it, for as long as the block lasts."""

    def make() -> Account:
        place = VenueFactory(exchange=world.exchange, rest_url=world.rest_url, ws_url=world.ws_url)
        made: Account = AccountFactory(venue=place)
        return made

    rig = Rig(venue, world, await aside(make))
    try:
        await rig.take()
        await aside(rig.account.refresh_from_db)
        yield rig
    finally:
        await rig.close()


class RefusedCancels(RecordedWire):
    """The wire to the world, with a cancel refused as exchanges were seen to refuse one of an order that lives."""

    ANSWERS: Mapping[str, tuple[int, Any]] = {
        "binance": (400, {"code": -2011, "msg": "Unknown order sent."}),
        "kraken": (200, {"error": ["EOrder:Unknown order"]}),
    }

    def __init__(self, rig: Rig, count: int) -> None:
        super().__init__(*[self.ANSWERS[rig.world.exchange]] * count)
        client = rig.service.gateway._adapter.client
        self.wire, client.wire = client.wire, self

    async def send(self, record: HttpRecord, headers: Mapping[str, str], body: bytes | None) -> None:
        """Refuse a cancel, as long as there are refusals; send everything else."""
        is_cancel = record.method == "DELETE" or record.path.endswith("CancelOrder")
        if is_cancel and self.answers:
            await super().send(record, headers, body)
        else:
            await self.wire.send(record, headers, body)

    async def close(self) -> None:
        """Close the wire to the world."""
        await self.wire.close()


async def stop(writer: Writer) -> None:
    """End a writer without holding up the loop it answers to."""
    await aside(writer.stop)


def unreachable(rig: Rig) -> Callable[[], None]:
    """Let the venue's name not resolve any more; the function returned brings it back."""
    client = rig.service.gateway._adapter.client
    before = client.urls["api"]
    client.urls["api"] = _moved(before)

    def back() -> None:
        client.urls["api"] = before

    return back


def _timing(**changes: float) -> Timing:
    plain = Timing(**settings.EXECUTOR)
    steps = {"lookup_interval_seconds": 0.0, "dead_letter_seconds": 600.0, "request_timeout_seconds": TIMEOUT_SECONDS}
    return dataclasses.replace(plain, **{**steps, **changes})


def _moved(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _moved(child) for key, child in node.items()}
    return "http://venue.invalid/" + str(node).split("/", 3)[-1]

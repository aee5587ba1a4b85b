"""Clients who post, repeat and cancel orders, and the person who settles dead letters from the venue's own journal."""

from __future__ import annotations

import asyncio
import random
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db import OperationalError

from orders import states
from tests.simulation.venue import SYMBOLS

if TYPE_CHECKING:
    from tests.simulation.world import World

RETRY_SECONDS = 1.0
PATIENCE_SECONDS = 30.0
TWIN_SHARE, CANCEL_SHARE = 0.15, 0.5
_START = {"BTC/USDT": Decimal(60000), "ETH/USDT": Decimal(3000)}


class Crashed(Exception):
    """The web process died before it answered."""


class Clients:
    """Programs that write down what was acknowledged before they go on."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.chance = random.Random(f"{world.swarm.seed}:clients")
        self._halting = random.Random(f"{world.swarm.seed}:halting")
        self.acked: dict[str, uuid.UUID] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        """Place the orders of this seed over the first phase."""
        swarm = self.world.swarm
        for number in range(swarm.orders):
            at = self.chance.uniform(0, swarm.safety_seconds * 0.9)
            self._tasks.append(self.world.loop.create_task(self._place(number, at), name=f"client-{number}"))
        await asyncio.sleep(0)

    def unfinished(self) -> str:
        """Return which client still waits for its acknowledgement."""
        return next((task.get_name() for task in self._tasks if not task.done()), "")

    async def _place(self, number: int, at: float) -> None:
        chance = random.Random(f"{self.world.swarm.seed}:client:{number}")
        await asyncio.sleep(at)
        payload = self._payload(number, chance)
        order_id = await self._post(payload, chance)
        if self.world.swarm.happens("duplicate_post", chance):
            again = await self._post(payload, chance)
            if again != order_id:
                self.world.trace.violate("I23", f"{payload['client_order_id']} made two orders", str(order_id))
        if self.world.swarm.amends and payload.get("price") and not payload.get("time_in_force"):
            await self._amend(order_id, payload, chance)
        if chance.random() < CANCEL_SHARE:
            await asyncio.sleep(chance.choice((0.0, 0.05, 0.3, chance.uniform(0, 8))))
            await self._cancel(order_id)

    async def _post(self, payload: dict[str, Any], chance: random.Random) -> uuid.UUID:
        def crash(point: str) -> None:
            if self.world.swarm.happens(point, chance):
                raise Crashed(point)

        while True:
            try:
                order_id = self.world.web.post(payload, crash)
            except (Crashed, OperationalError):
                order_id = None
            if order_id is not None:
                self.acked[payload["client_order_id"]] = order_id
                self.world.trace.note(
                    "client", payload["client_order_id"], order_id, payload["type"], payload["quantity"]
                )
                if self.world.swarm.happens("halt", self._halting):
                    self._halt_for_a_moment(f"account:{payload['account']}")
                return order_id
            await asyncio.sleep(RETRY_SECONDS * chance.random() + 0.01)

    def _halt_for_a_moment(self, scope: str) -> None:
        """Halt when it hurts: an order has just been accepted, and nothing of it has gone out yet."""

        def release() -> None:
            if scope in self.world.database.halts:
                self.world.halt(scope, False)

        if scope not in self.world.database.halts:
            self.world.halt(scope, True)
            self.world.loop.call_later(self._halting.uniform(0.5, 3.0), release)

    async def _amend(self, order_id: uuid.UUID, payload: dict[str, Any], chance: random.Random) -> None:
        await asyncio.sleep(chance.choice((0.05, 0.5, chance.uniform(0, 8))))
        values = {}
        if chance.random() < 0.6:
            share = Decimal(chance.choice(("0.5", "1.5", "2")))
            step = Decimal("0.01") if payload["symbol"].startswith("BTC") else Decimal("0.1")
            values["quantity"] = f"{max(Decimal(payload['quantity']) * share // step * step, step):f}"
        if not values or chance.random() < 0.5:
            tick = _START[payload["symbol"]] / 2000
            values["price"] = f"{Decimal(payload['price']) + chance.choice((-1, 1)) * tick:f}"
        try:
            self.world.web.request_amendment(order_id, values)
            self.world.trace.note("client", "amends", order_id, values)
        except OperationalError:
            return

    async def _cancel(self, order_id: uuid.UUID) -> None:
        while True:
            try:
                self.world.web.request_cancellation(order_id)
                self.world.trace.note("client", "cancels", order_id)
                return
            except OperationalError:
                await asyncio.sleep(RETRY_SECONDS)

    def _payload(self, number: int, chance: random.Random) -> dict[str, Any]:
        if number and chance.random() < TWIN_SHARE:
            chance = random.Random(f"{self.world.swarm.seed}:client:{number - 1}")  # the same again, a moment later
            chance.random()
        symbol, side = chance.choice(SYMBOLS), chance.choice(("buy", "sell"))
        kind = chance.choice(("limit",) * 5 + ("ioc", "fok", "market", "post_only"))
        size = Decimal(chance.randint(1, 30)) / (100 if symbol.startswith("BTC") else 5)
        body: dict[str, Any] = {
            "client_order_id": f"c{number}", "account": f"acc{chance.randrange(self.world.swarm.accounts)}",
            "symbol": symbol, "side": side, "type": "market" if kind == "market" else "limit", "quantity": f"{size:f}",
        }  # fmt: skip
        if kind == "market":
            return body
        ticks = Decimal(chance.choice((-3, -2, -1, 1, 2, 3)) if kind in ("ioc", "fok") else chance.randint(-6, 2))
        sign = 1 if side == "buy" else -1
        body["price"] = f"{_START[symbol] * (1 + sign * ticks / 2000):f}"
        if kind in ("ioc", "fok"):
            body["time_in_force"] = kind
        elif kind == "post_only":
            body["post_only"] = True
        return body


class Person:
    """Settles what only a person may: asks the venue's desk, whose journal is the truth."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._waits_until = world.loop.now_seconds + PATIENCE_SECONDS

    def act(self) -> None:
        """Decide about every open dead letter nobody is working on; not before nothing can be on its way any more."""
        world = self.world
        if world.loop.now_seconds < self._waits_until:
            return
        self._waits_until = world.loop.now_seconds + PATIENCE_SECONDS / 3
        database = world.database
        for code, row in database.accounts.items():
            if row.status == "disabled":
                world.web.activate(code)
        asked = {database.intents[key].data.get("dead_letter") for key in database.waiting_intents}
        for letter in list(database.letters.values()):
            if letter.status != "open" or str(letter.id) in asked or letter.attempt is None:
                continue
            attempt = database.attempts[letter.attempt]
            theirs = world.venue.truth.accepted.get(attempt.venue_client_id, [])
            if attempt.action == "submit" and theirs:
                world.web.settle_letter(letter.id, "bind", theirs[0].order_id)
            elif attempt.action == "amend" and theirs:
                world.web.settle_letter(letter.id, "look_again")
            elif attempt.action in {"submit", "amend"} or (theirs and theirs[0].is_open):
                world.web.settle_letter(letter.id, "declare_absent")
            elif database.orders[letter.order].status not in states.TERMINAL:
                world.web.settle_letter(letter.id, "look_again")
            world.trace.note("person", letter.id, letter.cause)

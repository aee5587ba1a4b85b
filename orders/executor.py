"""The loop of role executor: hold leases, wake on work, hand each account's rows to its owner. Pure."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from orders.books import Books
from orders.owner import Owner
from orders.ports import Gateways, Leases, Waiting, Writing
from orders.service import Timing, admission
from project.lib import clock

logger = logging.getLogger(__name__)


class Executor:
    """Serves every account it can lease until told to stop; then drains and gives the leases back."""

    def __init__(self, *, timing: Timing, writer: Writing, leases: Leases, gateways: Gateways) -> None:
        self._timing, self._writer, self._leases, self._gateways = timing, writer, leases, gateways
        self._owners: dict[str, tuple[Owner, asyncio.Task[None]]] = {}
        self._admission = admission()
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()

    def wake(self) -> None:
        """Look for work now: somebody committed some."""
        self._wake.set()

    def stop(self) -> None:
        """Take no new work, let what is in flight end, give the leases back."""
        self._stopping.set()

    async def run(self) -> None:
        """Run until stopped."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._hold_leases())
                group.create_task(self._dispatch())
                await self._stopping.wait()
                raise _Stop
        except* _Stop:
            logger.info("draining: no new work, waiting for what is in flight")
        finally:
            await self._drain()

    async def _hold_leases(self) -> None:
        while True:
            held = {code: owner.lease for code, (owner, _) in self._owners.items()}
            floors = {code: owner.nonce_floor() for code, (owner, _) in self._owners.items()}
            try:
                kept, fresh = await self._leases.renew_and_acquire(held, floors)
            except Exception as error:
                logger.warning(
                    "leases could not be renewed (%s); requests stop when they run out", type(error).__name__
                )
                await asyncio.sleep(1)
                continue
            for code in [code for code in held if code not in kept]:
                await self._let_go(code)
            for lease in fresh:
                owner = Owner(lease, self._writer, self._timing, self._gateways, self._admission)
                self._owners[lease.account] = (owner, asyncio.create_task(owner.run(), name=f"owner-{lease.account}"))
            await asyncio.sleep(self._timing.lease_renew_seconds)

    async def _dispatch(self) -> None:
        denied_at = 0.0
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._timing.poll_seconds):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self._hand_out()
                if clock.monotonic_seconds() - denied_at > 1:
                    denied_at = clock.monotonic_seconds()
                    for owner, _ in list(self._owners.values()):
                        await owner.deny_stale()
            except Exception as error:
                logger.warning("waiting work could not be read (%s); trying again", type(error).__name__)
                await asyncio.sleep(0.5)

    async def _hand_out(self) -> None:
        codes = list(self._owners)
        waiting = await self._writer.run(lambda books: _waiting(books, codes))
        for code in codes:
            if code in self._owners:
                owner = self._owners[code][0]
                owner.notice(waiting.settings.get(code))
                owner.offer(waiting.queued.get(code, ()), waiting.wishes.get(code, ()))

    async def _let_go(self, code: str) -> None:
        _, task = self._owners.pop(code)
        logger.warning("account %s: lease lost; nothing more is sent for it from here", code)
        task.cancel()
        await asyncio.wait([task], timeout=1)

    async def _drain(self) -> None:
        tasks = [task for _, task in self._owners.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=self._timing.request_timeout_seconds + 2)
        floors = {code: owner.nonce_floor() for code, (owner, _) in self._owners.items()}
        with contextlib.suppress(Exception):
            await self._leases.release(floors)


def _waiting(books: Books, codes: list[str]) -> Waiting:
    waiting = books.store.waiting(codes)
    books.load(order_id for queued in waiting.queued.values() for order_id in queued)  # in one go, not one by one
    return waiting


class _Stop(Exception):
    """Ends the task group; not an error."""

"""The loop of role executor: hold leases, wake on work, hand each account's rows to its owner."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import signal
import uuid
from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from django.conf import settings
from django.db import connection

from orders import leases
from orders.models import Intent, Order
from orders.owner import Owner
from orders.service import Timing
from orders.states import Status
from orders.writer import Writer
from project.lib import clock, feed, notify
from venues.gateway import SharedMarkets
from venues.models import Account, Credential

logger = logging.getLogger(__name__)
QUEUED_MAX = 500
Result = TypeVar("Result")
Work = tuple[dict[str, list[uuid.UUID]], dict[str, list[tuple[uuid.UUID, str]]], dict[str, tuple[object, ...]]]


class Executor:
    """Serves every account it can lease until told to stop; then drains and gives the leases back."""

    def __init__(self) -> None:
        self._timing = Timing(**settings.EXECUTOR)
        self._writer = Writer()
        self._shared = SharedMarkets()
        self._holder = leases.holder_name()
        self._owners: dict[str, tuple[Owner, asyncio.Task[None]]] = {}
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        # renewals have their own thread and connection: a long batch must not cost a lease
        self._lease_thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="leases")

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_log_without_text)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        self._writer.start()

        def wake(channel: str, account: str) -> None:
            loop.call_soon_threadsafe(self._wake.set)

        listener = notify.Listener([feed.WORK_CHANNEL], wake)
        listener.start()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._hold_leases())
                group.create_task(self._dispatch())
                await self._stopping.wait()
                raise _Stop
        except* _Stop:
            logger.info("draining: no new work, waiting for what is in flight")
        finally:
            listener.stop()
            await self._drain()

    async def _hold_leases(self) -> None:
        while True:
            try:
                held = {code: owner.lease for code, (owner, _) in self._owners.items()}
                kept, fresh = await self._in_lease_thread(partial(self._renew_and_acquire, held))
            except Exception as error:
                logger.warning(
                    "leases could not be renewed (%s); requests stop when they run out", type(error).__name__
                )
                await asyncio.sleep(1)
                continue
            for code in set(held) - kept:
                await self._let_go(code)
            for lease in fresh:
                owner = Owner(lease, self._writer, self._timing, self._shared)
                self._owners[lease.account] = (owner, asyncio.create_task(owner.run(), name=f"owner-{lease.account}"))
            await asyncio.sleep(self._timing.lease_renew_seconds)

    def _renew_and_acquire(self, held: dict[str, leases.Lease]) -> tuple[set[str], list[leases.Lease]]:
        try:
            floors = {code: owner.nonce_floor() for code, (owner, _) in self._owners.items()}
            kept = leases.renew(self._holder, held, floors, self._timing.lease_seconds)
            return kept, leases.acquire(self._holder, self._timing.lease_seconds)
        except Exception:
            connection.close()
            raise

    async def _dispatch(self) -> None:
        denied_at = 0.0
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._timing.poll_seconds)
            self._wake.clear()
            codes = list(self._owners)
            try:
                queued, wishes, accounts = await self._writer.run(partial(_waiting, codes))
                for code in codes:
                    if code not in self._owners:
                        continue
                    owner = self._owners[code][0]
                    owner.notice(accounts.get(code))
                    owner.offer(queued.get(code, []), wishes.get(code, []))
                if clock.monotonic_seconds() - denied_at > 1:
                    denied_at = clock.monotonic_seconds()
                    for owner, _ in list(self._owners.values()):
                        await owner.deny_stale()
            except Exception as error:
                logger.warning("waiting work could not be read (%s); trying again", type(error).__name__)
                await asyncio.sleep(0.5)

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
        self._writer.stop()
        with contextlib.suppress(Exception):
            await self._in_lease_thread(partial(leases.release, self._holder, floors))
        self._lease_thread.shutdown(wait=False)

    async def _in_lease_thread(self, function: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._lease_thread, function)


class _Stop(Exception):
    """Ends the task group; not an error."""


def _log_without_text(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Name what went wrong in the background, never its text: a venue library's message may carry a signed address."""
    error = context.get("exception")
    logger.warning("background: %s (%s)", context.get("message", "").partition("\n")[0], type(error).__name__)


def _waiting(codes: list[str]) -> Work:
    queued: dict[str, list[uuid.UUID]] = defaultdict(list)
    wishes: dict[str, list[tuple[uuid.UUID, str]]] = defaultdict(list)
    oldest = clock.now() - timedelta(days=365)
    orders = Order.objects.filter(account_id__in=codes, status=Status.QUEUED, created_at__gt=oldest)
    for code, pk in orders.order_by("created_at", "id").values_list("account_id", "id")[:QUEUED_MAX]:
        queued[code].append(pk)
    waiting = Intent.objects.filter(account_id__in=codes, done_at=None).order_by("requested_at", "id")
    for code, pk, action in waiting.values_list("account_id", "id", "action")[:QUEUED_MAX]:
        wishes[code].append((pk, action))
    fields = ("activation_requested_at", "probe_waived_by", "venue__rest_url", "venue__ws_url", "venue__is_live")
    keys = dict(Credential.objects.filter(account_id__in=codes, is_active=True).values_list("account_id", "id"))
    rows = Account.objects.filter(code__in=codes).values_list("code", *fields)
    return queued, wishes, {code: (*rest, keys.get(code)) for code, *rest in rows}

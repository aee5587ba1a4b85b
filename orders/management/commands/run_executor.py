"""Role executor: the only process that talks to venues."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from orders.executor import Executor
from orders.leases import ThreadLeases, holder_name
from orders.ports import Lease
from orders.rows import AccountView
from orders.service import Timing
from orders.writer import Writer
from project.lib import build, feed, notify
from venues import credentials
from venues.budget_leases import Renewing
from venues.budgets import Pool
from venues.gateway import Gateway, SharedBooks, SharedMarkets
from venues.refresh import Refresher
from venues.rulebook import Rulebook

try:
    import uvloop
except ImportError:  # not there on every platform; asyncio's own loop does the same, slower
    uvloop = None


logger = logging.getLogger(__name__)
FIRST_LOAD_SECONDS = 10.0  # decisions are read before the first order, unless the database is away
SWITCH_SECONDS = 0.0005  # the writer thread hands over after this, not after Python's 5 ms


class Command(BaseCommand):
    help = "Serve accounts: send, cancel, stream, book fills, read snapshots."

    def handle(self, *args: Any, **options: Any) -> None:
        factory = uvloop.new_event_loop if uvloop is not None else None
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(_main())


async def _main() -> None:
    loop = asyncio.get_running_loop()
    sys.setswitchinterval(SWITCH_SECONDS)
    loop.set_exception_handler(_log_without_text)
    timing, shared, books, writer = Timing(**settings.EXECUTOR), SharedMarkets(), SharedBooks(), Writer()
    budgets = Pool(settings.ADDRESS_GROUP, is_leased=True)
    renewing = Renewing(holder_name(), budgets)
    rulebook = Rulebook()
    refresher = Refresher(rulebook)

    def gateway(account: AccountView, lease: Lease) -> Gateway:
        if account.credential is None:
            raise RuntimeError("no key")
        secret = credentials.open_sealed(account.credential.sealed)
        return Gateway(
            account.code, account.target, secret, timeout_seconds=timing.request_timeout_seconds,
            nonce_floor=lease.nonce_floor, shared=shared, books=books, budgets=budgets, rulebook=rulebook,
        )  # fmt: skip

    executor = Executor(timing=timing, writer=writer, leases=ThreadLeases(timing.lease_seconds), gateways=gateway)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, executor.stop)

    def wake(channel: str, account: str) -> None:
        if not account:  # news for every executor
            refresher.wake()
        loop.call_soon_threadsafe(executor.wake)

    listener = notify.Listener([feed.WORK_CHANNEL], wake)
    logger.info("executor of build %s", build.fingerprint())
    writer.start()
    listener.start()
    renewal = asyncio.create_task(renewing.run())
    refresher.start()
    try:
        await asyncio.to_thread(refresher.loaded.wait, FIRST_LOAD_SECONDS)
        await executor.run()
    finally:
        renewal.cancel()
        await renewing.close()
        refresher.stop()
        listener.stop()
        writer.stop()


def _log_without_text(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Name what went wrong in the background, never its text: a venue library's message may carry a signed address."""
    error = context.get("exception")
    logger.warning("background: %s (%s)", context.get("message", "").partition("\n")[0], type(error).__name__)

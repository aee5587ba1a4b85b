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
from orders.leases import ThreadLeases
from orders.ports import Lease
from orders.rows import AccountView
from orders.service import Timing
from orders.writer import Writer
from project.lib import build, feed, notify
from venues import credentials
from venues.gateway import Gateway, SharedMarkets

try:
    import uvloop
except ImportError:  # not there on every platform; asyncio's own loop does the same, slower
    uvloop = None


logger = logging.getLogger(__name__)
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
    timing, shared, writer = Timing(**settings.EXECUTOR), SharedMarkets(), Writer()

    def gateway(account: AccountView, lease: Lease) -> Gateway:
        if account.credential is None:
            raise RuntimeError("no key")
        secret = credentials.open_sealed(account.credential.sealed)
        return Gateway(
            account.code, account.target, secret, timeout_seconds=timing.request_timeout_seconds,
            nonce_floor=lease.nonce_floor, shared=shared,
        )  # fmt: skip

    executor = Executor(timing=timing, writer=writer, leases=ThreadLeases(timing.lease_seconds), gateways=gateway)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, executor.stop)

    def wake(channel: str, account: str) -> None:
        loop.call_soon_threadsafe(executor.wake)

    listener = notify.Listener([feed.WORK_CHANNEL], wake)
    logger.info("executor of build %s", build.fingerprint())
    writer.start()
    listener.start()
    try:
        await executor.run()
    finally:
        listener.stop()
        writer.stop()


def _log_without_text(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Name what went wrong in the background, never its text: a venue library's message may carry a signed address."""
    error = context.get("exception")
    logger.warning("background: %s (%s)", context.get("message", "").partition("\n")[0], type(error).__name__)

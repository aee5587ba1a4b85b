"""Role executor: the only process that talks to venues."""

from __future__ import annotations

import asyncio
from typing import Any

from django.core.management.base import BaseCommand

from orders.executor import Executor

try:
    import uvloop
except ImportError:  # not there on every platform; asyncio's own loop does the same, slower
    uvloop = None


class Command(BaseCommand):
    help = "Serve accounts: send, cancel, stream, book fills, read snapshots."

    def handle(self, *args: Any, **options: Any) -> None:
        factory = uvloop.new_event_loop if uvloop is not None else None
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(_main())


async def _main() -> None:
    await Executor().run()

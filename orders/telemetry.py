"""Write down, every other second, how each channel of the account is doing, and the last prices of what it trades. Pure."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from orders.books import Books
from orders.service import Service
from project.lib import clock

INTERVAL_SECONDS = 4.0
PRICE_SECONDS = 5.0
SYMBOLS_MAX = 20


async def run(service: Service) -> None:
    """Run until cancelled."""
    last: Mapping[str, tuple[object, ...]] = {}
    priced_at = 0.0
    while True:
        channels = service.gateway.health()
        seen = {name: (stats.breaker, stats.errors, stats.reconnects) for name, stats in channels.items()}
        is_news = seen != last

        def keep(books: Books, channels: Any = channels, is_news: bool = is_news) -> None:
            books.later(lambda: books.store.keep_health(service.account, channels, is_news))
            if is_news:
                books.announce("venues", "health.changed", service.account, account=service.account)

        await service.writer.run(keep)
        last = seen
        if clock.monotonic_seconds() - priced_at >= PRICE_SECONDS:
            priced_at = clock.monotonic_seconds()
            await _keep_prices(service)
        await asyncio.sleep(INTERVAL_SECONDS)


async def _keep_prices(service: Service) -> None:
    symbols = await service.writer.run(
        lambda books: books.store.priced_symbols(service.account, service.venue, SYMBOLS_MAX)
    )
    prices = await service.gateway.last_prices(symbols)
    if prices:
        await service.writer.run(lambda books: books.later(lambda: books.store.store_prices(service.venue, prices)))

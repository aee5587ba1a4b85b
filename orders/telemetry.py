"""Write down, every few seconds, how each channel and book of the account is doing, and the last prices of what it trades. Pure."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from typing import Any

from orders.books import Books
from orders.detection import Moves, note_moves
from orders.service import Service
from project.lib import clock

INTERVAL_SECONDS = 4.0
PRICE_SECONDS = 5.0
CHECK_SECONDS = 60.0
SYMBOLS_MAX = 20


async def run(service: Service) -> None:
    """Run until cancelled."""
    last: Mapping[str, tuple[object, ...]] = {}
    priced_at = checked_at = 0.0
    had_books = True  # an owner before may have left some
    moves = Moves()
    told = await service.writer.run(lambda books: books.store.maintenance_said(service.venue))
    if told:
        service.gateway.begin_maintenance(told)
    while True:
        if clock.monotonic_seconds() - checked_at >= CHECK_SECONDS or (service.gateway.maintenance and not told):
            checked_at = clock.monotonic_seconds()
            await service.gateway.check()  # also when an error spoke of maintenance: its status may know better
        told = await _tell_maintenance(service, told)
        channels, listed = service.gateway.health(), service.gateway.book_health()
        sessions = service.gateway.take_book_sessions()
        seen = {name: (stats.breaker, stats.errors, stats.reconnects) for name, stats in channels.items()}
        seen |= {stats.symbol: (stats.reason, stats.snapshots, stats.reconnects) for stats in listed}
        is_news = seen != last

        def keep(
            books: Books,
            channels: Any = channels,
            listed: Any = listed,
            sessions: Any = sessions,
            is_news: bool = is_news,
            has_books: bool = had_books or bool(listed),
        ) -> None:
            books.later(lambda: books.store.keep_health(service.account, channels, is_news))
            if has_books:
                books.later(lambda: books.store.keep_book_health(service.account, listed))
            for session in sessions:
                books.later(partial(books.store.keep_session, service.account, session))
            if is_news:
                books.announce("venues", "health.changed", service.account, account=service.account)

        await service.writer.run(keep)
        last, had_books = seen, bool(listed)
        if clock.monotonic_seconds() - priced_at >= PRICE_SECONDS:
            priced_at = clock.monotonic_seconds()
            moves.take(await _keep_prices(service))
        throttled_at = service.gateway.throttled_at
        found = moves.in_move(throttled_at)
        if found:
            await service.writer.run_until_committed(partial(note_moves, account=service.account, found=found))
            moves.noted(throttled_at)
        await asyncio.sleep(INTERVAL_SECONDS)


async def _tell_maintenance(service: Service, told: str) -> str:
    """Write down that the venue says it is in maintenance, or that it is over. Returns what it says now."""
    said: str = service.gateway.maintenance

    def tell(books: Books) -> None:
        books.later(lambda: books.store.note_maintenance(service.venue, said))

    if said != told:
        await service.writer.run_until_committed(tell)
    return said


async def _keep_prices(service: Service) -> Mapping[str, Decimal]:
    symbols = await service.writer.run(
        lambda books: books.store.priced_symbols(service.account, service.venue, SYMBOLS_MAX)
    )
    prices: Mapping[str, Decimal] = await service.gateway.last_prices(symbols)
    if prices:
        await service.writer.run(lambda books: books.later(lambda: books.store.store_prices(service.venue, prices)))
    return prices

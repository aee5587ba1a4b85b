"""Write down, every other second, how each channel of the account is doing, and the last prices of what it trades."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from functools import partial

from orders.models import Order
from orders.service import Service
from orders.states import ALIVE
from project.lib import clock, feed
from venues import instruments
from venues.models import ChannelHealth, Instrument, Venue

INTERVAL_SECONDS = 4.0
PRICE_SECONDS = 5.0
SYMBOLS_MAX = 20
Seen = Mapping[str, tuple[object, ...]]


async def run(service: Service) -> None:
    """Run until cancelled."""
    last: Seen = {}
    priced_at = 0.0
    while True:
        last = await service.writer.run(partial(_keep_health, service, last))
        if clock.monotonic_seconds() - priced_at >= PRICE_SECONDS:
            priced_at = clock.monotonic_seconds()
            symbols = await service.writer.run(lambda: _symbols(service))
            prices = await service.gateway.last_prices(symbols)
            if prices:
                await service.writer.run(partial(_keep_prices, service, prices))
        await asyncio.sleep(INTERVAL_SECONDS)


def _keep_health(service: Service, last: Seen) -> Seen:
    rows: list[ChannelHealth] = []
    seen: dict[str, tuple[object, ...]] = {}
    for capability, stats in service.gateway.health().items():
        row = ChannelHealth(
            account_id=service.account, capability=capability, breaker=stats.breaker,
            breaker_reason=stats.breaker_reason[:200], requests=stats.requests, errors=stats.errors,
            reconnects=stats.reconnects, latency_ms_p50=stats.latency_ms_p50, latency_ms_p99=stats.latency_ms_p99,
            last_success_at=stats.last_success_at, last_error_at=stats.last_error_at, last_error=stats.last_error[:200],
            updated_at=clock.now(),
        )  # fmt: skip
        seen[capability] = (stats.breaker, stats.errors, stats.reconnects)
        rows.append(row)
    fields = [f.name for f in ChannelHealth._meta.fields if f.name not in {"id", "account", "capability"}]
    ChannelHealth.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["account", "capability"], update_fields=fields
    )
    if seen != last:
        feed.announce("venues", "health.changed", service.account, account=service.account)
    return seen


def _symbols(service: Service) -> list[str]:
    listed = list(Instrument.objects.filter(venue_id=service.venue).values_list("symbol", flat=True)[: SYMBOLS_MAX + 1])
    if len(listed) <= SYMBOLS_MAX:
        return listed
    alive = Order.objects.filter(account_id=service.account, status__in=[s.value for s in ALIVE])
    return list(alive.order_by("symbol").values_list("symbol", flat=True).distinct()[:SYMBOLS_MAX])


def _keep_prices(service: Service, prices: dict[str, Decimal]) -> None:
    instruments.store_prices(Venue(code=service.venue), prices)

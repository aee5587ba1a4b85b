"""The instruments of a venue, kept as the venue last listed them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from project.lib import clock, feed
from venues.messages import MarketSpec
from venues.models import Instrument, Venue

_FIELDS = (
    "venue_symbol", "base", "quote", "settle", "kind", "price_step", "quantity_step", "quantity_min", "quantity_max",
    "price_min", "price_max", "notional_min", "notional_max", "leverage_max", "contract_size", "expires_at",
    "unmapped_reason", "is_active",
)  # fmt: skip


def store(venue: Venue, specs: Sequence[MarketSpec]) -> int:
    """Write the venue's whole list; what it no longer lists becomes inactive. Return how many rows changed.

    A market without a canonical name is kept with its reason, and is not tradable. A list without a tradable instrument
    changes nothing: it is a failed read.
    """
    wanted = {spec.symbol: spec for spec in specs}
    if all(spec.unmapped_reason for spec in wanted.values()):
        return 0
    now = clock.now()
    with feed.transaction():
        known = {row.symbol: row for row in Instrument.objects.select_for_update(no_key=True).filter(venue=venue)}
        new = [_row(venue, spec) for symbol, spec in wanted.items() if symbol not in known]
        changed = [row for symbol, row in known.items() if _differs(row, wanted.get(symbol))]
        for row in changed:
            _apply(row, wanted.get(row.symbol))
            row.updated_at = now
        Instrument.objects.bulk_create(new, batch_size=1000)
        Instrument.objects.bulk_update(changed, [*_FIELDS, "updated_at"], batch_size=500)
        Venue.objects.filter(pk=venue.pk).update(markets_loaded_at=now)
        if new or changed:
            data = {"new": len(new), "changed": len(changed)}
            feed.announce("venues", "instruments_changed", venue.code, data=data)
    return len(new) + len(changed)


def store_prices(venue: Venue, prices: Mapping[str, Decimal]) -> None:
    """Write last prices, for display and valuation."""
    now = clock.now()
    for symbol, price in prices.items():
        Instrument.objects.filter(venue=venue, symbol=symbol).update(last_price=price, last_price_at=now)


def _row(venue: Venue, spec: MarketSpec) -> Instrument:
    return Instrument(venue=venue, symbol=spec.symbol, **{name: getattr(spec, name) for name in _FIELDS})


def _differs(row: Instrument, spec: MarketSpec | None) -> bool:
    if spec is None:
        return row.is_active
    return any(getattr(row, name) != getattr(spec, name) for name in _FIELDS)


def _apply(row: Instrument, spec: MarketSpec | None) -> None:
    if spec is None:
        row.is_active = False
        return
    for name in _FIELDS:
        setattr(row, name, getattr(spec, name))

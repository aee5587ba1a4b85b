"""What a position is worth now: unrealised profit at our own books' last price, leverage by the venue's own figures."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from orders.models import Position
from project.lib import decimals, symbols
from venues.models import Instrument

LEVERAGE_STEP = Decimal("0.01")


def value(rows: Sequence[Position]) -> None:
    """Set last_price, last_price_at, unrealised_pnl and leverage on positions whose account is at hand; one query."""
    wanted = Instrument.objects.filter(symbol__in={row.symbol for row in rows})
    prices = {
        (one.venue_id, one.symbol): one for one in wanted.only("venue_id", "symbol", "last_price", "last_price_at")
    }
    for row in rows:
        listed = prices.get((row.account.venue_id, row.symbol))
        row.last_price = listed.last_price if listed else None  # type: ignore[attr-defined]
        row.last_price_at = listed.last_price_at if listed else None  # type: ignore[attr-defined]
        row.unrealised_pnl = unrealised(row, row.last_price)  # type: ignore[attr-defined]
        row.leverage = leverage(row)  # type: ignore[attr-defined]


def unrealised(row: Position, price: Decimal | None) -> Decimal | None:
    """Return what closing at a price would bring, in quote asset, of a contract in the asset that settles it; None if unknown."""
    if not row.quantity:
        return decimals.ZERO
    if not price or not row.entry_price:
        return None
    if symbols.split(row.symbol).is_inverse:
        return decimals.quantise(row.quantity / row.entry_price - row.quantity / price)
    return decimals.quantise(row.quantity * (price - row.entry_price))


def leverage(row: Position) -> Decimal | None:
    """Return what the venue's position is worth at its mark price as a multiple of its margin; None where it says neither."""
    if not row.venue_quantity or not row.mark_price or not row.margin:
        return None
    worth = symbols.split(row.symbol).worth(abs(row.venue_quantity), row.mark_price)
    return (worth / row.margin).quantize(LEVERAGE_STEP)

"""The two sides of a comparison as frozen values, and the words that describe them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from orders.states import Status
from project.lib import decimals, symbols
from venues.messages import BalanceReport, FillReport, OrderReport, PositionReport, Side

MARGIN = timedelta(seconds=2)
ZERO = Decimal(0)
FEE_FIELDS = frozenset({"fee", "fee_asset"})


@dataclass(frozen=True, kw_only=True)
class Reading:
    """When a venue was read, and how far behind the truth its answers may be."""

    requested_at: datetime
    taken_at: datetime
    window_from: datetime | None = None
    lag: timedelta = timedelta(0)

    @property
    def settled_before(self) -> datetime:
        """What happened before this must be in the answer."""
        return self.requested_at - MARGIN - self.lag

    @property
    def unseen_after(self) -> datetime:
        """What happened after this cannot be in the answer."""
        return self.taken_at + MARGIN


@dataclass(frozen=True, kw_only=True)
class OurOrder:
    """An order of ours; `is_settled` is false while an attempt or a change of it has no proven outcome."""

    id: str
    symbol: str
    side: str
    status: str
    quantity: Decimal
    price: Decimal | None
    filled_quantity: Decimal
    venue_order_id: str
    changed_at: datetime
    is_settled: bool = True
    venue_client_ids: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class OurFill:
    """A fill booked here."""

    id: str
    order_id: str
    symbol: str
    side: str
    venue_trade_id: str
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_asset: str
    executed_at: datetime
    recorded_at: datetime


@dataclass(frozen=True, kw_only=True)
class Effect:
    """A change of our total: when it took place by the venue's clock, and when we knew of it by ours."""

    at: datetime
    known_at: datetime
    amount: Decimal


@dataclass(frozen=True, kw_only=True)
class StreamClaim:
    """The total a private stream told, when it came in, and our totals about that time (none where nobody looked)."""

    total: Decimal
    at: datetime
    moments: tuple[Decimal, ...] = ()


@dataclass(frozen=True, kw_only=True)
class OurBalance:
    """Our total of an asset now, and the youngest changes in it, which a read may or may not have seen.

    `may_be_held` is false when nothing of ours explains why the venue holds a part of it back: no order open or lately
    ended, no position. `stream` is what its stream said last, where that was not long ago.
    """

    total: Decimal
    effects: tuple[Effect, ...] = ()
    is_busy: bool = False
    may_be_held: bool = True
    stream: StreamClaim | None = None


@dataclass(frozen=True, kw_only=True)
class OurPosition:
    """What we believe is held of a contract; `is_settled` is false while a trade of it may fall into the read."""

    quantity: Decimal
    is_settled: bool = True


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One point on which our books and a venue disagree. `delta` is theirs minus ours, in `unit` (blank: in `asset`).

    `total` is what basis points are taken of; `amount`, in `unit`, is what is at stake where the delta does not say it.
    is_certain: a fact that needs no second read to be believed. economic_at: when it happened at the venue.
    """

    kind: str
    subject: str
    asset: str = ""
    ours: str = ""
    theirs: str = ""
    delta: Decimal | None = None
    evidence: dict[str, Any] = field(default_factory=dict)
    order_id: str | None = None
    fill_id: str | None = None
    stream: str = ""
    unit: str = ""
    total: Decimal | None = None
    amount: Decimal | None = None
    transfer_id: str | None = None
    is_certain: bool = False
    economic_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What a read told: where it agrees, where not, and what was too young to judge.

    `undecided` are breaks that this read says nothing about, without a doubt about what it proves of the totals.
    `possible` holds, per asset that does not agree, each distance between the totals that this read allows.
    """

    differences: tuple[Difference, ...] = ()
    agreed: frozenset[str] = frozenset()
    skipped: frozenset[str] = frozenset()
    undecided: frozenset[str] = frozenset()
    possible: Mapping[str, frozenset[Decimal]] = field(default_factory=dict)


def fill_subject(symbol: str, venue_trade_id: str, side: str) -> str:
    """Name a trade as breaks do."""
    return f"{symbol} {venue_trade_id} {side}"


def external_subject(row: OrderReport) -> str:
    """Name an order of somebody else as breaks do."""
    return (row.venue_order_id or row.venue_client_id or f"{row.symbol} {row.side} {text(row.quantity)}")[:200]


def describe_row(row: OrderReport) -> str:
    """Write a venue's order in a line."""
    return f"{row.status}: {row.side or 'order'} {text(row.quantity)} {row.symbol} at {text(row.price) or 'market'}"


def row_facts(row: OrderReport) -> dict[str, Any]:
    """Return a venue's order as evidence."""
    return {
        "venue_order_id": row.venue_order_id, "venue_client_id": row.venue_client_id, "symbol": row.symbol,
        "side": row.side, "status": row.status, "quantity": decimals.write(row.quantity),
        "price": decimals.write(row.price), "filled_quantity": decimals.write(row.filled_quantity),
        "occurred_at": row.occurred_at.isoformat() if row.occurred_at else None,
    }  # fmt: skip


def order_facts(order: OurOrder) -> dict[str, Any]:
    """Return our order as evidence."""
    return {
        "order": order.id, "venue_order_id": order.venue_order_id, "symbol": order.symbol, "side": order.side,
        "status": str(Status(order.status)), "quantity": decimals.write(order.quantity), "price": decimals.write(order.price),
        "filled_quantity": decimals.write(order.filled_quantity), "changed_at": order.changed_at.isoformat(),
    }  # fmt: skip


def fill_facts(fill: OurFill) -> dict[str, Any]:
    """Return our fill as evidence."""
    return {
        "fill": fill.id, "order": fill.order_id, "venue_trade_id": fill.venue_trade_id, "symbol": fill.symbol,
        "side": fill.side, "price": text(fill.price), "quantity": text(fill.quantity), "fee": text(fill.fee),
        "fee_asset": fill.fee_asset, "occurred_at": fill.executed_at.isoformat(),
    }  # fmt: skip


def trade_facts(row: FillReport) -> dict[str, Any]:
    """Return a venue's trade as evidence; `fill_report` reads it back."""
    return {
        "venue_trade_id": row.venue_trade_id, "venue_order_id": row.venue_order_id, "venue_client_id": row.venue_client_id,
        "symbol": row.symbol, "side": row.side, "price": text(row.price), "quantity": text(row.quantity),
        "quote_quantity": decimals.write(row.quote_quantity), "fee": text(row.fee), "fee_asset": row.fee_asset,
        "liquidity": row.liquidity, "occurred_at": row.occurred_at.isoformat() if row.occurred_at else None,
    }  # fmt: skip


def listing(facts: Mapping[str, tuple[str, str]], side: int) -> str:
    """Write one side of the differing values in a line."""
    return ", ".join(f"{name} {values[side]}" for name, values in facts.items())[:200]


def held_subject(asset: str) -> str:
    """Name what a venue holds back of an asset, as breaks do."""
    return f"{asset} held"


def stream_subject(asset: str) -> str:
    """Name what a stream says of an asset, as breaks do."""
    return f"{asset} by the stream"


def unmapped_subject(name: str, surface: str) -> str:
    """Name a symbol or asset that no instrument knows, as breaks do."""
    return f"{name[:150]} in {surface.replace('_', ' ')}"


def base_asset(symbol: str) -> str:
    """Return the asset a symbol trades."""
    return symbol.partition("/")[0]


def traded_asset(symbol: str) -> str:
    """Return the asset that quantities of a symbol are in: base, of an inverse contract quote."""
    parts = symbols.split(symbol)
    return parts.quote if parts.is_inverse else parts.base


def text(number: Decimal | None) -> str:
    """Write a number in full, or nothing for none."""
    return decimals.write(number) or ""


def side_of(word: str) -> Side:
    """Read a side. Raises ValueError for any other word."""
    if word == "buy":
        return "buy"
    if word == "sell":
        return "sell"
    raise ValueError(f"no side: {word!r}")


def order_report(row: Mapping[str, Any]) -> OrderReport:
    """Read a stored row of open orders back. Raises KeyError or ValueError when it is none."""
    return OrderReport(
        venue_order_id=row["venue_order_id"],
        venue_client_id=row.get("venue_client_id"),
        symbol=row["symbol"],
        status=row["status"],
        side=side_of(row["side"]) if row.get("side") else None,
        price=_number(row.get("price")),
        quantity=_number(row.get("quantity")),
        filled_quantity=_number(row.get("filled_quantity")),
        occurred_at=_time(row.get("occurred_at")),
    )


def fill_report(row: Mapping[str, Any]) -> FillReport:
    """Read a stored trade back. Raises KeyError or ValueError when it is none."""
    return FillReport(
        venue_trade_id=row["venue_trade_id"],
        venue_order_id=row["venue_order_id"],
        venue_client_id=row.get("venue_client_id"),
        symbol=row["symbol"],
        side=side_of(row["side"]),
        price=Decimal(row["price"]),
        quantity=Decimal(row["quantity"]),
        quote_quantity=_number(row.get("quote_quantity")),
        fee=_number(row.get("fee")) or ZERO,
        fee_asset=row.get("fee_asset") or "",
        liquidity=row.get("liquidity") or "",
        occurred_at=_time(row.get("occurred_at")),
    )


def balance_report(row: Mapping[str, Any]) -> BalanceReport:
    """Read a stored balance back. Raises KeyError or ValueError when it is none."""
    total = Decimal(row["total"])
    held = _number(row.get("held")) or ZERO
    free = _number(row.get("free"))
    return BalanceReport(asset=row["asset"], total=total, free=total - held if free is None else free, held=held)


def position_report(row: Mapping[str, Any]) -> PositionReport:
    """Read a stored position back. Raises KeyError or ValueError when it is none."""
    return PositionReport(
        symbol=row["symbol"],
        quantity=Decimal(row["quantity"]),
        entry_price=_number(row.get("entry_price")),
        mark_price=_number(row.get("mark_price")),
        unrealised_pnl=_number(row.get("unrealised_pnl")),
        margin=_number(row.get("margin")),
    )


def _number(text_or_none: str | None) -> Decimal | None:
    return None if text_or_none in (None, "") else Decimal(str(text_or_none))


def _time(text_or_none: str | None) -> datetime | None:
    return datetime.fromisoformat(text_or_none) if text_or_none else None

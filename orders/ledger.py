"""The double-entry ledger: every entry sums to zero per asset; balances and positions are folded from it. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from orders.books import Books
from orders.rows import ZERO, FillRow, PositionRow, PostingRow
from project.lib import clock, decimals, ids

Leg = tuple[str, str, Decimal]


@dataclass(frozen=True)
class Holding:
    """A net position: quantity, average entry price, realised profit and loss in the quote asset."""

    quantity: Decimal = ZERO
    entry_price: Decimal | None = None
    realised_pnl: Decimal = ZERO


def assets_of(symbol: str) -> tuple[str, str]:
    """Split `BTC/USDT` or `BTC/USDT:USDT` into base and quote."""
    base, _, rest = symbol.partition("/")
    return base, rest.partition(":")[0]


def fill_legs(fill: FillRow) -> list[Leg]:
    """Return the balanced legs of a trade: (asset, book, amount). The quote amount is the venue's own."""
    base, quote = assets_of(fill.symbol)
    quantity, value = (
        (fill.quantity, -fill.quote_quantity) if fill.side == "buy" else (-fill.quantity, fill.quote_quantity)
    )
    legs: list[Leg] = [
        (base, "venue", quantity),
        (base, "trading", -quantity),
        (quote, "venue", value),
        (quote, "trading", -value),
    ]
    if fill.fee:
        legs += [(fill.fee_asset, "venue", -fill.fee), (fill.fee_asset, "fees", fill.fee)]
    return legs


def fold(holding: Holding, side: str, quantity: Decimal, price: Decimal) -> Holding:
    """Return the position after one more trade: average entry while it grows, realised P&L while it shrinks."""
    signed = quantity if side == "buy" else -quantity
    after = holding.quantity + signed
    if holding.quantity == 0 or (holding.quantity > 0) == (signed > 0):
        value = holding.quantity * (holding.entry_price or ZERO) + signed * price
        return Holding(after, decimals.quantise(value / after), holding.realised_pnl)
    closed = min(abs(signed), abs(holding.quantity)).copy_sign(holding.quantity)
    pnl = decimals.quantise(holding.realised_pnl + closed * (price - (holding.entry_price or ZERO)))
    if after == 0:
        return Holding(ZERO, None, pnl)
    flipped = (after > 0) != (holding.quantity > 0)
    return Holding(after, price if flipped else holding.entry_price, pnl)


def post_fill(books: Books, fill: FillRow) -> None:
    """Post a booked fill and fold its position. Call in the fill's own transaction."""
    _post(
        books, fill.account, fill_legs(fill), cause="fill", fill=fill.id, entry=fill.id, reference=fill.venue_trade_id
    )
    before = books.position(fill.account, fill.symbol)
    holding = Holding(before.quantity, before.entry_price, before.realised_pnl)
    holding = fold(holding, fill.side, fill.quantity, fill.price)
    after = PositionRow(
        account=fill.account, symbol=fill.symbol, quantity=holding.quantity, entry_price=holding.entry_price,
        realised_pnl=holding.realised_pnl,
    )  # fmt: skip
    books.put_position(before, after)
    books.announce("positions", "position.changed", f"{fill.account}:{fill.symbol}", account=fill.account)


def post_opening(books: Books, account: str, totals: Mapping[str, Decimal]) -> None:
    """Post what the venue held when the account was first read, against the counter-account `opening`."""
    for asset, total in sorted(totals.items()):
        if total:
            legs: list[Leg] = [(asset, "venue", total), (asset, "opening", -total)]
            _post(
                books, account, legs, cause="opening", reference=asset, memo="opening balance as the venue reported it"
            )


def post_adjustment(
    books: Books, account: str, asset: str, amount: Decimal, *, actor: str, memo: str, reference: str
) -> uuid.UUID:
    """Post a counter-entry that moves our total of an asset by amount. Returns the entry id; nothing is deleted."""
    legs: list[Leg] = [(asset, "venue", amount), (asset, "adjustments", -amount)]
    return _post(books, account, legs, cause="adjustment", reference=reference, memo=f"{actor}: {memo}"[:300])


def _post(
    books: Books,
    account: str,
    legs: list[Leg],
    *,
    cause: str,
    fill: uuid.UUID | None = None,
    entry: uuid.UUID | None = None,
    reference: str = "",
    memo: str = "",
) -> uuid.UUID:
    entry = entry or ids.new_id()
    rest: dict[str, Decimal] = {}
    for asset, _, amount in legs:
        rest[asset] = rest.get(asset, ZERO) + amount
    if any(rest.values()):
        raise ValueError(f"entry does not balance: {rest}")
    now = clock.now()
    books.post([
        PostingRow(
            entry=entry, leg=number, account=account, asset=asset, book=book, amount=amount, cause=cause, fill=fill,
            reference=reference, memo=memo, posted_at=now,
        )
        for number, (asset, book, amount) in enumerate(legs)
    ])  # fmt: skip
    books.announce("ledger", f"ledger.{cause}", account if cause == "fill" else entry, account=account)
    return entry

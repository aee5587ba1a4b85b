"""The double-entry ledger: every entry sums to zero per asset; balances and positions are folded from it. Pure.

A trade of spot exchanges base and quote. A trade of a contract moves what it realised, and its fee, in the asset that
settles the contract; its quantity is in base asset, of an inverse contract in quote asset (docs/adr/0004-contracts.md).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from orders.books import Books
from orders.rows import ZERO, FillRow, PositionRow, PostingRow, TransferRow
from project.lib import clock, decimals, ids, symbols

Leg = tuple[str, str, Decimal]
# The books that a counter-entry may name as its reason; trades alone move `trading`.
COUNTER_BOOKS = ("adjustments", "fees", "funding", "transfers")
# Against which book each kind of transfer is posted.
TRANSFER_BOOKS = {
    "deposit": "transfers", "withdrawal": "transfers", "internal": "transfers", "other": "transfers",
    "funding": "funding", "settlement": "funding", "rebate": "fees", "fee": "fees",
}  # fmt: skip


@dataclass(frozen=True)
class Holding:
    """A net position: quantity, average entry price, realised profit and loss in the quote (of a contract: settlement) asset."""

    quantity: Decimal = ZERO
    entry_price: Decimal | None = None
    realised_pnl: Decimal = ZERO


class Trade(Protocol):
    """What a position needs of a booked trade."""

    @property
    def symbol(self) -> str:
        """The symbol traded."""

    @property
    def side(self) -> str:
        """Buy or sell."""

    @property
    def quantity(self) -> Decimal:
        """How much."""

    @property
    def price(self) -> Decimal:
        """At which price."""

    @property
    def realised_pnl(self) -> Decimal:
        """Of a contract, what it won or lost."""


def fill_legs(fill: FillRow) -> list[Leg]:
    """Return the balanced legs of a trade: (asset, book, amount). Quote amount and realised profit are the venue's own."""
    parts = symbols.split(fill.symbol)
    legs: list[Leg] = []
    if parts.is_contract:
        if fill.realised_pnl:
            legs = [(parts.settle, "venue", fill.realised_pnl), (parts.settle, "trading", -fill.realised_pnl)]
    else:
        quantity, value = (
            (fill.quantity, -fill.quote_quantity) if fill.side == "buy" else (-fill.quantity, fill.quote_quantity)
        )
        legs = [
            (parts.base, "venue", quantity),
            (parts.base, "trading", -quantity),
            (parts.quote, "venue", value),
            (parts.quote, "trading", -value),
        ]
    if fill.fee:
        legs += [(fill.fee_asset, "venue", -fill.fee), (fill.fee_asset, "fees", fill.fee)]
    return legs


def after(holding: Holding, trade: Trade) -> Holding:
    """Return the position after one more booked trade of spot or of a contract."""
    parts = symbols.split(trade.symbol)
    if not parts.is_contract:
        return fold(holding, trade.side, trade.quantity, trade.price)
    signed = trade.quantity if trade.side == "buy" else -trade.quantity
    quantity = holding.quantity + signed
    entry_price: Decimal | None = holding.entry_price
    if quantity == 0:
        entry_price = None
    elif entry_price is None or (quantity > 0) != (holding.quantity > 0):
        entry_price = trade.price
    elif (holding.quantity > 0) == (signed > 0):
        worth = parts.worth(holding.quantity, entry_price) + parts.worth(signed, trade.price)
        entry_price = decimals.quantise(quantity / worth if parts.is_inverse else worth / quantity)
    return Holding(quantity, entry_price, holding.realised_pnl + trade.realised_pnl)


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
    holding = after(holding, fill)
    changed = PositionRow(
        account=fill.account, symbol=fill.symbol, quantity=holding.quantity, entry_price=holding.entry_price,
        realised_pnl=holding.realised_pnl,
    )  # fmt: skip
    books.put_position(before, changed)
    books.announce("positions", "position.changed", f"{fill.account}:{fill.symbol}", account=fill.account)


def transfer_legs(transfer: TransferRow) -> list[Leg]:
    """Return the balanced legs of a transfer: what it did to our total, against what it was for, its fee against `fees`."""
    asset, amount, fee = transfer.asset, transfer.amount, transfer.fee
    book = TRANSFER_BOOKS[transfer.kind]
    if book == "fees":
        fee = -amount  # all of it
    legs: list[Leg] = [(asset, "venue", amount)]
    if amount + fee:
        legs.append((asset, book, -amount - fee))
    if fee:
        legs.append((asset, "fees", fee))
    return legs


def post_transfer(books: Books, transfer: TransferRow) -> None:
    """Post a booked transfer; its entry has its id. Call in the transfer's own transaction.

    Of a contract's settlement only that part is here which no trade has realised: see docs/adr/0004-contracts.md.
    """
    _post(
        books, transfer.account, transfer_legs(transfer), cause="transfer", entry=transfer.id,
        reference=transfer.venue_transfer_id, memo=" ".join(filter(None, (transfer.kind, transfer.symbol))),
    )  # fmt: skip


def post_opening(books: Books, account: str, totals: Mapping[str, Decimal]) -> None:
    """Post what the venue held when the account was first read, against the counter-account `opening`."""
    for asset, total in sorted(totals.items()):
        if total:
            legs: list[Leg] = [(asset, "venue", total), (asset, "opening", -total)]
            _post(
                books, account, legs, cause="opening", reference=asset, memo="opening balance as the venue reported it"
            )


def post_adjustment(
    books: Books,
    account: str,
    asset: str,
    amount: Decimal,
    *,
    actor: str,
    memo: str,
    reference: str,
    counter_book: str = "adjustments",
) -> uuid.UUID:
    """Post a counter-entry that moves our total of an asset by amount, against one of COUNTER_BOOKS.

    The book is named in the reference of both legs as well, so that a leg moved to another one is found out. Returns the
    entry id; nothing is deleted. Raises ValueError for another book.
    """
    if counter_book not in COUNTER_BOOKS:
        raise ValueError(f"{counter_book} is no book for counter-entries")
    legs: list[Leg] = [(asset, "venue", amount), (asset, counter_book, -amount)]
    if counter_book != "adjustments":
        reference = f"{reference} against {counter_book}"
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

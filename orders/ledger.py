"""The double-entry ledger: every entry sums to zero per asset; balances and positions are folded from it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db import connection

from orders.models import Balance, Fill, Position, Posting
from project.lib import clock, decimals, feed, ids
from venues.messages import BalanceReport
from venues.models import Account

ZERO = Decimal(0)
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


def fill_legs(fill: Fill) -> list[Leg]:
    """Return the balanced legs of a trade: (asset, book, amount). The quote amount is the venue's own."""
    base, quote = assets_of(fill.symbol)
    sign = 1 if fill.side == "buy" else -1
    legs: list[Leg] = [
        (base, Posting.Book.VENUE, sign * fill.quantity),
        (base, Posting.Book.TRADING, -sign * fill.quantity),
        (quote, Posting.Book.VENUE, -sign * fill.quote_quantity),
        (quote, Posting.Book.TRADING, sign * fill.quote_quantity),
    ]
    if fill.fee:
        legs += [(fill.fee_asset, Posting.Book.VENUE, -fill.fee), (fill.fee_asset, Posting.Book.FEES, fill.fee)]
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


def post_fill(fill: Fill) -> None:
    """Post a booked fill and fold its balances and position. Call in the fill's own transaction."""
    _post(fill.account_id, fill_legs(fill), cause="fill", fill=fill, entry=fill.id, reference=fill.venue_trade_id)
    position, _ = Position.objects.select_for_update().get_or_create(account_id=fill.account_id, symbol=fill.symbol)
    holding = Holding(position.quantity, position.entry_price, position.realised_pnl)
    holding = fold(holding, fill.side, fill.quantity, fill.price)
    position.quantity, position.entry_price = holding.quantity, holding.entry_price
    position.realised_pnl, position.updated_at = holding.realised_pnl, clock.now()
    position.save()
    feed.announce("positions", "position.changed", f"{fill.account_id}:{fill.symbol}", account=fill.account_id)


def post_opening(account: Account, totals: Mapping[str, Decimal]) -> None:
    """Post what the venue held when the account was first read, against the counter-account `opening`."""
    for asset, total in sorted(totals.items()):
        if total:
            legs: list[Leg] = [(asset, Posting.Book.VENUE, total), (asset, Posting.Book.OPENING, -total)]
            _post(account.code, legs, cause="opening", reference=asset, memo="opening balance as the venue reported it")


def post_adjustment(
    account: Account, asset: str, amount: Decimal, *, actor: str, memo: str, reference: str
) -> uuid.UUID:
    """Post a counter-entry that moves our total of an asset by amount. Returns the entry id; nothing is deleted."""
    legs: list[Leg] = [(asset, Posting.Book.VENUE, amount), (asset, Posting.Book.ADJUSTMENTS, -amount)]
    return _post(account.code, legs, cause="adjustment", reference=reference, memo=f"{actor}: {memo}"[:300])


def preview_adjustment(account: Account, asset: str, amount: Decimal) -> dict[str, str | None]:
    """Show what an adjustment would do, without doing it."""
    total = totals(account).get(asset, ZERO)
    return {
        "asset": asset,
        "amount": decimals.write(amount),
        "total_before": decimals.write(total),
        "total_after": decimals.write(total + amount),
    }


def totals(account: Account) -> dict[str, Decimal]:
    """Return our total per asset."""
    return dict(Balance.objects.filter(account=account).values_list("asset", "total"))


def note_venue_balances(account_code: str, reports: Sequence[BalanceReport]) -> None:
    """Keep beside our totals what the venue says; this never changes our totals."""
    now = clock.now()
    if not reports:
        return
    Balance.objects.bulk_create(
        [
            Balance(
                account_id=account_code, asset=report.asset, venue_total=report.total, venue_free=report.free,
                venue_held=report.held, as_of=now, updated_at=now,
            )
            for report in sorted(reports, key=lambda report: report.asset)
        ],
        update_conflicts=True,
        unique_fields=["account", "asset"],
        update_fields=["venue_total", "venue_free", "venue_held", "as_of", "updated_at"],
    )  # fmt: skip
    feed.announce("balances", "balances.reported", account_code, account=account_code)


def _post(
    account_code: str,
    legs: list[Leg],
    *,
    cause: str,
    fill: Fill | None = None,
    entry: uuid.UUID | None = None,
    reference: str = "",
    memo: str = "",
) -> uuid.UUID:
    entry = entry or ids.new_id()
    for asset in {leg[0] for leg in legs}:
        rest = sum((amount for leg_asset, _, amount in legs if leg_asset == asset), ZERO)
        if rest != 0:
            raise ValueError(f"entry does not balance in {asset}: {rest}")
    now = clock.now()
    Posting.objects.bulk_create(
        [
            Posting(
                entry=entry, leg=number, account_id=account_code, asset=asset, book=book, amount=amount, cause=cause,
                fill=fill, reference=reference, memo=memo, posted_at=now,
            )
            for number, (asset, book, amount) in enumerate(legs)
        ]
    )  # fmt: skip
    changes: dict[str, Decimal] = {}
    for asset, book, amount in legs:
        if book == Posting.Book.VENUE:
            changes[asset] = changes.get(asset, ZERO) + amount
    _add_to_totals(account_code, changes)
    feed.announce("ledger", f"ledger.{cause}", entry, account=account_code)
    return entry


def _add_to_totals(account_code: str, changes: dict[str, Decimal]) -> None:
    with connection.cursor() as cursor:
        for asset, amount in sorted(changes.items()):
            cursor.execute(
                "INSERT INTO orders_balance (account_id, asset, total, updated_at) VALUES (%s, %s, %s, now()) "
                "ON CONFLICT (account_id, asset) DO UPDATE "
                "SET total = orders_balance.total + EXCLUDED.total, updated_at = now()",
                [account_code, asset, amount],
            )

"""What a venue says of the positions of contracts, kept beside ours: quantity, mark price, its own P&L, margin."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from orders.models import Position
from orders.rows import ZERO
from project.lib import clock
from venues.messages import PositionReport

SAID = ("venue_quantity", "venue_entry_price", "mark_price", "venue_unrealised_pnl", "margin", "as_of")


def note(account: str, reports: Sequence[PositionReport], *, requested_at: datetime) -> None:
    """Keep a whole list of the venue's positions beside ours, which stay as they are.

    A contract that the list leaves out is flat there: no quantity, no margin, and nothing to value.
    """
    now = clock.now()
    said = {report.symbol: report for report in reports}
    rows = [
        Position(
            account_id=account, symbol=symbol, venue_quantity=report.quantity, venue_entry_price=report.entry_price,
            mark_price=report.mark_price, venue_unrealised_pnl=report.unrealised_pnl, margin=report.margin,
            as_of=requested_at, updated_at=now,
        )
        for symbol, report in sorted(said.items())
    ]  # fmt: skip
    Position.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["account", "symbol"], update_fields=SAID
    )  # fmt: skip
    others = Position.objects.filter(account_id=account, symbol__contains=":").exclude(symbol__in=said)
    others.update(
        venue_quantity=ZERO, venue_entry_price=None, mark_price=None, venue_unrealised_pnl=ZERO, margin=ZERO, as_of=requested_at
    )  # fmt: skip

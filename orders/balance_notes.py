"""What a venue says of an account's balances, kept beside our totals: by its lists, and by its stream apart."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from orders.models import Balance
from project.lib import clock, sql
from project.lib.decimals import ZERO
from venues.messages import BalanceReport


def _statement(columns: str = "", values: str = "", changes: str = "") -> str:
    return (
        "INSERT INTO orders_balance AS b (account_id, asset, total, venue_total, venue_free, venue_held, as_of, updated_at, "
        f"difference, difference_since{columns}) SELECT %s, v.asset, 0, v.total, v.free, v.held, %s, %s, v.total, %s{values} "
        "FROM unnest(%s::text[], %s::numeric[], %s::numeric[], %s::numeric[]) AS v(asset, total, free, held) "
        f"ON CONFLICT (account_id, asset) DO UPDATE SET {changes}venue_total = EXCLUDED.venue_total, "
        "venue_free = EXCLUDED.venue_free, venue_held = EXCLUDED.venue_held, as_of = EXCLUDED.as_of, "
        "updated_at = EXCLUDED.updated_at, difference = EXCLUDED.venue_total - b.total, "
        "difference_since = CASE WHEN b.difference = EXCLUDED.venue_total - b.total THEN b.difference_since "
        "ELSE EXCLUDED.difference_since END, "
        "difference_confirmed_at = CASE WHEN b.difference IS DISTINCT FROM EXCLUDED.venue_total - b.total THEN NULL "
        "WHEN b.difference_confirmed_at IS NOT NULL THEN b.difference_confirmed_at "
        "WHEN b.difference_since < EXCLUDED.difference_since - interval '5 seconds' THEN EXCLUDED.difference_since END"
    )


_VENUE_BALANCES = _statement()
# A stream tells the assets that moved; what it said is kept apart, so that it can be held against the venue's own lists.
_STREAM_BALANCES = _statement(
    ", stream_total, stream_at",
    ", v.total, %s",
    "stream_total = EXCLUDED.stream_total, stream_at = EXCLUDED.stream_at, ",
)


def keep(account: str, reports: Sequence[BalanceReport], *, requested_at: datetime, is_whole: bool) -> None:
    """Keep what the venue says; a whole list says zero of every asset it leaves out, a stream tells the assets that moved."""
    said = {report.asset: (report.total, report.free, report.held) for report in reports}
    if is_whole:
        known = Balance.objects.filter(account_id=account).values_list("asset", flat=True)
        said |= {asset: (ZERO, ZERO, ZERO) for asset in known if asset not in said}
    if not said:
        return
    assets, now = sorted(said), clock.now()
    columns = [[said[asset][index] for asset in assets] for index in range(3)]
    if is_whole:
        sql.run(_VENUE_BALANCES, account, now, now, requested_at, assets, *columns)
    else:
        sql.run(_STREAM_BALANCES, account, now, now, requested_at, requested_at, assets, *columns)

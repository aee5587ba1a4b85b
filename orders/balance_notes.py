"""What a venue says of an account's balances, kept beside our totals: by its lists, and by its stream apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from orders.models import Balance
from orders.told import ToldBalances
from project.lib import clock, sql
from project.lib.decimals import ZERO
from venues.messages import BalanceReport

_STATED = sql.table(
    "orders_balance", account="text account_id", asset="text", total="numeric", free="numeric", held="numeric",
    asked_at="timestamptz", noted_at="timestamptz",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stated:
    account: str
    asset: str
    total: Decimal
    free: Decimal
    held: Decimal
    asked_at: datetime
    noted_at: datetime


def _statement(columns: str = "", values: str = "", changes: str = "") -> str:
    return (
        "INSERT INTO orders_balance AS b (account_id, asset, total, venue_total, venue_free, venue_held, as_of, updated_at, "
        "difference, difference_since"
        f"{columns}) SELECT v.account_id, v.asset, 0, v.total, v.free, v.held, v.noted_at, v.noted_at, v.total, v.asked_at{values} "
        f"FROM {_STATED.unnested()} "
        f"ON CONFLICT (account_id, asset) DO UPDATE SET {changes}venue_total = EXCLUDED.venue_total, "
        "venue_free = EXCLUDED.venue_free, venue_held = EXCLUDED.venue_held, as_of = EXCLUDED.as_of, "
        "updated_at = EXCLUDED.updated_at, difference = EXCLUDED.venue_total - b.total, "
        "difference_since = CASE WHEN b.difference = EXCLUDED.venue_total - b.total THEN b.difference_since "
        "ELSE EXCLUDED.difference_since END, "
        "difference_confirmed_at = CASE WHEN b.difference IS DISTINCT FROM EXCLUDED.venue_total - b.total THEN NULL "
        "WHEN b.difference_confirmed_at IS NOT NULL THEN b.difference_confirmed_at "
        "WHEN b.difference_since < EXCLUDED.difference_since - interval '5 seconds' THEN EXCLUDED.difference_since END"
    )


_LISTED = _statement()
# A stream tells the assets that moved; what it said is kept apart, so that it can be held against the venue's own lists.
_TOLD = _statement(
    ", stream_total, stream_at",
    ", v.total, v.asked_at",
    "stream_total = EXCLUDED.stream_total, stream_at = EXCLUDED.stream_at, ",
)


def keep(account: str, reports: Sequence[BalanceReport], *, requested_at: datetime, is_whole: bool) -> None:
    """Keep what the venue says; a whole list says zero of every asset it leaves out, a stream tells the assets that moved."""
    said = {report.asset: report for report in reports}
    if is_whole:
        known = Balance.objects.filter(account_id=account).values_list("asset", flat=True)
        said |= {
            asset: BalanceReport(asset=asset, total=ZERO, free=ZERO, held=ZERO) for asset in known if asset not in said
        }
    if not said:
        return
    flush = sql.Flush()
    flush.add(_LISTED if is_whole else _TOLD, _STATED.values(_stated(account, said, requested_at)))
    flush.send()


def told(balances: Mapping[str, ToldBalances]) -> tuple[str, Sequence[bytes]]:
    """Return the statement, and its parameters, that keeps what streams told of the balances of any number of accounts."""
    stated = (_stated(account, said.by_asset, said.received_at) for account, said in sorted(balances.items()))
    return _TOLD, _STATED.values(row for rows in stated for row in rows)


def _stated(account: str, said: Mapping[str, BalanceReport], asked_at: datetime) -> Iterable[_Stated]:
    now = clock.now()
    for asset, report in sorted(said.items()):
        yield _Stated(
            account=account, asset=asset, total=report.total, free=report.free, held=report.held, asked_at=asked_at,
            noted_at=now,
        )  # fmt: skip

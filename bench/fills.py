"""Two sides of a month of fills, made by SQL: what is booked, what a statement of the venue says, and planted differences."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

from project.lib import clock, sql

SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
KINDS = ("not_here", "not_there", "price", "quantity", "fee", "side")
WANTED = {
    "not_here": "fill_missing_here", "not_there": "fill_missing_at_venue", "price": "fill_differs", "quantity": "fill_differs",
    "fee": "fee_differs", "side": "wrong_side",
}  # fmt: skip
MONTH, MONTH_LENGTH = datetime(2026, 6, 1, tzinfo=UTC), timedelta(days=30)
# Number n is always the same trade; the ids lie in no order, as a venue’s mostly do not.
_TRADE = """
SELECT n, 't' || (mod(n::bigint * 7919, 1000000007)) AS venue_trade_id, (ARRAY['BTC/USDT','ETH/USDT','SOL/USDT'])[mod(n, 3) + 1] AS symbol,
    CASE WHEN mod(n, 2) = 0 THEN 'buy' ELSE 'sell' END AS side, (20000 + mod(n, 100000) * 0.01)::numeric(38,18) AS price,
    (0.001 * (1 + mod(n, 50)))::numeric(38,18) AS quantity, (0.00000001 * (1 + mod(n, 70000)))::numeric(38,18) AS fee,
    'USDT'::text AS fee_asset, {start}::timestamptz + n * ({span}::interval / {count}) AS executed_at
FROM generate_series({first}, {last}) AS n
"""
_ORDER = """
INSERT INTO orders_order (id, account_id, client_order_id, body_digest, symbol, side, type, quantity, price, time_in_force, post_only,
    reduce_only, strategy, source, is_external, group_role, status, mutation, filled_quantity, filled_value, reason_code, reason_message,
    reason_venue_code, venue_order_id, submit_tries, trigger_state, version, created_at, updated_at, ended_at)
SELECT %s, %s, 'seed', '', 'BTC/USDT', 'buy', 'limit', 1, 20000, 'gtc', false, false, '', 'bench', false, '', 'filled', 'none', 0, 0, '', '',
    '', 'seed', 1, '', 4, now(), now(), now()
"""
_FILLS = """
INSERT INTO orders_fill (id, order_id, account_id, symbol, side, price, quantity, quote_quantity, fee, fee_asset, realised_pnl, liquidity,
    venue_trade_id, venue_order_id, source, executed_at, recorded_at)
SELECT gen_random_uuid(), %s, %s, symbol, side, price, quantity, 1, fee, fee_asset, 0, '', venue_trade_id, 'seed', 'bench', executed_at,
    executed_at FROM ({trades}) AS t
"""
_LINES = """
INSERT INTO reconciliation_statementline (statement_id, number, symbol, side, venue_trade_id, price, quantity, fee, fee_asset, executed_at,
    venue_order_id)
SELECT %s, n, symbol, side, venue_trade_id, price, quantity, fee, fee_asset, executed_at, '' FROM ({trades}) AS t ORDER BY hashint8(n)
"""
_TOLD = """
INSERT INTO orders_venuedigest (account_id, minute, count, digest, snapshot_number, told_at)
SELECT %s, date_bin('1 minute', executed_at, 'epoch'), count(*),
    sum(gapless_fill_hash(venue_trade_id, symbol, side, price, quantity, fee, fee_asset)), 0, now()
FROM reconciliation_statementline WHERE statement_id = %s GROUP BY 2
"""
_PLANT = {
    "not_here": "INSERT INTO reconciliation_statementline (statement_id, number, symbol, side, venue_trade_id, price, quantity, fee, "
    "fee_asset, executed_at, venue_order_id) SELECT statement_id, number + 1000000000, symbol, side, venue_trade_id || 'x', price, quantity, fee, "
    "fee_asset, executed_at, '' FROM reconciliation_statementline WHERE statement_id = %s AND number = ANY(%s)",
    "not_there": "DELETE FROM reconciliation_statementline WHERE statement_id = %s AND number = ANY(%s)",
    **{
        name: f"UPDATE reconciliation_statementline SET {name} = {name} + 0.00000001 WHERE statement_id = %s AND number = ANY(%s)"
        for name in ("price", "quantity", "fee")
    },
    "side": "UPDATE reconciliation_statementline SET side = CASE side WHEN 'buy' THEN 'sell' ELSE 'buy' END "
    "WHERE statement_id = %s AND number = ANY(%s)",
}  # fmt: skip


def book(
    account: str, first: int, last: int, count: int, start: datetime = MONTH, span: timedelta = MONTH_LENGTH
) -> None:
    """Store fills number first to last of an account, of which `count` fill a span; the database keeps their digests."""
    order = uuid.uuid4()
    if not sql.rows("SELECT 1 FROM orders_order WHERE account_id = %s AND client_order_id = 'seed'", account):
        sql.run(_ORDER, order, account)
    [(order,)] = sql.rows("SELECT id FROM orders_order WHERE account_id = %s AND client_order_id = 'seed'", account)
    sql.run(_FILLS.format(trades=_trades(first, last, count, start, span)), order, account)
    settle()


def settle() -> None:
    """Do at once what the database does in the background after rows came by the million: it would be measured else."""
    for table in ("orders_fill", "orders_filldigest"):
        sql.run(f"VACUUM ANALYZE {table}")
    sql.run("CHECKPOINT")


def state(statement: uuid.UUID, count: int) -> None:
    """Store the same trades as lines of a statement, in an order of their own."""
    sql.run(_LINES.format(trades=_trades(0, count - 1, count, MONTH, MONTH_LENGTH)), statement)
    sql.run("ANALYZE reconciliation_statementline")


def tell(account: str, statement: uuid.UUID) -> None:
    """Keep the digests of a month as if good reads had told the lines of the statement, minute by minute."""
    sql.run(_TOLD, account, statement)
    sql.run(
        "INSERT INTO orders_toldspan (account_id, begins_at, ends_at) VALUES (%s, %s, %s)",
        account,
        MONTH,
        MONTH + MONTH_LENGTH,
    )
    sql.run("ANALYZE orders_venuedigest")


def plant(statement: uuid.UUID, count: int, differences: int) -> dict[str, int]:
    """Make the statement differ in so many trades, of every kind; return how many of each kind of break that makes."""
    numbers = [number * (count // differences) + 7 for number in range(differences)]
    wanted: dict[str, int] = {}
    for place, kind in enumerate(KINDS):
        chosen = numbers[place :: len(KINDS)]
        touched = sql.run(_PLANT[kind], statement, chosen)
        if touched != len(chosen):
            raise RuntimeError(f"planted {touched} of {len(chosen)} {kind}")
        wanted[WANTED[kind]] = wanted.get(WANTED[kind], 0) + touched
    sql.run("ANALYZE reconciliation_statementline")
    return wanted


def recent(count: int) -> tuple[datetime, timedelta]:
    """Return start and span that let the last of `count` fills, one a second, lie a minute back."""
    span = timedelta(seconds=count)
    return clock.now() - span - timedelta(seconds=60), span


def _trades(first: int, last: int, count: int, start: datetime, span: timedelta) -> str:
    return _TRADE.format(
        first=first,
        last=last,
        count=count,
        start=f"'{start.isoformat()}'",
        span=f"'{int(span.total_seconds())} seconds'",
    )

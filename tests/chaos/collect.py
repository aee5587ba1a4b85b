"""Reads what the verdict needs: the product's database at one moment, and every venue's journal."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.chaos import verdict
from tests.chaos.cluster import Cluster
from tests.chaos.venues import Desk

MICROSECONDS = 1_000_000
PERSON = "l.resolution IN ('bound', 'declared_absent')"
QUERIES = {
    "orders": """SELECT id::text, account_id AS account, client_order_id, symbol, side, quantity, status, mutation,
        filled_quantity, EXISTS (SELECT 1 FROM orders_attempt a WHERE a.order_id = o.id AND a.action = 'submit'
        AND a.outcome NOT IN ('not_sent', 'rejected')) AS was_sent FROM orders_order o""",
    "attempts": """SELECT a.id::text, order_id::text AS "order", account_id AS account, action, venue_client_id, epoch,
        outcome, resolved_at IS NOT NULL AS is_resolved, sent_at, pg_xact_commit_timestamp(w.xmin) AS committed_at
        FROM orders_attempt a LEFT JOIN chaos_attempt w ON w.attempt = a.id ORDER BY sent_at, a.id""",
    "fills": """SELECT order_id::text AS "order", account_id AS account, symbol, side, price, quantity,
        quote_quantity AS cost, fee, fee_asset, liquidity, venue_trade_id AS trade_id, venue_order_id FROM orders_fill""",
    "letters": f"""SELECT l.id::text, l.order_id::text AS "order", l.account_id AS account, l.status, cause, l.resolution,
        resolved_by, {PERSON} AS by_person, coalesce(a.action, 'submit') AS action
        FROM orders_deadletter l LEFT JOIN orders_attempt a ON a.id = l.attempt_id ORDER BY l.created_at""",
    "grants": """SELECT account, epoch, pg_xact_commit_timestamp(xmin) AS at FROM chaos_epoch""",
    "balances": """SELECT account_id AS account, asset, total FROM orders_balance""",
}  # fmt: skip


def product(cluster: Cluster) -> verdict.Product:
    """Read the product's rows in one transaction, so that they belong together."""
    rows: dict[str, list[dict[str, Any]]] = {}
    with psycopg.connect(cluster.database.url, row_factory=dict_row) as link:
        link.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        for name, query in QUERIES.items():
            rows[name] = link.execute(query.encode()).fetchall()
    for row in (*rows["attempts"], *rows["grants"]):
        for name in ("committed_at", "at"):
            if row.get(name) is not None:
                row[name] = int(row[name].timestamp() * MICROSECONDS)
    balances = {(row["account"], row["asset"]): row["total"] for row in rows.pop("balances")}
    return verdict.Product(**rows, balances=balances)  # type: ignore[arg-type]


def venue(cluster: Cluster, desk: Desk) -> verdict.Venue:
    """Read one venue's journal and the balances its engine has."""
    held = cluster.paper.balances(desk.world)
    return verdict.Venue(
        account=desk.code,
        journal=[row for row in journal(cluster, desk) if row.get("account") == desk.world.api_key],
        balances={asset: Decimal(row["total"]) for asset, row in held.items()},
        has_window=desk.personality.has_window,
    )


def journal(cluster: Cluster, desk: Desk) -> list[dict[str, Any]]:
    """Read all of a venue's journal, in pages as large as it gives."""
    found: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        where = f"exchange={desk.world.exchange}&world={desk.world.world}&after={after}&limit=5000"
        page = cluster.paper.control("GET", f"journal?{where}")
        found += page["results"]
        after = page["next"]
    return found


def unsettled(cluster: Cluster) -> list[str]:
    """Name, in short, what still moves: orders under way, doubts without a dead letter, wishes not carried out."""
    moving = cluster.sql(
        """SELECT 'order ' || status || ' ' || mutation FROM orders_order o
        WHERE (status NOT IN ('denied', 'rejected', 'filled', 'cancelled', 'expired', 'open', 'partially_filled')
               OR (mutation <> 'none' AND status IN ('open', 'partially_filled')))
        AND NOT EXISTS (SELECT 1 FROM orders_deadletter l WHERE l.order_id = o.id AND l.status = 'open')
        UNION ALL SELECT 'attempt ' || action FROM orders_attempt a
        WHERE outcome IN ('', 'unknown') AND resolved_at IS NULL
        AND NOT EXISTS (SELECT 1 FROM orders_deadletter l WHERE l.attempt_id = a.id AND l.status = 'open')
        UNION ALL SELECT 'wish ' || action FROM orders_intent i WHERE done_at IS NULL
        AND NOT EXISTS (SELECT 1 FROM orders_deadletter l WHERE l.order_id = i.order_id AND l.status = 'open')"""
    )
    return [what for (what,) in moving]

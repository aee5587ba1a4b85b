"""Does an order cost more when many are known or stored? Rows are made by SQL; the path measured is the real one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from statistics import median

from django.db import connection

from bench.desk import Desk
from bench.ground import SYMBOL
from bench.peer import raw_ccxt
from orders.books import Books
from project.lib import sql
from tests.venues.paper.process import WorldHandle

ORDERS, IN_FLIGHT, ROUNDS = 400, 16, 5
_ORDERS = (
    "INSERT INTO orders_order (id, account_id, client_order_id, body_digest, symbol, side, type, quantity, price, "
    "time_in_force, post_only, reduce_only, strategy, source, is_external, group_role, status, mutation, filled_quantity, "
    "filled_value, reason_code, reason_message, reason_venue_code, venue_order_id, submit_tries, trigger_state, version, "
    "created_at, updated_at, ended_at) SELECT gen_random_uuid(), '{account}', '{status}-' || n, '', '"
    + SYMBOL
    + "', 'buy', "
    "'limit', 1, 20000, 'gtc', false, false, '', 'bench', false, '', '{status}', 'none', 0, 0, '', '', '', '{status}-' || n, 1, "
    "'', 4, now() - interval '1 day', now() - interval '1 day', {ended} FROM generate_series({first}, {last}) AS n"
)
_EVENTS = (
    "INSERT INTO orders_orderevent (account_id, sequence, order_id, kind, status_before, status_after, data, source, "
    "received_at, recorded_at) SELECT account_id, {base} + row_number() OVER () + {first}, id, 'open', 'sending', 'open', "
    "'{{}}', 'bench', now(), now() FROM orders_order WHERE account_id = '{account}' AND client_order_id LIKE '{status}-%%' "
    "AND substr(client_order_id, length('{status}-') + 1)::int BETWEEN {first} AND {last}"
)


async def seed(desk: Desk, status: str, first: int, last: int) -> None:
    """Store orders number first to last of a status, with an event each, and wait until the database is done with them.

    A database that loaded a million rows a minute ago is still writing them out and visiting them for the first time;
    what is asked here is what stored rows cost, not what loading them does.
    """
    ended = "NULL" if status == "open" else "now()"
    base = {"open": 1_000_000_000, "filled": 2_000_000_000}[status]  # sequences of the two never meet
    named = {
        "account": desk.service.account, "status": status, "first": first, "last": last, "ended": ended, "base": base,
    }  # fmt: skip
    for query in (_ORDERS.format(**named), _EVENTS.format(**named)):
        await desk.service.writer.run(partial(_run, query))
    await asyncio.to_thread(_settle)


def _settle() -> None:
    try:
        for query in ("VACUUM (ANALYZE) orders_order", "VACUUM (ANALYZE) orders_orderevent", "CHECKPOINT"):
            sql.run(query)
    finally:
        connection.close()


def _run(query: str, books: Books) -> None:
    sql.run(query)


@dataclass(frozen=True)
class Beside:
    """What an order costs here as a multiple of raw ccxt's in the same minute: a machine that slows down changes nothing."""

    p50: float
    cpu: float
    per_second: float


async def measured(desk: Desk, peer: WorldHandle, tag: str) -> Beside:
    """Send a few hundred orders, sixteen at a time, in turns with raw ccxt; return the medians of the rounds' ratios."""
    pairs = []
    for number in range(ROUNDS):
        theirs = await raw_ccxt(peer, IN_FLIGHT, ORDERS, f"{tag}{number}")
        pairs.append((await desk.submit_all(await desk.take_in(ORDERS), IN_FLIGHT), theirs))
    return Beside(
        p50=median(ours.percentile_us(50) / theirs.percentile_us(50) for ours, theirs in pairs),
        cpu=median(ours.cpu_us / theirs.cpu_us for ours, theirs in pairs),
        per_second=median(ours.per_second / theirs.per_second for ours, theirs in pairs),
    )

"""Does an order cost more when many are known or stored? Rows are made by SQL; the path measured is the real one."""

from __future__ import annotations

from functools import partial

from bench.desk import Desk
from bench.ground import SYMBOL
from bench.load import Timed
from orders.books import Books
from project.lib import sql

ORDERS, IN_FLIGHT = 400, 16
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
    "received_at, recorded_at) SELECT account_id, 1000000000 + row_number() OVER () + {first}, id, 'open', 'sending', 'open', "
    "'{{}}', 'bench', now(), now() FROM orders_order WHERE account_id = '{account}' AND client_order_id LIKE '{status}-%%' "
    "AND substr(client_order_id, length('{status}-') + 1)::int BETWEEN {first} AND {last}"
)


async def seed(desk: Desk, status: str, first: int, last: int) -> None:
    """Store orders number first to last of a status, with an event each, and let the database look at its tables."""
    ended = "NULL" if status == "open" else "now()"
    named = {"account": desk.service.account, "status": status, "first": first, "last": last, "ended": ended}
    for query in (
        _ORDERS.format(**named),
        _EVENTS.format(**named),
        "ANALYZE orders_order",
        "ANALYZE orders_orderevent",
    ):
        await desk.service.writer.run(partial(_run, query))


def _run(query: str, books: Books) -> None:
    sql.run(query)


async def measured(desk: Desk) -> Timed:
    """Send a few hundred orders, sixteen at a time."""
    return await desk.submit_all(await desk.take_in(ORDERS), IN_FLIGHT)

"""Deribit's signed endpoints as one table, and those about balances, positions and keys."""

from collections.abc import Callable
from typing import Any

from venues.paper.dialects import deribit_orders as orders
from venues.paper.dialects import deribit_rules as rules
from venues.paper.dialects import deribit_shapes as shapes
from venues.paper.dialects.deribit_rules import Parsed
from venues.paper.world import World

LIMITS = {"non_matching_engine": {"burst": 100, "rate": 20}, "matching_engine": {"burst": 20, "rate": 5}}


def _summary(world: World, parsed: Parsed) -> Any:
    currency = parsed.params.get("currency", "")
    if currency not in world.engine.supply:
        raise rules.invalid("currency", "invalid currency")
    account = world.engine.accounts[parsed.call.account]
    return shapes.summary(world, account, currency, world.read_moment(parsed.call)) | {"limits": LIMITS}


def _summaries(world: World, parsed: Parsed) -> Any:
    account, moment = world.engine.accounts[parsed.call.account], world.read_moment(parsed.call)
    rows = [shapes.summary(world, account, currency, moment) for currency in shapes.currencies_of(world)]
    return {"id": shapes.user_id(world, account), "type": "main", "username": "paper", "summaries": rows}


def _positions(world: World, parsed: Parsed) -> Any:
    account, moment = world.engine.accounts[parsed.call.account], world.read_moment(parsed.call)
    wanted = [market for market in rules.markets_of(world, parsed.params) if market.symbol in account.positions]
    rows = [shapes.position(world, account, market, moment) for market in wanted]
    return [row for row in rows if row["size"]]


def _position(world: World, parsed: Parsed) -> Any:
    account, moment = world.engine.accounts[parsed.call.account], world.read_moment(parsed.call)
    return shapes.position(world, account, rules.market_of(world, parsed.params), moment)


def _log(world: World, parsed: Parsed) -> Any:
    """Show a page of what changed a currency's balance, newest first: transfers, settlements and trades."""
    params, moment = parsed.params, world.read_moment(parsed.call)
    currency = params.get("currency", "")
    if currency not in world.engine.supply:
        raise rules.invalid("currency", "invalid currency")
    start, end = (int(rules.number_of(params, name) or 0) for name in ("start_timestamp", "end_timestamp"))
    account = world.engine.accounts[parsed.call.account]
    moved = account.movements_between(start * 1000, end * 1000 + 999, moment)
    rows = [row for one in moved if (row := shapes.log_row(world, account, one, currency)) is not None]
    count, offset = rules.count_of(params, 100, 250), int(rules.number_of(params, "continuation") or 0)
    following = offset + count
    return {"logs": rows[offset:following], "continuation": following if following < len(rows) else None}


def _api_keys(world: World, parsed: Parsed) -> Any:
    key = world.keys[parsed.call.account]
    return [
        {
            "id": 1,
            "name": "paper",
            "client_id": key.api_key,
            "enabled": True,
            "default": True,
            "max_scope": rules.scope_of(key),
            "timestamp": world.venue_now() // 1000,
            "enabled_features": [],
            "ip_whitelist": list(key.whitelist),
        }
    ]


_ACTIONS: dict[str, tuple[str, str, Callable[[World, Parsed], Any]]] = {
    "buy": ("create_order", "trade", orders.buy),
    "sell": ("create_order", "trade", orders.sell),
    "edit": ("amend_order", "trade", orders.edit),
    "edit_by_label": ("amend_order", "trade", orders.edit),
    "cancel": ("cancel_order", "trade", orders.cancel),
    "cancel_by_label": ("cancel_order", "trade", orders.cancel_by_label),
    "cancel_all": ("cancel_order", "trade", orders.cancel_all),
    "cancel_all_by_currency": ("cancel_order", "trade", orders.cancel_all),
    "cancel_all_by_instrument": ("cancel_order", "trade", orders.cancel_all),
    "get_open_orders": ("open_orders", "read", orders.open_orders),
    "get_open_orders_by_currency": ("open_orders", "read", orders.open_orders),
    "get_open_orders_by_instrument": ("open_orders", "read", orders.open_orders),
    "get_open_orders_by_label": ("open_orders", "read", orders.open_orders),
    "get_order_state": ("fetch_order", "read", orders.order_state),
    "get_order_state_by_label": ("fetch_order", "read", orders.order_state_by_label),
    "get_order_history_by_currency": ("closed_orders", "read", orders.order_history),
    "get_order_history_by_instrument": ("closed_orders", "read", orders.order_history),
    "get_user_trades_by_currency": ("my_trades", "read", orders.user_trades),
    "get_user_trades_by_currency_and_time": ("my_trades", "read", orders.user_trades),
    "get_user_trades_by_instrument": ("my_trades", "read", orders.user_trades),
    "get_user_trades_by_instrument_and_time": ("my_trades", "read", orders.user_trades),
    "get_user_trades_by_order": ("my_trades", "read", orders.trades_of_order),
    "get_account_summary": ("balance", "read", _summary),
    "get_account_summaries": ("balance", "read", _summaries),
    "get_positions": ("positions", "read", _positions),
    "get_position": ("positions", "read", _position),
    "get_transaction_log": ("transfers", "read", _log),
    "list_api_keys": ("credentials", "read", _api_keys),
}
# path: operation that faults match, permission needed, handler
PRIVATE = {f"/api/v2/private/{name}": route for name, route in _ACTIONS.items()}

"""Kraken's signed endpoints as one table, and those about balances, keys and tokens."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from venues.paper.dialects import kraken_orders as orders
from venues.paper.dialects import kraken_rules as rules
from venues.paper.dialects import kraken_shapes as shapes
from venues.paper.dialects.kraken_rules import Parsed
from venues.paper.personality import MICROSECONDS
from venues.paper.world import World

TOKEN_SECONDS = 900


def _balance(world: World, parsed: Parsed) -> Any:
    return {rules.asset_id(asset): shapes.eight(total) for asset, total, _ in _totals(world, parsed)}


def _balance_extended(world: World, parsed: Parsed) -> Any:
    return {
        rules.asset_id(asset): {"balance": shapes.eight(total), "hold_trade": shapes.eight(held)}
        for asset, total, held in _totals(world, parsed)
    }


def _trade_balance(world: World, parsed: Parsed) -> Any:
    worth = Decimal(0)
    for asset, total, _ in _totals(world, parsed):
        state = world.engine.markets.get(f"{asset}/USDT")
        worth += total * (state.last_price if state else Decimal(1))
    amount = f"{worth:.4f}"
    zeros = dict.fromkeys(("m", "n", "c", "v"), "0.0000")
    return {"eb": amount, "tb": amount, "e": amount, "mf": amount, **zeros}


def _token(world: World, parsed: Parsed) -> Any:
    token = world.random_text(43)
    world.tokens[token] = parsed.call.account
    world.later(TOKEN_SECONDS, lambda: world.tokens.pop(token, None))
    return {"token": token, "expires": TOKEN_SECONDS}


def _key_info(world: World, parsed: Parsed) -> Any:
    key = world.keys[parsed.call.account]
    permissions = {
        "read": ("query-funds", "query-open-trades", "query-closed-trades", "query-ledger"),
        "trade": ("modify-trades", "close-trades"),
        "withdraw": ("withdraw-funds",),
    }
    now = str(world.venue_now() // MICROSECONDS)
    return {
        "apiKeyName": "paper",
        "apiKey": key.api_key,
        "nonce": str(world.nonces.get(key.api_key, 0)),
        "nonceWindow": 0,
        "permissions": [name for right, names in permissions.items() if key.permissions.get(right) for name in names],
        "validUntil": "0",
        "queryFrom": "0",
        "queryTo": "0",
        "createdTime": now,
        "modifiedTime": now,
        "ipAllowlist": list(key.whitelist),
        "lastUsed": now,
    }


def _nothing(world: World, parsed: Parsed) -> Any:
    return []


def _volume(world: World, parsed: Parsed) -> Any:
    rates = {"fees": world.exchange.taker_rate, "fees_maker": world.exchange.maker_rate}
    rows = {
        name: {market: {"fee": f"{rate * 100:.4f}"} for market in world.by_venue_id} for name, rate in rates.items()
    }
    return {"currency": "ZUSD", "volume": "0.0000", **rows}


def _totals(world: World, parsed: Parsed) -> list[tuple[str, Decimal, Decimal]]:
    account = world.engine.accounts[parsed.call.account]
    moment = world.read_moment(parsed.call)
    return [(asset, *account.visible_balance(asset, moment)) for asset in account.assets()]


def _ledgers(world: World, parsed: Parsed) -> Any:
    """Show a page of the ledger, newest first: transfers, and two rows of each trade."""
    moment, account = world.read_moment(parsed.call), world.engine.accounts[parsed.call.account]
    start, end, offset = orders.range_of(parsed.params)
    rows: dict[str, Any] = {}
    wanted = parsed.params.get("type", "all")
    for one in account.movements_between(start + 1, end, moment):
        rows |= {key: row for key, row in shapes.ledger_rows(one).items() if wanted in ("all", row["type"])}
    page = list(rows)[offset : offset + orders.PAGE]
    return {"ledger": {key: rows[key] for key in page}, "count": len(rows)}


# path: operation that faults match, permission needed, handler
PRIVATE: dict[str, tuple[str, str, Callable[[World, Parsed], Any]]] = {
    "/0/private/AddOrder": ("create_order", "trade", orders.add),
    "/0/private/AmendOrder": ("amend_order", "trade", orders.amend),
    "/0/private/CancelOrder": ("cancel_order", "trade", orders.cancel),
    "/0/private/CancelAll": ("cancel_order", "trade", orders.cancel_all),
    "/0/private/CancelAllOrdersAfter": ("market_data", "trade", orders.cancel_after),
    "/0/private/OpenOrders": ("open_orders", "read", orders.open_orders),
    "/0/private/ClosedOrders": ("closed_orders", "read", orders.closed_orders),
    "/0/private/QueryOrders": ("fetch_order", "read", orders.query_orders),
    "/0/private/TradesHistory": ("my_trades", "read", orders.trades_history),
    "/0/private/QueryTrades": ("my_trades", "read", orders.query_trades),
    "/0/private/Balance": ("balance", "read", _balance),
    "/0/private/BalanceEx": ("balance", "read", _balance_extended),
    "/0/private/TradeBalance": ("balance", "read", _trade_balance),
    "/0/private/TradeVolume": ("market_data", "read", _volume),
    "/0/private/GetWebSocketsToken": ("credentials", "read", _token),
    "/0/private/GetApiKeyInfo": ("credentials", "read", _key_info),
    "/0/private/Ledgers": ("transfers", "read", _ledgers),
    "/0/private/DepositStatus": ("market_data", "read", _nothing),
    "/0/private/WithdrawStatus": ("market_data", "read", _nothing),
}

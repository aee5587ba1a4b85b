"""Bybit's signed endpoints as one table, and those about the account itself."""

from collections.abc import Callable
from typing import Any

from venues.paper.dialects import bybit_orders as orders
from venues.paper.dialects import bybit_rules as rules
from venues.paper.dialects import bybit_shapes as shapes
from venues.paper.dialects.bybit_rules import Parsed
from venues.paper.world import World

UNIFIED_STATUS = 6


def _wallet(world: World, parsed: Parsed) -> Any:
    if parsed.params.get("accountType") != "UNIFIED":
        raise rules.error(world, rules.PARAMETER_ERROR, "accountType only support UNIFIED.")
    account = world.engine.accounts[parsed.call.account]
    wanted = [name for name in str(parsed.params.get("coin") or "").split(",") if name]
    moment = world.read_moment(parsed.call)
    assets = wanted or [asset for asset in account.assets() if account.visible_balance(asset, moment)[0]]
    return {"list": [shapes.wallet(world, parsed.call.account, assets, moment)]}


def _transactions(world: World, parsed: Parsed) -> Any:
    """Show a page of what changed the balances, newest first: transfers, and two rows of each trade."""
    start, end = orders.span_of(world, parsed)
    moment, account = world.read_moment(parsed.call), world.engine.accounts[parsed.call.account]
    moved = account.movements_between(start * 1000, end * 1000 + 999, moment)
    kind = parsed.params.get("type")
    rows = [row for one in moved for row in shapes.transactions(one) if kind in (None, row["type"])]
    limit = rules.limit_of(world, parsed.params, 20, 50)
    offset = rules.integer_of(world, parsed.params, "cursor") or 0
    following = offset + limit
    return {"list": rows[offset:following], "nextPageCursor": str(following) if following < len(rows) else ""}


def _key(world: World, parsed: Parsed) -> Any:
    key = world.keys[parsed.call.account]
    none = ("ContractTrade", "Options", "Derivatives", "CopyTrading", "BlockTrade", "Exchange", "NFT", "Affiliate")
    can_withdraw = key.permissions.get("withdraw")
    return {
        "id": "1",
        "note": "paper",
        "apiKey": key.api_key,
        "readOnly": 0 if key.permissions.get("trade") else 1,
        "secret": "",
        "permissions": {
            **{name: [] for name in none},
            "Spot": ["SpotTrade"] if key.permissions.get("trade") else [],
            "Wallet": ["AccountTransfer", "SubMemberTransfer", "Withdraw"] if can_withdraw else [],
        },
        "ips": list(key.whitelist) or ["*"],
        "type": 1,
        "deadlineDay": 90,
        "expiredAt": "2030-01-01T00:00:00Z",
        "createdAt": "2024-01-01T00:00:00Z",
        "unified": 0,
        "uta": 1,
        "userID": 1,
        "inviterID": 0,
        "vipLevel": "No VIP",
        "mktMakerLevel": "0",
        "affiliateID": 0,
        "rsaPublicKey": "",
        "isMaster": True,
    }


def _account_info(world: World, parsed: Parsed) -> Any:
    return {
        "marginMode": "REGULAR_MARGIN",
        "updatedTime": shapes.milliseconds(world.venue_now()),
        "unifiedMarginStatus": UNIFIED_STATUS,
        "dcpStatus": "OFF",
        "timeWindow": 0,
        "smpGroup": 0,
        "isMasterTrader": False,
        "spotHedgingStatus": "OFF",
    }


def _coins(world: World, parsed: Parsed) -> Any:
    names = sorted(world.engine.supply)
    return {"rows": [{"name": name, "coin": name, "remainAmount": "0", "chains": []} for name in names]}


def _fees(world: World, parsed: Parsed) -> Any:
    rates = {
        "takerFeeRate": shapes.plain(world.exchange.taker_rate),
        "makerFeeRate": shapes.plain(world.exchange.maker_rate),
    }
    return {"list": [{"symbol": name, "baseCoin": "", **rates} for name in world.by_venue_id]}


def _no_rows(world: World, parsed: Parsed) -> Any:
    return {"rows": [], "nextPageCursor": ""}


# method and path: operation that faults match, permission needed, handler
PRIVATE: dict[tuple[str, str], tuple[str, str, Callable[[World, Parsed], Any]]] = {
    ("POST", "/v5/order/create"): ("create_order", "trade", orders.create),
    ("POST", "/v5/order/amend"): ("amend_order", "trade", orders.amend),
    ("POST", "/v5/order/cancel"): ("cancel_order", "trade", orders.cancel),
    ("POST", "/v5/order/cancel-all"): ("cancel_order", "trade", orders.cancel_all),
    ("GET", "/v5/order/realtime"): ("open_orders", "read", orders.realtime),
    ("GET", "/v5/order/history"): ("closed_orders", "read", orders.history),
    ("GET", "/v5/execution/list"): ("my_trades", "read", orders.executions),
    ("GET", "/v5/account/wallet-balance"): ("balance", "read", _wallet),
    ("GET", "/v5/account/transaction-log"): ("transfers", "read", _transactions),
    ("GET", "/v5/account/info"): ("market_data", "read", _account_info),
    ("GET", "/v5/account/fee-rate"): ("market_data", "read", _fees),
    ("GET", "/v5/user/query-api"): ("credentials", "read", _key),
    ("GET", "/v5/asset/coin/query-info"): ("market_data", "read", _coins),
    ("GET", "/v5/asset/deposit/query-record"): ("market_data", "read", _no_rows),
    ("GET", "/v5/asset/withdraw/query-record"): ("market_data", "read", _no_rows),
}
# How many requests a second the real exchange takes of one account; here they are counted and told, not enforced.
REQUESTS_PER_SECOND = {
    "/v5/order/create": 20,
    "/v5/order/amend": 20,
    "/v5/order/cancel": 20,
    "/v5/order/cancel-all": 20,
}
REQUESTS_PER_SECOND_ELSE = 50

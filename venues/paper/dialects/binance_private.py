"""Binance's signed endpoints as one table, and those about the account itself."""

from collections.abc import Callable

from venues.paper.dialects import binance_amend as amend
from venues.paper.dialects import binance_orders as orders
from venues.paper.dialects import binance_rules as rules
from venues.paper.dialects import binance_shapes as shapes
from venues.paper.messages import Body
from venues.paper.world import World


def _account(world: World, parsed: rules.Parsed) -> Body:
    api_key = parsed.call.account
    key = world.keys[api_key]
    maker, taker = world.exchange.maker_rate, world.exchange.taker_rate
    return {
        "makerCommission": int(maker * 10_000),
        "takerCommission": int(taker * 10_000),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {"maker": shapes.eight(maker), "taker": shapes.eight(taker), "buyer": "0", "seller": "0"},
        "canTrade": key.permissions.get("trade", False),
        "canWithdraw": key.permissions.get("withdraw", False),
        "canDeposit": False,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": world.venue_now() // 1000,
        "accountType": "SPOT",
        "balances": shapes.balances(
            world,
            api_key,
            world.engine.accounts[api_key].assets(),
            ("asset", "free", "locked"),
            world.read_moment(parsed.call),
        ),
        "permissions": ["SPOT"],
        "uid": 1,
    }


def _restrictions(world: World, parsed: rules.Parsed) -> Body:
    key = world.keys[parsed.call.account]
    return {
        "ipRestrict": bool(key.whitelist),
        "createTime": 0,
        "enableReading": key.permissions.get("read", True),
        "enableWithdrawals": key.permissions.get("withdraw", False),
        "enableInternalTransfer": False,
        "enableMargin": False,
        "enableFutures": False,
        "permitsUniversalTransfer": False,
        "enableVanillaOptions": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
        "enablePortfolioMarginTrading": False,
        "enableSpotAndMarginTrading": key.permissions.get("trade", False),
    }


def _coins(world: World, parsed: rules.Parsed) -> Body:
    return [shapes.coin(asset) for asset in sorted(world.engine.supply)]


def _nothing(world: World, parsed: rules.Parsed) -> Body:
    return []


# method and path: operation that faults match, permission needed, handler
PRIVATE: dict[tuple[str, str], tuple[str, str, Callable[[World, rules.Parsed], Body]]] = {
    ("POST", "/api/v3/order"): ("create_order", "trade", orders.place),
    ("POST", "/api/v3/order/test"): ("market_data", "trade", orders.test),
    ("DELETE", "/api/v3/order"): ("cancel_order", "trade", orders.cancel),
    ("DELETE", "/api/v3/openOrders"): ("cancel_order", "trade", orders.cancel_all),
    ("POST", "/api/v3/order/cancelReplace"): ("amend_order", "trade", amend.cancel_replace),
    ("PUT", "/api/v3/order/amend/keepPriority"): ("amend_order", "trade", amend.keep_priority),
    ("GET", "/api/v3/order"): ("fetch_order", "read", orders.fetch),
    ("GET", "/api/v3/openOrders"): ("open_orders", "read", orders.open_orders),
    ("GET", "/api/v3/allOrders"): ("closed_orders", "read", orders.all_orders),
    ("GET", "/api/v3/myTrades"): ("my_trades", "read", orders.my_trades),
    ("GET", "/api/v3/account"): ("balance", "read", _account),
    ("GET", "/sapi/v1/account/apiRestrictions"): ("credentials", "read", _restrictions),
    ("GET", "/sapi/v1/capital/config/getall"): ("market_data", "read", _coins),
    ("GET", "/sapi/v1/margin/allPairs"): ("market_data", "read", _nothing),
    ("GET", "/sapi/v1/margin/isolated/allPairs"): ("market_data", "read", _nothing),
    ("GET", "/sapi/v1/capital/deposit/hisrec"): ("market_data", "read", _nothing),
    ("GET", "/sapi/v1/capital/withdraw/history"): ("market_data", "read", _nothing),
}

"""Binance's signed endpoints as one table, and those about the account itself."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from venues.paper.accounts import Transfer
from venues.paper.dialects import binance_amend as amend
from venues.paper.dialects import binance_orders as orders
from venues.paper.dialects import binance_rules as rules
from venues.paper.dialects import binance_shapes as shapes
from venues.paper.messages import Body, Refused, plain
from venues.paper.world import World

TRANSFERS_PAGE_MAX = 1000
TRANSFERS_SPAN_MS = 90 * 24 * 3_600_000


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


def _deposits(world: World, parsed: rules.Parsed) -> Body:
    return [_deposit(moved) for moved in _transfers(world, parsed, "deposit")]


def _withdrawals(world: World, parsed: rules.Parsed) -> Body:
    return [_withdrawal(moved) for moved in _transfers(world, parsed, "withdrawal")]


def _deposit(moved: Transfer) -> dict[str, Any]:
    return {
        "id": f"8{moved.number:017d}",
        "amount": plain(moved.told),
        "coin": moved.asset,
        "network": moved.asset,
        "status": 1,
        "address": "paper",
        "addressTag": "",
        "txId": moved.reference,
        "insertTime": shapes.milliseconds(moved.at),
        "transferType": 0,
        "unlockConfirm": "12/12",
        "confirmTimes": "12/12",
        "walletType": 0,
    }


def _withdrawal(moved: Transfer) -> dict[str, Any]:
    at = datetime.fromtimestamp(moved.at // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return {
        "id": f"b6ae22b3aa844210{moved.number:016d}",
        "amount": plain(-moved.told - moved.fee),
        "transactionFee": plain(moved.fee),
        "coin": moved.asset,
        "status": 6,
        "address": "paper",
        "txId": moved.reference,
        "applyTime": at,
        "network": moved.asset,
        "transferType": 0,
        "info": "",
        "confirmNo": 12,
        "walletType": 0,
        "completeTime": at,
    }


def _transfers(world: World, parsed: rules.Parsed, kind: str) -> list[Transfer]:
    """Return a page of the transfers of a kind, newest first."""
    start = rules.integer_of(parsed.params, "startTime", 0) or 0
    end = rules.integer_of(parsed.params, "endTime") or start + TRANSFERS_SPAN_MS
    if end - start > TRANSFERS_SPAN_MS:
        raise Refused(rules.error(400, -4047, "The interval of startTime and endTime must be within 90 days."))
    moment = world.read_moment(parsed.call)
    limit = min(rules.integer_of(parsed.params, "limit", TRANSFERS_PAGE_MAX) or TRANSFERS_PAGE_MAX, TRANSFERS_PAGE_MAX)
    offset = rules.integer_of(parsed.params, "offset", 0) or 0
    found = world.engine.accounts[parsed.call.account].transfers_between(start * 1000, min(end * 1000 + 999, moment))
    return [moved for moved in reversed(found) if moved.kind == kind][offset : offset + limit]


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
    ("GET", "/sapi/v1/capital/deposit/hisrec"): ("transfers", "read", _deposits),
    ("GET", "/sapi/v1/capital/withdraw/history"): ("transfers", "read", _withdrawals),
}

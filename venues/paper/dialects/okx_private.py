"""OKX's signed endpoints as one table, and those about the account itself."""

from collections.abc import Callable

from venues.paper.dialects import okx_algos as algos
from venues.paper.dialects import okx_orders as orders
from venues.paper.dialects import okx_rules as rules
from venues.paper.dialects import okx_shapes as shapes
from venues.paper.dialects.okx_rules import Parsed
from venues.paper.messages import Body
from venues.paper.world import World

PERMISSIONS = {"read": "read_only", "trade": "trade", "withdraw": "withdraw"}


def _balance(world: World, parsed: Parsed) -> Body:
    moment = world.read_moment(parsed.call)
    known = world.engine.accounts[parsed.call.account].assets()
    wanted = [name for name in parsed.params.get("ccy", "").split(",") if name]
    assets = [asset for asset in known if not wanted or asset in wanted]
    return rules.ok([shapes.balance(world, parsed.call.account, assets, moment)])


def _bills(world: World, parsed: Parsed) -> Body:
    """Show a page of what changed the balances, newest first: transfers, and two rows of each trade; `after` is a bill id."""
    params, moment = parsed.params, world.read_moment(parsed.call)
    begin, end = rules.integer_of(params, "begin", 0), rules.integer_of(params, "end", rules.FOREVER // 1000 - 1)
    account = world.engine.accounts[parsed.call.account]
    moved = account.movements_between(begin * 1000, end * 1000 + 999, moment)
    kind = params.get("type")
    rows = [row for one in moved for row in shapes.bills(world, account, one) if kind in (None, row["type"])]
    if params.get("after"):
        names = [row["billId"] for row in rows]
        rows = rows[names.index(params["after"]) + 1 :] if params["after"] in names else []
    return rules.ok(rows[: rules.page_size(params)])


def _config(world: World, parsed: Parsed) -> Body:
    key = world.keys[parsed.call.account]
    granted = [name for right, name in PERMISSIONS.items() if key.permissions.get(right)]
    row = {
        "uid": "1",
        "mainUid": "1",
        "acctLv": "1",
        "posMode": "net_mode",
        "autoLoan": False,
        "level": "Lv1",
        "label": "paper",
        "ip": ",".join(key.whitelist),
        "perm": ",".join(granted),
        "kycLv": "2",
        "type": "0",
        "enableSpotBorrow": False,
    }
    return rules.ok([row])


def _currencies(world: World, parsed: Parsed) -> Body:
    return rules.ok(
        [
            {
                "ccy": asset,
                "name": asset,
                "chain": f"{asset}-Paper",
                "mainNet": True,
                "canDep": False,
                "canWd": False,
                "canInternal": False,
                "minWd": "0",
                "maxWd": "0",
                "minFee": "0",
                "maxFee": "0",
                "wdTickSz": "8",
                "logoLink": "",
            }
            for asset in sorted(world.engine.supply)
        ]
    )


def _trade_fee(world: World, parsed: Parsed) -> Body:
    maker, taker = (shapes.text(-rate) for rate in (world.exchange.maker_rate, world.exchange.taker_rate))
    at = shapes.milliseconds(world.venue_now())
    return rules.ok([{"instType": "SPOT", "level": "Lv1", "maker": maker, "taker": taker, "category": "1", "ts": at}])


def _nothing(world: World, parsed: Parsed) -> Body:
    return rules.ok([])


Handler = Callable[[World, Parsed], Body]
# method and path: operation that faults match, permission needed, whether expTime counts, handler
PRIVATE: dict[tuple[str, str], tuple[str, str, bool, Handler]] = {
    ("POST", "/api/v5/trade/order"): ("create_order", "trade", True, orders.place),
    ("POST", "/api/v5/trade/batch-orders"): ("create_order", "trade", True, orders.place),
    ("POST", "/api/v5/trade/cancel-order"): ("cancel_order", "trade", False, orders.cancel),
    ("POST", "/api/v5/trade/cancel-batch-orders"): ("cancel_order", "trade", False, orders.cancel),
    ("POST", "/api/v5/trade/amend-order"): ("amend_order", "trade", True, orders.amend),
    ("POST", "/api/v5/trade/amend-batch-orders"): ("amend_order", "trade", True, orders.amend),
    ("GET", "/api/v5/trade/order"): ("fetch_order", "read", False, orders.fetch),
    ("GET", "/api/v5/trade/orders-pending"): ("open_orders", "read", False, orders.pending),
    ("GET", "/api/v5/trade/orders-history"): ("closed_orders", "read", False, orders.history),
    ("GET", "/api/v5/trade/orders-history-archive"): ("closed_orders", "read", False, orders.history),
    ("GET", "/api/v5/trade/fills"): ("my_trades", "read", False, orders.fills),
    ("GET", "/api/v5/trade/fills-history"): ("my_trades", "read", False, orders.fills),
    ("POST", "/api/v5/trade/order-algo"): ("create_order", "trade", False, algos.place),
    ("POST", "/api/v5/trade/cancel-algos"): ("cancel_order", "trade", False, algos.cancel),
    ("POST", "/api/v5/trade/amend-algos"): ("amend_order", "trade", False, algos.amend),
    ("GET", "/api/v5/trade/order-algo"): ("fetch_order", "read", False, algos.fetch),
    ("GET", "/api/v5/trade/orders-algo-pending"): ("open_orders", "read", False, algos.pending),
    ("GET", "/api/v5/trade/orders-algo-history"): ("closed_orders", "read", False, algos.history),
    ("GET", "/api/v5/account/balance"): ("balance", "read", False, _balance),
    ("GET", "/api/v5/account/bills"): ("transfers", "read", False, _bills),
    ("GET", "/api/v5/account/bills-archive"): ("transfers", "read", False, _bills),
    ("GET", "/api/v5/account/config"): ("credentials", "read", False, _config),
    ("GET", "/api/v5/account/positions"): ("market_data", "read", False, _nothing),
    ("GET", "/api/v5/account/trade-fee"): ("market_data", "read", False, _trade_fee),
    ("GET", "/api/v5/asset/currencies"): ("market_data", "read", False, _currencies),
    ("GET", "/api/v5/asset/balances"): ("market_data", "read", False, _nothing),
    ("GET", "/api/v5/asset/deposit-history"): ("market_data", "read", False, _nothing),
    ("GET", "/api/v5/asset/withdrawal-history"): ("market_data", "read", False, _nothing),
}

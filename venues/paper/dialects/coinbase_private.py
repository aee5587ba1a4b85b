"""Coinbase's signed endpoints as one table, and those about accounts, keys and fees."""

from collections.abc import Callable
from decimal import Decimal

from venues.paper.dialects import coinbase_orders as orders
from venues.paper.dialects import coinbase_public as public
from venues.paper.dialects import coinbase_rules as rules
from venues.paper.dialects import coinbase_shapes as shapes
from venues.paper.dialects.coinbase_rules import Parsed
from venues.paper.messages import Answer, plain
from venues.paper.world import World


def _accounts(world: World, parsed: Parsed) -> Answer:
    rows = [shapes.wallet(*row) for row in _totals(world, parsed)]
    return Answer({"accounts": rows, "has_next": False, "cursor": "", "size": len(rows)})


def _old_accounts(world: World, parsed: Parsed) -> Answer:
    rows = [
        {
            "id": asset,
            "name": f"{asset} Wallet",
            "primary": False,
            "type": "wallet",
            "currency": {"code": asset, "name": asset, "exponent": 8, "type": "crypto"},
            "balance": {"amount": shapes.sixteen(total), "currency": asset},
            "resource": "account",
        }
        for asset, total, _ in _totals(world, parsed)
    ]
    return Answer({"pagination": {"next_starting_after": None, "limit": len(rows), "next_uri": None}, "data": rows})


def _transactions(world: World, parsed: Parsed) -> Answer:
    """Show a page of what changed a wallet, newest first: transfers and trades."""
    wallet, moment = parsed.http.path.split("/")[3], world.read_moment(parsed.call)
    account = world.engine.accounts[parsed.call.account]
    asset = {shapes.wallet_id(name): name for name in account.assets()}.get(wallet)
    if asset is None:
        raise rules.error(404, "not_found", "Not found")
    moved = account.movements_between(0, moment, moment)
    rows = [row for one in moved if (row := shapes.transaction(one, asset)) is not None]
    after, limit = parsed.first("starting_after"), min(int(parsed.first("limit") or 25), 100)
    names = [row["id"] for row in rows]
    first = names.index(after) + 1 if after in names else 0
    page = rows[first : first + limit]
    following = page[-1]["id"] if first + limit < len(rows) else None
    return Answer({"pagination": {"limit": limit, "order": "desc", "next_starting_after": following}, "data": page})


def _permissions(world: World, parsed: Parsed) -> Answer:
    granted = world.keys[parsed.call.account].permissions
    return Answer(
        {
            "can_view": granted.get("read", False),
            "can_trade": granted.get("trade", False),
            "can_transfer": granted.get("withdraw", False),
            "portfolio_uuid": "paper-portfolio",
            "portfolio_type": "DEFAULT",
        }
    )


def _summary(world: World, parsed: Parsed) -> Answer:
    tier = {
        "pricing_tier": "Paper",
        "taker_fee_rate": plain(world.exchange.taker_rate),
        "maker_fee_rate": plain(world.exchange.maker_rate),
    }
    return Answer({"total_volume": 0, "total_fees": 0, "fee_tier": tier, "total_balance": ""})


def _totals(world: World, parsed: Parsed) -> list[tuple[str, Decimal, Decimal]]:
    account = world.engine.accounts[parsed.call.account]
    moment = world.read_moment(parsed.call)
    return [(asset, *account.visible_balance(asset, moment)) for asset in account.assets()]


def _market_data(handler: public.Handler) -> Callable[[World, Parsed], Answer]:
    return lambda world, parsed: Answer(handler(world, parsed))


Route = tuple[str, str, Callable[[World, Parsed], Answer]]
# method, path in which {} stands for one part: operation that faults match, permission needed, handler
PRIVATE: dict[tuple[str, str], Route] = {
    ("POST", "/api/v3/brokerage/orders"): ("create_order", "trade", orders.create),
    ("POST", "/api/v3/brokerage/orders/batch_cancel"): ("cancel_order", "trade", orders.cancel),
    ("POST", "/api/v3/brokerage/orders/edit"): ("amend_order", "trade", orders.edit),
    ("GET", "/api/v3/brokerage/orders/historical/batch"): ("closed_orders", "read", orders.list_orders),
    ("GET", "/api/v3/brokerage/orders/historical/fills"): ("my_trades", "read", orders.list_fills),
    ("GET", "/api/v3/brokerage/orders/historical/{}"): ("fetch_order", "read", orders.one_order),
    ("GET", "/api/v3/brokerage/accounts"): ("balance", "read", _accounts),
    ("GET", "/v2/accounts"): ("balance", "read", _old_accounts),
    ("GET", "/v2/accounts/{}/transactions"): ("transfers", "read", _transactions),
    ("GET", "/api/v3/brokerage/key_permissions"): ("credentials", "read", _permissions),
    ("GET", "/api/v3/brokerage/transaction_summary"): ("market_data", "read", _summary),
    **{("GET", path): ("market_data", "read", _market_data(handler)) for path, handler in public.SIGNED.items()},
}

"""How Coinbase shows orders, fills, accounts and products."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from venues.paper.accounts import Transfer, movements
from venues.paper.dialects.coinbase_rules import stop_direction
from venues.paper.engine import MarketState
from venues.paper.markets import Market
from venues.paper.messages import plain
from venues.paper.orders import NOTHING, RAN_OUT, TRIGGER_TYPES, Fill, Order, OrderRequest, Print, Version

Shape = dict[str, Any]
USER_ID = "0a6b1c2d-paper-user"
STATUSES = {
    "new": "OPEN",
    "partially_filled": "OPEN",
    "filled": "FILLED",
    "cancelled": "CANCELLED",
    "expired": "CANCELLED",
}
TIMES_IN_FORCE = {
    "GTC": "GOOD_UNTIL_CANCELLED",
    "GTD": "GOOD_UNTIL_DATE_TIME",
    "IOC": "IMMEDIATE_OR_CANCEL",
    "FOK": "FILL_OR_KILL",
}
LIMITS = {"GTC": "limit_limit_gtc", "GTD": "limit_limit_gtd", "IOC": "sor_limit_ioc", "FOK": "limit_limit_fok"}
NEVER = "0001-01-01T00:00:00Z"


def iso(at: int) -> str:
    """Return microseconds as Coinbase's text form."""
    return datetime.fromtimestamp(at / 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def sixteen(number: Decimal) -> str:
    """Return an amount of money with sixteen decimal places."""
    return f"{number:.16f}"


def configuration(request: OrderRequest) -> Shape:
    """Return what an order is, under the name of its kind."""
    if request.is_market:
        return {"market_market_ioc": {"base_size": plain(request.quantity)}}
    terms: Shape = {"base_size": plain(request.quantity), "limit_price": plain(request.price or NOTHING)}
    if request.time_in_force == "GTD" and request.expires_at is not None:
        terms["end_time"] = iso(request.expires_at)
    if request.type in TRIGGER_TYPES:
        terms |= {"stop_price": plain(request.trigger_price or NOTHING), "stop_direction": stop_direction(request)}
        return {f"stop_limit_stop_limit_{request.time_in_force.lower()}": terms}
    if request.time_in_force in ("GTC", "GTD"):
        terms["post_only"] = request.post_only
    return {LIMITS[request.time_in_force]: terms}


def status(version: Version) -> str:
    """Return an order's status; only one that ran out of time is expired."""
    return "EXPIRED" if version.status == "expired" and version.reason == RAN_OUT else STATUSES[version.status]


def average(version: Version) -> Decimal:
    """Return the average price of what was executed, 0 for nothing."""
    return version.cost / version.executed if version.executed else NOTHING


def trigger_status(version: Version) -> str:
    """Return whether a stop order waits."""
    if version.request.type not in TRIGGER_TYPES:
        return "INVALID_ORDER_TYPE"
    return "STOP_TRIGGERED" if version.is_working else "STOP_PENDING"


def order_type(request: OrderRequest) -> str:
    """Return an order's type as REST writes it."""
    return "MARKET" if request.is_market else "STOP_LIMIT" if request.type in TRIGGER_TYPES else "LIMIT"


def time_in_force(request: OrderRequest) -> str:
    """Return how long an order works, in Coinbase's words."""
    return TIMES_IN_FORCE["IOC" if request.is_market else request.time_in_force]


def order(shown: Order, version: Version, market: Market) -> Shape:
    """Return an order as the order endpoints show it."""
    request = version.request
    done = version.executed / request.quantity * 100
    return {
        "order_id": shown.order_id,
        "product_id": market.venue_id,
        "user_id": USER_ID,
        "order_configuration": configuration(request),
        "side": shown.side.upper(),
        "client_order_id": request.client_order_id,
        "status": status(version),
        "time_in_force": time_in_force(request),
        "created_time": iso(shown.created_at),
        "completion_percentage": f"{done:.2f}",
        "filled_size": plain(version.executed),
        "average_filled_price": plain(average(version)),
        "fee": "",
        "number_of_fills": str(version.fills),
        "filled_value": plain(version.cost),
        "pending_cancel": False,
        "size_in_quote": False,
        "total_fees": plain(version.fee),
        "size_inclusive_of_fees": False,
        "total_value_after_fees": plain(_after_fees(shown, version)),
        "trigger_status": trigger_status(version),
        "order_type": order_type(request),
        "reject_reason": "REJECT_REASON_UNSPECIFIED",
        "settled": version.status == "filled",
        "product_type": "SPOT",
        "reject_message": "",
        "cancel_message": version.reason,
        "order_placement_source": "RETAIL_ADVANCED",
        "outstanding_hold_amount": plain(version.hold),
        "is_liquidation": False,
        "last_fill_time": iso(shown.fills[version.fills - 1].at) if version.fills else None,
        "last_update_time": iso(version.at),
        "leverage": "",
        "margin_type": "UNKNOWN_MARGIN_TYPE",
        "retail_portfolio_id": "",
        "originating_order_id": "",
        "attached_order_id": "",
    }


def update(shown: Order, version: Version, market: Market) -> Shape:
    """Return an order as the user channel tells it: sums alone, and of an order that ended nothing left."""
    request = version.request
    is_open = STATUSES[version.status] == "OPEN"
    return {
        "order_id": shown.order_id,
        "client_order_id": request.client_order_id,
        "product_id": market.venue_id,
        "product_type": "SPOT",
        "order_side": shown.side.upper(),
        "order_type": order_type(request).replace("_", " ").title(),
        "status": status(version),
        "time_in_force": time_in_force(request),
        "trigger_status": trigger_status(version),
        "creation_time": iso(shown.created_at),
        "end_time": iso(request.expires_at) if request.expires_at is not None else NEVER,
        "start_time": NEVER,
        "cumulative_quantity": plain(version.executed),
        "leaves_quantity": plain(max(request.quantity - version.executed, NOTHING) if is_open else NOTHING),
        "completion_percentage": f"{version.executed / request.quantity * 100:.2f}",
        "avg_price": plain(average(version)),
        "filled_value": plain(version.cost),
        "number_of_fills": str(version.fills),
        "total_fees": plain(version.fee),
        "total_value_after_fees": plain(_after_fees(shown, version)),
        "outstanding_hold_amount": plain(version.hold),
        "limit_price": plain(request.price) if request.price is not None else "",
        "stop_price": plain(request.trigger_price) if request.trigger_price is not None else "",
        "post_only": "true" if request.post_only else "false",
        "cancel_reason": "" if is_open else version.reason,
        "reject_reason": "",
        "contract_expiry_type": "UNKNOWN_CONTRACT_EXPIRY_TYPE",
        "risk_managed_by": "UNKNOWN_RISK_MANAGEMENT_TYPE",
        "retail_portfolio_id": "",
    }


def fill(made: Fill, market: Market) -> Shape:
    """Return an own trade."""
    return {
        "entry_id": f"{made.trade_id}:{made.order.order_id}",
        "trade_id": made.trade_id,
        "order_id": made.order.order_id,
        "trade_time": iso(made.at),
        "trade_type": "FILL",
        "price": plain(made.price),
        "size": plain(made.quantity),
        "commission": plain(made.fee),
        "product_id": market.venue_id,
        "sequence_timestamp": iso(made.at),
        "liquidity_indicator": made.liquidity.upper(),
        "size_in_quote": False,
        "user_id": USER_ID,
        "side": made.order.side.upper(),
        "retail_portfolio_id": "",
    }


def wallet_id(asset: str) -> str:
    """Return the id of the wallet of an asset."""
    return f"wallet-{asset.lower()}"


def wallet(asset: str, total: Decimal, held: Decimal) -> Shape:
    """Return one asset of an account."""
    is_fiat = asset in ("USD", "EUR", "GBP")
    return {
        "uuid": wallet_id(asset),
        "name": f"{asset} Wallet",
        "currency": asset,
        "available_balance": {"value": sixteen(total - held), "currency": asset},
        "default": True,
        "active": True,
        "created_at": "2023-01-04T06:20:06.456Z",
        "updated_at": "2023-01-04T06:20:07.181Z",
        "deleted_at": None,
        "type": "ACCOUNT_TYPE_FIAT" if is_fiat else "ACCOUNT_TYPE_CRYPTO",
        "ready": True,
        "hold": {"value": sixteen(held), "currency": asset},
        "retail_portfolio_id": "",
    }


def product(state: MarketState) -> Shape:
    """Return a market as the list of products shows it."""
    market = state.market
    return {
        "product_id": market.venue_id,
        "price": plain(state.last_price),
        "price_percentage_change_24h": "0",
        "volume_24h": plain(sum((item.quantity for item in state.prints), NOTHING)),
        "volume_percentage_change_24h": "0",
        "base_increment": plain(market.quantity_step),
        "quote_increment": plain(market.price_step),
        "quote_min_size": plain(market.notional_min),
        "quote_max_size": "150000000",
        "base_min_size": plain(market.quantity_min),
        "base_max_size": plain(market.quantity_max),
        "base_name": market.base,
        "quote_name": market.quote,
        "watched": False,
        "is_disabled": False,
        "new": False,
        "status": "online",
        "cancel_only": False,
        "limit_only": False,
        "post_only": False,
        "trading_disabled": False,
        "auction_mode": False,
        "product_type": "SPOT",
        "quote_currency_id": market.quote,
        "base_currency_id": market.base,
        "fcm_trading_session_details": None,
        "mid_market_price": "",
        "alias": "",
        "alias_to": [],
        "base_display_symbol": market.base,
        "quote_display_symbol": market.quote,
        "view_only": False,
        "price_increment": plain(market.price_step),
        "display_name": market.venue_id,
        "product_venue": "CBE",
    }


def trade(item: Print, market: Market) -> Shape:
    """Return a trade as everybody sees it."""
    return {
        "trade_id": str(item.trade_number),
        "product_id": market.venue_id,
        "price": plain(item.price),
        "size": plain(item.quantity),
        "time": iso(item.at),
        "side": item.taker_side.upper(),
    }


def _after_fees(shown: Order, version: Version) -> Decimal:
    return version.cost + version.fee if shown.side == "buy" else version.cost - version.fee


def transaction(one: Transfer | Fill, asset: str) -> Shape | None:
    """Return the row of a wallet about a transfer or a trade; None when it did not touch the wallet."""
    if isinstance(one, Transfer):
        found = (f"moved-{one.number:08d}", "send", one.told) if one.asset == asset else None
    else:
        change = movements(one).get(asset)
        found = None if change is None else (f"trade-{one.trade_id}-{asset}", "advanced_trade_fill", change)
    if found is None:
        return None
    key, kind, amount = found
    return {
        "id": key,
        "type": kind,
        "status": "completed",
        "amount": {"amount": sixteen(amount), "currency": asset},
        "native_amount": {"amount": "0.00", "currency": "USD"},
        "created_at": iso(one.at),
        "resource": "transaction",
        "resource_path": f"/v2/accounts/{wallet_id(asset)}/transactions/{key}",
        "network": {"status": "confirmed", "hash": one.reference if isinstance(one, Transfer) else ""},
    }

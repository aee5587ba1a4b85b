"""How Deribit shows orders, trades, positions, summaries and instruments."""

from decimal import Decimal
from typing import Any

from venues.paper.accounts import Account, Transfer, movements
from venues.paper.contracts import Position, profit, value
from venues.paper.dialects.deribit_rules import kind_of
from venues.paper.engine import MarketState
from venues.paper.markets import Exchange, Market
from venues.paper.orders import NOTHING, Fill, Order, Print, Version
from venues.paper.world import World

Shape = dict[str, Any]
STATUSES = {
    "new": "open",
    "partially_filled": "open",
    "filled": "filled",
    "cancelled": "cancelled",
    "expired": "cancelled",
}
TIMES_IN_FORCE = {"good_til_cancelled": "GTC", "immediate_or_cancel": "IOC", "fill_or_kill": "FOK"}
_NAMES_IN_FORCE = {mine: theirs for theirs, mine in TIMES_IN_FORCE.items()}
FOREVER_MS = 32_503_708_800_000
TRADES_LOGGED_FROM = 1_000_000
LISTED_MS = 1_534_167_754_000


def milliseconds(at: int) -> int:
    """Return microseconds as Deribit's milliseconds."""
    return at // 1000


def instrument(market: Market, exchange: Exchange, now: int) -> Shape:
    """Return an instrument as get_instruments lists it."""
    is_perpetual = market.kind == "perpetual"
    expires_at = milliseconds(market.expires_at) if market.expires_at else FOREVER_MS
    shape: Shape = {
        "instrument_name": market.venue_id,
        "kind": kind_of(market),
        "base_currency": market.base,
        "quote_currency": market.quote,
        "counter_currency": market.quote,
        "tick_size": float(market.price_step),
        "tick_size_steps": [],
        "min_trade_amount": float(market.quantity_min),
        "contract_size": float(market.contract_size if market.settle else market.quantity_min),
        "maker_commission": float(exchange.maker_rate),
        "taker_commission": float(exchange.taker_rate),
        "price_index": f"{market.base}_{market.quote}".lower(),
        "is_active": not market.expires_at or now < market.expires_at,
        "creation_timestamp": LISTED_MS,
        "rfq": False,
    }
    if market.settle:
        shape |= {
            "settlement_currency": market.settle,
            "settlement_period": "perpetual" if is_perpetual else "month",
            "future_type": "reversed" if market.is_inverse else "linear",
            "instrument_type": "reversed" if market.is_inverse else "linear",
            "expiration_timestamp": expires_at,
            "max_leverage": int(1 / market.margin_rate),
        }
    return shape


def order(shown: Order, version: Version, market: Market) -> Shape:
    """Return an order as every endpoint and channel shows it."""
    request = version.request
    shape: Shape = {
        "order_id": shown.order_id,
        "order_state": STATUSES[version.status],
        "order_type": request.type,
        "instrument_name": market.venue_id,
        "direction": request.side,
        "price": "market_price" if request.price is None else float(request.price),
        "amount": float(request.quantity),
        "filled_amount": float(version.executed),
        "average_price": float(average(shown, version, market)),
        "time_in_force": _NAMES_IN_FORCE[request.time_in_force],
        "post_only": request.post_only,
        "reduce_only": request.reduce_only,
        "label": request.client_order_id,
        "creation_timestamp": milliseconds(shown.created_at),
        "last_update_timestamp": milliseconds(version.at),
        "commission": float(version.fee),
        "max_show": float(request.quantity),
        "contracts": float(request.quantity / market.contract_size),
        "replaced": len(shown.versions) > 1 and request is not shown.versions[0].request,
        "api": request.origin == "api",
        "web": False,
        "mmp": False,
        "is_liquidation": False,
        "is_rebalance": False,
        "risk_reducing": False,
    }
    if request.post_only:
        shape["reject_post_only"] = True
    if version.status in ("cancelled", "expired"):
        shape["cancel_reason"] = "user_request" if version.status == "cancelled" else "other"
    return shape


def average(shown: Order, version: Version, market: Market) -> Decimal:
    """Return the average price of what was executed, 0 for nothing; of an inverse contract it is the harmonic one."""
    fills = shown.fills[: version.fills]
    quantity = sum((fill.quantity for fill in fills), NOTHING)
    if not quantity:
        return NOTHING
    worth = sum((value(market, fill.quantity, fill.price) for fill in fills), NOTHING)
    return quantity / worth if market.is_inverse else worth / quantity


def trade(fill: Fill, version: Version, market: Market) -> Shape:
    """Return an own trade."""
    request = fill.order.request
    shape: Shape = {
        "trade_id": fill.trade_id,
        "trade_seq": fill.trade_number,
        "timestamp": milliseconds(fill.at),
        "instrument_name": market.venue_id,
        "direction": request.side,
        "price": float(fill.price),
        "amount": float(fill.quantity),
        "contracts": float(fill.quantity / market.contract_size),
        "fee": float(fill.fee),
        "fee_currency": fill.fee_asset,
        "order_id": fill.order.order_id,
        "order_type": request.type,
        "state": STATUSES[version.status],
        "label": request.client_order_id,
        "liquidity": "M" if fill.liquidity == "maker" else "T",
        "mark_price": float(fill.price),
        "index_price": float(fill.price),
        "tick_direction": 0,
        "self_trade": False,
        "post_only": request.post_only,
        "reduce_only": request.reduce_only,
        "matching_id": None,
        "api": request.origin == "api",
        "mmp": False,
        "risk_reducing": False,
    }
    if market.settle:
        shape["profit_loss"] = float(fill.realised)
    return shape


def public_trade(item: Print, market: Market) -> Shape:
    """Return a trade as everybody sees it."""
    return {
        "trade_id": f"{market.base}-{item.trade_number}",
        "trade_seq": item.trade_number,
        "timestamp": milliseconds(item.at),
        "instrument_name": market.venue_id,
        "direction": item.taker_side,
        "price": float(item.price),
        "amount": float(item.quantity),
        "mark_price": float(item.price),
        "index_price": float(item.price),
        "tick_direction": 0,
    }


def position(world: World, account: Account, market: Market, moment: int) -> Shape:
    """Return what an account holds of a contract, as the outside sees it at a moment."""
    held, price = account.visible_position(market, moment), world.engine.last_price(market.symbol)
    held = held if account.lies is None else account.lies.told_position(market, held)
    quantity, floating = held.quantity, _floating(world, market, held)
    reserved = float(held.margin)
    return {
        "instrument_name": market.venue_id,
        "kind": kind_of(market),
        "direction": "buy" if quantity > 0 else "sell" if quantity < 0 else "zero",
        "size": float(quantity),
        "size_currency": float(value(market, quantity, price) if market.is_inverse else quantity),
        "average_price": float(held.entry_price),
        "mark_price": float(price),
        "index_price": float(price),
        "settlement_price": float(price),
        "delta": float(value(market, quantity, price) if market.is_inverse else quantity),
        "floating_profit_loss": float(floating),
        "realized_profit_loss": float(held.realised),
        "realized_funding": float(held.funding),
        "total_profit_loss": float(floating),
        "initial_margin": reserved,
        "maintenance_margin": reserved / 2,
        "open_orders_margin": 0.0,
        "leverage": int(1 / market.margin_rate),
        "interest_value": 0.0,
    }


def _floating(world: World, market: Market, held: Position) -> Decimal:
    if not held.quantity:
        return NOTHING
    return profit(market, held.quantity, held.entry_price, world.engine.last_price(market.symbol))


def summary(world: World, account: Account, currency: str, moment: int) -> Shape:
    """Return what an account has of a currency: `balance` is what it brought in, fees paid; `session_rpl` what it won."""
    total, held = account.visible_balance(currency, moment)
    listed = world.engine.listed
    contracts = [listed[symbol] for symbol in account.positions if listed[symbol].settle == currency]
    seen = [(market, account.visible_position(market, moment)) for market in contracts]
    realised = sum((one.realised for _, one in seen), NOTHING)
    reserved = sum((one.margin for _, one in seen), NOTHING)
    held += reserved - sum((account.position(market.symbol).margin for market in contracts), NOTHING)
    spot = account.visible_hold(currency, moment, lambda order: not listed[order.request.symbol].settle)
    floating = sum((_floating(world, market, one) for market, one in seen), NOTHING)
    equity = total + floating
    return {
        "currency": currency,
        "balance": float(total - realised),
        "session_rpl": float(realised),
        "session_upl": float(floating),
        "session_funding": float(sum((one.funding for _, one in seen), NOTHING)),
        "equity": float(equity),
        "margin_balance": float(equity),
        "available_funds": float(total - held + min(floating, NOTHING)),
        "available_withdrawal_funds": float(max(total - held + min(floating, NOTHING), NOTHING)),
        "initial_margin": float(held - spot),
        "maintenance_margin": float(reserved / 2),
        "spot_reserve": float(spot),
        "total_pl": float(realised + floating),
        "futures_pl": float(realised + floating),
        "futures_session_rpl": float(realised),
        "futures_session_upl": float(floating),
        "options_value": 0.0,
        "delta_total": 0.0,
        "fee_balance": 0.0,
        "portfolio_margining_enabled": False,
        "cross_collateral_enabled": False,
        "margin_model": "segregated_sm",
    }


def currencies_of(world: World) -> list[str]:
    """Return the currencies an account may hold."""
    return sorted(world.engine.supply)


def ticker(state: MarketState, now: int) -> Shape:
    """Return an instrument's state; the mark and index prices are its last trade's here."""
    market, last = state.market, float(state.last_price)
    bid, ask = state.book.depth("buy", 1), state.book.depth("sell", 1)
    shape: Shape = {
        "instrument_name": market.venue_id,
        "timestamp": milliseconds(now),
        "state": "open",
        "last_price": last,
        "mark_price": last,
        "index_price": last,
        "estimated_delivery_price": last,
        "settlement_price": last,
        "min_price": float(last) * 0.9,
        "max_price": float(last) * 1.1,
        "best_bid_price": float(bid[0][0]) if bid else 0.0,
        "best_bid_amount": float(bid[0][1]) if bid else 0.0,
        "best_ask_price": float(ask[0][0]) if ask else 0.0,
        "best_ask_amount": float(ask[0][1]) if ask else 0.0,
        "open_interest": 0.0,
        "stats": {
            "high": max(last, float(market.price_start)),
            "low": min(last, float(market.price_start)),
            "volume": float(sum((item.quantity for item in state.prints), NOTHING)),
            "price_change": 0.0,
        },
    }
    if market.kind == "perpetual":
        shape |= {"current_funding": 0.0, "funding_8h": float(market.funding_rate), "interest_value": 0.0}
    return shape


def user_id(world: World, account: Account) -> int:
    """Return the number of an account's user."""
    return list(world.engine.accounts).index(account.api_key) + 1


def log_row(world: World, account: Account, one: Transfer | Fill, currency: str) -> Shape | None:
    """Return the row of the transaction log about a transfer, a settlement or a trade; None in another currency.

    The change of a settlement is all of its session: what trades have won, what was not realised, and the funding.
    """
    if isinstance(one, Transfer):
        if one.asset != currency:
            return None
        row = {"id": one.number, "type": one.kind, "change": float(one.told), "info": {"transaction": one.reference}}
        if one.kind == "settlement":
            row |= {
                "change": float(one.told + one.session_rpl), "session_rpl": float(one.session_rpl),
                "session_upl": float(one.told), "interest_pl": float(one.session_funding), "info": {},
                "instrument_name": world.engine.listed[one.symbol].venue_id,
            }  # fmt: skip
    else:
        change = movements(one).get(currency)
        if change is None:
            return None
        row = {
            "id": TRADES_LOGGED_FROM + one.trade_number, "type": "trade", "change": float(change), "trade_id": one.trade_id,
            "instrument_name": world.engine.listed[one.order.request.symbol].venue_id, "info": {},
        }  # fmt: skip
    return row | {"currency": currency, "timestamp": milliseconds(one.at), "user_id": user_id(world, account)}

"""What an account's lists say that is not so: a trade too few, too many or told otherwise, an order, a position."""

import copy
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal

from venues.paper.accounts import Account
from venues.paper.contracts import Position, margin
from venues.paper.engine import Engine
from venues.paper.faults import Rule
from venues.paper.markets import Market
from venues.paper.orders import NOTHING, Fill, Order, OrderRequest
from venues.paper.personality import MICROSECONDS
from venues.paper.pricing import charge


@dataclass
class Lies:
    """The lies about one account. Its balances, orders looked up one by one, and streams stay true."""

    trades: dict[tuple[str, str], Fill | None] = field(default_factory=dict)
    added_trades: list[Fill] = field(default_factory=list)
    added_orders: list[Order] = field(default_factory=list)
    positions: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))

    def told_trades(self, fills: list[Fill], symbol: str | None) -> list[Fill]:
        """Return a list of trades as it is told, oldest first."""
        told = [shown for fill in fills if (shown := self.trades.get(_name_of(fill), fill)) is not None]
        told += [fill for fill in self.added_trades if symbol in (None, fill.order.request.symbol)]
        return sorted(told, key=lambda fill: fill.at)

    def told_orders(self, orders: list[Order], symbol: str | None) -> list[Order]:
        """Return a list of open orders as it is told."""
        return orders + [order for order in self.added_orders if symbol in (None, order.request.symbol)]

    def told_position(self, market: Market, held: Position) -> Position:
        """Return what the list of positions says is held of a contract."""
        quantity = held.quantity + self.positions.get(market.symbol, NOTHING)
        if quantity == held.quantity:
            return held
        entry_price = held.entry_price or market.price_start
        return replace(held, quantity=quantity, entry_price=entry_price, margin=margin(market, quantity, entry_price))


def tell(engine: Engine, account: Account, rule: Rule) -> None:
    """Let a lie be told from now on. Raises ValueError when there is nothing to tell it about, KeyError without its parameter."""
    lies = account.lies if isinstance(account.lies, Lies) else Lies()
    _TELLERS[rule.fault](engine, account, lies, rule)
    account.lies = lies


def _name_of(fill: Fill) -> tuple[str, str]:
    return fill.order.request.symbol, fill.trade_id


def _trade_of(account: Account, rule: Rule) -> Fill:
    symbol, trade_id = rule.params.get("symbol"), rule.params.get("trade_id")
    found = [
        fill
        for fill in account.fills
        if symbol in (None, fill.order.request.symbol) and trade_id in (None, fill.trade_id)
    ]
    if not found:
        raise ValueError("the account has no such trade")
    return found[-1]


def _hide_trade(engine: Engine, account: Account, lies: Lies, rule: Rule) -> None:
    lies.trades[_name_of(_trade_of(account, rule))] = None


def _alter_trade(engine: Engine, account: Account, lies: Lies, rule: Rule) -> None:
    fill = _trade_of(account, rule)
    order = copy.copy(fill.order)
    order.side = str(rule.params.get("side", order.side))
    order.request = replace(order.request, side=order.side)
    price, quantity, fee = (
        Decimal(str(rule.params.get(name, getattr(fill, name)))) for name in ("price", "quantity", "fee")
    )  # fmt: skip
    told = replace(fill, order=order, price=price, quantity=quantity, fee=fee, at=fill.at - _back(rule))
    lies.trades[_name_of(fill)] = told


def _list_trade(engine: Engine, account: Account, lies: Lies, rule: Rule) -> None:
    order = _invented(engine, account, rule)
    order.executed, order.leaves, order.status = order.request.quantity, NOTHING, "filled"
    state = engine.markets[order.request.symbol]
    number, trade_id = engine.next_ids(state, "T")
    cost, fee, fee_asset = charge(
        engine.exchange, state.market, order.request, order.price, order.executed, "taker"
    )  # fmt: skip
    at = engine.now() - _back(rule)
    fill = Fill(order, number, trade_id, order.price, order.executed, cost, fee, fee_asset, "taker", at, at,
                state.market.settle)  # fmt: skip
    order.fills.append(fill)
    order.record_version(at, at)
    lies.added_trades.append(fill)


def _list_order(engine: Engine, account: Account, lies: Lies, rule: Rule) -> None:
    order = _invented(engine, account, rule)
    order.record_version(order.created_at, order.created_at)
    lies.added_orders.append(order)


def _list_position(engine: Engine, account: Account, lies: Lies, rule: Rule) -> None:
    symbol = str(rule.params["symbol"])
    if not engine.listed[symbol].settle:
        raise ValueError("only a contract has a position")
    account.position(symbol)
    lies.positions[symbol] += Decimal(str(rule.params["quantity"]))


def _freeze(engine: Engine, account: Account, lies: Lies, rule: Rule) -> None:
    account.held[str(rule.params["asset"])] += Decimal(str(rule.params["amount"]))


def _invented(engine: Engine, account: Account, rule: Rule) -> Order:
    """Make up an order that no lookup knows: it holds nothing and never trades."""
    symbol, side = str(rule.params["symbol"]), str(rule.params.get("side", "buy"))
    state = engine.markets[symbol]
    price = Decimal(str(rule.params.get("price", state.last_price)))
    request = OrderRequest(
        account=account.api_key, symbol=symbol, side=side, type="limit", quantity=Decimal(str(rule.params["quantity"])),
        price=price, origin="external",
    )  # fmt: skip
    number, order_id = engine.next_ids(state, "O")
    asset, _ = engine.holding(request)
    return Order(
        side=side, price=price, leaves=request.quantity, request=request, number=number, order_id=order_id,
        key=engine.order_key(symbol, order_id), created_at=engine.now() - _back(rule), unit_hold=NOTHING, hold_asset=asset,
        working_at=engine.now() - _back(rule),
    )  # fmt: skip


def _back(rule: Rule) -> int:
    """Return how long ago, in microseconds, what is told is said to have been."""
    return int(rule.number("seconds_ago", 0) * MICROSECONDS)


_TELLERS: dict[str, Callable[[Engine, Account, Lies, Rule], None]] = {
    "hide_trade": _hide_trade,
    "alter_trade": _alter_trade,
    "list_trade": _list_trade,
    "list_order": _list_order,
    "list_position": _list_position,
    "freeze": _freeze,
}

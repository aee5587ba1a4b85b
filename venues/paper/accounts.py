"""Balances with holds, and what each account has done, found by symbol, time and client id without scanning."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar

from venues.paper.contracts import Position
from venues.paper.markets import Market
from venues.paper.orders import NOTHING, OPEN_STATUSES, Fill, Order, OrderRequest

Row = TypeVar("Row", Order, Fill)


@dataclass(slots=True, kw_only=True)
class Transfer:
    """Money that moved without a trade, as the account's lists tell it; `number` counts those of the account.

    kind: deposit, withdrawal, funding or settlement. amount: what it did to the total, its fee included. A silent movement is
    in no list. shown: another amount that the lists lie about. session_rpl, session_funding: what a settlement turned into cash.
    """

    number: int
    at: int
    kind: str
    asset: str
    amount: Decimal
    fee: Decimal = NOTHING
    reference: str = ""
    symbol: str = ""
    session_rpl: Decimal = NOTHING
    session_funding: Decimal = NOTHING
    is_listed: bool = True
    shown: Decimal | None = None

    @property
    def told(self) -> Decimal:
        """The amount that the lists tell."""
        return self.amount if self.shown is None else self.shown


@dataclass(frozen=True, slots=True)
class Span(Generic[Row]):
    """A part of a list in order of time, read from either end without copying the rest."""

    rows: list[Row]
    low: int
    high: int

    def __len__(self) -> int:
        return max(self.high - self.low, 0)

    def first(self, limit: int, is_shown: Callable[[Row], bool]) -> list[Row]:
        """Return the oldest that are shown, oldest first."""
        indexes = range(self.low, self.high)
        return list(islice((self.rows[index] for index in indexes if is_shown(self.rows[index])), limit))

    def last(self, limit: int, is_shown: Callable[[Row], bool], offset: int = 0) -> list[Row]:
        """Return the newest that are shown but for an offset, newest first."""
        indexes = range(self.high - 1, self.low - 1, -1)
        shown = (self.rows[index] for index in indexes if is_shown(self.rows[index]))
        return list(islice(shown, offset, offset + limit))

    def count(self, is_shown: Callable[[Row], bool]) -> int:
        """Return how many are shown, by looking at each."""
        return sum(1 for index in range(self.low, self.high) if is_shown(self.rows[index]))


class Lying(Protocol):
    """Says of an account's lists what is not so; see venues.paper.lies."""

    def told_trades(self, fills: list[Fill], symbol: str | None) -> list[Fill]:
        """Return a list of trades as it is told, oldest first."""

    def told_orders(self, orders: list[Order], symbol: str | None) -> list[Order]:
        """Return a list of open orders as it is told."""

    def told_position(self, market: Market, held: Position) -> Position:
        """Return what the list of positions says is held of a contract."""


class Account:
    """One participant. `total` includes what `held` reserves for its open orders."""

    def __init__(self, api_key: str) -> None:
        self.api_key = api_key
        self.total: dict[str, Decimal] = defaultdict(Decimal)
        self.held: dict[str, Decimal] = defaultdict(Decimal)
        self.orders: dict[str, Order] = {}
        self.open: dict[str, Order] = {}
        self.open_by_symbol: dict[str, dict[str, Order]] = defaultdict(dict)
        self.orders_by_symbol: dict[str, list[Order]] = defaultdict(list)
        self.open_client_ids: dict[str, Order] = {}
        self.by_client_id: dict[str, Order] = {}
        self.closed: list[Order] = []
        self.closed_by_client_id: dict[str, list[Order]] = defaultdict(list)
        self.fills: list[Fill] = []
        self.fills_by_symbol: dict[str, list[Fill]] = defaultdict(list)
        self.fill_by_id: dict[str, Fill] = {}
        self.transfers: list[Transfer] = []
        self.positions: dict[str, Position] = {}
        self.last_visible_at = 0
        self.delay_longest = 0
        self.lies: Lying | None = None

    def free(self, asset: str) -> Decimal:
        """Return what the account may still spend."""
        return self.total[asset] - self.held[asset]

    def admit(self, order: Order) -> None:
        """Register an accepted order and hold what it may spend."""
        request = order.request
        self.orders[order.key] = order
        self.open[order.key] = order
        self.open_by_symbol[request.symbol][order.key] = order
        self.orders_by_symbol[request.symbol].append(order)
        if request.client_order_id:
            self.open_client_ids[request.client_order_id] = order
            self.by_client_id[request.client_order_id] = order
        self.set_hold(order, order.leaves * order.unit_hold)

    def rename(self, order: Order, request: OrderRequest) -> None:
        """Give an open order the request that an amendment made of its own."""
        before = order.request.client_order_id
        if self.open_client_ids.get(before) is order:
            del self.open_client_ids[before]
        order.request = request
        if request.client_order_id:
            self.open_client_ids[request.client_order_id] = order
            self.by_client_id[request.client_order_id] = order

    def add_fill(self, fill: Fill) -> None:
        """Remember a fill under every way it is asked for."""
        self.fills.append(fill)
        self.fills_by_symbol[fill.order.request.symbol].append(fill)
        self.fill_by_id[fill.trade_id] = fill
        self.told(fill.at, fill.visible_at)

    def told(self, at: int, visible_at: int) -> None:
        """Note when something becomes visible."""
        if visible_at > self.last_visible_at:
            self.last_visible_at = visible_at
        if visible_at - at > self.delay_longest:
            self.delay_longest = visible_at - at

    def set_hold(self, order: Order, hold: Decimal) -> None:
        """Change what is reserved for an order."""
        self.held[order.hold_asset] += hold - order.hold
        order.hold = hold

    def position(self, symbol: str) -> Position:
        """Return what the account holds of a contract."""
        position = self.positions.get(symbol)
        if position is None:
            position = self.positions[symbol] = Position()
        return position

    def close(self, order: Order) -> None:
        """Release an order that ended."""
        self.set_hold(order, NOTHING)
        if self.open.pop(order.key, None) is None:
            return
        del self.open_by_symbol[order.request.symbol][order.key]
        client_order_id = order.request.client_order_id
        if self.open_client_ids.get(client_order_id) is order:
            del self.open_client_ids[client_order_id]
        if client_order_id:
            self.closed_by_client_id[client_order_id].append(order)
        self.closed.append(order)

    def visible_open_orders(self, moment: int, now: int, symbol: str | None = None) -> list[Order]:
        """Return the orders that look open to the outside at a moment, oldest first, and what its list adds to them."""
        shown = self._open_at(moment, now, symbol)
        return shown if self.lies is None else self.lies.told_orders(shown, symbol)

    def _open_at(self, moment: int, now: int, symbol: str | None) -> list[Order]:
        still_open = self.open if symbol is None else self.open_by_symbol[symbol]
        if moment >= now and self.last_visible_at <= now:
            return [order for order in still_open.values() if moment >= order.hidden_until]
        candidates = list(still_open.values())
        candidates += [
            order for order in self._closed_since(min(moment, now)) if symbol in (None, order.request.symbol)
        ]
        shown = [order for order in candidates if looks_open(order, moment)]
        return sorted(shown, key=lambda order: (order.created_at, order.number))

    def visible_balance(self, asset: str, moment: int) -> tuple[Decimal, Decimal]:
        """Return (total, held) as the outside sees them at a moment: what it is not told of yet is not in them."""
        total, held = self.total[asset], self.held[asset]
        if self.last_visible_at <= moment:
            return total, held
        for fill in reversed(self.fills):
            if fill.at <= moment - self.delay_longest:
                break
            if fill.visible_at > moment:
                total -= movements(fill).get(asset, NOTHING)
        for moved in reversed(self.transfers):
            if moved.at <= moment:
                break
            if moved.asset == asset:
                total -= moved.amount
        for order in [*self.open.values(), *self._closed_since(moment)]:
            if order.hold_asset == asset:
                version = order.told_version(moment)
                held += (version.hold if version else NOTHING) - order.hold
        return total, held

    def visible_hold(self, asset: str, moment: int, counts: Callable[[Order], bool]) -> Decimal:
        """Return what some orders reserve of an asset as the outside sees it at a moment."""
        recent = [] if self.last_visible_at <= moment else self._closed_since(moment)
        orders = [order for order in (*self.open.values(), *recent) if order.hold_asset == asset and counts(order)]
        return sum((told.hold for order in orders if (told := order.told_version(moment))), NOTHING)

    def visible_position(self, market: Market, moment: int) -> Position:
        """Return what is held of a contract as the outside sees it at a moment."""
        held = self.position(market.symbol)
        if self.last_visible_at <= moment:
            return held
        fills = self.fills_by_symbol[market.symbol]
        unseen = [moved for moved in self.transfers if moved.at > moment and moved.symbol == market.symbol]
        late = sum((moved.amount for moved in unseen if moved.kind == "funding"), NOTHING)
        late -= sum((moved.session_funding for moved in unseen), NOTHING)
        unsaid = sum((fill.realised for fill in fills), NOTHING) - sum((moved.session_rpl for moved in unseen), NOTHING)
        unsaid += sum((moved.amount for moved in unseen if moved.kind == "funding"), NOTHING)
        seen = Position(funding=held.funding - late, realised=held.realised - unsaid)
        for fill in fills:
            if fill.visible_at <= moment:
                seen.trade(market, fill.order.side, fill.quantity, fill.price, fill.realised)
        return seen

    def transfer(self, at: int, kind: str, asset: str, amount: Decimal, **told: Any) -> Transfer:
        """Change a total without a trade, and remember it."""
        self.total[asset] += amount
        moved = Transfer(number=len(self.transfers) + 1, at=at, kind=kind, asset=asset, amount=amount, **told)
        self.transfers.append(moved)
        self.told(at, at)
        return moved

    def transfers_between(self, start: int, end: int) -> list[Transfer]:
        """Return the transfers that are told, from a start to an end, both included, oldest first."""
        low, high = bisect_left(self.transfers, start, key=_moved_at), bisect_right(self.transfers, end, key=_moved_at)
        return [moved for moved in self.transfers[low:high] if moved.is_listed]

    def movements_between(self, start: int, end: int, moment: int) -> list[Transfer | Fill]:
        """Return transfers and trades together, from a start to an end, as far as they are told at a moment; newest first."""
        end = min(end, moment)
        span = self.fills_between(start, end)
        fills = [one for one in span.rows[span.low : span.high] if one.visible_at <= moment]
        moved: list[Transfer | Fill] = [*self.transfers_between(start, end), *fills]
        return sorted(moved, key=lambda one: one.at, reverse=True)

    def balances(self, assets: tuple[str, ...]) -> dict[str, tuple[Decimal, Decimal]]:
        """Return total and held of some assets as they are now."""
        return {asset: (self.total[asset], self.held[asset]) for asset in assets}

    def assets(self) -> list[str]:
        """Return the assets the account ever held."""
        return sorted(self.total)

    def closed_between(self, start: int, end: int, client_order_id: str = "") -> "Span[Order]":
        """Return the orders that ended after a start and not after an end."""
        closed = self.closed_by_client_id.get(client_order_id, []) if client_order_id else self.closed
        return Span(closed, bisect_right(closed, start, key=_ended_at), bisect_right(closed, end, key=_ended_at))

    def fills_between(self, start: int, end: int, symbol: str | None = None, number: int = 0) -> "Span[Fill]":
        """Return the fills from a start to an end, both included, whose trades are numbered from a number on."""
        fills = self.fills if symbol is None else self.fills_by_symbol[symbol]
        if self.lies is not None:
            fills = self.lies.told_trades(fills, symbol)
        low = bisect_left(fills, start, key=_filled_at)
        if number:
            low = max(low, bisect_left(fills, number, key=_trade_number_of))
        return Span(fills, low, bisect_right(fills, end, key=_filled_at))

    def orders_between(self, symbol: str, start: int, end: int, number: int = 0) -> "Span[Order]":
        """Return the orders of a symbol made from a start to an end, both included, numbered from a number on."""
        orders = self.orders_by_symbol[symbol]
        low = bisect_left(orders, start, key=_made_at)
        if number:
            low = max(low, bisect_left(orders, number, key=_number_of))
        return Span(orders, low, bisect_right(orders, end, key=_made_at))

    def _closed_since(self, moment: int) -> list[Order]:
        recent = []
        for order in reversed(self.closed):
            if order.versions[-1].at <= moment - self.delay_longest:
                break
            recent.append(order)
        return recent


def movements(fill: Fill) -> dict[str, Decimal]:
    """Return what a fill changes in its owner's balances, fee included."""
    if fill.settle:
        return {fill.settle: fill.realised - fill.fee}
    base, quote = fill.order.request.symbol.split("/")
    sign = 1 if fill.order.side == "buy" else -1
    changes = {base: sign * fill.quantity, quote: -sign * fill.cost}
    changes[fill.fee_asset] = changes.get(fill.fee_asset, NOTHING) - fill.fee
    return changes


def looks_open(order: Order, moment: int) -> bool:
    """Tell whether reads show an order as open at a moment."""
    version = order.version_at(moment)
    return version is not None and version.status in OPEN_STATUSES


def _ended_at(order: Order) -> int:
    return order.versions[-1].at


def _moved_at(moved: Transfer) -> int:
    return moved.at


def _filled_at(fill: Fill) -> int:
    return fill.at


def _number_of(order: Order) -> int:
    return order.number


def _made_at(order: Order) -> int:
    return order.created_at


def _trade_number_of(fill: Fill) -> int:
    return fill.trade_number

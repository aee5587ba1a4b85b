"""The matching engine of one world: synchronous, exact, without input or output; the clock is handed in."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable
from decimal import ROUND_DOWN, Decimal

from venues.paper.accounts import Account, movements
from venues.paper.book import OPPOSITE, Book, crosses
from venues.paper.markets import Exchange, Market
from venues.paper.orders import NOTHING, Fact, Fill, Order, OrderRequest, Print, Rejected, Resting, Version

QUANTUM = Decimal("0.00000001")
ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ234567"
PRINTS_KEPT = 500
HOUSE_WEALTH = Decimal(10) ** 12


class MarketState:
    """A market's book, its last trades and its number sequences."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.book = Book()
        self.order_number = 0
        self.trade_number = 0
        self.last_price = market.price_start
        self.prints: deque[Print] = deque(maxlen=PRINTS_KEPT)
        self.prints_total = 0


class Engine:
    """Accept, match and cancel orders; every change leaves a Fact in `facts`; balances are conserved or it raises."""

    def __init__(self, exchange: Exchange, markets: Iterable[Market], now: Callable[[], int], salt: str = "") -> None:
        self.exchange = exchange
        self.markets = {market.symbol: MarketState(market) for market in markets}
        self.now = now
        self.salt = salt
        self.accounts: dict[str, Account] = {}
        self.house = Account("house")
        self.fees = Account("fees")
        self.supply: dict[str, Decimal] = {}
        self.facts: list[Fact] = []
        self.fill_delay: Callable[[Order], int] = lambda order: 0
        self.text_number = 0
        for asset in sorted({asset for market in markets for asset in (market.base, market.quote)}):
            self.supply[asset] = self.house.total[asset] = HOUSE_WEALTH

    def open_account(self, api_key: str) -> Account:
        """Add an empty account."""
        account = self.accounts[api_key] = Account(api_key)
        return account

    def transfer(self, api_key: str, asset: str, amount: Decimal) -> Fact:
        """Move money in (positive) or out (negative) of an account, from or to the world outside."""
        self.apply_transfer(api_key, asset, amount)
        at = self.now()
        kind = "deposited" if amount >= 0 else "debited"
        balances = self.accounts[api_key].balances((asset,))
        fact = Fact(kind, api_key, at, at, balances, asset=asset, amount=abs(amount))
        self.facts.append(fact)
        return fact

    def apply_transfer(self, api_key: str, asset: str, amount: Decimal) -> None:
        """Book a transfer without telling anybody."""
        self.accounts[api_key].total[asset] += amount
        self.supply[asset] = self.supply.get(asset, NOTHING) + amount
        self.check_conserved((asset,))

    def place(self, request: OrderRequest) -> Order:
        """Accept an order and match it. Raises Rejected when the exchange refuses it."""
        state = self._state(request.symbol)
        if request.quote_quantity is not None:
            request = self._sized_by_quote(state, request)
        self.check(request)
        order = self._new_order(state, request)
        self._tell("accepted", order, order.record_version(order.created_at, order.created_at))
        limit = None if request.type == "market" else order.price
        if request.time_in_force != "FOK" or self._available(state, request.side, limit) >= order.leaves:
            self.match(state, order, limit)
        if not order.leaves:
            return order
        if request.type == "market" or request.time_in_force in ("IOC", "FOK"):
            self._end(order, "expired", "remainder of an order that must trade at once")
        else:
            state.book.add(order)
        return order

    def check(self, request: OrderRequest) -> None:
        """Raise Rejected when an order may not be accepted: filters, client id, post-only, balance."""
        state = self._state(request.symbol)
        market = state.market
        account = self.accounts[request.account]
        _check_filters(market, request, state.last_price)
        if request.client_order_id and request.client_order_id in account.open_client_ids:
            raise Rejected("duplicate_client_order_id")
        best = state.book.best_price(OPPOSITE[request.side])
        if request.post_only and best is not None and crosses(request.side, request.price, best):
            raise Rejected("would_take")
        asset, needed = self._needed(state, request)
        if needed > account.free(asset):
            raise Rejected("insufficient_funds")

    def cancel(self, order: Order, reason: str = "requested") -> None:
        """Take an order out of the book. Raises Rejected when it is not open any more."""
        if not order.is_open:
            raise Rejected("unknown_order")
        self.markets[order.request.symbol].book.remove(order)
        self._end(order, "cancelled", reason)

    def outside(self, symbol: str, quote: Resting, limit: Decimal | None, rests: bool = False) -> Decimal:
        """Let an anonymous participant trade; return what it filled, and let the rest stand when asked."""
        state = self._state(symbol)
        wanted = quote.leaves
        self.match(state, quote, limit)
        filled = wanted - quote.leaves
        if rests and quote.leaves:
            state.book.add(quote)
        return filled

    def outside_against(self, symbol: str, quote: Resting, limit: Decimal | None, key: str = "") -> list[Fill]:
        """Let an anonymous participant trade with accounts' resting orders alone, or with one of them."""
        state = self._state(symbol)
        fills: list[Fill] = []
        for resting in state.book.walk(OPPOSITE[quote.side]):
            if not quote.leaves or not crosses(quote.side, limit, resting.price):
                break
            if isinstance(resting, Order) and (not key or resting.key == key):
                self._trade(state, quote, resting)
                fills.append(resting.fills[-1])
        return fills

    def match(self, state: MarketState, taker: Resting, limit: Decimal | None) -> None:
        """Trade an incoming order against the book in price-time priority."""
        side = OPPOSITE[taker.side]
        while taker.leaves:
            maker = state.book.best(side)
            if maker is None or not crosses(taker.side, limit, maker.price):
                return
            self._trade(state, taker, maker)

    def next_ids(self, state: MarketState, prefix: str) -> tuple[int, str]:
        """Return the next number and id of an order ("O") or a trade ("T")."""
        if prefix == "O":
            state.order_number += 1
            number = state.order_number
        else:
            state.trade_number += 1
            number = state.trade_number
        if self.exchange.ids_per_symbol:
            return number, str(number)
        return number, text_id(prefix, f"{self.salt}:{state.market.symbol}:{number}")

    def check_conserved(self, assets: Iterable[str]) -> None:
        """Raise AssertionError unless what all participants own is exactly what was brought in."""
        for asset in assets:
            owned = self.house.total[asset] + self.fees.total[asset]
            for account in self.accounts.values():
                owned += account.total[asset]
            if owned != self.supply[asset]:
                raise AssertionError(f"{asset} is not conserved: {owned} owned, {self.supply[asset]} brought in")

    def apply_fill(self, fill: Fill) -> None:
        """Book a fill: balances, fee, hold and the order's sums."""
        order = fill.order
        account = self.accounts[order.request.account]
        for asset, change in movements(fill).items():
            account.total[asset] += change
            self.house.total[asset] -= change
        self.house.total[fill.fee_asset] -= fill.fee
        self.fees.total[fill.fee_asset] += fill.fee
        order.executed += fill.quantity
        order.cost += fill.cost
        order.fee += fill.fee
        order.fills.append(fill)
        account.fills.append(fill)
        account.last_visible_at = max(account.last_visible_at, fill.visible_at)
        order.status = "partially_filled" if order.leaves else "filled"
        account.set_hold(order, order.leaves * order.unit_hold)
        if not order.leaves:
            account.close(order)

    def holding(self, request: OrderRequest) -> tuple[str, Decimal]:
        """Return the asset an order spends and how much of it is held for each unit of quantity."""
        base, quote = request.symbol.split("/")
        spent = quote if request.side == "buy" else base
        if request.type == "market":
            return spent, NOTHING
        price = (request.price or NOTHING) if request.side == "buy" else Decimal(1)
        rate = self.exchange.taker_rate if self._fee_asset(request) == spent else NOTHING
        return spent, price * (1 + rate)

    def _trade(self, state: MarketState, taker: Resting, maker: Resting) -> None:
        quantity = min(taker.leaves, maker.leaves)
        price = maker.price
        number, trade_id = self.next_ids(state, "T")
        cost = (price * quantity).quantize(QUANTUM, ROUND_DOWN)
        at = self.now()
        for resting, liquidity in ((maker, "maker"), (taker, "taker")):
            resting.leaves -= quantity
            if isinstance(resting, Order):
                fee_rate = self.exchange.maker_rate if liquidity == "maker" else self.exchange.taker_rate
                fee_asset = self._fee_asset(resting.request)
                fee_base = quantity if fee_asset == state.market.base else cost
                fee = (fee_base * fee_rate).quantize(QUANTUM, ROUND_DOWN)
                visible_at = at + self.fill_delay(resting)
                fill = Fill(resting, number, trade_id, price, quantity, cost, fee, fee_asset, liquidity, at, visible_at)
                self._book_fill(state, fill)
        if maker.leaves:
            state.book.touch(maker)
        else:
            state.book.remove(maker)
        state.last_price = price
        state.prints.append(Print(number, price, quantity, taker.side, at))
        state.prints_total += 1
        self.check_conserved((state.market.base, state.market.quote))

    def _book_fill(self, state: MarketState, fill: Fill) -> None:
        order = fill.order
        self.apply_fill(fill)
        version = order.record_version(fill.at, fill.visible_at)
        assets = (state.market.base, state.market.quote)
        self._tell("filled", order, version, fill, assets)

    def _end(self, order: Order, status: str, reason: str) -> None:
        order.status = status
        account = self.accounts[order.request.account]
        account.close(order)
        at = self.now()
        version = order.record_version(at, at, reason)
        self._tell(status, order, version)

    def _tell(
        self, kind: str, order: Order, version: Version, fill: Fill | None = None, assets: tuple[str, ...] = ()
    ) -> None:
        account = self.accounts[order.request.account]
        account.last_visible_at = max(account.last_visible_at, version.visible_at)
        self.facts.append(
            Fact(
                kind,
                account.api_key,
                version.at,
                version.visible_at,
                account.balances(assets or (order.hold_asset,)),
                order,
                version,
                fill,
            )
        )

    def _new_order(self, state: MarketState, request: OrderRequest) -> Order:
        number, order_id = self.next_ids(state, "O")
        asset, unit_hold = self.holding(request)
        order = Order(
            side=request.side,
            price=request.price or NOTHING,
            leaves=request.quantity,
            request=request,
            number=number,
            order_id=order_id,
            key=self.order_key(request.symbol, order_id),
            created_at=self.now(),
            unit_hold=unit_hold,
            hold_asset=asset,
        )
        self.accounts[request.account].admit(order)
        return order

    def order_key(self, symbol: str, order_id: str) -> str:
        """Return what names an order inside the exchange: where ids are per symbol, the symbol belongs to it."""
        return f"{symbol}:{order_id}" if self.exchange.ids_per_symbol else order_id

    def _sized_by_quote(self, state: MarketState, request: OrderRequest) -> OrderRequest:
        left = request.quote_quantity or NOTHING
        quantity = NOTHING
        for resting in state.book.walk(OPPOSITE[request.side]):
            affordable = (left / resting.price).quantize(state.market.quantity_step, ROUND_DOWN)
            taken = min(affordable, resting.leaves)
            if not taken:
                break
            quantity += taken
            left -= taken * resting.price
        return OrderRequest(
            account=request.account,
            symbol=request.symbol,
            side=request.side,
            type=request.type,
            quantity=quantity,
            quote_quantity=None,
            time_in_force=request.time_in_force,
            client_order_id=request.client_order_id,
            fee_preference=request.fee_preference,
            origin=request.origin,
        )

    def _needed(self, state: MarketState, request: OrderRequest) -> tuple[str, Decimal]:
        asset, unit_hold = self.holding(request)
        if request.type != "market":
            return asset, unit_hold * request.quantity
        rate = self.exchange.taker_rate if self._fee_asset(request) == asset else NOTHING
        if request.side == "sell":
            return asset, request.quantity * (1 + rate)
        left, cost = request.quantity, NOTHING
        for resting in state.book.walk("sell"):
            taken = min(left, resting.leaves)
            cost += taken * resting.price
            left -= taken
            if not left:
                break
        return asset, cost * (1 + rate)

    def _available(self, state: MarketState, side: str, limit: Decimal | None) -> Decimal:
        total = NOTHING
        for resting in state.book.walk(OPPOSITE[side]):
            if not crosses(side, limit, resting.price):
                break
            total += resting.leaves
        return total

    def _fee_asset(self, request: OrderRequest) -> str:
        base, quote = request.symbol.split("/")
        if request.fee_preference:
            return {"base": base, "quote": quote}[request.fee_preference]
        if self.exchange.fee_in_received_asset:
            return base if request.side == "buy" else quote
        return quote

    def _state(self, symbol: str) -> MarketState:
        state = self.markets.get(symbol)
        if state is None:
            raise Rejected("unknown_symbol")
        return state


def text_id(prefix: str, seed: str) -> str:
    """Return an id such as OABCDE-FGHJK-LMNPQR made from a seed."""
    digest = hashlib.sha256(seed.encode()).digest()
    letters = "".join(ALPHABET[byte % len(ALPHABET)] for byte in digest[:16])
    return f"{prefix}{letters[:5]}-{letters[5:10]}-{letters[10:16]}"


def _check_filters(market: Market, request: OrderRequest, last_price: Decimal) -> None:
    price = request.price if request.price is not None else last_price
    if request.price is not None and (price <= 0 or price % market.price_step or price > market.price_max):
        raise Rejected("price_step", market.venue_id)
    if request.quantity % market.quantity_step:
        raise Rejected("quantity_step", market.venue_id)
    if not market.quantity_min <= request.quantity <= market.quantity_max:
        raise Rejected("quantity_min", market.venue_id)
    if price * request.quantity < market.notional_min:
        raise Rejected("notional_min", market.venue_id)

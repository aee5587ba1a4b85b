"""The matching engine of one world: synchronous, exact, without input or output; the clock is handed in."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal

from venues.paper.accounts import Account
from venues.paper.book import OPPOSITE, Book, crosses
from venues.paper.holdings import Holdings
from venues.paper.markets import Exchange, Market
from venues.paper.orders import (
    NOTHING,
    SELF_TRADE,
    TRIGGER_TYPES,
    WOULD_TAKE,
    Fact,
    Fill,
    Order,
    OrderRequest,
    Print,
    Rejected,
    Resting,
    Version,
    text_id,
)
from venues.paper.pricing import FLAT, available, charge, check_filters, meets_itself, quantity_for_quote, taking_cost
from venues.paper.triggers import Triggers, check_trigger, direction, has_reached

PRINTS_KEPT = 500
FIRST_ID, ID_STRIDE = 600_000_000_000_000_000, 1000


class MarketState:
    """A market's book, its last trades and its number sequences."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.assets = market.assets
        self.book = Book()
        self.triggers = Triggers(market.price_step)
        self.order_number = 0
        self.trade_number = 0
        self.last_price = market.price_start
        self.prints: deque[Print] = deque(maxlen=PRINTS_KEPT)
        self.prints_total = 0


class Engine(Holdings):
    """Accept, match, amend and cancel orders; every change leaves a Fact in `facts`; balances are conserved or it raises."""

    def __init__(self, exchange: Exchange, markets: Iterable[Market], now: Callable[[], int], salt: str = "") -> None:
        super().__init__(exchange, markets, now)
        self.markets = {symbol: MarketState(market) for symbol, market in self.listed.items()}
        self.salt = salt
        self.fill_delay: Callable[[Order], int] = lambda order: 0
        self.excess: Callable[[Order], Decimal] = lambda order: NOTHING
        self.client_ids_unique = True
        self.holds_triggers = False

    def place(self, request: OrderRequest) -> Order:
        """Accept an order and match it, or let it wait for its trigger. Raises Rejected when it is refused."""
        state = self._state(request.symbol)
        if request.quote_quantity is not None:
            sized = quantity_for_quote(state.book, state.market, request.side, request.quote_quantity)
            request = replace(request, quantity=sized, quote_quantity=None)
        self.check(request)
        order = self._new_order(state, request)
        if request.type in TRIGGER_TYPES:
            self._wait(state, order)
        self._tell("accepted", order, order.record_version(order.created_at, order.created_at))
        if order.is_working:
            self._work(state, order)
        self._settle(state)
        return order

    def check(self, request: OrderRequest) -> None:
        """Raise Rejected when an order may not be accepted: filters, client id, trigger, post-only, balance."""
        state = self._state(request.symbol)
        account = self.accounts[request.account]
        check_filters(state.market, request, state.last_price)
        if self.client_ids_unique and request.client_order_id and request.client_order_id in account.open_client_ids:
            raise Rejected("duplicate_client_order_id")
        if self.exchange.refuses_immediate_trigger:
            check_trigger(request, state.last_price)
        if self._would_take(state, request) and not self.exchange.ends_post_only_takers:
            raise Rejected("would_take")
        if request.reduce_only and request.quantity > account.position(request.symbol).reducible(request.side):
            raise Rejected("reduce_only")
        if request.type == "market":
            asset, needed = self._taking_cost(state, request, request.quantity)
        else:
            trigger = request.trigger_price or (state.last_price if request.is_trailing else None)
            asset, unit_hold = self.holding(request, trigger)
            needed = unit_hold * request.quantity
        if needed > self._funds(state, account, asset):
            raise Rejected("insufficient_funds")

    def last_price(self, symbol: str) -> Decimal:
        """Return the price of a market's last trade."""
        return self.markets[symbol].last_price

    def cancel(self, order: Order, reason: str = "requested") -> None:
        """Take an order out of the book. Raises Rejected when it is not open any more."""
        if not order.is_open:
            raise Rejected("unknown_order")
        self.withdraw(order)
        self._end(order, "cancelled", reason)

    def expire(self, order: Order, reason: str) -> None:
        """End an order whose time is over; one that is not open any more is left alone."""
        if order.is_open:
            self.withdraw(order)
            self._end(order, "expired", reason)

    def withdraw(self, order: Order) -> None:
        """Take an order out of its book, or out of those that wait."""
        state = self.markets[order.request.symbol]
        if order.is_working:
            state.book.remove(order)
        else:
            state.triggers.remove(order)

    def amend(
        self,
        order: Order,
        request: OrderRequest,
        reason: str = "",
    ) -> None:
        """Change an open order in place to what `request` says; it keeps its place in the book unless its price
        changes or its quantity grows. Raises Rejected, and then nothing has changed."""
        if not order.is_open:
            raise Rejected("unknown_order")
        state, before = self.markets[request.symbol], order.request
        if request == before:
            raise Rejected("no_change")
        check_filters(state.market, request, state.last_price)
        moves = request.price != before.price or request.quantity > before.quantity
        if moves and self._would_take(state, request) and not self.exchange.ends_post_only_takers:
            raise Rejected("would_take")
        leaves = request.quantity - order.executed
        waits_at = None if order.is_working else request.trigger_price or order.trigger_price
        asset, unit_hold = self.holding(request, waits_at)
        if leaves * unit_hold - order.hold > self._funds(state, self.accounts[request.account], asset):
            raise Rejected("insufficient_funds")
        if moves or not order.is_working:
            self.withdraw(order)
        self.apply_amendment(order, request, waits_at)
        at = self.now()
        self._tell("amended", order, order.record_version(at, at, reason), before=before)
        if not order.leaves:
            self.withdraw(order)
            self._end(order, "cancelled", reason)
        elif not order.is_working:
            state.triggers.add(order, state.last_price)
        elif moves:
            self._work(state, order)
        else:
            state.book.touch(order)
        self._settle(state)

    def force_fill(self, order: Order, quantity: Decimal) -> None:
        """Trade an open order with an anonymous participant, wherever the market is."""
        state = self.markets[order.request.symbol]
        if not order.is_working:
            self._trigger(state, order)
        price = order.price or state.last_price
        state.book.remove(order)
        order.price = price
        self._trade(state, Resting(OPPOSITE[order.side], price, min(quantity, order.leaves)), order)
        if order.is_open and not order.request.is_market:
            state.book.add(order)
        self._settle(state)

    def outside(self, symbol: str, quote: Resting, limit: Decimal | None, rests: bool = False) -> Decimal:
        """Let an anonymous participant trade; return what it filled, and let the rest stand when asked."""
        state = self._state(symbol)
        wanted = quote.leaves
        self.match(state, quote, limit)
        filled = wanted - quote.leaves
        if rests and quote.leaves:
            state.book.add(quote)
        self._settle(state)
        return filled

    def outside_against(self, symbol: str, quote: Resting, limit: Decimal | None, key: str = "") -> list[Fill]:
        """Let an anonymous participant trade with accounts' resting orders alone, or with one of them."""
        state = self._state(symbol)
        fills: list[Fill] = []
        wanted, partners = quote.leaves, []
        for resting in state.book.walk(OPPOSITE[quote.side]):
            if wanted <= 0 or not crosses(quote.side, limit, resting.price):
                break
            if isinstance(resting, Order) and (not key or resting.key == key):
                partners.append(resting)
                wanted -= resting.leaves
        for partner in partners:
            self._trade(state, quote, partner)
            fills.append(partner.fills[-1])
        self._settle(state)
        return fills

    def release_triggers(self, symbol: str) -> None:
        """Let what was triggered while `holds_triggers` was set work now."""
        self.holds_triggers = False
        self._settle(self.markets[symbol])

    def match(self, state: MarketState, taker: Resting, limit: Decimal | None) -> None:
        """Trade an incoming order against the book in price-time priority, up to one of its own account where that is prevented."""
        side = OPPOSITE[taker.side]
        while taker.leaves:
            maker = state.book.best(side)
            if maker is None or not crosses(taker.side, limit, maker.price):
                return
            if meets_itself(self.exchange, taker, maker):
                return
            if not (state.market.settle and self._ends_unreduced(state, maker)):
                self._trade(state, taker, maker)

    def next_ids(self, state: MarketState, prefix: str) -> tuple[int, str]:
        """Return the next number and id of an order ("O") or a trade ("T")."""
        if prefix == "O":
            state.order_number += 1
            number = state.order_number
        else:
            state.trade_number += 1
            number = state.trade_number
        if self.exchange.ids_per_symbol or (self.exchange.ids_are_digits and prefix == "T"):
            return number, str(number)
        if self.exchange.ids_are_digits:
            return number, str(FIRST_ID + number * ID_STRIDE + list(self.markets).index(state.market.symbol))
        return number, text_id(prefix, f"{self.salt}:{state.market.symbol}:{number}")

    def _trade(self, state: MarketState, taker: Resting, maker: Resting) -> None:
        quantity = min(taker.leaves, maker.leaves)
        price = maker.price
        number, trade_id = self.next_ids(state, "T")
        at = self.now()
        for resting, liquidity in ((maker, "maker"), (taker, "taker")):
            resting.leaves -= quantity
            if isinstance(resting, Order):
                self._book_fill(state, resting, number, trade_id, price, quantity, liquidity, at)
        if maker.leaves:
            state.book.touch(maker)
        else:
            state.book.remove(maker)
        state.last_price = price
        state.prints.append(Print(number, price, quantity, taker.side, at))
        state.prints_total += 1
        state.triggers.see(price)
        self.check_conserved(state.assets)

    def _ends_unreduced(self, state: MarketState, resting: Resting) -> bool:
        """End a reduce-only order that would open a position by now; tell whether it did."""
        if not isinstance(resting, Order) or not resting.request.reduce_only:
            return False
        position = self.accounts[resting.request.account].position(state.market.symbol)
        if resting.leaves <= position.reducible(resting.side):
            return False
        self.withdraw(resting)
        self._end(resting, "cancelled", "reduce only: the position is smaller")
        return True

    def _book_fill(
        self, state: MarketState, order: Order, number: int, trade_id: str, price: Decimal, quantity: Decimal,
        liquidity: str, at: int,
    ) -> None:  # fmt: skip
        excess = self.excess(order)
        if excess:
            quantity, order.leaves = quantity + order.leaves + excess, NOTHING
        market, realised = state.market, NOTHING
        cost, fee, fee_asset = charge(self.exchange, market, order.request, price, quantity, liquidity)
        if market.settle:
            position = self.accounts[order.request.account].position(market.symbol)
            realised = position.realises(market, order.side, quantity, price)
        visible_at = at + self.fill_delay(order)
        fill = Fill(
            order, number, trade_id, price, quantity, cost, fee, fee_asset, liquidity, at, visible_at, market.settle, realised
        )  # fmt: skip
        self.apply_fill(fill)
        version = order.record_version(at, visible_at)
        self._tell("filled", order, version, fill, state.assets)

    def _taking_cost(self, state: MarketState, request: OrderRequest, quantity: Decimal) -> tuple[str, Decimal]:
        account = self.accounts[request.account]
        position = account.position(request.symbol) if state.market.settle else FLAT
        return taking_cost(self.exchange, state.market, state.book, request, quantity, position)

    def _funds(self, state: MarketState, account: Account, asset: str) -> Decimal:
        """Return what an account may spend; of contracts never less than nothing, so that what only reduces may go."""
        return max(self.available_funds(account, asset), NOTHING) if state.market.settle else account.free(asset)

    @staticmethod
    def _would_take(state: MarketState, request: OrderRequest) -> bool:
        best = state.book.best_price(OPPOSITE[request.side]) if request.post_only else None
        return best is not None and crosses(request.side, request.price, best)

    def _wait(self, state: MarketState, order: Order) -> None:
        """Let an order wait for its trigger, unless the last price is there already."""
        order.is_working, order.working_at = False, 0
        state.triggers.add(order, state.last_price)
        trigger = order.trigger_price
        if trigger is None or order.request.is_trailing:
            return
        if has_reached(direction(order.request), trigger, state.last_price):
            state.triggers.see(state.last_price)

    def _settle(self, state: MarketState) -> None:
        """Let the orders work that the last trades have triggered; what they trade may trigger more."""
        while not self.holds_triggers and (fired := state.triggers.take_fired()):
            for order in fired:
                if not self._ends_unreduced(state, order):
                    self._trigger(state, order)
                    self._work(state, order)

    def _trigger(self, state: MarketState, order: Order) -> None:
        state.triggers.remove(order)
        self.apply_trigger(order, self.now())
        self._tell("triggered", order, order.record_version(order.working_at, order.working_at))

    def _work(self, state: MarketState, order: Order) -> None:
        """Match an order, then end its rest or let it stand in the book."""
        request = order.request
        limit = None if request.is_market else order.price
        if request.is_market and request.type != "market":
            asset, needed = self._taking_cost(state, request, order.leaves)
            if needed > self._funds(state, self.accounts[request.account], asset):
                self._end(order, "expired", "insufficient funds when triggered")
                return
        if self.exchange.ends_post_only_takers and self._would_take(state, request):
            self._end(order, "cancelled", WOULD_TAKE)
            return
        if request.time_in_force != "FOK" or available(self.exchange, state.book, order, limit) >= order.leaves:
            self.match(state, order, limit)
        if not order.leaves:
            return
        best = state.book.best(OPPOSITE[order.side])
        if best is not None and crosses(order.side, limit, best.price) and meets_itself(self.exchange, order, best):
            self._end(order, "cancelled", SELF_TRADE)
        elif request.is_market or request.time_in_force in ("IOC", "FOK"):
            self._end(order, "expired", "remainder of an order that must trade at once")
        else:
            state.book.add(order)

    def _end(self, order: Order, status: str, reason: str) -> None:
        order.status = status
        account = self.accounts[order.request.account]
        account.close(order)
        at = self.now()
        version = order.record_version(at, at, reason)
        self._tell(status, order, version)

    def _tell(
        self,
        kind: str,
        order: Order,
        version: Version,
        fill: Fill | None = None,
        assets: tuple[str, ...] = (),
        before: OrderRequest | None = None,
    ) -> None:
        account = self.accounts[order.request.account]
        account.told(version.at, version.visible_at)
        fact = Fact(
            kind, account.api_key, version.at, version.visible_at, account.balances(assets or (order.hold_asset,)), order,
            version, fill, before=before,
        )  # fmt: skip
        self.facts.append(fact)

    def _new_order(self, state: MarketState, request: OrderRequest) -> Order:
        number, order_id = self.next_ids(state, "O")
        trigger = request.trigger_price or (state.last_price if request.is_trailing else None)
        asset, unit_hold = self.holding(request, trigger)
        at = self.now()
        order = Order(
            side=request.side,
            price=request.price or NOTHING,
            leaves=request.quantity,
            request=request,
            number=number,
            order_id=order_id,
            key=self.order_key(request.symbol, order_id),
            created_at=at,
            unit_hold=unit_hold,
            hold_asset=asset,
            trigger_price=request.trigger_price,
            working_at=at,
        )
        self.accounts[request.account].admit(order)
        return order

    def order_key(self, symbol: str, order_id: str) -> str:
        """Return what names an order inside the exchange: where ids are per symbol, the symbol belongs to it."""
        return f"{symbol}:{order_id}" if self.exchange.ids_per_symbol else order_id

    def _state(self, symbol: str) -> MarketState:
        state = self.markets.get(symbol)
        if state is None:
            raise Rejected("unknown_symbol")
        return state

"""Orders that wait for the last price of their market: stops, take-profits and trailing stops."""

from bisect import bisect_left, insort
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from venues.paper.orders import Order, OrderRequest, Rejected

BIPS = Decimal(10_000)
RISING, FALLING = "rising", "falling"
Entry = tuple[Decimal, int, Order]


def direction(request: OrderRequest) -> str:
    """Return which way the last price must go to fire an order: a buy stop and a sell target wait for a rise."""
    is_target = request.type.startswith("take_profit") and not request.is_trailing
    return RISING if (request.side == "buy") != is_target else FALLING


def has_reached(way: str, trigger: Decimal, price: Decimal) -> bool:
    """Tell whether a price is at or beyond a trigger."""
    return price >= trigger if way == RISING else price <= trigger


def check_trigger(request: OrderRequest, last_price: Decimal) -> None:
    """Raise Rejected when an order's trigger is reached already, where the exchange refuses that."""
    trigger = None if request.is_trailing else request.trigger_price
    if trigger is not None and has_reached(direction(request), trigger, last_price):
        raise Rejected("would_trigger")


class Triggers:
    """One market's waiting orders, found by price without looking at the others; trailing ones follow each trade."""

    def __init__(self, price_step: Decimal) -> None:
        self._price_step = price_step
        self._waiting: dict[str, list[Entry]] = {RISING: [], FALLING: []}
        self._trailing: dict[str, Order] = {}
        self._unseen: list[Decimal] = []

    def __len__(self) -> int:
        return sum(len(entries) for entries in self._waiting.values()) + len(self._trailing)

    def add(self, order: Order, last_price: Decimal) -> None:
        """Let an order wait; a trailing one starts from the last price, or once its own trigger price is reached."""
        if order.request.is_trailing:
            self._trailing[order.key] = order
            self._start(order, last_price)
        elif order.trigger_price is not None:
            insort(self._waiting[direction(order.request)], (order.trigger_price, order.number, order), key=_place)

    def remove(self, order: Order) -> None:
        """Forget an order; one that does not wait is left alone."""
        if self._trailing.pop(order.key, None) is not None or order.trigger_price is None:
            return
        entries = self._waiting[direction(order.request)]
        index = bisect_left(entries, (order.trigger_price, order.number), key=_place)
        if index < len(entries) and entries[index][2] is order:
            del entries[index]

    def see(self, price: Decimal) -> None:
        """Note a trade's price, to be judged when the trading that caused it is over."""
        if self._trailing or self._waiting[RISING] or self._waiting[FALLING]:
            self._unseen.append(price)

    def take_fired(self) -> list[Order]:
        """Return the orders fired by the prices noted since the last call, oldest first for each price."""
        fired: list[Order] = []
        prices, self._unseen = self._unseen, []
        for price in prices:
            fired += sorted(self._fired_by(price), key=_age)
        return fired

    def _fired_by(self, price: Decimal) -> list[Order]:
        fired = []
        rising, falling = self._waiting[RISING], self._waiting[FALLING]
        while rising and rising[0][0] <= price:
            fired.append(rising.pop(0)[2])
        while falling and falling[-1][0] >= price:
            fired.append(falling.pop()[2])
        for order in list(self._trailing.values()):
            if self._follow(order, price):
                del self._trailing[order.key]
                fired.append(order)
        return fired

    def _start(self, order: Order, price: Decimal) -> None:
        wanted = order.request.trigger_price
        if wanted is not None and not has_reached(_activation(order), wanted, price):
            return
        order.is_tracking = True
        order.extreme = price
        order.trigger_price = self._trail(order, price)

    def _follow(self, order: Order, price: Decimal) -> bool:
        if not order.is_tracking:
            self._start(order, price)
            return False
        way = direction(order.request)
        trigger, extreme = order.trigger_price, order.extreme
        if trigger is None or extreme is None:
            return False
        if has_reached(way, trigger, price):
            return True
        if price < extreme if way == RISING else price > extreme:
            order.extreme = price
            order.trigger_price = self._trail(order, price)
        return False

    def _trail(self, order: Order, price: Decimal) -> Decimal:
        bips, offset = order.request.trailing_bips, order.request.trailing_offset
        distance = price * bips / BIPS if bips is not None else offset or Decimal(0)
        step = self._price_step
        if direction(order.request) == RISING:
            return (price + distance).quantize(step, ROUND_CEILING)
        return max((price - distance).quantize(step, ROUND_FLOOR), step)


def _activation(order: Order) -> str:
    """Return which way the price must go before a trailing order starts to follow it."""
    is_target = order.request.type.startswith("take_profit")
    return RISING if (order.side == "buy") != is_target else FALLING


def _place(entry: tuple[Decimal, int, Order] | tuple[Decimal, int]) -> tuple[Decimal, int]:
    return entry[0], entry[1]


def _age(order: Order) -> tuple[int, int]:
    return order.created_at, order.number

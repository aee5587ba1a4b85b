"""Balances with holds, and what each account has done."""

from collections import defaultdict
from decimal import Decimal

from venues.paper.orders import NOTHING, Fill, Order

LOOK_BACK_MICROSECONDS = 900_000_000


class Account:
    """One participant. `total` includes what `held` reserves for its open orders."""

    def __init__(self, api_key: str) -> None:
        self.api_key = api_key
        self.total: dict[str, Decimal] = defaultdict(Decimal)
        self.held: dict[str, Decimal] = defaultdict(Decimal)
        self.orders: dict[str, Order] = {}
        self.open: dict[str, Order] = {}
        self.open_client_ids: dict[str, Order] = {}
        self.by_client_id: dict[str, Order] = {}
        self.closed: list[Order] = []
        self.fills: list[Fill] = []
        self.last_visible_at = 0

    def free(self, asset: str) -> Decimal:
        """Return what the account may still spend."""
        return self.total[asset] - self.held[asset]

    def admit(self, order: Order) -> None:
        """Register an accepted order and hold what it may spend."""
        self.orders[order.key] = order
        self.open[order.key] = order
        client_order_id = order.request.client_order_id
        if client_order_id:
            self.open_client_ids[client_order_id] = order
            self.by_client_id[client_order_id] = order
        self.set_hold(order, order.leaves * order.unit_hold)

    def set_hold(self, order: Order, hold: Decimal) -> None:
        """Change what is reserved for an order."""
        self.held[order.hold_asset] += hold - order.hold
        order.hold = hold

    def close(self, order: Order) -> None:
        """Release an order that ended."""
        self.set_hold(order, NOTHING)
        self.open.pop(order.key, None)
        client_order_id = order.request.client_order_id
        if self.open_client_ids.get(client_order_id) is order:
            del self.open_client_ids[client_order_id]
        self.closed.append(order)

    def visible_open_orders(self, moment: int, now: int) -> list[Order]:
        """Return the orders that look open to the outside at a moment, oldest first."""
        candidates = list(self.open.values())
        if moment < now or self.last_visible_at > now:
            candidates += self._recently_closed(now)
        shown = [order for order in candidates if _looks_open(order, moment)]
        return sorted(shown, key=lambda order: order.created_at)

    def visible_balance(self, asset: str, now: int) -> tuple[Decimal, Decimal]:
        """Return (total, held) as the outside sees them: fills not yet reported are not in them."""
        total, held = self.total[asset], self.held[asset]
        if self.last_visible_at <= now:
            return total, held
        for fill in reversed(self.fills):
            if fill.at < now - LOOK_BACK_MICROSECONDS:
                break
            if fill.visible_at > now:
                total -= movements(fill).get(asset, NOTHING)
        for order in [*self.open.values(), *self._recently_closed(now)]:
            if order.hold_asset == asset:
                version = order.version_at(now)
                held += (version.hold if version else NOTHING) - order.hold
        return total, held

    def balances(self, assets: tuple[str, ...]) -> dict[str, tuple[Decimal, Decimal]]:
        """Return total and held of some assets as they are now."""
        return {asset: (self.total[asset], self.held[asset]) for asset in assets}

    def assets(self) -> list[str]:
        """Return the assets the account ever held."""
        return sorted(self.total)

    def _recently_closed(self, now: int) -> list[Order]:
        recent = []
        for order in reversed(self.closed):
            if order.versions[-1].at < now - LOOK_BACK_MICROSECONDS:
                break
            recent.append(order)
        return recent


def movements(fill: Fill) -> dict[str, Decimal]:
    """Return what a fill changes in its owner's balances, fee included."""
    base, quote = fill.order.request.symbol.split("/")
    sign = 1 if fill.order.side == "buy" else -1
    changes = {base: sign * fill.quantity, quote: -sign * fill.cost}
    changes[fill.fee_asset] = changes.get(fill.fee_asset, NOTHING) - fill.fee
    return changes


def _looks_open(order: Order, moment: int) -> bool:
    version = order.version_at(moment)
    return version is not None and version.status in ("new", "partially_filled")

"""Who owns and holds what in one world: every movement is between an account, the house and the fees."""

from collections.abc import Callable, Iterable
from decimal import Decimal

from venues.paper.accounts import Account, movements
from venues.paper.markets import Exchange
from venues.paper.orders import NOTHING, Fact, Fill, Order, OrderRequest
from venues.paper.pricing import holding

HOUSE_WEALTH = Decimal(10) ** 12


class Holdings:
    """The accounts of a world and what they left as facts; money is conserved or it raises."""

    def __init__(self, exchange: Exchange, assets: Iterable[str], now: Callable[[], int]) -> None:
        self.exchange = exchange
        self.now = now
        self.accounts: dict[str, Account] = {}
        self.house = Account("house")
        self.fees = Account("fees")
        self.supply: dict[str, Decimal] = {}
        self.facts: list[Fact] = []
        for asset in assets:
            self.supply[asset] = self.house.total[asset] = HOUSE_WEALTH

    def open_account(self, api_key: str) -> Account:
        """Add an empty account."""
        account = self.accounts[api_key] = Account(api_key)
        return account

    def transfer(self, api_key: str, asset: str, amount: Decimal) -> Fact:
        """Move money in (positive) or out (negative) of an account, from or to the world outside."""
        at = self.now()
        self.apply_transfer(api_key, asset, amount, at)
        kind = "deposited" if amount >= 0 else "debited"
        balances = self.accounts[api_key].balances((asset,))
        fact = Fact(kind, api_key, at, at, balances, asset=asset, amount=abs(amount))
        self.facts.append(fact)
        return fact

    def apply_transfer(self, api_key: str, asset: str, amount: Decimal, at: int) -> None:
        """Book a transfer without telling anybody."""
        account = self.accounts[api_key]
        account.total[asset] += amount
        account.transfers.append((at, asset, amount))
        account.told(at, at)
        self.supply[asset] = self.supply.get(asset, NOTHING) + amount
        self.check_conserved((asset,))

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
        account.add_fill(fill)
        order.status = "partially_filled" if order.leaves else "filled"
        account.set_hold(order, order.leaves * order.unit_hold)
        if not order.leaves:
            account.close(order)

    def apply_amendment(self, order: Order, request: OrderRequest, waits_at: Decimal | None) -> None:
        """Give an order its new request and hold without telling anybody; a quantity below the fills leaves none."""
        account = self.accounts[request.account]
        account.rename(order, request)
        order.price = request.price or NOTHING
        order.leaves = max(request.quantity - order.executed, NOTHING)
        order.trigger_price = waits_at if waits_at is not None else order.trigger_price
        order.unit_hold = holding(self.exchange, request, waits_at)[1]
        account.set_hold(order, order.leaves * order.unit_hold)

    def apply_trigger(self, order: Order, at: int) -> None:
        """Let a waiting order work, without telling anybody: what it holds is from now on a working order's."""
        order.is_working, order.working_at = True, at
        order.unit_hold = holding(self.exchange, order.request)[1]
        self.accounts[order.request.account].set_hold(order, order.leaves * order.unit_hold)

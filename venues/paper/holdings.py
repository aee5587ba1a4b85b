"""Who owns and holds what in one world: every movement is between an account, the house, the fees and the funding pool."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from venues.paper.accounts import Account, movements
from venues.paper.contracts import QUANTUM, margin, profit, value
from venues.paper.markets import Exchange, Market
from venues.paper.orders import NOTHING, Fact, Fill, Order, OrderRequest
from venues.paper.pricing import FLAT, holding

HOUSE_WEALTH = Decimal(10) ** 12


class Holdings:
    """The accounts of a world and what they left as facts; money is conserved or it raises."""

    def __init__(self, exchange: Exchange, markets: Iterable[Market], now: Callable[[], int]) -> None:
        self.exchange = exchange
        self.listed = {market.symbol: market for market in markets}
        self.now = now
        self.accounts: dict[str, Account] = {}
        self.house = Account("house")
        self.fees = Account("fees")
        self.pool = Account("funding")
        self.net: dict[str, Decimal] = defaultdict(Decimal)
        self.supply: dict[str, Decimal] = {}
        self.facts: list[Fact] = []
        for asset in sorted({asset for market in self.listed.values() for asset in market.assets}):
            self.supply[asset] = self.house.total[asset] = HOUSE_WEALTH

    def open_account(self, api_key: str) -> Account:
        """Add an empty account."""
        account = self.accounts[api_key] = Account(api_key)
        return account

    def last_price(self, symbol: str) -> Decimal:
        """Return the price of a market's last trade."""
        raise NotImplementedError

    def available_funds(self, account: Account, asset: str) -> Decimal:
        """Return what an account may still spend or reserve: what its positions have lost by now is gone, too."""
        return account.free(asset) + min(self.unrealised(account, asset), NOTHING)

    def unrealised(self, account: Account, asset: str) -> Decimal:
        """Return what an account's positions that settle in an asset have won or lost at their last prices."""
        won = NOTHING
        for symbol, position in account.positions.items():
            market = self.listed[symbol]
            if position.quantity and market.settle == asset:
                won += profit(market, position.quantity, position.entry_price, self.last_price(symbol))
        return won

    def transfer(
        self,
        api_key: str,
        asset: str,
        amount: Decimal,
        *,
        fee: Decimal = NOTHING,
        reference: str = "",
        is_listed: bool = True,
    ) -> Fact:
        """Move money in (positive) or out (negative, its fee included) of an account, from or to the world outside."""
        at = self.now()
        told: dict[str, str | bool] = {"fee": f"{fee:f}"} if fee else {}
        told |= {"reference": reference} if reference else {}
        told |= {} if is_listed else {"is_listed": False}
        self.apply_transfer(api_key, asset, amount, at, fee=fee, reference=reference, is_listed=is_listed)
        kind = "deposited" if amount >= 0 else "debited"
        balances = self.accounts[api_key].balances((asset,))
        fact = Fact(kind, api_key, at, at, balances, asset=asset, amount=abs(amount), told=told)
        self.facts.append(fact)
        return fact

    def apply_transfer(self, api_key: str, asset: str, amount: Decimal, at: int, **told: Any) -> None:
        """Book a transfer without telling anybody."""
        self.accounts[api_key].transfer(at, "deposit" if amount >= 0 else "withdrawal", asset, amount, **told)
        self.supply[asset] = self.supply.get(asset, NOTHING) + amount
        self.check_conserved((asset,))

    def check_conserved(self, assets: Iterable[str]) -> None:
        """Raise AssertionError unless what all participants own is exactly what was brought in."""
        for asset in assets:
            owned = self.house.total[asset] + self.fees.total[asset] + self.pool.total[asset]
            for account in self.accounts.values():
                owned += account.total[asset]
            if owned != self.supply[asset]:
                raise AssertionError(f"{asset} is not conserved: {owned} owned, {self.supply[asset]} brought in")

    def check_positions(self, symbol: str) -> None:
        """Raise AssertionError unless what the accounts hold of a contract is what the house holds against them."""
        held = sum((account.position(symbol).quantity for account in self.accounts.values()), NOTHING)
        if held + self.net[symbol]:
            raise AssertionError(f"{symbol}: accounts hold {held}, the house {self.net[symbol]}")

    def pay_funding(self, symbol: str, price: Decimal) -> None:
        """Let every position of a perpetual pay its funding to the pool, or take it from there."""
        market, at = self.listed[symbol], self.now()
        for account in self.accounts.values():
            quantity = account.position(symbol).quantity
            worth = value(market, quantity, price) * market.funding_rate
            amount = -worth.quantize(QUANTUM, ROUND_HALF_EVEN)
            if amount:
                self.apply_funding(account.api_key, symbol, amount, at)
                balances = account.balances((market.settle,))
                self.facts.append(
                    Fact("funded", account.api_key, at, at, balances, asset=market.settle, amount=amount, symbol=symbol)
                )

    def apply_funding(self, api_key: str, symbol: str, amount: Decimal, at: int) -> None:
        """Book what a position received (negative: paid) without telling anybody."""
        account, asset = self.accounts[api_key], self.listed[symbol].settle
        account.transfer(at, "funding", asset, amount, symbol=symbol, is_listed=False)  # a part of the next settlement
        self.pool.total[asset] -= amount
        position = account.position(symbol)
        position.funding += amount
        position.realised += amount
        self.check_conserved((asset,))

    def settle(self, symbol: str, price: Decimal) -> None:
        """End the session of a contract: what its positions have won or lost becomes cash, and they go on from this price."""
        market, at = self.listed[symbol], self.now()
        for account in self.accounts.values():
            position = account.positions.get(symbol)
            if position is None or not (position.quantity or position.realised or position.funding):
                continue
            amount = self.apply_settlement(account.api_key, symbol, price, at)
            balances = account.balances((market.settle,))
            self.facts.append(Fact(
                "settled", account.api_key, at, at, balances, asset=market.settle, amount=amount, symbol=symbol,
                told={"price": f"{price:f}"},
            ))  # fmt: skip

    def apply_settlement(self, api_key: str, symbol: str, price: Decimal, at: int) -> Decimal:
        """Book a settlement at a price without telling anybody; return what was not realised before."""
        account, market = self.accounts[api_key], self.listed[symbol]
        position, reserved = account.position(symbol), account.position(symbol).margin
        open_profit = NOTHING
        if position.quantity:
            open_profit = profit(market, position.quantity, position.entry_price, price)
            position.entry_price = price
            position.margin = margin(market, position.quantity, price)
        account.transfer(
            at, "settlement", market.settle, open_profit, symbol=symbol, session_rpl=position.realised,
            session_funding=position.funding,
        )  # fmt: skip
        account.held[market.settle] += position.margin - reserved
        self.house.total[market.settle] -= open_profit
        position.realised = position.funding = NOTHING
        self.check_conserved((market.settle,))
        return open_profit

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
        if fill.settle:
            self._apply_position(account, fill)
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
        order.unit_hold = self.holding(request, waits_at)[1]
        account.set_hold(order, order.leaves * order.unit_hold)

    def apply_trigger(self, order: Order, at: int) -> None:
        """Let a waiting order work, without telling anybody: what it holds is from now on a working order's."""
        order.is_working, order.working_at = True, at
        order.unit_hold = self.holding(order.request)[1]
        self.accounts[order.request.account].set_hold(order, order.leaves * order.unit_hold)

    def holding(self, request: OrderRequest, trigger_price: Decimal | None = None) -> tuple[str, Decimal]:
        """Return the asset an order of an account spends and how much of it is held for each unit of quantity."""
        market = self.listed[request.symbol]
        position = self.accounts[request.account].position(request.symbol) if market.settle else FLAT
        return holding(self.exchange, market, request, trigger_price, position)

    def _apply_position(self, account: Account, fill: Fill) -> None:
        request = fill.order.request
        position = account.position(request.symbol)
        reserved = position.margin
        position.trade(self.listed[request.symbol], request.side, fill.quantity, fill.price, fill.realised)
        account.held[fill.settle] += position.margin - reserved
        self.net[request.symbol] -= fill.quantity if request.side == "buy" else -fill.quantity
        self.check_positions(request.symbol)

"""What all accounts hold together, per asset and per account, and what that is worth in USD by our own books.

Money of real, sandbox and paper venues is never added up together. What has no price is named, never counted as zero.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import F, Q, Sum
from django.db.models.functions import Coalesce

from orders import positions, states
from orders.models import Balance, Order, Position
from orders.rows import ZERO
from orders.valuation import CENT, Price, prices_usd
from project.lib import symbols
from venues.models import Account

ENVIRONMENTS = ("LIVE", "SANDBOX", "PAPER")


@dataclass
class Held:
    """One asset, in one environment: ours over all accounts, what the venues call free and held, what our open orders bind."""

    environment: str
    asset: str
    price: Price | None = None
    total: Decimal = ZERO
    free: Decimal | None = None
    held: Decimal | None = None
    in_orders: Decimal = ZERO
    unrealised_pnl: Decimal = ZERO
    accounts: int = 0
    as_of: datetime | None = None

    @property
    def value_usd(self) -> Decimal | None:
        """What the total is worth; None without a price."""
        return self.price.worth(self.total) if self.price else None

    @property
    def unrealised_usd(self) -> Decimal | None:
        """What the open contracts that settle in it would bring; None without a price."""
        return self.price.worth(self.unrealised_pnl) if self.price else None


@dataclass
class Worth:
    """What an account, or everything of one environment, is worth; `not_valued` names what no price was found for."""

    environment: str
    account: str = ""
    venue: str = ""
    exact: Decimal = ZERO
    exact_unrealised: Decimal = ZERO
    not_valued: list[str] = field(default_factory=list)
    oldest_price_at: datetime | None = None

    @property
    def value_usd(self) -> Decimal:
        """What the valued totals are worth, to the cent."""
        return self.exact.quantize(CENT)

    @property
    def unrealised_usd(self) -> Decimal:
        """What the valued open contracts would bring, to the cent."""
        return self.exact_unrealised.quantize(CENT)

    def add(self, asset: str, amount: Decimal, profit: Decimal, price: Price | None) -> None:
        """Count a total and an unrealised profit of one asset, or name the asset."""
        if price is None:
            if asset not in self.not_valued:
                self.not_valued.append(asset)
            return
        self.exact += amount * price.value
        self.exact_unrealised += profit * price.value
        if price.at and (self.oldest_price_at is None or price.at < self.oldest_price_at):
            self.oldest_price_at = price.at


@dataclass(frozen=True)
class Portfolio:
    """Per asset, per account, and grand totals, each by environment; the largest first."""

    assets: Sequence[Held]
    accounts: Sequence[Worth]
    totals: Sequence[Worth]


def read(accounts: Collection[str] | None = None) -> Portfolio:
    """Return what some accounts hold, or all, in a fixed number of queries; an asset nobody holds is left out."""
    known = {row.code: row for row in _of(Account.objects.select_related("venue"), accounts, "code")}
    rows = list(_of(Balance.objects.exclude(Q(total=0) & (Q(venue_total=0) | Q(venue_total=None))), accounts))
    bound, profits, unknown = _in_orders(accounts), *_unrealised(known, accounts)
    prices = prices_usd({row.asset for row in rows} | {asset for _, asset in (*bound, *profits)})
    assets: dict[tuple[str, str], Held] = {}
    worth = {code: Worth(row.venue.environment, code, row.venue_id) for code, row in known.items()}
    totals: dict[str, Worth] = {}
    for row in rows:
        line = _line(assets, known[row.account_id].venue.environment, row.asset, prices)
        line.total, line.accounts = line.total + row.total, line.accounts + 1
        line.free, line.held = _plus(line.free, row.venue_free), _plus(line.held, row.venue_held)
        if row.as_of and (line.as_of is None or row.as_of < line.as_of):
            line.as_of = row.as_of
    for (code, asset), amount in bound.items():
        _line(assets, known[code].venue.environment, asset, prices).in_orders += amount
    for (code, asset), amount in profits.items():
        _line(assets, known[code].venue.environment, asset, prices).unrealised_pnl += amount
    amounts = {(row.account_id, row.asset): row.total for row in rows}
    for code, asset in sorted(amounts.keys() | profits.keys()):
        environment = known[code].venue.environment
        for one in (worth[code], totals.setdefault(environment, Worth(environment))):
            one.add(asset, amounts.get((code, asset), ZERO), profits.get((code, asset), ZERO), prices.get(asset))
    for code, symbol in unknown:
        for one in (worth[code], totals.setdefault(worth[code].environment, Worth(worth[code].environment))):
            one.not_valued.append(f"position {symbol}")
    used = {code for code, _ in amounts.keys() | profits.keys() | set(unknown)}
    return Portfolio(
        assets=sorted(assets.values(), key=_by_worth),
        accounts=sorted(
            (worth[code] for code in used), key=lambda one: (_rank(one.environment), -one.exact, one.account)
        ),
        totals=sorted(totals.values(), key=lambda one: _rank(one.environment)),
    )


def _of(rows: Any, accounts: Collection[str] | None, column: str = "account_id") -> Any:
    return rows if accounts is None else rows.filter(**{f"{column}__in": accounts})


def _line(assets: dict[tuple[str, str], Held], environment: str, asset: str, prices: Mapping[str, Price]) -> Held:
    return assets.setdefault((environment, asset), Held(environment, asset, prices.get(asset)))


def _in_orders(accounts: Collection[str] | None) -> dict[tuple[str, str], Decimal]:
    """Sum what open spot orders bind: a sell its base asset, a buy its price in quote; without a price it binds nothing yet."""
    open_orders = _of(Order.objects.filter(status__in=states.ALIVE_WORDS).exclude(symbol__contains=":"), accounts)
    leaves = F("quantity") - F("filled_quantity")
    sums = open_orders.values_list("account_id", "symbol", "side").annotate(
        base=Sum(leaves), quote=Sum(leaves * Coalesce("price", "trigger_price"))
    )
    found: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for code, symbol, side, base, quote in sums:
        parts = symbols.split(symbol)
        if side == "sell":
            found[(code, parts.base)] += base
        elif quote:
            found[(code, parts.quote)] += quote
    return found


def _unrealised(
    known: Mapping[str, Account], accounts: Collection[str] | None
) -> tuple[dict[tuple[str, str], Decimal], list[tuple[str, str]]]:
    """Return the unrealised profit of open contracts per account and settlement asset, and those that nothing prices."""
    rows = list(_of(Position.objects.filter(symbol__contains=":").exclude(quantity=0), accounts))
    for row in rows:
        row.account = known[row.account_id]
    positions.value(rows)
    found: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    unknown = []
    for row in rows:
        if row.unrealised_pnl is None:
            unknown.append((row.account_id, row.symbol))
        else:
            found[(row.account_id, symbols.split(row.symbol).settle)] += row.unrealised_pnl
    return found, unknown


def _plus(sum_: Decimal | None, amount: Decimal | None) -> Decimal | None:
    return sum_ if amount is None else (sum_ or ZERO) + amount


def _rank(environment: str) -> int:
    return ENVIRONMENTS.index(environment)


def _by_worth(line: Held) -> tuple[int, bool, Decimal, str]:
    worth = line.value_usd
    return (_rank(line.environment), worth is None, -(worth or ZERO), line.asset)

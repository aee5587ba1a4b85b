"""The pre-trade check: may this order go? Pure; facts come in as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from project.lib import decimals

TradingState = Literal["active", "reducing", "halted"]
_SMALLEST = Decimal(1).scaleb(-decimals.SCALE)


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What is about to be sent."""

    side: str
    type: str
    quantity: Decimal
    price: Decimal | None
    reduce_only: bool = False
    trigger_price: Decimal | None = None
    trailing_offset: Decimal | None = None


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The instrument's rules: steps, minimums, maximums, kind; what one unit of quantity stands for where it is a contract."""

    symbol: str
    kind: str
    is_active: bool
    price_step: Decimal
    quantity_step: Decimal
    quantity_min: Decimal | None
    quantity_max: Decimal | None
    notional_min: Decimal | None
    price_min: Decimal | None = None
    price_max: Decimal | None = None
    notional_max: Decimal | None = None
    contract_size: Decimal = Decimal(1)
    is_inverse: bool = False

    def notional(self, price: Decimal, quantity: Decimal) -> Decimal:
        """Return what a quantity is worth at a price, in the quote asset; an inverse contract is a fixed sum of it."""
        return quantity * self.contract_size * (Decimal(1) if self.is_inverse else price)

    def quantity_for(self, notional: Decimal, price: Decimal) -> Decimal:
        """Return the quantity that is worth a sum at a price; not rounded onto the grid."""
        return notional / self.notional(price, Decimal(1))


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A malformed field with the nearest valid value."""

    field: str
    code: str
    message: str
    nearest_valid: str | None = None


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the decision rests on: the trading state, the live guard, limits in force, the last price, open orders.

    maintenance: what window the venue is in, in words; draining: the account or venue that takes no new orders.
    is_inverse: the quantity is in quote asset, so the notional is the quantity itself.
    """

    state: TradingState
    may_trade: bool
    limits: Mapping[str, Decimal]
    last_price: Decimal | None
    open_orders: int
    contract_size: Decimal = Decimal(1)
    is_inverse: bool = False

    def notional(self, price: Decimal, quantity: Decimal) -> Decimal:
        """Return what a quantity is worth at a price, in the quote asset."""
        return quantity * self.contract_size * (Decimal(1) if self.is_inverse else price)

    maintenance: str = ""
    draining: str = ""


@dataclass(frozen=True)
class Approved:
    """Proof that the check was passed; sending takes one of these."""

    proposal: Proposal


@dataclass(frozen=True)
class Denied:
    """Our refusal: a reason code `CATEGORY_CONDITION` and a sentence with the figures."""

    code: str
    message: str


def fit(proposal: Proposal, grid: Grid) -> list[Problem]:
    """List what in the proposal lies off the instrument's grid; an empty list means it fits."""
    problems = []
    if not grid.is_active:
        problems.append(Problem(field="symbol", code="INSTRUMENT_CLOSED", message=f"{grid.symbol} is not trading now"))
    if proposal.reduce_only and grid.kind == "spot":
        problems.append(
            Problem(
                field="reduce_only",
                code="NOT_ALLOWED",
                message="spot has no positions to reduce",
                nearest_valid="false",
            )
        )
    problems += _fit_quantity(proposal.quantity, grid)
    for name in ("price", "trigger_price", "trailing_offset"):
        problems += _fit_price(name, getattr(proposal, name), proposal.side, grid)
    price = proposal.price or proposal.trigger_price  # a stop that sends a market order trades near its trigger
    if price is not None and not problems:
        problems += _fit_notional(price, proposal.quantity, grid)
    return problems


def decide(proposal: Proposal, facts: Facts, *, is_new: bool = True) -> Approved | Denied:
    """Decide on limits, halts and the live guard. Nothing unreadable passes: no state means halted.

    is_new: whether the order is only now asked for; one that was accepted before draining began still goes its way.
    """
    if not facts.may_trade:
        return Denied(
            "LIVE_TRADING_OFF",
            "Live trading is off. Nothing was sent. It takes GAPLESS_LIVE=1 and the venue's live switch.",
        )
    if facts.state == "halted":
        return Denied(
            "TRADING_HALTED",
            "Trading is halted for this account. Nothing was sent. Risk releases halts on the Risk page.",
        )
    if facts.state == "reducing" and not proposal.reduce_only:
        return Denied("TRADING_REDUCING", "Only orders that reduce a position may go now. Nothing was sent.")
    if facts.maintenance:
        return Denied("VENUE_MAINTENANCE", f"{facts.maintenance[:1].upper()}{facts.maintenance[1:]}. Nothing was sent.")
    if facts.draining and is_new:
        return Denied("DRAINING", f"{facts.draining} is draining: it takes no new orders. Nothing was sent.")
    price = proposal.price or facts.last_price
    if price is None and "notional_max" in facts.limits and not facts.is_inverse:
        return Denied(
            "NOTIONAL_NOT_KNOWN",
            "A notional limit is set and no price is known to hold it against. Nothing was sent; a limit order may go.",
        )
    checks = (
        ("quantity_max", proposal.quantity, "QUANTITY_EXCEEDS_MAXIMUM", "quantity"),
        (
            "notional_max",
            None
            if price is None and not facts.is_inverse
            else facts.notional(price or decimals.ZERO, proposal.quantity),
            "NOTIONAL_EXCEEDS_MAXIMUM",
            "notional",
        ),
        ("open_orders_max", Decimal(facts.open_orders + 1), "OPEN_ORDERS_EXCEED_MAXIMUM", "open_orders"),
        (
            "price_collar_percent",
            _distance_percent(proposal, facts.last_price),
            "PRICE_OUTSIDE_COLLAR",
            "distance_percent",
        ),
    )
    for name, value, code, word in checks:
        limit = facts.limits.get(name)
        if limit is not None and value is not None and value > limit:
            return Denied(code, f"{word}={decimals.write(value)} limit={decimals.write(limit)}. Nothing was sent.")
    return Approved(proposal)


def _fit_quantity(quantity: Decimal, grid: Grid) -> list[Problem]:
    # The bounds a venue names need not lie on its own step: the nearest valid quantity is on the step within them.
    minimum = decimals.ceil_to(grid.quantity_min or grid.quantity_step, grid.quantity_step)
    if quantity < (grid.quantity_min or decimals.ZERO):
        nearest, code, message = (
            minimum,
            "QUANTITY_BELOW_MINIMUM",
            f"is below the minimum {decimals.write(grid.quantity_min)}",
        )
    elif grid.quantity_max and quantity > grid.quantity_max:
        nearest = decimals.floor_to(grid.quantity_max, grid.quantity_step)
        code, message = "QUANTITY_ABOVE_MAXIMUM", f"is above the maximum {decimals.write(grid.quantity_max)}"
    elif not decimals.is_multiple(quantity, grid.quantity_step):
        nearest = max(decimals.floor_to(quantity, grid.quantity_step), minimum)
        code, message = "QUANTITY_OFF_STEP", f"must be a multiple of {decimals.write(grid.quantity_step)}"
    else:
        return []
    return [
        Problem(
            field="quantity",
            code=code,
            message=message,
            nearest_valid=decimals.write(nearest) if _is_within(nearest, grid) else None,
        )
    ]


def _is_within(quantity: Decimal, grid: Grid) -> bool:
    return quantity > 0 and quantity >= (grid.quantity_min or 0) and quantity <= (grid.quantity_max or decimals.LIMIT)


def _fit_price(field: str, price: Decimal | None, side: str, grid: Grid) -> list[Problem]:
    if price is None:
        return []
    is_offset = field == "trailing_offset"  # a distance, not a price: the venue's bounds are not for it
    if not is_offset and grid.price_min is not None and price < grid.price_min:
        nearest, code, message = (
            grid.price_min,
            "PRICE_BELOW_MINIMUM",
            f"is below the minimum {decimals.write(grid.price_min)}",
        )
    elif not is_offset and grid.price_max is not None and price > grid.price_max:
        nearest, code, message = (
            grid.price_max,
            "PRICE_ABOVE_MAXIMUM",
            f"is above the maximum {decimals.write(grid.price_max)}",
        )
    elif not decimals.is_multiple(price, grid.price_step):
        nearest, code, message = price, "PRICE_OFF_STEP", f"must be a multiple of {decimals.write(grid.price_step)}"
    else:
        return []
    return [Problem(field=field, code=code, message=message, nearest_valid=_nearest_price(price, nearest, side, grid))]


def _nearest_price(price: Decimal, wanted: Decimal, side: str, grid: Grid) -> str | None:
    """Return the valid price nearest to a wanted one that is not dearer than the client's own; None where there is none."""
    nearest = decimals.price_to(wanted, grid.price_step, side)
    is_dearer = nearest > price if side == "buy" else nearest < price
    is_valid = (grid.price_min or 0) <= nearest <= (grid.price_max or decimals.LIMIT) and 0 < nearest < decimals.LIMIT
    return decimals.write(nearest) if is_valid and not is_dearer else None


def _fit_notional(price: Decimal, quantity: Decimal, grid: Grid) -> list[Problem]:
    notional = grid.notional(price, quantity)
    step = grid.quantity_step or _SMALLEST
    if grid.notional_min is not None and notional < grid.notional_min:
        needed = decimals.ceil_to(grid.quantity_for(grid.notional_min, price), step)
        code, bound, word = "NOTIONAL_BELOW_MINIMUM", grid.notional_min, "below the minimum"
    elif grid.notional_max is not None and notional > grid.notional_max:
        needed = decimals.floor_to(grid.quantity_for(grid.notional_max, price), step)
        code, bound, word = "NOTIONAL_ABOVE_MAXIMUM", grid.notional_max, "above the maximum"
    else:
        return []
    message = f"notional {decimals.write(notional)} is {word} {decimals.write(bound)}"
    nearest = decimals.write(needed) if _is_within(needed, grid) else None
    return [Problem(field="quantity", code=code, message=message, nearest_valid=nearest)]


def _distance_percent(proposal: Proposal, last_price: Decimal | None) -> Decimal | None:
    # A conditional order's limit is judged by where it will be sent: at its trigger, not at today's price.
    reference = proposal.trigger_price or last_price
    if proposal.price is None or not reference:
        return None
    away = proposal.price - reference if proposal.side == "buy" else reference - proposal.price
    return max(away, decimals.ZERO) / reference * 100

"""A scaled order's rungs: prices from one end to the other, quantities that sum exactly to what was asked. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from orders.requests import FieldProblem, Invalid, OrderRequest
from project.lib import decimals
from risk import checks

DISTRIBUTIONS = ("equal", "linear")
COUNT_LEAST = 2
_SMALLEST = Decimal(1).scaleb(-decimals.SCALE)
Rung = tuple[Decimal, Decimal]


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Where a ladder begins and ends, how many rungs it has; `linear` grows from the first rung to the last."""

    price_from: Decimal
    price_to: Decimal
    count: int
    distribution: str


def rungs(scale: Scale, template: OrderRequest, grid: checks.Grid) -> list[Rung]:
    """Return (price, quantity) of each rung, from price_from on. Raises Invalid with the nearest valid value."""
    problems = _off_the_grid(scale, template, grid)
    if problems:
        raise Invalid(problems)
    made, wrong = _attempt(scale, scale.count, template.quantity, template, grid)
    if not wrong:
        return made
    fewer = range(scale.count - 1, COUNT_LEAST - 1, -1)
    fitting = next((count for count in fewer if not _attempt(scale, count, template.quantity, template, grid)[1]), None)
    if fitting is not None:
        raise Invalid([FieldProblem(field="count", code=wrong[0].code, message=f"is too many: a rung's {wrong[0].field} "
                                    f"{wrong[0].message}", got=str(scale.count), nearest_valid=str(fitting))])  # fmt: skip
    needed = _needed(scale, template, grid)
    message = f"is not enough for {scale.count} rungs: a rung's {wrong[0].field} {wrong[0].message}"
    raise Invalid([FieldProblem(field="quantity", code=wrong[0].code, message=message,
                                got=decimals.write(template.quantity), nearest_valid=decimals.write(needed))])  # fmt: skip


def split(total: Decimal, weights: Sequence[int], step: Decimal) -> list[Decimal]:
    """Share a total, a multiple of step, by weights: each share on the grid, together exactly the total."""
    step = step or _SMALLEST
    units, whole = int(decimals.CONTEXT.divide_int(total, step)), sum(weights)
    shares = [units * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda place: (-(units * weights[place] % whole), place))
    for place in by_remainder[: units - sum(shares)]:
        shares[place] += 1
    return [share * step for share in shares]


def _off_the_grid(scale: Scale, template: OrderRequest, grid: checks.Grid) -> list[FieldProblem]:
    problems = []
    for name, price in (("price_from", scale.price_from), ("price_to", scale.price_to)):
        if not decimals.is_multiple(price, grid.price_step):
            nearest = decimals.price_to(price, grid.price_step, template.side) or None
            message = f"must be a multiple of {decimals.write(grid.price_step)}"
            problems.append(FieldProblem(field=name, code="PRICE_OFF_STEP", message=message, got=decimals.write(price),
                                         nearest_valid=decimals.write(nearest)))  # fmt: skip
    if scale.price_from == scale.price_to:
        problems.append(FieldProblem(field="price_to", code="NOT_ALLOWED", message="must differ from price_from",
                                     got=decimals.write(scale.price_to)))  # fmt: skip
    if not decimals.is_multiple(template.quantity, grid.quantity_step):
        nearest = decimals.floor_to(template.quantity, grid.quantity_step) or None
        message = f"must be a multiple of {decimals.write(grid.quantity_step)}, so that the rungs sum to it exactly"
        problems.append(FieldProblem(field="quantity", code="QUANTITY_OFF_STEP", message=message,
                                     got=decimals.write(template.quantity), nearest_valid=decimals.write(nearest)))  # fmt: skip
    return problems


def _attempt(
    scale: Scale, count: int, total: Decimal, template: OrderRequest, grid: checks.Grid
) -> tuple[list[Rung], list[checks.Problem]]:
    """Return the ladder with this many rungs, and what is wrong with it."""
    prices = _prices(scale, count, template.side, grid.price_step)
    made = list(zip(prices, split(total, _weights(scale.distribution, count), grid.quantity_step), strict=True))
    if len(set(prices)) < count:
        return made, [
            checks.Problem(field="price", code="PRICES_TOO_CLOSE", message="falls on the same step as the next")
        ]
    wrong = []
    for price, quantity in made:
        proposal = checks.Proposal(side=template.side, type="limit", quantity=quantity, price=price)
        wrong += checks.fit(proposal, grid)
    return made, wrong


def _weights(distribution: str, count: int) -> list[int]:
    return [1] * count if distribution == "equal" else list(range(1, count + 1))


def _prices(scale: Scale, count: int, side: str, step: Decimal) -> list[Decimal]:
    width = scale.price_to - scale.price_from
    round_to = decimals.floor_to if side == "buy" else decimals.ceil_to  # never worse for the client than asked
    inner = [decimals.quantise(scale.price_from + width * place / (count - 1)) for place in range(1, count - 1)]
    return [scale.price_from, *(round_to(price, step) for price in inner), scale.price_to]


def _needed(scale: Scale, template: OrderRequest, grid: checks.Grid) -> Decimal | None:
    """Return a total of which every rung is large enough, or None where none is."""
    step = grid.quantity_step or _SMALLEST
    weights = _weights(scale.distribution, scale.count)
    lowest = min(scale.price_from, scale.price_to)
    least = max(grid.quantity_min or step, (grid.notional_min or Decimal(0)) / lowest)
    least = decimals.ceil_to(least.quantize(_SMALLEST, ROUND_CEILING, decimals.CONTEXT), step) + step
    total = least * sum(weights) / min(weights)
    return total if total < decimals.LIMIT and not _attempt(scale, scale.count, total, template, grid)[1] else None

"""The twelve kinds, one of them in two ways: how each is planted, at which exchanges it can be, and the class of break that must come of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal

from reconciliation import resolutions
from reconciliation.models import Break
from tests.orders.test_writer import aside
from tests.reconciliation.planted.exchanges import ALL, SPOT_EXCHANGES, WITH_REFERENCES
from tests.reconciliation.planted.scene import INVERSE, SPOT, Scene
from venues.models import Instrument

D = Decimal
AGO = 20  # what was traded or placed at the venue lies a little back when it is read
REFERENCE = "planted"
KINDS = {str(kind) for kind in Break.Kind.values}


@dataclass(frozen=True)
class Case:
    """One kind of difference."""

    name: str
    exchanges: tuple[str, ...]
    expected: tuple[str, ...]
    plant: Callable[[Scene], Awaitable[None]]


async def missing_fill(scene: Scene) -> None:
    """A trade in the venue's list whose order no lookup knows: it cannot be booked, and must not be passed over."""
    symbol = scene.chance.choice(list(SPOT))
    price, quantity = SPOT[symbol]
    amount = quantity * scene.chance.randint(1, 9)
    side = scene.chance.choice(["buy", "sell"])
    scene.fault(
        "list_trade",
        params={"symbol": symbol, "side": side, "quantity": str(amount), "price": str(price), "seconds_ago": AGO},
    )


async def extra_fill(scene: Scene) -> None:
    """A trade that was told and booked, and that the venue's list does not have any more."""
    fill = await scene.a_fill()
    scene.fault("hide_trade", params={"symbol": fill.symbol, "trade_id": fill.venue_trade_id})


async def phantom_order(scene: Scene) -> None:
    """An open order that only the venue's list has."""
    symbol = scene.chance.choice(list(SPOT))
    price, quantity = SPOT[symbol]
    wanted = {"symbol": symbol, "side": "buy", "quantity": str(quantity), "price": str(price * D("0.8"))}
    scene.fault("list_order", params={**wanted, "seconds_ago": AGO})


async def orphan_position(scene: Scene) -> None:
    """A position of a contract that no trade explains."""
    quantity = scene.chance.choice([-1, 1]) * scene.chance.randint(1, 50) * 10
    scene.fault("list_position", params={"symbol": INVERSE, "quantity": str(quantity)})


async def balance_drift(scene: Scene) -> None:
    """Money that left without a word."""
    asset = scene.chance.choice(["BTC", "ETH", "USDT"])
    amount = {"BTC": "0.0123", "ETH": "0.5", "USDT": "321.5"}[asset]
    scene.fault("silent_debit", params={"asset": asset, "amount": amount})


async def fee_drift(scene: Scene) -> None:
    """A trade told again with another fee."""
    fill = await scene.a_fill()
    other = fill.fee + D("0.0001") * scene.chance.randint(1, 9)
    scene.fault("alter_trade", params={"symbol": fill.symbol, "trade_id": fill.venue_trade_id, "fee": str(other)})


async def wrong_side(scene: Scene) -> None:
    """A trade told again with the other side."""
    fill = await scene.a_fill()
    side = "sell" if fill.side == "buy" else "buy"
    named = {"symbol": fill.symbol, "trade_id": fill.venue_trade_id}
    scene.fault("alter_trade", params={**named, "side": side, "seconds_ago": AGO})


async def wrong_symbol_map(scene: Scene) -> None:
    """A name that no instrument knows: an asset never seen among the balances, or a market that lost its canonical name."""
    if scene.chance.random() < 0.5:
        scene.fault("silent_debit", params={"asset": "AIRDROP", "amount": f"-{scene.chance.randint(1, 500)}"})
        return
    await scene.submitted(symbol="SOL/USDT", side="buy", quantity="1", price="100")
    await scene.settle()
    listed = Instrument.objects.filter(venue=scene.account.venue, symbol="SOL/USDT")
    await aside(lambda: listed.update(unmapped_reason="two markets claim this name"))


async def dust(scene: Scene) -> None:
    """The least that an exchange shows."""
    asset = scene.chance.choice(["BTC", "ETH", "USDT"])
    scene.fault("silent_debit", params={"asset": asset, "amount": "0.00000001"})


async def transfer(scene: Scene) -> None:
    """Money that came or went without a trade: booked, so that totals agree, and named until somebody says whose it is."""
    asset, amount = scene.chance.choice([("USDT", "500"), ("BTC", "0.25")])
    scene.fault(scene.chance.choice(["deposit", "withdrawal"]), params={"asset": asset, "amount": amount})


async def altered_transfer(scene: Scene) -> None:
    """A deposit that was told, booked and explained, and that the list now lacks or tells with another amount."""
    _, amount = await explained_deposit(scene)
    if scene.chance.random() < 0.5:
        scene.fault("hide_transfer", params={"reference": REFERENCE})
    else:
        scene.fault("alter_transfer", params={"reference": REFERENCE, "amount": str(D(amount) * 2)})


async def explained_deposit(scene: Scene) -> tuple[str, str]:
    """Let a deposit be told, booked, and explained by a person."""
    asset, amount = scene.chance.choice([("USDT", "750"), ("ETH", "1.5")])
    scene.fault("deposit", params={"asset": asset, "amount": amount, "reference": REFERENCE})
    await scene.settle()
    row = await scene.of(lambda: Break.objects.get(account=scene.account, kind="transfer"))
    await scene.of(lambda: resolutions.explain(row, "ada", "our own deposit"))
    assert await scene.round() == []
    return asset, amount


async def frozen_balance(scene: Scene) -> None:
    """A part of a balance that the venue holds back though no order of ours is there."""
    scene.fault("freeze", params={"asset": "SOL", "amount": str(scene.chance.randint(1, 400))})


async def duplicated_deposit(scene: Scene) -> None:
    """One deposit, credited again under another id."""
    asset, amount = await explained_deposit(scene)
    scene.fault("deposit", params={"asset": asset, "amount": amount, "reference": REFERENCE})


CASES = (
    Case("missing_fill", ALL, ("fill_missing_here",), missing_fill),
    Case("extra_fill", ALL, ("fill_missing_at_venue",), extra_fill),
    Case("phantom_order", ALL, ("external_order",), phantom_order),
    Case("orphan_position", ("deribit",), ("position",), orphan_position),
    Case("balance_drift", ALL, ("balance",), balance_drift),
    Case("fee_drift", ALL, ("fee_differs",), fee_drift),
    Case("wrong_side", ALL, ("wrong_side",), wrong_side),
    Case("wrong_symbol_map", SPOT_EXCHANGES, ("unmapped_symbol",), wrong_symbol_map),
    Case("dust", ALL, ("balance",), dust),
    Case("transfer", ALL, ("transfer",), transfer),
    Case("altered_transfer", ALL, ("transfer_missing_at_venue", "transfer_differs"), altered_transfer),
    Case("frozen_balance", SPOT_EXCHANGES, ("balance_frozen",), frozen_balance),
    Case("duplicated_deposit", WITH_REFERENCES, ("transfer_duplicated",), duplicated_deposit),
)
assert {kind for case in CASES for kind in case.expected} <= KINDS

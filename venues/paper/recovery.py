"""Journal lines of account facts, and the way back: a world rebuilt from its journal."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from venues.paper.engine import Engine
from venues.paper.journal import Record
from venues.paper.orders import NOTHING, TRIGGER_TYPES, Fact, Fill, Order, OrderRequest

NUMBERS_SKIPPED_AFTER_RESTART = 1000


def describe(fact: Fact) -> Record:
    """Return the journal record of a fact, with the balances it left behind."""
    record: Record = {"kind": fact.kind, "at": fact.at, "account": fact.account}
    if fact.order is None:
        record |= {"asset": fact.asset, "amount": f"{fact.amount:f}"}
        if fact.symbol:
            record["symbol"] = fact.symbol
        record |= fact.told
    else:
        request = fact.version.request if fact.version else fact.order.request
        record |= _describe_order(fact.order, request)
        if fact.kind == "accepted":
            record |= _describe_request(request)
            if request.is_trailing and fact.order.extreme is not None:
                record["reference_price"] = f"{fact.order.extreme:f}"
        elif fact.fill is not None:
            record |= _describe_fill(fact.fill)
        elif fact.kind == "triggered":
            record |= {"trigger_price": None if fact.order.trigger_price is None else f"{fact.order.trigger_price:f}"}
        elif fact.before is not None:
            record |= {"before": _describe_terms(fact.before), "after": _describe_terms(request)}
            record |= {"reason": fact.version.reason if fact.version else ""}
        elif fact.version is not None:
            record |= {"executed": f"{fact.version.executed:f}", "reason": fact.version.reason}
    record["balances"] = {
        asset: {"total": f"{total:f}", "held": f"{held:f}"} for asset, (total, held) in fact.balances.items()
    }
    return record


def describe_request(request: OrderRequest) -> Record:
    """Return an order request as the journal shows a rejected one."""
    return {
        "account": request.account,
        "symbol": request.symbol,
        "client_order_id": request.client_order_id,
        **_describe_request(request),
    }


def rebuild(engine: Engine, records: Iterable[Record]) -> None:
    """Apply a journal to an engine whose accounts are open but empty; resting orders regain their priority."""
    for record in records:
        step = _STEPS.get(record["kind"])
        if step is not None and record["account"] in engine.accounts:
            step(engine, record)
    for account in engine.accounts.values():
        for order in account.open.values():
            state = engine.markets[order.request.symbol]
            if order.is_working:
                state.book.add(order)
            else:
                state.triggers.add(order, order.extreme or state.last_price)
    for state in engine.markets.values():
        if state.trade_number:
            # Numbers of trades between anonymous participants are not journalled: leave room for them.
            state.trade_number += NUMBERS_SKIPPED_AFTER_RESTART
    engine.check_conserved(engine.supply)


def _describe_order(order: Order, request: OrderRequest) -> Record:
    return {
        "symbol": request.symbol,
        "order_id": order.order_id,
        "number": order.number,
        "client_order_id": request.client_order_id,
    }


def _describe_request(request: OrderRequest) -> Record:
    return {
        "side": request.side,
        "type": request.type,
        "quantity": f"{request.quantity:f}",
        "price": None if request.price is None else f"{request.price:f}",
        "time_in_force": request.time_in_force,
        "post_only": request.post_only,
        "fee_preference": request.fee_preference,
        "origin": request.origin,
        **{name: _text(getattr(request, name)) for name in _SPECIAL_TERMS if getattr(request, name)},
    }


def _describe_terms(request: OrderRequest) -> Record:
    return {name: _text(getattr(request, name)) for name in _TERMS}


def _text(value: object) -> object:
    return f"{value:f}" if isinstance(value, Decimal) else value


def _terms(record: Record) -> dict[str, Any]:
    """Return the values of a request's terms from their journal form."""
    return {name: Decimal(value) if name in _NUMBERS and value is not None else value for name, value in record.items()}


_NUMBERS = ("quantity", "price", "trigger_price", "trailing_offset")
_SPECIAL_TERMS = ("trigger_price", "trailing_offset", "trailing_bips", "expires_at", "replaces", "reduce_only")
_TERMS = ("quantity", "price", "trigger_price", "trailing_offset", "post_only", "client_order_id", "expires_at")


def _describe_fill(fill: Fill) -> Record:
    return {
        "side": fill.order.side,
        "trade_id": fill.trade_id,
        "trade_number": fill.trade_number,
        "price": f"{fill.price:f}",
        "quantity": f"{fill.quantity:f}",
        "cost": f"{fill.cost:f}",
        "fee": f"{fill.fee:f}",
        "fee_asset": fill.fee_asset,
        "liquidity": fill.liquidity,
        "visible_at": fill.visible_at,
        **({"settle": fill.settle, "realised": f"{fill.realised:f}"} if fill.settle else {}),
    }


def _rebuild_accepted(engine: Engine, record: Record) -> None:
    request = OrderRequest(
        account=record["account"],
        symbol=record["symbol"],
        side=record["side"],
        type=record["type"],
        quantity=Decimal(record["quantity"]),
        price=None if record["price"] is None else Decimal(record["price"]),
        time_in_force=record["time_in_force"],
        post_only=record["post_only"],
        client_order_id=record["client_order_id"],
        fee_preference=record["fee_preference"],
        origin=record["origin"],
        **_terms({name: record[name] for name in _SPECIAL_TERMS if name in record}),
    )
    state = engine.markets[request.symbol]
    waits_at = request.trigger_price or (state.last_price if request.is_trailing else None)
    asset, unit_hold = engine.holding(request, waits_at)
    order = Order(
        side=request.side,
        price=request.price or NOTHING,
        leaves=request.quantity,
        request=request,
        number=record["number"],
        order_id=record["order_id"],
        key=engine.order_key(request.symbol, record["order_id"]),
        created_at=record["at"],
        unit_hold=unit_hold,
        hold_asset=asset,
        trigger_price=waits_at,
        is_working=request.type not in TRIGGER_TYPES,
        working_at=record["at"],
    )
    if "reference_price" in record:
        order.extreme = Decimal(record["reference_price"])
    engine.accounts[request.account].admit(order)
    order.record_version(order.created_at, order.created_at)
    state.order_number = max(state.order_number, order.number)


def _rebuild_triggered(engine: Engine, record: Record) -> None:
    order = _order_of(engine, record)
    engine.apply_trigger(order, record["at"])
    order.record_version(record["at"], record["at"])


def _rebuild_amended(engine: Engine, record: Record) -> None:
    order = _order_of(engine, record)
    request = replace(order.request, **_terms(record["after"]))
    waits_at = None if order.is_working else request.trigger_price or order.trigger_price
    engine.apply_amendment(order, request, waits_at)
    order.record_version(record["at"], record["at"], record["reason"])


def _rebuild_filled(engine: Engine, record: Record) -> None:
    order = _order_of(engine, record)
    fill = Fill(
        order,
        record["trade_number"],
        record["trade_id"],
        Decimal(record["price"]),
        Decimal(record["quantity"]),
        Decimal(record["cost"]),
        Decimal(record["fee"]),
        record["fee_asset"],
        record["liquidity"],
        record["at"],
        record["visible_at"],
        record.get("settle", ""),
        Decimal(record.get("realised", 0)),
    )
    order.leaves = max(order.leaves - fill.quantity, NOTHING)
    engine.apply_fill(fill)
    order.record_version(fill.at, fill.visible_at)
    state = engine.markets[record["symbol"]]
    state.trade_number = max(state.trade_number, fill.trade_number)
    state.last_price = fill.price


def _rebuild_ended(engine: Engine, record: Record) -> None:
    order = _order_of(engine, record)
    order.status = record["kind"]
    engine.accounts[record["account"]].close(order)
    order.record_version(record["at"], record["at"], record["reason"])


def _rebuild_transfer(engine: Engine, record: Record) -> None:
    sign = 1 if record["kind"] == "deposited" else -1
    engine.apply_transfer(
        record["account"], record["asset"], sign * Decimal(record["amount"]), record["at"], fee=Decimal(record.get("fee", 0)),
        reference=record.get("reference", ""), is_listed=record.get("is_listed", True),
    )  # fmt: skip


def _rebuild_funded(engine: Engine, record: Record) -> None:
    engine.apply_funding(record["account"], record["symbol"], Decimal(record["amount"]), record["at"])


def _rebuild_settled(engine: Engine, record: Record) -> None:
    engine.apply_settlement(record["account"], record["symbol"], Decimal(record["price"]), record["at"])


def _order_of(engine: Engine, record: Record) -> Order:
    key = engine.order_key(record["symbol"], record["order_id"])
    return engine.accounts[record["account"]].orders[key]


_STEPS: dict[str, Any] = {
    "accepted": _rebuild_accepted,
    "triggered": _rebuild_triggered,
    "amended": _rebuild_amended,
    "filled": _rebuild_filled,
    "cancelled": _rebuild_ended,
    "expired": _rebuild_ended,
    "deposited": _rebuild_transfer,
    "debited": _rebuild_transfer,
    "funded": _rebuild_funded,
    "settled": _rebuild_settled,
}

"""The exchanges of the general way that were reviewed one by one: their ids on the wire, and what their answers prove."""

from __future__ import annotations

from typing import Any

import pytest

from venues import capabilities, errors
from venues.adapters.capture import CLIENT_ID, Bench, Caught, said
from venues.adapters.client_ids import to_wire

# exchange, code, message, what it proves of a submit
ANSWERS = [
    ("gate", {"label": "BALANCE_NOT_ENOUGH", "message": "Not enough balance"}, "rejected", "INSUFFICIENT_FUNDS"),
    ("gate", {"label": "DUPLICATE_REQUEST", "message": "duplicate"}, "unknown", "DUPLICATE_CLIENT_ID"),
    ("gate", {"label": "TOO_MANY_REQUESTS", "message": "slow down"}, "not_sent", "RATE_LIMITED"),
    ("gate", {"label": "SERVER_ERROR", "message": "internal error"}, "unknown", "OUTCOME_UNKNOWN"),
    ("gate", {"label": "POC_FILL_IMMEDIATELY", "message": "would take"}, "rejected", "POST_ONLY_WOULD_TAKE"),
    ("gateeu", {"label": "INVALID_KEY", "message": "no such key"}, "rejected", "KEY_REFUSED"),
    ("kucoin", {"code": "200004", "msg": "Balance insufficient!"}, "rejected", "INSUFFICIENT_FUNDS"),
    ("kucoin", {"code": "126044", "msg": "clientOid duplicate"}, "unknown", "DUPLICATE_CLIENT_ID"),
    ("kucoin", {"code": "400400", "msg": "Duplicate clientOid"}, "unknown", "DUPLICATE_CLIENT_ID"),
    ("kucoin", {"code": "429000", "msg": "Too many requests"}, "not_sent", "RATE_LIMITED"),
    ("kucoin", {"code": "400002", "msg": "KC-API-TIMESTAMP Invalid"}, "not_sent", "TIMESTAMP_OUTSIDE_WINDOW"),
    ("bitget", {"code": "43012", "msg": "Insufficient balance"}, "rejected", "INSUFFICIENT_FUNDS"),
    ("bitget", {"code": "40786", "msg": "Duplicate clientOid"}, "unknown", "DUPLICATE_CLIENT_ID"),
    ("bitget", {"code": "40010", "msg": "Request timed out"}, "unknown", "OUTCOME_UNKNOWN"),
    ("bitget", {"code": "40725", "msg": "service return an error"}, "unknown", "OUTCOME_UNKNOWN"),
    ("bitget", {"code": "40008", "msg": "Request timestamp expired"}, "not_sent", "TIMESTAMP_OUTSIDE_WINDOW"),
    ("hyperliquid", {"status": "ok", "response": {"type": "order", "data": {"statuses": [
        {"error": "Insufficient margin to place order. asset=4"}]}}}, "rejected", "INSUFFICIENT_FUNDS"),
    ("hyperliquid", {"status": "ok", "response": {"type": "order", "data": {"statuses": [
        {"error": "Post only order would have immatched"}]}}}, "unknown", "OUTCOME_UNKNOWN"),
    ("hyperliquid", {"status": "err", "response": "User or API Wallet 0xb8a6 does not exist."}, "rejected", "KEY_REFUSED"),
]  # fmt: skip


def bench_of(exchange: str) -> Bench:
    return Bench(exchange, "spot", capabilities.for_exchange(exchange))


def values(caught: Caught) -> list[str]:
    return [value for _, value in said(caught.records[-1])]


@pytest.mark.parametrize(("exchange", "payload", "outcome", "code"), ANSWERS)
async def test_what_an_answer_proves(exchange: str, payload: dict[str, Any], outcome: str, code: str) -> None:
    bench = bench_of(exchange)
    venue_code, message = bench.adapter.venue_error(payload)
    facts = errors.Facts(sent=True, status=400, parsed=True, venue_code=venue_code, message=message)
    verdict = errors.judge("submit", capabilities.for_exchange(exchange).family, facts)
    assert (verdict.outcome, verdict.code) == (outcome, code)
    bench.client.session = None


@pytest.mark.parametrize(
    ("exchange", "form"),
    [("gate", "t_prefix"), ("gateeu", "t_prefix"), ("hyperliquid", "hexadecimal"), ("bitvavo", "uuid"),
     ("bitfinex", "whole_number"), ("kucoin", "plain"), ("bitget", "plain")],
)  # fmt: skip
async def test_an_order_carries_our_id_in_the_form_of_the_exchange(exchange: str, form: Any) -> None:
    bench = bench_of(exchange)
    can = capabilities.for_exchange(exchange)
    wire_id = to_wire(form, CLIENT_ID)
    assert can.client_id_form == form
    assert wire_id in values(await bench.submit())
    if can.client_id_cancel:
        cancelled = values(await bench.revoke(None))
        assert wire_id in cancelled and "" not in cancelled
    if can.client_id_lookup == "order":
        assert wire_id in values(await bench.look_up(None))
    bench.client.session = None


@pytest.mark.parametrize("exchange", ["bitget", "gate", "gateeu", "hyperliquid", "kucoin", "aster"])
async def test_no_request_goes_out_before_an_order_that_changes_anything(exchange: str) -> None:
    """ccxt would ask for the kind of account, and at two exchanges approve a fee to others, before the first order."""
    bench = bench_of(exchange)
    before = (await bench.submit()).records[:-1]
    assert [record.path for record in before if "userAbstraction" not in record.request_body] == []
    bench.client.session = None

"""What is checked in about every exchange equals what ccxt declares and what our requests carry."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command

from venues import capabilities, matrix
from venues.adapters import declared, survey
from venues.adapters.capture import CLIENT_ID, Bench, number, said
from venues.adapters.captured import captured
from venues.adapters.registry import ADAPTERS
from venues.exchanges import EXCHANGES
from venues.facts import generated
from venues.management.commands.describe_venues import data_text

GENERAL = [exchange for exchange in EXCHANGES if exchange not in ADAPTERS]
TRADABLE = [exchange for exchange in GENERAL if capabilities.for_exchange(exchange).is_tradable]


async def caught_facts(exchange: str) -> dict[str, object]:
    kind = generated.captured()[exchange]["kind"]
    return {"kind": kind, **await captured(exchange, kind, capabilities.for_exchange(exchange))}


def test_the_claims_are_those_of_this_ccxt() -> None:
    assert declared.version() == "4.5.90"
    assert generated.DECLARED.read_text() == data_text(survey.declared_everywhere())


@pytest.mark.parametrize("exchange", GENERAL)
async def test_what_a_request_carries_is_what_is_written_down(exchange: str) -> None:
    assert await caught_facts(exchange) == generated.captured()[exchange]


def test_the_files_hold_every_exchange_and_no_other() -> None:
    assert set(generated.declared()) == set(EXCHANGES)
    assert set(generated.captured()) == set(GENERAL)


def test_the_page_is_up_to_date() -> None:
    call_command("describe_venues", check=True)


def test_a_changed_file_is_told(tmp_path: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    other = generated.DECLARED.read_text().replace('"certified": true', '"certified": false', 1)
    path = generated.DECLARED.parent.joinpath("declared.json")
    monkeypatch.setattr(generated, "DECLARED", type(path)(f"{tmp_path}/declared.json"))
    generated.DECLARED.write_text(other)
    with pytest.raises(CommandError, match=r"declared\.json is not up to date"):
        call_command("describe_venues", check=True)
    capabilities.reread()


@pytest.mark.parametrize("exchange", TRADABLE)
async def test_an_order_is_on_the_wire_exactly(exchange: str) -> None:
    """Again by hand, apart from the judge that wrote the file: amount, price and client id, and nothing that is None."""
    can = capabilities.for_exchange(exchange)
    bench = Bench(exchange, generated.captured()[exchange]["kind"], can)
    try:
        sent = await bench.submit()
    finally:
        bench.client.session = None
    values = [value for _, value in said(sent.records[-1])]
    numbers = {number(value) for value in values}
    assert {bench.case.quantity * bench.case.scale, bench.case.price * bench.case.scale} <= numbers
    assert "None" not in values and "null" not in values
    wire_id = bench.adapter.wire_client_id(CLIENT_ID)
    assert not can.client_ids or wire_id in values


@pytest.mark.parametrize("exchange", TRADABLE)
async def test_a_cancel_by_our_id_names_nothing_else(exchange: str) -> None:
    """Some exchanges cancel every order where the id is empty."""
    can = capabilities.for_exchange(exchange)
    if not can.client_id_cancel:
        assert can.client_id_cancel is False
        return
    bench = Bench(exchange, generated.captured()[exchange]["kind"], can)
    try:
        sent, usual = await bench.revoke(None), await bench.revoke("998877")
    finally:
        bench.client.session = None
    values = [value for _, value in said(sent.records[-1])]
    assert bench.adapter.wire_client_id(CLIENT_ID) in values
    assert not {"None", "null"} & set(values)
    assert values.count("") <= [value for _, value in said(usual.records[-1])].count("")


def test_what_cannot_be_proved_is_refused() -> None:
    for exchange in GENERAL:
        can, caught = capabilities.for_exchange(exchange), generated.captured()[exchange]
        is_whole = all(caught[name] == "ok" for name in generated.REQUESTS)
        assert can.is_tradable == is_whole, exchange
        assert bool(can.refusal) == (not can.is_tradable)
        assert can.client_ids or not (can.client_id_cancel or can.client_id_lookup != "scan"), exchange


def test_every_fact_says_where_it_comes_from() -> None:
    for one in matrix.exchanges():
        assert {fact.source for fact in one.facts} <= set(matrix.SOURCES)
        assert len({fact.name for fact in one.facts}) == len(one.facts)
        assert all(fact.value and fact.label for fact in one.facts), one.id
    assert matrix.exchange("binance").fact("window").source == "overridden"
    assert matrix.exchange("alpaca").fact("fills_page").source == "declared"
    assert matrix.exchange("alpaca").fact("client_ids").source == "captured"
    assert matrix.exchange("alpaca").fact("window").source == "assumed"


def test_numbers_are_compared_exactly() -> None:
    assert number("0.12345678") == Decimal("0.12345678")
    assert number("0.123456780000000001") != Decimal("0.12345678")
    assert number("BTCUSDT") is None

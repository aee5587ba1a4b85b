"""Our client id in the forms of the exchanges: derived, never guessed, and read back as ours alone."""

from __future__ import annotations

import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from project.lib import ids
from venues import capabilities
from venues.adapters import client_ids
from venues.adapters.capture import Bench
from venues.adapters.client_ids import from_wire, to_wire
from venues.facts.shapes import ClientIdForm
from venues.messages import OrderReport

WHOLE: tuple[ClientIdForm, ...] = ("plain", "t_prefix", "hexadecimal", "uuid")
RULES: dict[ClientIdForm, str] = {
    "plain": r"g[0-9a-z]{17}",
    "t_prefix": r"t-[0-9A-Za-z_.-]{1,28}",
    "hexadecimal": r"0x[0-9a-f]{32}",
    "uuid": r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
    "whole_number": r"[1-9]\d{0,13}",
}


@given(st.uuids())
def test_every_form_fits_its_exchange_and_is_always_the_same(attempt: uuid.UUID) -> None:
    own = ids.venue_client_id(attempt)
    for form, rule in RULES.items():
        assert re.fullmatch(rule, to_wire(form, own)), form
        assert to_wire(form, own) == to_wire(form, own)
    assert int(to_wire("whole_number", own)) < 2**45


@given(st.uuids())
def test_what_comes_back_is_ours(attempt: uuid.UUID) -> None:
    own = ids.venue_client_id(attempt)
    for form in WHOLE:
        assert from_wire(form, to_wire(form, own)) == own
    assert from_wire("hexadecimal", to_wire("hexadecimal", own).upper().replace("0X", "0x")) == own


@given(st.text(max_size=60) | st.uuids().map(str) | st.integers(0, 2**128 - 1).map(lambda n: f"0x{n:032x}"))
def test_a_foreign_id_never_becomes_one_of_ours(foreign: str) -> None:
    for form in ("hexadecimal", "uuid"):
        read = from_wire(form, foreign)
        assert read == foreign or to_wire(form, str(read)) == foreign.lower()
    assert from_wire("whole_number", foreign) is None


@given(st.sets(st.uuids(), min_size=2, max_size=50))
def test_two_of_ours_never_share_a_wire_id(attempts: set[uuid.UUID]) -> None:
    own = {ids.venue_client_id(attempt) for attempt in attempts}
    for form in WHOLE:
        assert len({to_wire(form, one) for one in own}) == len(own)


def test_what_is_no_id_of_ours_is_not_dressed_up() -> None:
    for wrong in ("", "g1", "x0123456789abcdefg", "g0123456789ABCDEFG"):
        with pytest.raises(ValueError, match="not a client id of ours"):
            to_wire("hexadecimal", wrong)


async def test_a_number_is_known_again_by_who_sent_it() -> None:
    bench = Bench("bitfinex", "spot", capabilities.for_exchange("bitfinex"))
    own = ids.venue_client_id(uuid.uuid4())
    report = OrderReport(venue_order_id="1", venue_client_id="7", symbol="BTC/USDT", status="open")
    assert bench.adapter.as_ours(report).venue_client_id is None
    wire = bench.adapter.wire_client_id(own)
    mine = OrderReport(venue_order_id="1", venue_client_id=wire, symbol="BTC/USDT", status="open")
    assert bench.adapter.as_ours(mine).venue_client_id == own
    bench.client.session = None


async def test_only_as_many_numbers_are_remembered_as_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("venues.adapters.looking.SENT_IDS_KEPT", 3)
    bench = Bench("bitfinex", "spot", capabilities.for_exchange("bitfinex"))
    for _ in range(10):
        bench.adapter.wire_client_id(ids.venue_client_id(uuid.uuid4()))
    assert len(bench.adapter._sent_ids) == 3
    bench.client.session = None


def test_the_mark_leaves_room_for_the_number() -> None:
    assert 2**client_ids._NUMBER_BITS > 36**17

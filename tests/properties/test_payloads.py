"""Whatever a venue sends, each surface of each dialect yields valid reports or says that it could not read them."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import examples, mutations, names
from tests.fuzz.answering import EXCHANGES, Answered
from tests.fuzz.exercise import exercise
from venues.messages import Malformed

CASES = [(dialect, surface) for dialect in EXCHANGES for surface in examples.surfaces(dialect)]
READS = ("open_orders", "fills", "balances")
_dice = st.randoms(use_true_random=False)


@pytest.fixture(scope="module")
def desks() -> Iterator[dict[str, Answered]]:
    """Return an adapter of each dialect on a wire that answers what the test says."""
    made = {dialect: Answered(dialect) for dialect in EXCHANGES}
    yield made
    for one in made.values():
        one.close()


@pytest.mark.parametrize(("dialect", "surface"), CASES)
def test_what_a_venue_really_sends_is_read(desks: dict[str, Answered], dialect: str, surface: str) -> None:
    for tree in examples.EXAMPLES[dialect][surface]:
        found = exercise(desks[dialect], surface, 200, mutations.write(tree).encode())
        if surface == "stream":
            assert not [report for report in found if isinstance(report, Malformed)]
        elif surface in READS:
            assert found.status == "good", found
        elif surface == "lookup":
            assert found.result in ("found", "absent", "failed") and (found.result == "found") == (
                names.OURS in mutations.write(tree)
            )
        else:
            assert found.outcome == "accepted", found


@pytest.mark.parametrize(("dialect", "surface"), CASES)
def test_no_single_extreme_value_breaks_a_surface(desks: dict[str, Answered], dialect: str, surface: str) -> None:
    for whole in examples.EXAMPLES[dialect][surface][:8]:
        for tree in mutations.each(whole):
            found = exercise(desks[dialect], surface, 200, mutations.write(tree).encode())
            if surface in ("submit", "cancel"):
                assert found.outcome in ("accepted", "unknown"), mutations.write(tree)


@pytest.mark.parametrize(("dialect", "surface"), CASES)
@settings(max_examples=300, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(dice=_dice, times=st.integers(1, 3), status=st.sampled_from([200, 200, 200, 400, 404, 429, 502]))
def test_no_message_breaks_a_surface(
    desks: dict[str, Answered], dialect: str, surface: str, dice: random.Random, times: int, status: int
) -> None:
    whole = dice.choice(examples.of(dialect, surface))
    tree = mutations.mutate(whole, dice, times)
    found = exercise(desks[dialect], surface, status, mutations.write(tree).encode())
    if mutations.is_poisoned(tree):
        _says_nothing(surface, found)
    elif surface in ("submit", "cancel") and status == 200 and whole in examples.EXAMPLES[dialect][surface]:
        assert found.outcome in ("accepted", "unknown"), "a success that was hard to read became a refusal"


@pytest.mark.parametrize(("dialect", "surface"), CASES)
@pytest.mark.parametrize(
    "body", [b"", b"<html>busy</html>", b"\x00", b"\xff\xfe{", b"[" * 100_000, b"{}", b"[]", b"null", b'"x"']
)
def test_no_answer_that_is_no_message_breaks_a_surface(
    desks: dict[str, Answered], dialect: str, surface: str, body: bytes
) -> None:
    for status in (200, 403, 502):
        found = exercise(desks[dialect], surface, status, body)
        if surface in ("submit", "cancel"):
            # ccxt's general cancel answers nothing but its success, so an empty object passes for one there.
            assert found.outcome == "unknown" or (dialect, status) == ("unified", 200)
        elif surface != "stream" and body[:1] not in (b"{", b"["):
            assert "failed" in (getattr(found, "status", ""), getattr(found, "result", ""))


@pytest.mark.parametrize("dialect", ["binance", "kraken", "bybit", "okx", "coinbase", "deribit"])
def test_eight_megabytes_are_read_or_refused_within_a_second(desks: dict[str, Answered], dialect: str) -> None:
    row = mutations.write(examples.EXAMPLES[dialect]["stream"][1]).encode()
    for body in (
        b"[" + b",".join([row] * (8 * 1024 * 1024 // len(row))) + b"]",
        b'{"a":"' + b"\\u0041" * 1_400_000 + b'"}',
    ):
        began = time.monotonic()
        exercise(desks[dialect], "stream", 200, body)
        assert time.monotonic() - began < 3


def _says_nothing(surface: str, found: object) -> None:
    if surface == "stream":
        assert isinstance(found, list) and len(found) == 1 and isinstance(found[0], Malformed)
    elif surface in READS:
        assert (found.status, found.rows) == ("failed", ())  # type: ignore[attr-defined]
    elif surface == "lookup":
        assert found.result == "failed"  # type: ignore[attr-defined]
    else:
        assert found.outcome == "unknown"  # type: ignore[attr-defined]

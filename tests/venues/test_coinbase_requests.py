"""What Coinbase's adapter asks for: lists to their end, each page paid for, and tokens whose refusal means one thing or another."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.fuzz.answering import Answered
from tests.fuzz.coinbase_examples import COINBASE, COINBASE_ID
from tests.fuzz.names import OURS
from tests.venues.desk import now_ms
from tests.venues.recorded import RecordedWire
from venues.adapters import coinbase
from venues.messages import CancelOrder, PlaceOrder

PAGE = COINBASE["fills"][0]


@pytest.fixture
def answered() -> Iterator[Answered]:
    made = Answered("coinbase")
    yield made
    made.close()


def answering(answered: Answered, *answers: tuple[int, Any]) -> RecordedWire:
    wire = RecordedWire(*answers)
    answered.adapter.client.wire = wire
    return wire


def page(number: int, cursor: str) -> dict[str, Any]:
    (row, *_) = PAGE["fills"]
    return {"fills": [row | {"entry_id": f"e{number}", "trade_id": f"t{number}"}], "cursor": cursor}


def order(**changes: Any) -> PlaceOrder:
    plain: dict[str, Any] = {
        "venue_client_id": OURS, "symbol": "BTC/USDT", "side": "buy", "type": "limit", "quantity": Decimal("0.1"),
        "price": Decimal("50000"), "time_in_force": "GTC", "stamp_ms": now_ms(), "window_ms": 5_000,
    }  # fmt: skip
    return PlaceOrder(**(plain | changes))


def test_a_list_is_read_to_its_end_and_each_page_is_paid_for(answered: Answered) -> None:
    wire = answering(answered, (200, page(1, "a")), (200, page(2, "b")), (200, page(2, "")))
    paid: list[float] = []

    async def pay(cost: float) -> None:
        paid.append(cost)

    answered.adapter.client.pay = pay
    found = answered.run(answered.adapter.read("fills", since=None, symbols=[]))
    assert (found.status, [row.venue_trade_id for row in found.rows]) == ("good", ["t1", "t2"])
    assert [query.get("cursor") for _, query in wire.asked] == [None, "a", "b"]
    assert paid == [1.0] * 3


@pytest.mark.parametrize("cursors", [("a", "a"), ("a", "b", "c", "d")])
def test_a_list_without_an_end_is_a_failed_read(
    answered: Answered, monkeypatch: pytest.MonkeyPatch, cursors: tuple[str, ...]
) -> None:
    monkeypatch.setattr(coinbase, "PAGES_MAX", 4)
    answering(answered, *((200, page(number, cursor)) for number, cursor in enumerate(cursors)))
    found = answered.run(answered.adapter.read("fills", since=None, symbols=[]))
    assert (found.status, found.rows) == ("failed", ())


@pytest.mark.parametrize(
    ("age_ms", "code", "category"), [(60_000, "TIMESTAMP_OUTSIDE_WINDOW", ""), (0, "KEY_REFUSED", "auth")]
)
def test_a_token_refused_after_its_end_says_nothing_of_the_key(
    answered: Answered, age_ms: int, code: str, category: str
) -> None:
    stamp = {"stamp_ms": now_ms() - age_ms, "window_ms": 5_000}
    cancel = CancelOrder(symbol="BTC/USDT", venue_order_id=COINBASE_ID, venue_client_id=OURS, **stamp)
    answering(answered, *[(401, "Unauthorized\n"), (200, {"epochMillis": str(now_ms())})] * 2)
    for work in (answered.adapter.place(order(**stamp)), answered.adapter.cancel(cancel)):
        said = answered.run(work)
        assert (said.outcome, said.code, said.category) == ("not_sent", code, category)


@pytest.mark.parametrize("status", [403, 502])
def test_what_is_not_the_venues_own_words_proves_nothing(answered: Answered, status: int) -> None:
    answering(answered, (status, "Unauthorized"))
    assert answered.run(answered.adapter.place(order())).outcome == "unknown"

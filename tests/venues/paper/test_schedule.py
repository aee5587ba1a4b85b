"""The demo's timetable consists of faults the venue knows, aimed at what the mission wants to show."""

from __future__ import annotations

from venues.paper.faults import Call, FaultBook
from venues.paper.schedule import TIMETABLE


def test_every_entry_is_a_fault_the_venue_accepts() -> None:
    book = FaultBook(1, lambda: 0, lambda rule, call: None)
    for entry in TIMETABLE:
        for fault in entry.faults:
            assert book.add(fault).is_live(0)


def test_lost_order_stays_unresolved_while_every_lookup_fails() -> None:
    book = FaultBook(1, lambda: 0, lambda rule, call: None)
    (lost,) = [entry for entry in TIMETABLE if entry.every_seconds == 300]
    assert lost.exchanges == ("kraken",)
    for fault in lost.faults:
        book.add(fault)
    assert book.take(("drop_after",), Call(operation="create_order")) is not None
    assert book.take(("drop_after",), Call(operation="create_order")) is None
    for operation in ("fetch_order", "open_orders", "closed_orders", "my_trades"):
        assert book.take(("status",), Call(operation=operation), "before") is not None
    assert book.take(("status",), Call(operation="balance"), "before") is None


def test_probability_is_seeded() -> None:
    def firings(seed: int) -> list[bool]:
        book = FaultBook(seed, lambda: 0, lambda rule, call: None)
        book.add({"fault": "drop_before", "probability": 0.5, "seconds": 1})
        return [book.take(("drop_before",), Call(operation="create_order")) is not None for _ in range(50)]

    assert firings(1) == firings(1)
    assert {True, False} == set(firings(1))

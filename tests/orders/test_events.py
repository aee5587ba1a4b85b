"""Venue facts in every order end in the same state; nothing is booked twice, nothing is dropped."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

import pytest

from orders import doubts, events, fold, store
from orders.models import Anomaly, Attempt, DeadLetter, Fill, Order, OrderEvent, Position
from orders.rows import FillRow
from orders.states import Mutation, Status
from project.lib import decimals
from tests.orders.scene import apply, at, fill, make_account, moved, queued, report, sending
from venues.messages import FillReport, OrderReport
from venues.models import Account

D = Decimal
ACK = report("open", 0)
PART, REST = fill("t-1", "0.4", 1), fill("t-2", "0.6", 2)
CANCELLED = report("cancelled", 3, filled_quantity=D("0.4"))
SILENT_CANCELLED = report("cancelled", 3)
FILLED = report("filled", 2, filled_quantity=D(1))
SCENES = {
    "filled": (ACK, PART, REST, PART),
    "filled, as the venue says too": (PART, REST, FILLED),
    "cancelled": (ACK, PART, CANCELLED, PART),
    "cancelled by a venue that does not say how much filled": (ACK, PART, SILENT_CANCELLED),
    "expired": (ACK, PART, report("expired", 3, filled_quantity=D("0.4"))),
    "cancelled without a fill": (ACK, report("cancelled", 3, filled_quantity=D(0))),
}


def apply_in_order(order: Order, statements: list[OrderReport | FillReport]) -> None:
    """Apply as the owner does: a claim that needs fills is put once more when the fills are there."""
    waiting: list[OrderReport | FillReport] = []
    for statement in statements:
        if apply(order, statement) == ["needs_fills"]:
            waiting.append(statement)
    apply(order, *waiting)


def outcome(order: Order) -> dict[str, Any]:
    account = order.account
    return {
        "order": (
            order.status,
            order.mutation,
            order.filled_quantity,
            order.filled_value,
            order.venue_order_id,
            order.reason_code,
        ),
        "fills": sorted(
            Fill.objects.filter(order=order).values_list("venue_trade_id", "quantity", "quote_quantity", "fee")
        ),
        "balances": sorted(account.balances.values_list("asset", "total")),
        "positions": sorted(
            Position.objects.filter(account=account).values_list("symbol", "quantity", "entry_price", "realised_pnl")
        ),
        "anomalies": sorted(Anomaly.objects.filter(order=order).values_list("kind", flat=True)),
    }


@pytest.mark.django_db
@pytest.mark.parametrize("name", SCENES)
def test_the_order_of_arrival_changes_nothing(name: str) -> None:
    scene = SCENES[name]
    outcomes = {}
    for arrival in itertools.permutations(range(len(scene))):
        order = sending(make_account())
        apply_in_order(order, [scene[index] for index in arrival])
        outcomes[arrival] = outcome(order)
    straight = outcomes[tuple(range(len(scene)))]
    assert {arrival: found for arrival, found in outcomes.items() if found != straight} == {}
    assert straight["order"][0] == name.split(",")[0].split()[0] and straight["anomalies"] == []
    assert list(fold.differences()) == []


def test_a_duplicate_fill_is_booked_once(account: Account) -> None:
    order = sending(account)
    first, second = apply(order, PART, PART)
    assert isinstance(first, FillRow) and second is None
    assert order.filled_quantity == D("0.4") and Fill.objects.count() == 1
    assert OrderEvent.objects.filter(kind="fill").count() == 1


def test_the_two_sides_of_one_trade_are_two_fills(account: Account) -> None:
    ours, other = sending(account), sending(account, side="sell")
    apply(ours, PART)
    apply(other, fill("t-1", "0.4", 1, side="sell", venue_order_id="v-2"))
    assert Fill.objects.filter(venue_trade_id="t-1").count() == 2


def test_a_repeat_that_differs_is_noted_once(account: Account) -> None:
    order = sending(account)
    changed = fill("t-1", "0.4", 1, price=D(60001))
    apply(order, PART, changed, changed, PART)
    [anomaly] = Anomaly.objects.all()
    assert (anomaly.kind, anomaly.data["theirs"]["price"]) == ("fill_differs", "60001")
    assert Fill.objects.get().price == 60000


@pytest.mark.parametrize("ended", ["cancelled", "expired", "rejected", "denied"])
@pytest.mark.parametrize(("quantity", "status"), [("0.4", "partially_filled"), ("1", "filled")])
def test_a_fill_after_the_end_moves_the_order_and_opens_an_anomaly(
    account: Account, ended: str, quantity: str, status: str
) -> None:
    order = moved(sending(account), Status(ended), occurred_at=at(3), code="BECAUSE")
    apply(order, fill("t-1", quantity, 4))
    assert (order.status, order.reason_code) == (status, "")
    [anomaly] = Anomaly.objects.all()
    assert (anomaly.kind, anomaly.order, anomaly.fill) == ("late_fill", order, Fill.objects.get())
    assert OrderEvent.objects.filter(kind="late_fill", status_before=ended, status_after=status).count() == 1


@pytest.mark.parametrize("ended", ["cancelled", "expired", "rejected"])
def test_a_fill_from_before_the_end_moves_nothing_but_the_quantity(account: Account, ended: str) -> None:
    order = moved(sending(account), Status(ended), occurred_at=at(3), code="BECAUSE")
    apply(order, fill("t-1", "0.4", 2.5))
    assert (order.status, order.filled_quantity, order.reason_code) == (ended, D("0.4"), "BECAUSE")
    assert not Anomaly.objects.exists()


@pytest.mark.parametrize(("ended", "is_late"), [(3, True), (4, False), (5, False)])
def test_whether_a_fill_is_late_is_told_by_when_the_order_ended(account: Account, ended: float, is_late: bool) -> None:
    order = moved(sending(account), Status.CANCELLED, occurred_at=at(1))
    Order.objects.filter(pk=order.pk).update(ended_at=at(ended))
    apply(order, fill("t-1", "0.4", 4))
    assert (order.status, Anomaly.objects.exists()) == ("partially_filled" if is_late else "cancelled", is_late)


@pytest.mark.parametrize("ended", ["cancelled", "expired", "rejected", "denied"])
def test_an_order_ends_by_the_venues_clock_or_else_by_ours_and_lives_again_without_an_end(
    account: Account, ended: str
) -> None:
    said = moved(sending(account), Status(ended), occurred_at=at(3), received_at=at(9))
    silent = moved(sending(account), Status(ended), received_at=at(9))
    assert (said.ended_at, silent.ended_at) == (at(3), at(9))
    apply(said, fill("t-1", "0.4", 4))
    assert (said.status, said.ended_at) == ("partially_filled", None)
    apply(said, fill("t-2", "0.6", 5))
    assert (said.status, said.ended_at) == ("filled", at(5))


def test_a_revived_order_is_judged_by_its_second_end(account: Account) -> None:
    order = moved(sending(account), Status.CANCELLED, occurred_at=at(3))
    apply(order, fill("t-1", "0.1", 5))
    order = moved(order, Status.CANCELLED, occurred_at=at(10))
    apply(order, fill("t-2", "0.1", 8))
    assert order.status == "cancelled" and order.filled_quantity == D("0.2")
    assert Anomaly.objects.count() == 1


def test_more_filled_than_asked_is_booked_and_noted(account: Account) -> None:
    order = sending(account)
    apply(order, REST, fill("t-3", "0.6", 2))
    assert (order.status, order.filled_quantity) == ("filled", D("1.2"))
    assert Anomaly.objects.get().kind == "overfill"


def test_an_illegal_move_is_recorded_and_changes_nothing(account: Account) -> None:
    order = sending(account)
    apply(order, ACK)
    assert apply(order, report("rejected", 2, reason="too late")) == ["applied"]
    assert apply(order, report("expired", 3)) == ["illegal"]
    assert (order.status, order.reason_code) == ("rejected", "VENUE_REJECTED")
    refused = OrderEvent.objects.get(kind="illegal_transition")
    assert (refused.status_before, refused.status_after, refused.data["refused_move"]) == (
        "rejected",
        "rejected",
        "expired",
    )
    assert Anomaly.objects.get().kind == "illegal_transition"
    assert list(fold.differences()) == []


def test_another_venue_order_id_is_not_this_order(account: Account) -> None:
    order = sending(account)
    apply(order, ACK)
    assert apply(order, report("cancelled", venue_order_id="v-9")) == ["illegal"]
    assert (order.status, order.venue_order_id) == ("open", "v-1")
    assert Anomaly.objects.get().kind == "illegal_transition"


def test_a_claim_of_more_than_is_booked_waits_for_the_fills(account: Account) -> None:
    order = sending(account)
    assert apply(order, FILLED) == ["needs_fills"]
    assert (order.status, order.filled_quantity, order.venue_order_id) == ("open", D(0), "v-1")
    assert apply(order, CANCELLED) == ["needs_fills"] and order.status == "open"
    apply(order, CANCELLED, is_final=True)
    assert order.status == "cancelled"


def test_a_repeated_statement_adds_no_event(account: Account) -> None:
    order = sending(account)
    apply(order, ACK)
    version = order.version
    assert apply(order, ACK, ACK) == ["stale", "stale"] and order.version == version


def test_proof_of_life_settles_the_doubt(account: Account) -> None:
    order = moved(sending(account), Status.UNKNOWN, code="OUTCOME_UNKNOWN", message="no answer")
    attempt = Attempt.objects.get()
    Attempt.objects.update(outcome="unknown")
    with store.transaction() as books:
        row = books.attempt(order.pk, attempt.pk)
        doubts.open_letter(books, row, "SUBMIT_TIMEOUT", "nobody knows", money_at_risk=D(60000), asset="USDT")
    letter = DeadLetter.objects.get()
    apply(order, PART)
    attempt.refresh_from_db()
    letter.refresh_from_db()
    assert (order.status, order.reason_code) == ("partially_filled", "")
    assert (attempt.resolution, letter.status, letter.resolution) == ("accepted", "resolved", "accepted")


def test_the_end_of_an_order_ends_its_mutation(account: Account) -> None:
    order = sending(account)
    apply(order, ACK)
    with store.transaction() as books:
        row = books.order(order.pk)
        events.record(books, row, "cancel_pending", source="test", received_at=at(1), mutation=Mutation.CANCEL_PENDING)
    apply(order, report("cancelled", 2))
    assert (order.status, order.mutation) == ("cancelled", "none") and list(fold.differences()) == []


def test_a_quote_amount_longer_than_what_is_stored_is_rounded_once(account: Account) -> None:
    order = sending(account)
    price, quantity = D("0.123456789012345"), D("0.123456789")
    apply(order, fill("t-1", str(quantity), price=price, quote_quantity=None, fee=D(0)))
    assert order.filled_value == Fill.objects.get().quote_quantity == decimals.quantise(price * quantity)
    assert order.filled_value != price * quantity
    assert list(fold.differences()) == []


@pytest.mark.django_db
def test_a_long_account_code_leaves_room_for_every_fact() -> None:
    account = make_account(code="a" * 64)
    order = sending(account)
    apply(order, PART)
    assert order.filled_quantity == D("0.4")


def test_a_queued_order_that_the_venue_fills_is_filled(account: Account) -> None:
    order = queued(account)
    apply(order, fill("t-1", "1"))
    assert order.status == "filled"

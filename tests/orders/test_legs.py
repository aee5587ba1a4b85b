"""One order over several of the venue's: what is sent next is never more than is left, whatever is told of the one before."""

from __future__ import annotations

from decimal import Decimal

from orders import doubts, store
from orders.service import Service
from tests.orders import test_submission as wire
from tests.orders.scene import apply, fill, report
from tests.orders.test_amendment import ASKED, LOST, at_way, begun, finish, opened, shown, successor, whole, wish
from venues.messages import Answer
from venues.models import Account

__all__ = ["whole"]
D = Decimal


def test_what_has_filled_in_part_is_not_replaced_in_one_request(service: Service, account: Account) -> None:
    order = opened(service, account)
    apply(order, fill("t-1", "0.4"))
    made = begun(service, wish(order, **ASKED))
    assert made.how == "cancel_and_new"  # a trade on its way would make a successor sized now too large


def test_a_trade_of_a_leg_that_has_ended_does_not_end_the_order(service: Service, account: Account) -> None:
    order = opened(service, account)
    intent = wish(order, price="59000")
    made = begun(service, intent)
    assert finish(made, intent, successor(made))
    apply(order, fill("t-1", "1"))
    assert shown(order)[0] == "partially_filled"  # v-2 is alive at the venue, whatever the sum


def test_the_rest_of_a_leg_waits_until_all_it_traded_is_booked(service: Service, account: Account) -> None:
    at_way(service, "none")
    order = opened(service, account)
    intent = wish(order, **ASKED)
    assert finish(begun(service, intent), intent, Answer(outcome="accepted"))
    ended = report("cancelled", filled_quantity=D("0.4"))
    assert apply(order, ended, is_final=True) == ["needs_fills"]  # the trades were read, and the read lagged behind
    assert shown(order)[:2] == ("open", "amend_pending")
    apply(order, fill("t-1", "0.4"), ended)
    assert shown(order)[0] == "queued"


def test_what_had_filled_before_the_amend_is_not_counted_twice(service: Service, account: Account) -> None:
    at_way(service, "none")
    order = opened(service, account)
    apply(order, fill("t-1", "0.4"))
    intent = wish(order, **ASKED)
    assert finish(begun(service, intent), intent, Answer(outcome="accepted"))
    assert apply(order, report("cancelled", filled_quantity=D("0.4"))) == ["applied"]
    assert shown(order)[0] == "queued"


def test_a_late_trade_of_a_leg_that_has_ended_proves_nothing_about_the_next(service: Service, account: Account) -> None:
    at_way(service, "none")
    order = opened(service, account)
    intent = wish(order, **ASKED)
    assert finish(begun(service, intent), intent, Answer(outcome="accepted"))
    apply(order, report("cancelled", filled_quantity=D(0)), fill("t-1", "0.3"))
    assert shown(order)[0] == "queued"  # the rest still has to go
    again = wire.begin(service, order)
    assert again.message.quantity == D("1.7")
    apply(order, fill("t-2", "0.3"))
    assert shown(order)[0] == "sending"
    wire.finish(order, again, LOST)
    apply(order, fill("t-3", "0.1"))
    with store.transaction() as books:
        assert shown(order)[0] == "unknown" and len(doubts.unresolved(books, account.code)) == 1


def test_an_order_that_looks_the_same_is_never_taken_for_a_leg_that_has_ended(
    service: Service, account: Account
) -> None:
    at_way(service, "none")
    order = opened(service, account)
    intent = wish(order, **ASKED)
    assert finish(begun(service, intent), intent, Answer(outcome="accepted"))
    apply(order, report("cancelled", filled_quantity=D(0)))
    with store.transaction() as books:
        assert books.store.venue_ids(account.code, order.symbol, order.created_at) == {"v-1"}

"""An amend whose answer was lost: found, proved without effect, proved half done, or left to a person's word."""

from __future__ import annotations

from collections.abc import Coroutine
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from orders import person, resolver, store
from orders.models import Anomaly, Attempt, DeadLetter, Order
from orders.service import Service
from project.lib import clock
from tests.orders.scene import at, report
from tests.orders.test_amendment import ASKED, LOST, How, at_way, attempts, begun, finish, opened, shown, whole, wish
from venues.capabilities import Capabilities
from venues.messages import Lookup
from venues.models import Account

__all__ = ["whole"]
D = Decimal


class Venue:
    """A gateway that answers lookups as told, by client id."""

    def __init__(self, capabilities: Capabilities, **orders: Any) -> None:
        self.capabilities, self.orders = capabilities, orders

    async def look_up(self, *, venue_client_id: str, venue_order_id: str | None, **_: Any) -> Lookup:
        found = self.orders.get("old" if venue_order_id else "new")
        return Lookup(result="found" if found else "absent", order=found)


def lost(service: Service, account: Account, way: How, **values: str) -> Order:
    at_way(service, way)
    order = opened(service, account)
    intent = wish(order, **(values or ASKED))
    made = begun(service, intent)
    assert finish(made, intent, LOST) and shown(order)[1] == "amend_unknown"
    return order


def look(service: Service, order: Order, times: int = 1, *, is_late: bool = False, **orders: Any) -> None:
    """Let the resolver look, with the venue answering so; late means after all its bounds have passed."""
    real, service.gateway = service.gateway, Venue(service.gateway.capabilities, **orders)  # type: ignore[assignment]
    try:
        for _ in range(times):
            if is_late:
                long_ago = clock.now() - timedelta(seconds=100)
                Attempt.objects.filter(order=order, action="amend").update(
                    sent_at=long_ago, valid_until=long_ago, last_lookup_at=long_ago
                )
            with store.transaction() as books:
                row, attempt = books.order(order.pk), books.attempts(order.pk, "amend")[-1]
            at_once(resolver.look(service, row, attempt))
    finally:
        service.gateway = real
    order.refresh_from_db()


def at_once(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that waits for nothing, in this test's own transaction."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waited for something")


class Direct:
    """A writer that runs each piece of work in a transaction on this thread, where the test's own data is."""

    async def run(self, work: Any) -> Any:
        with store.transaction() as books:
            return work(books)

    run_until_committed = run


@pytest.fixture
def resolving(service: Service) -> Service:
    """The account with a writer on the test's own connection."""
    service.writer = Direct()
    return service


def test_a_lost_replace_is_found_by_its_successor(resolving: Service, account: Account) -> None:
    order = lost(resolving, account, "replace")
    client_id = attempts(order)[0].venue_client_id
    look(resolving, order, new=report("open", venue_order_id="v-2", venue_client_id=client_id, quantity=D(2)))
    assert shown(order) == ("open", "none", D(2), D(59000), "v-2")
    assert attempts(order)[0].resolution == "accepted" and not Anomaly.objects.exists()


def test_a_lost_replace_that_never_came_leaves_the_old_order(resolving: Service, account: Account) -> None:
    order = lost(resolving, account, "replace")
    look(resolving, order, old=report("open"))
    assert shown(order)[1] == "amend_unknown"  # too early to say
    look(resolving, order, 2, is_late=True, old=report("open"))
    assert shown(order) == ("open", "none", D(1), D(60000), "v-1") and attempts(order)[0].resolution == "not_applied"


def test_a_lost_replace_that_came_half_ends_the_order(resolving: Service, account: Account) -> None:
    order = lost(resolving, account, "replace")
    look(resolving, order, 2, is_late=True, old=report("cancelled"))
    assert shown(order)[:2] == ("cancelled", "none") and order.reason_code == "REPLACE_LEFT_NOTHING"


@pytest.mark.parametrize("is_applied", [True, False])
def test_a_lost_amend_in_place_shows_its_values_or_can_no_longer_happen(
    resolving: Service, account: Account, is_applied: bool
) -> None:
    order = lost(resolving, account, "in_place")
    old, new = report("open", price=D(60000)), report("open", price=D(59000), quantity=D(2))
    look(resolving, order, old=new if is_applied else old)
    assert shown(order)[1] == ("none" if is_applied else "amend_unknown")
    look(resolving, order, is_late=True, old=new if is_applied else old)
    assert shown(order)[1:4] == (("none", D(2), D(59000)) if is_applied else ("none", D(1), D(60000)))


def test_a_lost_cancel_and_new_is_no_doubt_any_more_once_the_old_order_has_ended(
    resolving: Service, account: Account
) -> None:
    order = lost(resolving, account, "none")
    look(resolving, order, old=report("cancelled", filled_quantity=D(0)))
    assert shown(order)[:2] == ("queued", "none") and attempts(order)[0].resolution == "accepted"


def test_where_neither_shows_a_person_says_what_became_of_it(resolving: Service, account: Account) -> None:
    order = lost(resolving, account, "replace")
    look(resolving, order, 3, is_late=True)
    assert shown(order)[:2] == ("open", "amend_unknown")
    Attempt.objects.filter(order=order, action="amend").update(sent_at=at(-10_000))
    with store.transaction() as books:
        resolver._park_overdue(books, resolving)
    row = DeadLetter.objects.get()
    assert row.status == "open" and row.cause.startswith("AMEND_")
    with store.transaction() as books:
        letter = books.letters(order.pk)[0]
        assert person.declare_absent(books, letter, actor="ada", reason="asked the venue") == "declared absent"
    assert shown(order)[:2] == ("open", "none")
    row.refresh_from_db()
    assert (row.status, row.resolution) == ("resolved", "declared_absent")

"""An intent is accepted once for ever; what is refused stores nothing; what is denied uses its id."""

from __future__ import annotations

from decimal import Decimal

import pytest

from orders import intake, requests
from orders.models import Intent, Order, OrderEvent
from orders.states import Status
from project.lib import feed
from project.lib.models import AuditEntry, FeedEntry
from risk import halts, limits
from tests.orders.scene import ask, in_threads, make_account, moved, queued, sending
from venues.models import Account, Instrument

D = Decimal


def test_an_accepted_order_is_queued_with_its_events(account: Account) -> None:
    accepted = intake.accept(ask(account, strategy="s"), account, source="token:bot")
    order = Order.objects.get()
    assert accepted.is_new and accepted.order == order
    assert (order.status, order.source, order.strategy, order.version) == ("queued", "token:bot", "s", 2)
    events = OrderEvent.objects.order_by("sequence").values_list("sequence", "kind", "status_before", "status_after")
    assert list(events) == [(1, "received", "", "received"), (2, "queued", "received", "queued")]
    assert FeedEntry.objects.get(topic="orders").object_id == str(order.id)


def test_the_same_again_is_the_same_order(account: Account) -> None:
    first = intake.accept(ask(account, client_order_id="a", quantity="1"), account, source="x")
    again = intake.accept(ask(account, client_order_id="a", quantity="1.0"), account, source="y")
    assert (again.order, again.is_new) == (first.order, False) and OrderEvent.objects.count() == 2


def test_another_body_is_a_conflict(account: Account) -> None:
    first = intake.accept(ask(account, client_order_id="a"), account, source="x")
    with pytest.raises(intake.Conflict) as conflict:
        intake.accept(ask(account, client_order_id="a", price="59999"), account, source="x")
    assert conflict.value.order == first.order and Order.objects.count() == 1


def test_the_id_is_used_per_account(account: Account) -> None:
    other = make_account()
    assert intake.accept(ask(account, client_order_id="a"), account, source="x").is_new
    assert intake.accept(ask(other, client_order_id="a"), other, source="x").is_new


@pytest.mark.django_db(transaction=True)
def test_fifty_posts_at_once_make_one_order() -> None:
    account = make_account()
    request = ask(account)
    answers = in_threads(50, lambda _: intake.accept(request, account, source="bot"))
    assert len({answer.order.pk for answer in answers}) == 1
    assert sum(answer.is_new for answer in answers) == 1
    assert Order.objects.count() == 1
    assert list(OrderEvent.objects.order_by("sequence").values_list("sequence", flat=True)) == [1, 2]


@pytest.mark.parametrize(
    ("changes", "field", "code", "nearest"),
    [
        ({"symbol": "BTC/USDC"}, "symbol", "SYMBOL_UNKNOWN", "BTC/USDT"),
        ({"quantity": "1.0005"}, "quantity", "QUANTITY_OFF_STEP", "1"),
        ({"quantity": "0.0001"}, "quantity", "QUANTITY_BELOW_MINIMUM", "0.001"),
        ({"price": "60000.019"}, "price", "PRICE_OFF_STEP", "60000.01"),
        ({"quantity": "0.001", "price": "1"}, "quantity", "NOTIONAL_BELOW_MINIMUM", "5"),
        ({"reduce_only": True}, "reduce_only", "NOT_ALLOWED", "false"),
    ],
)
def test_a_refused_intent_stores_nothing_and_leaves_its_id_free(
    account: Account, changes: dict[str, object], field: str, code: str, nearest: str
) -> None:
    with pytest.raises(requests.Invalid) as refusal:
        intake.accept(ask(account, client_order_id="a", **changes), account, source="x")
    [problem] = refusal.value.problems
    assert (problem.field, problem.code, problem.nearest_valid) == (field, code, nearest)
    assert not Order.objects.exists() and not OrderEvent.objects.exists() and not FeedEntry.objects.exists()
    account.refresh_from_db()
    assert account.event_sequence == 0
    assert intake.accept(ask(account, client_order_id="a"), account, source="x").is_new


def test_a_denied_intent_uses_its_id(account: Account) -> None:
    limits.put("global", "notional_max", D(100), "ada")
    denied = intake.accept(ask(account, client_order_id="a"), account, source="x")
    assert (denied.order.status, denied.order.reason_code) == ("denied", "NOTIONAL_EXCEEDS_MAXIMUM")
    limits.put("global", "notional_max", D(10**6), "ada")
    again = intake.accept(ask(account, client_order_id="a"), account, source="x")
    assert (again.order.pk, again.is_new, again.order.status) == (denied.order.pk, False, "denied")


@pytest.mark.parametrize("scope", ["global", "venue", "account"])
def test_a_halt_denies_wherever_it_stands(account: Account, scope: str) -> None:
    code = {"global": "global", "venue": f"venue:{account.venue_id}", "account": f"account:{account.code}"}[scope]
    halt = halts.engage(code, "too fast", "ada")
    assert queued(account).reason_code == "TRADING_HALTED"
    other = make_account()
    assert queued(other).status == ("denied" if scope == "global" else "queued")
    halts.release(halt, "looked into it", "ada")
    assert queued(account).status == "queued"


def test_the_real_exchange_takes_two_switches(account: Account) -> None:
    venue = account.venue
    venue.rest_url = ""
    venue.save()
    assert queued(account).reason_code == "LIVE_TRADING_OFF"


def test_the_collar_denies_a_price_far_off(account: Account) -> None:
    limits.put(f"account:{account.code}", "price_collar_percent", D(5), "ada")
    assert queued(account, price="63000").status == "queued"
    assert queued(account, price="63000.01").reason_code == "PRICE_OUTSIDE_COLLAR"


def test_open_orders_are_counted(account: Account) -> None:
    limits.put("global", "open_orders_max", D(2), "ada")
    first, second = queued(account), queued(account)
    assert queued(account).reason_code == "OPEN_ORDERS_EXCEED_MAXIMUM"
    moved(first, Status.CANCELLED)
    assert queued(account).status == "queued" and second.status == "queued"


def test_an_order_is_answered_again_though_its_instrument_is_gone(account: Account) -> None:
    request = ask(account)
    first = intake.accept(request, account, source="x")
    Instrument.objects.all().delete()
    halts.engage("global", "anything", "ada")
    assert intake.accept(request, account, source="x").order == first.order
    with pytest.raises(requests.Invalid) as refusal:
        intake.accept(ask(account), account, source="x")
    assert "activate an account" in refusal.value.problems[0].message


def test_an_unknown_order_may_be_asked_to_be_cancelled_once(account: Account) -> None:
    order = sending(account)
    first = intake.request_cancellation(order, actor="ada")
    assert intake.request_cancellation(order, actor="bob") == first
    assert (Intent.objects.get().requested_by, AuditEntry.objects.filter(action="order.cancel").count()) == ("ada", 1)


def test_what_has_ended_cannot_be_cancelled(account: Account) -> None:
    order = moved(queued(account), Status.CANCELLED)
    with pytest.raises(intake.NotCancellable, match="cancelled already"):
        intake.request_cancellation(order, actor="ada")
    assert not Intent.objects.exists() and feed.head() > 0


@pytest.mark.parametrize("kind", ["market", "stop"])
def test_a_venue_without_market_orders_takes_none(account: Account, kind: str) -> None:
    account.venue.exchange, account.venue.quirks = "bitget", []  # it takes a cost where others take a quantity
    account.venue.save()
    changes = (
        {"type": "market", "price": None}
        if kind == "market"
        else {"type": "stop", "price": None, "trigger_price": "50000"}
    )
    with pytest.raises(requests.Invalid) as refused:
        intake.accept(ask(account, time_in_force=None, **changes), account, source="x")
    assert [(p.field, p.code) for p in refused.value.problems] == [("type", "NOT_SUPPORTED")]
    assert refused.value.problems[0].nearest_valid in ("limit", "stop_limit")


def test_another_name_of_an_asset_names_the_right_one(account: Account) -> None:
    with pytest.raises(requests.Invalid) as refused:
        intake.accept(ask(account, symbol="XBT/USDT"), account, source="x")
    assert (refused.value.problems[0].code, refused.value.problems[0].nearest_valid) == ("SYMBOL_UNKNOWN", "BTC/USDT")

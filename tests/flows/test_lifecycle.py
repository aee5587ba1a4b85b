"""The whole life of an order at both dialects: amended, triggered, expired, in groups; lost answers and killed executors between."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.flows import oracle
from tests.flows.client import Refused, wait_for
from tests.flows.stack import AccountAtVenue, Stack

pytestmark = pytest.mark.process
D = Decimal
SYMBOL = "BTC/USDT"


class Desk:
    """One account in a market of its own that moves only when told to."""

    def __init__(self, stack: Stack, account: AccountAtVenue) -> None:
        self.stack, self.account = stack, account
        self.exchange = account.world.exchange

    def move(self, price: str) -> None:
        """Bring the market to a price at once."""
        named = {"exchange": self.exchange, "world": self.account.world.world}
        self.stack.paper.control("POST", "prices", {**named, "symbol": SYMBOL, "price": price})

    def place(self, **body: object) -> Any:
        """Post an order under a new id."""
        return self.stack.place(self.account, uuid.uuid4().hex, **body)

    def rest(self, **body: object) -> Any:
        """Post an order and wait until it rests."""
        return self.wait(self.place(**body), "open")

    def wait(self, order: Any, *statuses: str, seconds: float = 25) -> Any:
        """Wait for a status."""
        return self.stack.wait_status(order["id"], *statuses, seconds=seconds)

    def see(self, order: Any) -> Any:
        """Read an order again."""
        return self.stack.api.get(f"/orders/{order['id']}/")

    def amend(self, order: Any, **change: object) -> Any:
        """Ask for a change."""
        return self.stack.api.call("PATCH", f"/api/v1/orders/{order['id']}/", change)

    def wish(self, order: Any, seconds: float = 20) -> str:
        """Wait until the newest wish about an order is settled and return the result in words."""

        def look() -> Any:
            newest = self.stack.api.get(f"/orders/{order['id']}/wishes/")["results"][0]
            return newest if newest["done_at"] else None

        return str(wait_for("the wish is settled", look, seconds)["result"])

    def group(self, kind: str, **body: object) -> dict[str, Any]:
        """Post a group and return its orders by role."""
        asked = {
            "client_group_id": uuid.uuid4().hex,
            "account": self.account.code,
            "kind": kind,
            "symbol": SYMBOL,
            **body,
        }
        made = self.stack.api.post("/order-groups/", asked)
        return {order["group_role"]: order for order in made["orders"]}

    def kinds(self, order: Any) -> list[str]:
        """Return what happened to an order."""
        return [event["kind"] for event in self.stack.api.all(f"/orders/{order['id']}/events/")]

    def client_ids(self, order: Any) -> list[str]:
        """Return the ids under which the venue knows the legs of an order."""
        rows = self.stack.sql(
            "SELECT venue_client_id FROM orders_attempt WHERE order_id = %s AND action <> 'cancel' AND venue_client_id <> '' "
            "ORDER BY sent_at, id", order["id"],
        )  # fmt: skip
        return [row[0] for row in rows]

    def accepted(self, *orders: Any) -> list[dict[str, Any]]:
        """Return the venue's own record of what it accepted for these orders, oldest first."""
        mine = {client_id for order in orders for client_id in self.client_ids(order)}
        return [
            row for row in self.stack.paper.journal(self.account.world, "accepted") if row["client_order_id"] in mine
        ]

    def filled(self, side: str, since: int = 0) -> Decimal:
        """Return how much the venue says was bought or sold on the account since a journal position."""
        rows = self.stack.paper.journal(self.account.world, "filled")[since:]
        return sum((D(row["quantity"]) for row in rows if row["side"] == side), D(0))

    def fills_so_far(self) -> int:
        """Return the journal position of fills."""
        return len(self.stack.paper.journal(self.account.world, "filled"))

    def end(self, *orders: Any) -> None:
        """Cancel what is left of orders, so that the next flow has the market for itself."""
        for order in orders:
            try:
                self.stack.api.post(f"/orders/{order['id']}/cancellation/")
            except Refused as refused:
                assert refused.status == 409
            self.wait(order, "cancelled", "filled", "expired", "denied", "rejected")


@pytest.fixture(scope="module")
def desks(stack: Stack) -> dict[str, Desk]:
    """One ready account of each dialect for all of these flows."""
    opened = {name: Desk(stack, stack.open_account(name, ready=False)) for name in ("binance", "kraken")}
    for one in opened.values():
        stack.wait_ready(one.account)
    return opened


@pytest.fixture(params=["binance", "kraken"])
def desk(desks: dict[str, Desk], request: pytest.FixtureRequest) -> Iterator[Desk]:
    """An account of each dialect in turn, with the market at 60,000."""
    with quiet(desks[request.param]) as one:
        yield one


@pytest.fixture
def binance(desks: dict[str, Desk]) -> Iterator[Desk]:
    """The account on the Binance dialect."""
    with quiet(desks["binance"]) as one:
        yield one


@contextmanager
def quiet(desk: Desk) -> Iterator[Desk]:
    desk.move("60000")
    yield desk
    desk.stack.paper.remove_faults()


def test_an_amend_keeps_one_live_order(desk: Desk) -> None:
    order = desk.rest(price="50000", quantity="0.02")
    assert desk.amend(order, price="51000", quantity="0.03")["mutation"] in {"none", "amend_pending"}
    assert desk.wish(order) == "amended"
    shown = desk.see(order)
    assert (shown["price"], shown["quantity"], shown["leaves_quantity"], shown["mutation"]) == (
        "51000",
        "0.03",
        "0.03",
        "none",
    )
    is_new = desk.exchange == "binance"
    assert (shown["venue_order_id"] != order["venue_order_id"]) is is_new and len(desk.accepted(order)) == 1 + is_new
    desk.stack.paper.trade(desk.account.world, SYMBOL, "sell", "0.01", price="51000")
    desk.wait(order, "partially_filled")
    desk.amend(order, quantity="0.02")  # filled in part: only cancelled and sent anew where it would be replaced
    assert desk.wish(order) == (
        "the venue took the cancel; the rest is sent when it has ended" if is_new else "amended"
    )
    wait_for("the rest", lambda: (now := desk.see(order))["quantity"] == "0.02" and now["status"] == "partially_filled")
    desk.stack.paper.trade(desk.account.world, SYMBOL, "sell", "0.01", price="51000")
    filled = desk.wait(order, "filled")
    assert (filled["filled_quantity"], filled["quantity"]) == ("0.02", "0.02")


def test_an_amend_whose_answer_is_lost_is_looked_up(desk: Desk) -> None:
    order = desk.rest(price="50000", quantity="0.02")
    rule = desk.stack.paper.add_fault(desk.account.world, "drop_after", "amend_order", count=1)
    desk.amend(order, price="51000")
    wait_for("the new price", lambda: desk.see(order)["price"] == "51000" and desk.see(order)["mutation"] == "none")
    assert desk.stack.paper.fault(rule)["fired"] == 1 and "amend_unknown" in desk.kinds(order)
    desk.end(order)


def test_an_amend_that_never_arrived_leaves_the_order_as_it_was(binance: Desk) -> None:
    order = binance.rest(price="50000", quantity="0.02")
    binance.stack.paper.add_fault(binance.account.world, "drop_before", "amend_order", count=1)
    binance.amend(order, price="51000")
    wait_for("the proof", lambda: "amend_not_applied" in binance.kinds(order), 40)
    shown = binance.see(order)
    assert (shown["status"], shown["price"], shown["mutation"]) == ("open", "50000", "none")
    binance.end(order)


def test_half_a_replace_ends_the_order_and_says_so(binance: Desk) -> None:
    order = binance.rest(price="50000", quantity="0.02")
    binance.amend(order, quantity="5")  # the venue cancels the old one, then finds the balance too small
    ended = binance.wait(order, "cancelled")
    assert ended["status_reason"]["code"] == "REPLACE_LEFT_NOTHING" and ended["leaves_quantity"] == "0"
    assert len(binance.accepted(order)) == 1 and "new one was refused" in binance.wish(order)


def test_a_stop_at_the_venue_triggers_there(desk: Desk) -> None:
    stop = desk.rest(type="stop", side="sell", price=None, trigger_price="58000", quantity="0.02")
    assert stop["trigger_state"] == "" and stop["venue_order_id"]
    profit = desk.rest(type="take_profit_limit", side="sell", trigger_price="66000", price="65900", quantity="0.02")
    desk.amend(profit, trigger_price="67000")
    assert desk.wish(profit) == "amended" and desk.see(profit)["trigger_price"] == "67000"
    desk.move("57900")
    assert desk.wait(stop, "filled")["filled_quantity"] == "0.02"
    assert desk.see(profit)["status"] == "open"
    desk.end(profit)


def test_a_trailing_stop_we_watch_survives_the_death_of_the_executor(binance: Desk) -> None:
    order = binance.place(type="trailing_stop", side="sell", price=None, trailing_offset="500", quantity="0.02")
    assert (order["status"], order["trigger_state"]) == ("queued", "armed")
    wait_for("a first price", lambda: binance.see(order)["trigger_extreme"])
    binance.move("61000")
    wait_for("the best price", lambda: D(binance.see(order)["trigger_extreme"]) > 60900)
    best = binance.see(order)["trigger_extreme"]
    binance.stack.kill("executor")
    binance.move("60700")  # nobody watches; then the price that would not fire without the best one before the kill
    binance.stack.start("executor")
    binance.stack.wait_ready(binance.account)
    assert (binance.see(order)["status"], binance.see(order)["trigger_extreme"]) == ("queued", best)
    assert binance.accepted(order) == []
    binance.move("60400")
    filled = binance.wait(order, "filled")
    assert filled["trigger_state"] == "triggered" and len(binance.accepted(order)) == 1


def test_good_till_date_ends_by_us_or_by_the_venue(desk: Desk) -> None:
    until = (datetime.now(UTC) + timedelta(seconds=4)).isoformat()
    order = desk.rest(price="50000", time_in_force="gtd", expires_at=until)
    ended = desk.wait(order, "expired")
    assert ended["ended_at"] >= until[:19]
    asked = desk.stack.sql("SELECT count(*) FROM orders_attempt WHERE order_id = %s AND action = 'cancel'", order["id"])
    if desk.exchange == "binance":
        assert ended["status_reason"]["code"] == "EXPIRED_BY_US" and asked == [(1,)]
    else:
        assert ended["status_reason"]["code"] == "EXPIRED_AT_VENUE"


def test_one_cancels_the_other(desk: Desk) -> None:
    legs = [{"type": "limit", "price": "63000"}, {"type": "stop", "trigger_price": "58000"}]
    before = desk.fills_so_far()
    first = desk.group("oco", side="sell", quantity="0.02", legs=legs)
    desk.wait(first["take_profit"], "open")
    desk.move("57900")
    desk.wait(first["stop"], "filled")
    assert desk.see(first["take_profit"])["status"] == "cancelled"
    assert desk.filled("sell", before) == D("0.02")
    desk.move("60000")
    second = desk.group("oco", side="sell", quantity="0.02", legs=legs)
    desk.wait(second["take_profit"], "open")
    desk.move("63100")
    desk.wait(second["take_profit"], "filled")
    assert desk.wait(second["stop"], "cancelled")["status_reason"]["code"] == "GROUP_CANCELLED"
    assert desk.filled("sell", before) == D("0.04")


def test_a_bracket_never_sells_more_than_it_holds(desk: Desk) -> None:
    before = desk.fills_so_far()
    group = desk.group("bracket", side="buy", quantity="0.04", entry={"type": "limit", "price": "59000"},
                       take_profit={"price": "63000"}, stop={"trigger_price": "58000"})  # fmt: skip
    desk.wait(group["entry"], "open")
    assert desk.see(group["stop"])["trigger_state"] == desk.see(group["take_profit"])["trigger_state"] == "dormant"
    desk.stack.paper.trade(desk.account.world, SYMBOL, "sell", "0.01", price="59000")
    resting = desk.wait(group["take_profit"], "open")
    assert (resting["quantity"], desk.see(group["stop"])["trigger_state"]) == ("0.01", "armed")
    desk.stack.paper.trade(desk.account.world, SYMBOL, "sell", "0.02", price="59000")
    wait_for(
        "the exits grow", lambda: {desk.see(group[role])["quantity"] for role in ("stop", "take_profit")} == {"0.03"}
    )
    if desk.exchange == "binance":
        desk.stack.kill("executor")
        desk.stack.start("executor")
        desk.stack.wait_ready(desk.account)
    desk.stack.paper.trade(desk.account.world, SYMBOL, "buy", "0.01", price="63000")
    wait_for("a part of the profit", lambda: desk.see(group["take_profit"])["filled_quantity"] == "0.01")
    wait_for("the stop shrinks", lambda: desk.see(group["stop"])["quantity"] == "0.02")
    desk.end(group["entry"])
    desk.move("57900")
    assert desk.wait(group["stop"], "filled")["filled_quantity"] == "0.02"
    assert desk.see(group["take_profit"])["status"] == "cancelled"
    assert desk.filled("buy", before) == desk.filled("sell", before) == D("0.03")


def test_a_ladder_rests_whole_and_is_cancelled_as_one(desk: Desk) -> None:
    group = desk.group("scaled", side="buy", quantity="0.05", price_from="50000", price_to="48000", count=5)
    for order in group.values():
        desk.wait(order, "open")
    accepted = desk.accepted(*group.values())
    assert sum(D(row["quantity"]) for row in accepted) == D("0.05") and len(accepted) == 5
    listed = desk.stack.api.get("/order-groups/", account=desk.account.code, kind="scaled")["results"][0]
    desk.stack.api.post(f"/order-groups/{listed['id']}/cancellation/")
    for order in group.values():
        desk.wait(order, "cancelled")


def test_books_are_whole_after_all_of_it(stack: Stack, desks: dict[str, Desk]) -> None:
    for desk in desks.values():
        wait_for(f"{desk.exchange}: books agree", lambda desk=desk: oracle.compare(stack, desk.account).is_clean, 30)  # type: ignore[misc]
        verdict = oracle.compare(stack, desk.account)
        assert verdict.fills > 0 and not verdict.lost and not verdict.invented
    for command in (("replay", "--check"), ("verify_ledger",)):
        done = stack.manage(*command)
        assert done.returncode == 0, done.stdout + done.stderr

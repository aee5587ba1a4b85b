"""The checker of the checker: hand-made histories, each with one thing wrong, and the verdict must name it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.chaos import plan
from tests.chaos.verdict import VIOLATIONS, History, Product, Row, Venue, judge

A, SYMBOL = "desk", "BTC/USDT"
SIZE = plan.Size(kills=20, pauses=10, postgres_kills=2, load_seconds=100, executors=2, pause_seconds=(3, 8))


class Case:
    """Three acknowledged orders: one filled, one resting, one denied and never accepted. Everything agrees."""

    def __init__(self) -> None:
        self.attempted: list[dict[str, Any]] = []
        self.acknowledged: dict[str, str] = {}
        self.orders: list[dict[str, Any]] = []
        self.attempts: list[dict[str, Any]] = []
        self.fills: list[dict[str, Any]] = []
        self.letters: list[dict[str, Any]] = []
        self.grants: list[dict[str, Any]] = [{"account": A, "epoch": 1, "at": 10}]
        self.journal: list[dict[str, Any]] = []
        self.ours = {(A, "BTC"): Decimal("1.1")}
        self.theirs = {"BTC": Decimal("1.10")}
        self.has_window = True
        for name, quantity, status in (("a", "0.1", "filled"), ("b", "0.2", "open"), ("c", "0.3", "denied")):
            self.want(name, quantity)
            self.store(name, quantity, status)
        self.accept("a", "0.1")
        self.trade("a", "0.1", "t1")
        self.book("a", "0.1", "t1")
        self.accept("b", "0.2")

    def want(self, name: str, quantity: str) -> None:
        self.attempted.append(
            {"client_order_id": name, "account": A, "symbol": SYMBOL, "side": "buy", "quantity": quantity}
        )
        self.acknowledged[name] = f"id-{name}"

    def store(self, name: str, quantity: str, status: str) -> None:
        self.orders.append(
            {
                "id": f"id-{name}", "account": A, "client_order_id": name, "symbol": SYMBOL, "side": "buy",
                "quantity": Decimal(quantity), "status": status, "mutation": "none", "was_sent": True,
                "filled_quantity": Decimal(quantity if status == "filled" else 0),
            }
        )  # fmt: skip
        self.attempts.append(
            {
                "id": f"attempt-{name}", "order": f"id-{name}", "account": A, "action": "submit", "epoch": 1,
                "venue_client_id": f"x-{name}", "outcome": "accepted", "is_resolved": False, "committed_at": 50,
            }
        )  # fmt: skip

    def accept(self, name: str, quantity: str, at: int = 100, order_id: str = "") -> None:
        self.journal.append(
            {
                "kind": "accepted", "at": at, "received_at": at - 1, "symbol": SYMBOL, "order_id": order_id or f"v-{name}",
                "client_order_id": f"x-{name}", "quantity": quantity, "origin": "",
            }
        )  # fmt: skip

    def trade(self, name: str, quantity: str, trade_id: str) -> None:
        self.journal.append({"kind": "filled", "at": 101, "order_id": f"v-{name}", **self._fill(quantity, trade_id)})

    def book(self, name: str, quantity: str, trade_id: str) -> None:
        fill = self._fill(quantity, trade_id)
        self.fills.append({"order": f"id-{name}", "account": A, "venue_order_id": f"v-{name}", **fill})

    def park(self, name: str, status: str = "open", by_person: bool = False) -> None:
        self.letters.append(
            {"id": f"letter-{name}", "order": f"id-{name}", "status": status, "cause": "X", "by_person": by_person}
        )

    def set(self, name: str, **changes: object) -> None:
        next(row for row in self.orders if row["client_order_id"] == name).update(changes)

    def attempt(self, name: str, **changes: object) -> None:
        next(row for row in self.attempts if row["id"] == f"attempt-{name}").update(changes)

    def judged(self) -> dict[str, int]:
        history = History(attempted=self.attempted, acknowledged=self.acknowledged)
        product = Product(
            orders=_rows(self.orders), attempts=_rows(self.attempts), fills=_rows(self.fills),
            letters=_rows(self.letters), grants=_rows(self.grants), balances=self.ours,
        )  # fmt: skip
        venue = Venue(account=A, journal=_rows(self.journal), balances=self.theirs, has_window=self.has_window)
        verdict = judge(history, product, [venue])
        figures = verdict.figures()
        assert verdict.is_clean == (not any(figures[name] for name in VIOLATIONS))
        return figures

    @staticmethod
    def _fill(quantity: str, trade_id: str) -> dict[str, str]:
        return {
            "symbol": SYMBOL, "side": "buy", "trade_id": trade_id, "quantity": quantity, "price": "100.0", "cost": "10",
            "fee": "0.01", "fee_asset": "BTC", "liquidity": "taker",
        }  # fmt: skip


def _rows(rows: list[dict[str, Any]]) -> list[Row]:
    return list(rows)


def violations(case: Case) -> set[str]:
    return {name for name, count in case.judged().items() if count and name in VIOLATIONS}


def test_a_history_in_which_everything_agrees_is_clean() -> None:
    figures = Case().judged()
    assert not any(figures[name] for name in VIOLATIONS)
    assert (figures["attempted"], figures["acked"], figures["ok"], figures["fills"]) == (3, 3, 3, 1)
    assert figures["at_venue"] == 2


def lost_order(case: Case) -> None:
    case.orders = [row for row in case.orders if row["client_order_id"] != "c"]


def never_ended(case: Case) -> None:
    case.set("c", status="queued")


def cancel_never_ended(case: Case) -> None:
    case.set("b", mutation="cancel_pending")


def acknowledged_as_another(case: Case) -> None:
    case.acknowledged["c"] = "id-b"


def nobody_asked(case: Case) -> None:
    case.accept("z", "0.9")


def adopted_as_somebody_elses(case: Case) -> None:
    case.store("external-v-b", "0.2", "open")


def without_attempt(case: Case) -> None:
    case.attempts = [row for row in case.attempts if row["id"] != "attempt-b"]


def accepted_twice(case: Case) -> None:
    case.accept("b", "0.2", order_id="v-b2")


def overfilled(case: Case) -> None:
    case.trade("a", "0.1", "t2")
    case.book("a", "0.1", "t2")
    case.set("a", filled_quantity=Decimal("0.2"))


def denied_but_alive(case: Case) -> None:
    case.accept("c", "0.3")


def cancelled_but_open(case: Case) -> None:
    case.set("b", status="cancelled")


def open_but_never_accepted(case: Case) -> None:
    case.set("c", status="open")


def cancelled_though_sent_and_never_accepted(case: Case) -> None:
    case.set("c", status="cancelled")


def filled_less_than_the_venue(case: Case) -> None:
    case.trade("b", "0.05", "t3")
    case.book("b", "0.05", "t3")


def unknown_without_letter(case: Case) -> None:
    case.set("c", status="unknown")
    case.attempt("c", outcome="unknown")


def letter_left_open(case: Case) -> None:
    case.set("c", status="unknown")
    case.attempt("c", outcome="unknown")
    case.park("c")


def stale_owner(case: Case) -> None:
    case.grants.append({"account": A, "epoch": 2, "at": 90})


def sent_before_its_commit(case: Case) -> None:
    case.attempt("b", committed_at=200)


def balance_off_by_dust(case: Case) -> None:
    case.ours[(A, "BTC")] += Decimal("0.000000000000000001")


def asset_missing(case: Case) -> None:
    case.theirs["ETH"] = Decimal(1)


def fill_not_booked(case: Case) -> None:
    case.fills = []


def fill_booked_twice(case: Case) -> None:
    case.book("a", "0.1", "t1")


def fill_with_another_fee(case: Case) -> None:
    case.fills[0]["fee"] = "0.02"


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lost_order, {"lost"}),
        (never_ended, {"lost"}),
        (cancel_never_ended, {"lost"}),
        (acknowledged_as_another, {"lost"}),
        (nobody_asked, {"unexpected"}),
        (adopted_as_somebody_elses, {"unexpected"}),
        (without_attempt, {"unexpected"}),
        (accepted_twice, {"duplicated"}),
        (overfilled, {"duplicated"}),
        (denied_but_alive, {"wrong"}),
        (cancelled_but_open, {"wrong"}),
        (open_but_never_accepted, {"wrong"}),
        (cancelled_though_sent_and_never_accepted, {"wrong"}),
        (filled_less_than_the_venue, {"wrong"}),
        (unknown_without_letter, {"lost", "unresolved"}),
        (letter_left_open, {"unresolved"}),
        (stale_owner, {"stale_accepts"}),
        (sent_before_its_commit, {"sent_before_commit"}),
        (balance_off_by_dust, {"balances_differ"}),
        (asset_missing, {"balances_differ"}),
        (fill_not_booked, {"fills_missing"}),
        (fill_booked_twice, {"fills_invented"}),
        (fill_with_another_fee, {"fills_missing", "fills_invented"}),
    ],
)
def test_each_violation_is_named(spoil: Callable[[Case], None], named: set[str]) -> None:
    case = Case()
    spoil(case)
    assert violations(case) == named


def test_what_happened_without_an_acknowledgement_is_recovered_not_wrong() -> None:
    case = Case()
    del case.acknowledged["b"]
    figures = case.judged()
    assert not any(figures[name] for name in VIOLATIONS)
    assert (figures["acked"], figures["ok"], figures["recovered"]) == (2, 2, 1)


def test_an_attempt_that_never_arrived_may_be_nowhere_without_an_acknowledgement() -> None:
    case = Case()
    del case.acknowledged["c"]
    lost_order(case)
    assert violations(case) == set()


def test_funding_is_the_accounts_when_its_session_is_settled() -> None:
    case = Case()
    contract = {"asset": "BTC", "symbol": "BTC/USD:BTC", "at": 110}
    case.journal += [
        {"kind": "funded", "amount": "0.25", **contract},
        {"kind": "settled", "amount": "0.50", **contract},
        {"kind": "funded", "amount": "-0.04", **contract},
        {"kind": "funded", "amount": "0.01", **contract},
    ]
    case.theirs["BTC"] += Decimal("0.72")
    case.ours[(A, "BTC")] += Decimal("0.75")
    assert violations(case) == set()
    case.ours[(A, "BTC")] -= Decimal("0.03")  # booked before its time
    assert violations(case) == {"balances_differ"}


def test_a_late_order_without_a_window_is_counted_apart() -> None:
    case = Case()
    case.has_window = False
    stale_owner(case)
    assert violations(case) == set()
    assert case.judged()["late_accepts_without_window"] == 2


def test_without_client_ids_the_quantity_names_the_intent() -> None:
    case = Case()
    for row in case.journal:
        row["client_order_id"] = ""
    assert violations(case) == set()
    stale_owner(case)
    assert violations(case) == {"stale_accepts"}


def test_a_cancel_under_the_same_client_id_is_not_taken_for_the_submit() -> None:
    case = Case()
    submit = next(row for row in case.attempts if row["id"] == "attempt-b")
    case.attempts.append({**submit, "id": "cancel-b", "action": "cancel", "committed_at": 500})
    assert violations(case) == set()


def test_cancelled_before_it_was_sent_agrees_with_a_venue_that_never_saw_it() -> None:
    case = Case()
    case.set("c", status="cancelled", was_sent=False)
    assert violations(case) == set()


def test_letters_settled_by_a_person_are_counted_apart() -> None:
    case = Case()
    case.attempt("c", outcome="unknown", is_resolved=True)
    case.park("c", status="resolved", by_person=True)
    case.attempt("b", outcome="unknown", is_resolved=True)
    figures = case.judged()
    assert (figures["settled_by_person"], figures["settled_by_evidence"], figures["unresolved"]) == (1, 1, 0)


def test_one_seed_makes_one_plan() -> None:
    first = plan.make(1, SIZE, ["a", "b"])
    assert first == plan.make(1, SIZE, ["a", "b"])
    assert [step.arguments for step in first] == [step.arguments for step in plan.make(1, SIZE, ["a", "b"])]
    assert first != plan.make(2, SIZE, ["a", "b"])


def test_a_plan_holds_what_was_asked_for() -> None:
    steps = plan.make(3, SIZE, ["a", "b"])
    kinds = Counter(step.kind for step in steps)
    assert kinds["kill"] + kinds["failpoint"] == 20
    assert kinds["postgres"] == 2
    assert sum(len(step.arguments["which"]) for step in steps if step.kind == "pause") == 10
    assert any(len(step.arguments["which"]) == 2 for step in steps if step.kind == "pause")
    assert all(0 <= step.at_seconds < 100 for step in steps)
    points = {step.arguments["point"] for step in plan.make(3, plan.Size(
        kills=20, pauses=0, postgres_kills=0, load_seconds=200, executors=2, pause_seconds=(3, 8)), ["a"])
        if step.kind == "failpoint"}  # fmt: skip
    assert points == set(plan.FAILPOINTS)
    assert all(re.fullmatch(r"P\d+", point) for point in points)

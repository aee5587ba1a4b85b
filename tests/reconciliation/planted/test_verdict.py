"""The judges themselves: whatever is missed, doubled, of another class or too much makes a run not clean."""

from __future__ import annotations

from typing import Any

import pytest

from tests.reconciliation.planted.accounts import Sown
from tests.reconciliation.planted.tally import Tally
from tests.reconciliation.planted.verdict import Verdict, judge

DRIFT = Sown(name="balance_drift", account="okx", kinds=("balance",), asset="BTC")
FEE = Sown(name="fee_drift", account="okx", kinds=("fee_differs",), subject="ETH/USDT T7")


def row(id: str, kind: str, **values: Any) -> dict[str, Any]:
    plain = {
        "account": "okx", "subject": "BTC", "asset": "BTC", "status": "open", "ours": "1", "theirs": "2", "was_open": True,
        "openings": 1,
    }  # fmt: skip
    return {"id": id, "kind": kind, **plain, **values}


def judged(*rows: dict[str, Any], known: frozenset[str] = frozenset()) -> Verdict:
    verdict = Verdict()
    judge(verdict, [DRIFT, FEE], rows, set(known))
    return verdict


GOOD = (row("a", "balance"), row("b", "fee_differs", subject="ETH/USDT T7 buy", asset="ETH"))


def test_each_difference_one_open_break_of_its_class_is_clean() -> None:
    verdict = judged(
        *GOOD, row("c", "balance", was_open=False, status="resolved"), row("k", "transfer"), known=frozenset("k")
    )
    assert verdict.is_clean and verdict.total().planted == verdict.total().rows == 2


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ((GOOD[0],), "fee_drift at okx is not found"),
        ((GOOD[0], {**GOOD[1], "kind": "fill_differs"}), "fill_differs"),
        ((*GOOD, row("d", "balance")), "balance_drift at okx is [("),
        (({**GOOD[0], "status": "resolved"}, GOOD[1]), "resolved"),
        (({**GOOD[0], "openings": 2}, GOOD[1]), "balance_drift"),
        (({**GOOD[0], "account": "bybit"}, GOOD[1]), "balance_drift at okx is not found"),
    ],
    ids=["missed", "of another class", "twice", "closed", "opened twice", "elsewhere"],
)
def test_what_is_not_as_it_should_be_is_named(rows: tuple[dict[str, Any], ...], says: str) -> None:
    verdict = judged(*rows)
    assert not verdict.is_clean and any(says in problem for problem in verdict.problems)


def test_what_nobody_planted_is_a_false_alarm() -> None:
    verdict = judged(*GOOD, row("e", "delayed_fill", subject="ETH/USDT T8 buy", asset="ETH"))
    assert not verdict.is_clean and len(verdict.false_alarms_later) == 1 and not verdict.problems


@pytest.mark.parametrize("change", [{"new_rows": 1}, {"false_alarms": ["x"]}, {"problems": ["x"]}])
def test_new_rows_alarms_and_problems_are_not_clean(change: dict[str, Any]) -> None:
    verdict = judged(*GOOD)
    for name, value in change.items():
        setattr(verdict, name, value)
    assert not verdict.is_clean and "NOT CLEAN" in verdict.text()


def test_a_planted_difference_counts_from_the_start() -> None:
    tally = Tally()
    assert not tally.is_clean, "nothing planted proves nothing"
    good = tally.plant("dust", "okx")
    assert not tally.is_clean, "planted, and its case ended early"
    good.is_found, good.is_right, good.rows_after, good.seconds = True, True, 1, 10.0
    assert tally.is_clean
    still = tally.trade("okx")
    assert not tally.is_clean, "the account was not looked at to the end"
    still.is_whole, still.looks = True, 60
    assert tally.is_clean
    good.rows_after = 2
    assert not tally.is_clean and tally.rows()[0][:7] == ("dust", "okx", "1", "1", "1", "0", "2")

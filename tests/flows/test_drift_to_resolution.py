"""A difference becomes a break, a break is resolved by a person, the books agree again."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.flows import oracle
from tests.flows.client import wait_for
from tests.flows.stack import AccountAtVenue, Stack

pytestmark = pytest.mark.process


def test_silent_debit_is_found_adjusted_and_proved(stack: Stack, fresh: AccountAtVenue) -> None:
    account = fresh
    stack.paper.add_fault(
        account.world, "silent_debit", count=1,
        params={"account": account.world.api_key, "asset": "USDT", "amount": "12.5"},
    )  # fmt: skip

    def opened() -> list[dict[str, str]]:
        rows = stack.api.all("/breaks/", account=account.code)
        return [row for row in rows if row["kind"] == "balance" and row["status"] == "open"]

    found = wait_for("the break is open", opened, 40)
    assert Decimal(found[0]["delta"]) == Decimal("-12.5")
    balances = [row for row in stack.api.all("/coverage/", account=account.code) if row["surface"] == "balances"]
    assert balances[0]["status"] != "proved"
    stack.api.post(
        f"/breaks/{found[0]['id']}/resolution/", {"action": "adjust", "reason": "fee charged outside of trading"}
    )
    wait_for("books agree", lambda: oracle.compare(stack, account).is_clean)
    wait_for(
        "balances are proved again",
        lambda: [
            r
            for r in stack.api.all("/coverage/", account=account.code)
            if r["surface"] == "balances" and r["status"] == "proved"
        ],
        30,
    )
    shown = stack.api.get(f"/breaks/{found[0]['id']}/")
    assert shown["status"] == "resolved"
    assert stack.manage("verify_ledger").returncode == 0


def test_reconciliation_on_demand_ends_with_every_surface_named(stack: Stack, account: AccountAtVenue) -> None:
    run = stack.api.post("/reconciliations/", {"account": account.code})
    done = wait_for(
        "the run ends",
        lambda: (shown := stack.api.get(f"/reconciliations/{run['id']}/"))["status"] in {"done", "partial"} and shown,
        40,
    )
    assert done["status"] == "done"

"""What a page costs does not grow with its rows; the budget is data."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests import factories
from tests.console.conftest import SignIn
from venues.models import Account

BUDGET: dict[str, int] = json.loads(Path(__file__).with_name("query_counts.json").read_text())


def _order(account: Account) -> None:
    order = factories.OrderFactory(account=account, filled_quantity="0.1", filled_value="6000")
    factories.FillFactory(order=order)


def _account(account: Account) -> None:
    other = factories.AccountFactory(venue=account.venue)
    factories.ChannelHealthFactory(account=other)
    factories.CoverageFactory(account=other)


def _watched(account: Account) -> None:
    _account(account)
    factories.BreakFactory(account=account, kind="position")
    factories.RunFactory(account=account)
    factories.CoverageChangeFactory(account=account)


def _transfer(account: Account) -> None:
    transfer = factories.TransferFactory(account=account)
    factories.BreakFactory(account=account, kind="transfer", transfer=transfer)


MAKERS: dict[str, Callable[[Account], Any]] = {
    "/": _account,
    "/orders/": _order,
    "/fills/": _order,
    "/positions/": lambda account: factories.PositionFactory(account=account),
    "/balances/": lambda account: factories.BalanceFactory(account=account),
    "/portfolio/": lambda account: factories.BalanceFactory(account=account),
    "/ledger/": lambda account: factories.PostingFactory(account=account),
    "/transfers/": _transfer,
    "/dead-letters/": lambda account: factories.DeadLetterFactory(order__account=account),
    "/breaks/": lambda account: factories.BreakFactory(account=account),
    "/approvals/": lambda account: factories.ApprovalFactory(account=account),
    "/reconciliation/": lambda account: factories.RunFactory(account=account),
    "/reconciliation/?fragment=coverage": _account,
    "/reconciliation/rules/": lambda account: factories.RuleFactory(),
    "/reconciliation/history/": _watched,
    "/statements/": lambda account: factories.StatementFactory(account=account),
    "/statements/new/": lambda account: factories.StatementMappingFactory(),
    "/statements/mappings/": lambda account: factories.StatementMappingFactory(venue=account.venue),
    "/venues/": lambda account: factories.VenueFactory(),
    "/exchanges/": lambda account: factories.VenueFactory(),
    "/accounts/": _account,
    "/risk/": lambda account: factories.HaltFactory(scope=f"account:{account.code}"),
    "/settings/people/": lambda account: factories.UserFactory(role="viewer"),
    "/audit/": lambda account: factories.make_token("viewer"),
    "/live/frame/": lambda account: factories.HaltFactory(scope=f"account:{account.code}"),
    "/orders/?fragment=table": _order,
}


@pytest.mark.parametrize("path", sorted(MAKERS))
def test_a_page_stays_within_its_budget(sign_in: SignIn, path: str) -> None:
    client, account, counts = sign_in("viewer"), factories.AccountFactory(), []
    for rows in (1, 59):
        for _ in range(rows):
            MAKERS[path](account)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(path).status_code == 200
        counts.append(len(queries))
    assert counts[1] == counts[0], f"{path}: {counts[0]} queries with 1 row, {counts[1]} with 60"
    assert counts[1] <= BUDGET[path], f"{path} takes {counts[1]} queries, its budget is {BUDGET[path]}"

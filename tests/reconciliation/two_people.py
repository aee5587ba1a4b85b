"""A difference that one person may not close alone, and the people around it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from orders.models import Balance
from project.lib import access
from reconciliation import adjustments, coverage, runs
from reconciliation.models import Break, BreakLine
from risk.models import Approval
from tests import factories
from tests.reconciliation import builders
from venues.models import Account

REASON = "debited by the venue outside of trading"


def caller(name: str, *roles: str, actor: str = "", **values: Any) -> access.Caller:
    """Return somebody who asks: by default through a session, with the role approver."""
    accounts = values.pop("accounts", None)
    return access.Caller(
        actor=actor or name, person=name, roles=frozenset(roles or ("approver",)), accounts=accounts, **values
    )


def desk(code: str = "main", price: str = "60000") -> Account:
    """Make an account that holds 2 BTC by our books, at a venue that knows the price of BTC."""
    account = builders.account(code)
    coverage.ensure()
    builders.opening(account, BTC="2")
    if not account.venue.instruments.exists():
        factories.InstrumentFactory(venue=account.venue, symbol="BTC/USDT", last_price=Decimal(price))
    return account


def drift(account: Account, total: str = "1.5", *seconds_ago: float) -> Break:
    """Have the venue tell a total in two reads, compare, and return the break as it stands."""
    for seconds in seconds_ago or (40, 30):
        builders.snapshot(account, "balances", builders.balance_rows(BTC=total), seconds_ago=seconds)
        runs.advance()
    return Break.objects.filter(account=account).order_by("-first_seen_at")[0]


def line(row: Break, source: str, reference: str, amount: str, asset: str = "BTC") -> BreakLine:
    """Explain a part of a break."""
    return BreakLine.objects.create(
        discrepancy=row, source=source, reference=reference, asset=asset, amount=Decimal(amount), added_by="anna"
    )


def requested(row: Break, person: str = "anna", actor: str = "") -> Approval:
    """Have somebody ask for the counter-entry of a break, and return the request."""
    made = adjustments.adjust(row, actor or person, REASON, person=person).approval
    assert made is not None
    return made


def held(account: Account) -> Decimal:
    """Return our total of BTC."""
    return Balance.objects.get(account=account, asset="BTC").total

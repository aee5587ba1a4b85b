"""The venue's own journal is the truth: compare it with our fills and books, exactly."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

from tests.flows.stack import AccountAtVenue, Stack


@dataclass
class Verdict:
    """What the comparison found; empty lists mean the books are proved."""

    lost: list[str] = field(default_factory=list)
    invented: list[str] = field(default_factory=list)
    ordered_twice: list[str] = field(default_factory=list)
    balances: list[str] = field(default_factory=list)
    fills: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether nothing differs."""
        return not (self.lost or self.invented or self.ordered_twice or self.balances)


def compare(stack: Stack, account: AccountAtVenue) -> Verdict:
    """Compare an account with its venue's journal: every trade once, no client id twice, every total equal."""
    verdict = Verdict()
    journal = stack.paper.journal(account.world)
    theirs = Counter(
        (row["symbol"], str(row["trade_id"]), row["side"], Decimal(row["quantity"]), Decimal(row["price"]))
        for row in journal
        if row["kind"] == "filled" and row["account"] == account.world.api_key
    )
    ours = Counter(
        (row["symbol"], row["venue_trade_id"], row["side"], Decimal(row["quantity"]), Decimal(row["price"]))
        for row in stack.api.all("/fills/", account=account.code)
    )
    verdict.fills = sum(theirs.values())
    verdict.lost = [str(key) for key in (theirs - ours)]
    verdict.invented = [str(key) for key in (ours - theirs)]
    verdict.ordered_twice = [key for key, count in accepted_per_intent(stack, account, journal).items() if count > 1]
    held = stack.paper.balances(account.world)
    totals = {row["asset"]: Decimal(row["total"]) for row in stack.api.all("/balances/", account=account.code)}
    for asset in sorted(set(held) | set(totals)):
        venue_total = Decimal(held[asset]["total"]) if asset in held else Decimal(0)
        if venue_total != totals.get(asset, Decimal(0)):
            verdict.balances.append(f"{asset}: venue {venue_total}, ledger {totals.get(asset)}")
    return verdict


def accepted_per_intent(stack: Stack, account: AccountAtVenue, journal: list[dict[str, str]]) -> Counter[str]:
    """Count the orders the venue accepted per intent of ours; the attempt names the intent behind a client id."""
    intents = dict(
        stack.sql(
            "SELECT venue_client_id, order_id::text FROM orders_attempt WHERE account_id = %s AND action = 'submit'",
            account.code,
        )
    )
    found = Counter(
        intents.get(row["client_order_id"], f"unknown client id {row['client_order_id']}")
        for row in journal
        if row["kind"] == "accepted" and row["account"] == account.world.api_key and row.get("origin") != "external"
    )
    ended = (
        "SELECT order_id::text, count(*) FROM orders_orderevent WHERE account_id = %s AND kind = 'leg_ended' GROUP BY 1"
    )
    found.subtract(dict(stack.sql(ended, account.code)))  # an amend ended a leg, and the rest was sent anew
    return found

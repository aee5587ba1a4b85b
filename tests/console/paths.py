"""Every page of the console, with the addresses of the rows a test made."""

from __future__ import annotations

from orders.models import DeadLetter, Order
from reconciliation.models import Break, Rule, Run, Statement
from risk.models import Approval
from venues.models import Account, ErrorCase, Venue

PLAIN = {
    "overview": "/", "orders": "/orders/", "order_new": "/orders/new/", "fills": "/fills/", "transfers": "/transfers/", "positions": "/positions/",
    "balances": "/balances/", "portfolio": "/portfolio/", "ledger": "/ledger/", "dead_letters": "/dead-letters/", "error_codes": "/error-codes/", "breaks": "/breaks/",
    "approvals": "/approvals/", "approvals_mine": "/approvals/?tab=mine", "approvals_history": "/approvals/?tab=history",
    "reconciliation": "/reconciliation/", "rules": "/reconciliation/rules/",
    "history": "/reconciliation/history/", "venues": "/venues/",
    "exchanges": "/exchanges/", "exchange": "/exchanges/gate/", "accounts": "/accounts/", "risk": "/risk/",
    "statements": "/statements/", "statement_new": "/statements/new/", "statement_mappings": "/statements/mappings/", "people": "/settings/people/", "me": "/settings/me/", "audit": "/audit/", "frame": "/live/frame/",
}  # fmt: skip


def every_page() -> dict[str, str]:
    """Return name and address of every page, one per kind of row that exists."""
    found = dict(PLAIN)
    for name, path, row in (
        ("order", "/orders/{}/", Order.objects.order_by("created_at").first()),
        ("dead_letter", "/dead-letters/{}/", DeadLetter.objects.order_by("created_at").first()),
        ("break", "/breaks/{}/", Break.objects.filter(kind="balance", status="open").first()),
        ("break_awaiting", "/breaks/{}/", Break.objects.filter(status="awaiting_approval").first()),
        ("approval", "/approvals/{}/", Approval.objects.filter(status="pending").order_by("requested_at").first()),
        (
            "approval_decided",
            "/approvals/{}/",
            Approval.objects.exclude(status="pending").order_by("requested_at").first(),
        ),
        ("run", "/reconciliation/runs/{}/", Run.objects.order_by("requested_at").first()),
        ("rule", "/reconciliation/rules/{}/", Rule.objects.order_by("created_at").first()),
        ("error_case", "/error-codes/{}/", ErrorCase.objects.order_by("first_seen_at").first()),
        ("statement", "/statements/{}/", Statement.objects.order_by("imported_at").first()),
        ("statement_mapping", "/statements/mappings/{}/", Venue.objects.order_by("code").first()),
        ("venue", "/venues/{}/", Venue.objects.order_by("code").first()),
        ("account", "/accounts/{}/", Account.objects.order_by("code").first()),
    ):
        if row is not None:
            found[name] = path.format(row.pk)
    return found

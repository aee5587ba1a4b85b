"""Every page of the console, with the addresses of the rows a test made."""

from __future__ import annotations

from orders.models import DeadLetter, Order
from reconciliation.models import Break, Run
from venues.models import Account, Venue

PLAIN = {
    "overview": "/", "orders": "/orders/", "order_new": "/orders/new/", "fills": "/fills/", "positions": "/positions/",
    "balances": "/balances/", "ledger": "/ledger/", "dead_letters": "/dead-letters/", "breaks": "/breaks/",
    "reconciliation": "/reconciliation/", "venues": "/venues/", "accounts": "/accounts/", "risk": "/risk/",
    "people": "/settings/people/", "me": "/settings/me/", "audit": "/audit/", "frame": "/live/frame/",
}  # fmt: skip


def every_page() -> dict[str, str]:
    """Return name and address of every page, one per kind of row that exists."""
    found = dict(PLAIN)
    for name, path, row in (
        ("order", "/orders/{}/", Order.objects.order_by("created_at").first()),
        ("dead_letter", "/dead-letters/{}/", DeadLetter.objects.order_by("created_at").first()),
        ("break", "/breaks/{}/", Break.objects.filter(kind="balance", status="open").first()),
        ("run", "/reconciliation/runs/{}/", Run.objects.order_by("requested_at").first()),
        ("venue", "/venues/{}/", Venue.objects.order_by("code").first()),
        ("account", "/accounts/{}/", Account.objects.order_by("code").first()),
    ):
        if row is not None:
            found[name] = path.format(row.pk)
    return found

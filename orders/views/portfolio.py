"""Everything held: per asset over all accounts, per account, and in total."""

from __future__ import annotations

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from orders import portfolio as holdings
from orders.valuation import OLD_AFTER
from project.lib import clock, pages
from venues.models import Account

CHIPS = {"account": "account"}
ROWS_MAX = 200


@pages.page()
def portfolio(request: HttpRequest) -> HttpResponseBase:
    account = request.GET.get("account")
    held = holdings.read([account] if account else None)
    context = {
        "portfolio": held,
        "assets": held.assets[:ROWS_MAX],
        "accounts_worth": held.accounts[:ROWS_MAX],
        "assets_left_out": max(len(held.assets) - ROWS_MAX, 0),
        "accounts_left_out": max(len(held.accounts) - ROWS_MAX, 0),
        "old_before": clock.now() - OLD_AFTER,
        "chips": pages.chips(request, CHIPS),
        "is_filtered": bool(pages.filters(request)),
    }
    if not request.GET.get("fragment"):
        context["accounts"] = Account.objects.order_by("code")
    return pages.render(request, "orders/portfolio.html", context, {"portfolio": "orders/_portfolio.html"})

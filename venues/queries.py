"""What the venue and account pages read."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from django.conf import settings
from django.db.models import Count, Q, QuerySet

from project.lib import clock
from venues import accounts as accounts_of
from venues.budgets import group_of
from venues.models import Account, AccountStatus, BookHealth, BudgetShare, Instrument, RateStop, Venue

INSTRUMENTS_MAX = 200
BUDGET_SHOWN_SECONDS = 60

# What a status means for a person, and what happens next.
NEXT: dict[str, str] = {
    AccountStatus.NEW: "Store an API key, then activate the account.",
    AccountStatus.PROBING: "The owner asks the venue what the key may do; recovery follows by itself.",
    AccountStatus.RECOVERING: "The owner reads orders, fills and balances and compares them; then the gate opens by itself.",
    AccountStatus.READY: "Orders go out.",
    AccountStatus.REDUCING: "Only orders that reduce a position pass. Risk releases it on the Risk page.",
    AccountStatus.HALTED: "No new order passes; cancels do. Mend what the reason says, then activate again.",
    AccountStatus.DISABLED: "Nothing is sent. Mend what the reason says, then activate again.",
}


def venues() -> QuerySet[Venue]:
    """Return every venue with how many instruments and accounts it has."""
    return Venue.objects.annotate(
        instrument_count=Count("instruments", filter=Q(instruments__is_active=True), distinct=True),
        unmapped_count=Count("instruments", filter=~Q(instruments__unmapped_reason=""), distinct=True),
        account_count=Count("accounts", distinct=True),
    ).order_by("code")


def venues_by_exchange() -> dict[str, list[str]]:
    """Return the codes of our venues by the exchange they are reached as."""
    found: dict[str, list[str]] = {}
    for code, exchange in Venue.objects.order_by("code").values_list("code", "exchange"):
        found.setdefault(exchange, []).append(code)
    return found


def accounts(venue: Venue | None = None) -> QuerySet[Account]:
    """Return accounts with their venue and channels."""
    found = Account.objects.select_related("venue").prefetch_related("channels").order_by("code")
    return found if venue is None else found.filter(venue=venue)


def books(venue: Venue) -> QuerySet[BookHealth]:
    """Return the public books that accounts of a venue need."""
    return BookHealth.objects.filter(account__venue=venue).order_by("symbol", "account_id")


def instruments(venue: Venue, text: str) -> QuerySet[Instrument]:
    """Return the instruments whose symbol contains a text, at most INSTRUMENTS_MAX."""
    return Instrument.objects.filter(venue=venue, symbol__icontains=text.strip()).order_by("-is_active", "symbol")[
        :INSTRUMENTS_MAX
    ]


def budgets(venue: Venue, codes: Iterable[str]) -> list[BudgetShare]:
    """Return how the venue's limits are used, by address and by these accounts, as the executors last said."""
    shared = Q(group=_address_group(venue)) | Q(account__in=list(codes))
    fresh = clock.now() - timedelta(seconds=BUDGET_SHOWN_SECONDS)
    found = BudgetShare.objects.filter(shared, expires_at__gt=fresh)
    return list(found.order_by("account", "bucket", "holder"))


def stops(venue: Venue, shares: Iterable[BudgetShare]) -> list[RateStop]:
    """Return the venue's stops in force for our address and for the keys of these shares."""
    groups = {_address_group(venue), *(share.group for share in shares)}
    return list(RateStop.objects.filter(group__in=groups, until_at__gt=clock.now()).order_by("group"))


def _address_group(venue: Venue) -> str:
    return group_of(accounts_of.target(venue), address=settings.ADDRESS_GROUP)

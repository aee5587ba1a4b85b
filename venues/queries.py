"""What the venue and account pages read."""

from __future__ import annotations

from django.db.models import Count, Q, QuerySet

from venues.models import Account, AccountStatus, Instrument, Venue

INSTRUMENTS_MAX = 200

# What a status means for a person, and what happens next.
NEXT: dict[str, str] = {
    AccountStatus.NEW: "Store an API key, then activate the account.",
    AccountStatus.PROBING: "The owner asks the venue what the key may do; recovery follows by itself.",
    AccountStatus.RECOVERING: "The owner reads orders, fills and balances and compares them; then the gate opens by itself.",
    AccountStatus.READY: "Orders go out.",
    AccountStatus.REDUCING: "Only orders that reduce a position pass. Risk releases it on the Risk page.",
    AccountStatus.HALTED: "No new order passes. Risk releases it on the Risk page.",
    AccountStatus.DISABLED: "Nothing is sent. Mend what the reason says, then activate again.",
}


def venues() -> QuerySet[Venue]:
    """Return every venue with how many instruments and accounts it has."""
    return Venue.objects.annotate(
        instrument_count=Count("instruments", filter=Q(instruments__is_active=True), distinct=True),
        account_count=Count("accounts", distinct=True),
    ).order_by("code")


def accounts(venue: Venue | None = None) -> QuerySet[Account]:
    """Return accounts with their venue and channels."""
    found = Account.objects.select_related("venue").prefetch_related("channels").order_by("code")
    return found if venue is None else found.filter(venue=venue)


def instruments(venue: Venue, text: str) -> QuerySet[Instrument]:
    """Return the instruments whose symbol contains a text, at most INSTRUMENTS_MAX."""
    return Instrument.objects.filter(venue=venue, symbol__icontains=text.strip()).order_by("-is_active", "symbol")[
        :INSTRUMENTS_MAX
    ]

"""What the pre-trade check rests on, gathered for many accounts at once: the number of queries does not grow with them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from django.db.models import Count, F

from orders import states
from orders.cache import Place
from orders.models import Order
from project.lib import clock, rules
from risk import halts, limits
from risk.checks import Facts
from venues import maintenance
from venues.models import Account, Instrument


def risk_facts(account: Account, instrument: Instrument) -> Facts:
    """Return the facts for one new order."""
    [facts] = _gathered([(account, instrument)], own=0)
    return facts


def standing_facts(places: Collection[Place]) -> tuple[int, Mapping[Place, Facts | None]]:
    """Return the revision of the risk rules and the facts per account and symbol; None where a symbol is not listed.

    The order that asks is stored already and not counted against the limit of open ones.
    """
    revision = rules.revision()  # first: facts that are newer than it do no harm
    accounts = Account.objects.select_related("venue").in_bulk({code for code, _ in places})
    listed = Instrument.objects.filter(
        venue__in={account.venue_id for account in accounts.values()}, symbol__in={symbol for _, symbol in places}
    )
    instruments = {(row.venue_id, row.symbol): row for row in listed}
    found = {
        (code, symbol): (accounts[code], instrument)
        for code, symbol in places
        if code in accounts and (instrument := instruments.get((accounts[code].venue_id, symbol)))
    }
    facts = dict(zip(found, _gathered(list(found.values()), own=1), strict=True))
    return revision, {place: facts.get(place) for place in places}


def _gathered(pairs: list[tuple[Account, Instrument]], own: int) -> Iterable[Facts]:
    accounts = {account.code: account for account, _ in pairs}
    in_force = halts.in_force()
    ceilings = limits.tightest((account.code, account.venue_id) for account in accounts.values())
    counts = _open_orders([code for code, found in ceilings.items() if "open_orders_max" in found])
    now = clock.now()
    windows = {account.venue_id: maintenance.window_of(account.venue, now) for account in accounts.values()}
    for account, instrument in pairs:
        window = windows[account.venue_id]
        yield Facts(
            state=halts.state_for(account.code, account.venue_id, in_force),
            may_trade=account.venue.may_trade,
            limits=ceilings[account.code],
            last_price=instrument.last_price,
            open_orders=counts.get(account.code, 0) - own,
            contract_size=instrument.contract_size,
            is_inverse=instrument.is_inverse,
            maintenance=maintenance.words(window) if window else "",
            draining=next((row.code for row in (account, account.venue) if row.draining_since), ""),
        )


def _open_orders(codes: list[str]) -> dict[str, int]:
    if not codes:
        return {}
    alive = Order.objects.filter(account__in=codes, status__in=states.ALIVE_WORDS)
    counted = alive.exclude(quantity=F("filled_quantity")).order_by().values_list("account")
    return dict(counted.annotate(count=Count("id")))

"""What else a venue says of balances: what it holds back, and what its stream told; read for one comparison."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import Q

from orders.models import Balance, Order, OrderEvent, Position, Posting
from orders.states import WORKING
from project.lib import symbols
from reconciliation import compare, facts
from venues.messages import BalanceReport
from venues.models import Snapshot

# An older claim is about another time, and the entries since then would have to be read to judge it.
CLAIM_AGE_MAX = timedelta(minutes=10)
# A venue and we may write down a transfer this far apart.
BOOKING_APART_MAX = timedelta(minutes=10)
# Events are found by their number, so that looking costs the same however long the history is.
EVENTS_MAX = 5000


def explained_holds(snapshot: Snapshot, theirs: Sequence[BalanceReport], read: facts.Reading) -> frozenset[str]:
    """Return the assets of which a venue may well hold a part back: an order or a position of ours, or one that just ended.

    Nothing is asked of the database when nothing is held.
    """
    if not any(row.held > 0 for row in theirs):
        return frozenset()
    account = snapshot.account_id
    alive = Order.objects.filter(account_id=account, status__in=WORKING).values_list("symbol", flat=True).distinct()
    events = OrderEvent.objects.filter(account_id=account)
    farthest = events.filter(sequence=snapshot.event_sequence - EVENTS_MAX).first()
    if farthest is not None and farthest.recorded_at > read.settled_before:
        return frozenset(row.asset for row in theirs)  # too much happened about the read to tell
    moved = events.filter(sequence__gt=snapshot.event_sequence - EVENTS_MAX, recorded_at__gt=read.settled_before)
    held = Position.objects.filter(account_id=account, symbol__contains=":").exclude(quantity=0)
    named = {*alive, *moved.values_list("order__symbol", flat=True), *held.values_list("symbol", flat=True)}
    opening = Snapshot.objects.filter(account_id=account, surface="positions", reason="opening").order_by("taken_at")
    first = opening.first()
    named |= {row["symbol"] for row in (first.rows if first else [])}
    return frozenset(asset for symbol in named for asset in symbols.split(symbol).moved)


def stream_claims(
    snapshot: Snapshot, theirs: Iterable[BalanceReport], totals: Mapping[str, Decimal], read: facts.Reading
) -> dict[str, facts.StreamClaim]:
    """Return what the stream said last per asset, where that was lately; with our totals about that time where it matters.

    Only a claim that differs from the venue's list costs another query.
    """
    stated = {row.asset: row.total for row in theirs}
    rows = Balance.objects.filter(
        account_id=snapshot.account_id,
        stream_at__gt=read.requested_at - CLAIM_AGE_MAX,
        stream_at__lte=read.settled_before,
    )
    claims: dict[str, tuple[Decimal, datetime]] = {
        asset: (total, at)
        for asset, total, at in rows.values_list("asset", "stream_total", "stream_at")
        if total is not None and at is not None
    }
    doubtful = {asset: at for asset, (total, at) in claims.items() if asset in stated and stated[asset] != total}
    effects = _effects(snapshot.account_id, doubtful, read.lag) if doubtful else {}
    found = {}
    for asset, (total, at) in claims.items():
        moments: tuple[Decimal, ...] = ()
        if asset in doubtful:
            then = facts.Reading(requested_at=at, taken_at=at, lag=read.lag)
            balance = facts.OurBalance(total=totals.get(asset, facts.ZERO), effects=tuple(effects.get(asset, ())))
            moments = tuple(compare.totals_during(then, balance))
        found[asset] = facts.StreamClaim(total=total, at=at, moments=moments)
    return found


def _effects(account: str, since: Mapping[str, datetime], lag: timedelta) -> dict[str, list[facts.Effect]]:
    start = min(since.values()) - facts.MARGIN - lag
    own = Posting.objects.filter(account_id=account, asset__in=list(since), book=Posting.Book.VENUE)
    trades = own.filter(
        Q(fill__executed_at__gt=start) | Q(fill__recorded_at__gt=start),
        fill__account_id=account,
        fill__executed_at__gt=start - BOOKING_APART_MAX,
    )
    found: dict[str, list[facts.Effect]] = defaultdict(list)
    for asset, amount, at, known_at in trades.values_list("asset", "amount", "fill__executed_at", "fill__recorded_at"):
        found[asset].append(facts.Effect(at=at, known_at=known_at, amount=amount))
    beside = own.filter(fill=None, posted_at__gt=start)
    for asset, amount, posted_at in beside.values_list("asset", "amount", "posted_at"):
        # What is no trade may have happened at the venue well before it was booked here.
        found[asset].append(facts.Effect(at=posted_at - BOOKING_APART_MAX, known_at=posted_at, amount=amount))
    return found

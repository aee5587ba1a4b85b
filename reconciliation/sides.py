"""Both sides of a comparison, read for one snapshot: what the venue said, and our books around that time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import BigIntegerField, DateTimeField, Q, Value

from orders.models import Attempt, Balance, Fill, Order, OrderEvent, Position, Posting, Transfer
from orders.states import AT_VENUE, Mutation
from project.lib import symbols
from reconciliation import claims, compare, facts, minutes, transfers, unmapped
from reconciliation.models import Break
from venues import capabilities
from venues.messages import FillReport, OrderReport
from venues.models import Account, Snapshot, Surface

CLOCKS_APART_MAX = timedelta(minutes=10)
NAMES_A_TRADE = {Break.Kind.FILL_MISSING_HERE, Break.Kind.FILL_DIFFERS, Break.Kind.FEE_DIFFERS, Break.Kind.WRONG_SIDE}
MOVED_LATE_MAX = timedelta(days=8)  # a transfer may be done days after it was asked for, which is the time it keeps


def comparison(
    snapshot: Snapshot, existing: Sequence[Break], earlier: Mapping[str, Iterable[str]] | None = None
) -> facts.Comparison:
    """Compare a good snapshot with our books.

    `existing` are the unresolved breaks of its surface, `earlier` the distances the read before allowed per asset.
    Raises KeyError or ValueError when a stored row cannot be read back.
    """
    found = _compared(snapshot, existing, earlier or {})
    return unmapped.name_them(snapshot, found, existing)


def reading(snapshot: Snapshot) -> facts.Reading:
    """Return when the venue was read and how far behind its matching its answers may be."""
    lag = capabilities.for_exchange(snapshot.account.venue.exchange).read_lag_seconds
    return facts.Reading(
        requested_at=snapshot.requested_at,
        taken_at=snapshot.taken_at,
        window_from=snapshot.window_from,
        lag=timedelta(seconds=lag),
    )


def _compared(snapshot: Snapshot, existing: Sequence[Break], earlier: Mapping[str, Iterable[str]]) -> facts.Comparison:
    match snapshot.surface:
        case Surface.OPEN_ORDERS:
            return _orders(snapshot)
        case Surface.FILLS:
            return _fills(snapshot, existing)
        case Surface.BALANCES:
            return _balances(snapshot, earlier)
        case Surface.POSITIONS:
            return _positions(snapshot)
        case Surface.TRANSFERS:
            return _transfers(snapshot)
    raise ValueError(f"nothing compares {snapshot.surface}")


def _orders(snapshot: Snapshot) -> facts.Comparison:
    theirs = [facts.order_report(row) for row in snapshot.rows]
    named = _orders_named_by(snapshot, theirs)
    unsettled = _unsettled(snapshot.account_id)
    ours = [
        facts.OurOrder(
            id=str(order.id),
            symbol=order.symbol,
            side=order.side,
            status=order.status,
            quantity=order.quantity,
            price=order.price,
            filled_quantity=order.filled_quantity,
            venue_order_id=order.venue_order_id,
            changed_at=order.updated_at,
            is_settled=order.mutation == Mutation.NONE and order.id not in unsettled,
            venue_client_ids=frozenset(client_ids),
        )
        for order, client_ids in named
    ]
    return compare.compare_orders(reading(snapshot), ours, theirs)


def _orders_named_by(snapshot: Snapshot, theirs: list[OrderReport]) -> list[tuple[Order, set[str]]]:
    own = Order.objects.filter(account_id=snapshot.account_id)
    client_ids = [row.venue_client_id for row in theirs if row.venue_client_id]
    sent: dict[object, set[str]] = defaultdict(set)
    attempts = Attempt.objects.filter(account_id=snapshot.account_id, action="submit", venue_client_id__in=client_ids)
    for order_id, client_id in attempts.values_list("order_id", "venue_client_id"):
        sent[order_id].add(client_id)
    venue_ids = Q(
        symbol__in={row.symbol for row in theirs},
        venue_order_id__in={row.venue_order_id for row in theirs if row.venue_order_id},
    )
    found = {order.id: order for order in own.filter(status__in=AT_VENUE)}
    found |= {order.id: order for order in own.filter(venue_ids)}
    found |= {order.id: order for order in own.filter(id__in=list(sent))}
    return [(order, sent[order.id]) for order in found.values()]


def _fills(snapshot: Snapshot, existing: Iterable[Break]) -> facts.Comparison:
    missing = _still_missing(snapshot, existing)
    left = minutes.left_of(snapshot, [(row.symbol, row.venue_trade_id) for row in missing])
    theirs = [facts.fill_report(row) for row in left.rows] + missing
    names = {(row.symbol, row.venue_trade_id) for row in theirs}
    found = {fill.id: fill for fill in [*left.booked, *fills_named(snapshot.account_id, names)]}
    judged = judged_fills(snapshot.account, reading(snapshot), found.values(), theirs)
    return replace(judged, agreed=judged.agreed | left.agreed)


def judged_fills(
    account: Account, read: facts.Reading, booked: Iterable[Fill], theirs: list[FillReport]
) -> facts.Comparison:
    """Compare rows of a venue with fills of ours; trades that the opening balances contain are no news."""
    ours = [our_fill(fill) for fill in booked]
    known = {(fill.symbol, fill.venue_trade_id) for fill in ours}
    if any((row.symbol, row.venue_trade_id) not in known for row in theirs):
        before = trades_before_opening(account.code)
        theirs = [row for row in theirs if (row.symbol, row.venue_trade_id) not in before]
    return compare.compare_fills(read, ours, theirs, since=account.opened_at or read.taken_at)


def fills_named(account_code: str, names: Collection[tuple[str, str]]) -> list[Fill]:
    """Return our fills of these symbols and venue trade ids."""
    if not names:
        return []
    found = Fill.objects.filter(
        account_id=account_code, symbol__in={name[0] for name in names}, venue_trade_id__in={name[1] for name in names}
    )
    # Of two symbols each trade id is found with either: what nobody named is not here to be judged.
    return [fill for fill in found if (fill.symbol, fill.venue_trade_id) in names]


def our_fill(fill: Fill) -> facts.OurFill:
    """Return a fill as comparisons take it."""
    return facts.OurFill(
        id=str(fill.id), order_id=str(fill.order_id), symbol=fill.symbol, side=fill.side, venue_trade_id=fill.venue_trade_id,
        price=fill.price, quantity=fill.quantity, fee=fill.fee, fee_asset=fill.fee_asset, executed_at=fill.executed_at,
        recorded_at=fill.recorded_at,
    )  # fmt: skip


def trades_before_opening(account_code: str) -> set[tuple[str, str]]:
    """Return symbol and id of the trades that an account's opening balances contain."""
    # The owner wrote down the trades that its opening balances already contain; no clock decides that.
    opening = Snapshot.objects.filter(account_id=account_code, surface=Surface.FILLS, reason="opening")
    first = opening.order_by("taken_at").first()
    return {(row["symbol"], row["venue_trade_id"]) for row in first.rows} if first else set()


def _still_missing(snapshot: Snapshot, existing: Iterable[Break]) -> list[FillReport]:
    # A trade the venue stated once stays true when it slides out of the window; a statement may tell of it in part only.
    stated = {(row["symbol"], row["venue_trade_id"], row["side"]) for row in snapshot.rows}
    known = [
        facts.fill_report(row.evidence["theirs"])
        for row in existing
        if row.kind in NAMES_A_TRADE
        and row.evidence.get("theirs")
        and row.evidence.get("statement", {}).get("is_whole", True)
    ]
    return [row for row in known if (row.symbol, row.venue_trade_id, row.side) not in stated]


def _balances(snapshot: Snapshot, earlier: Mapping[str, Iterable[str]]) -> facts.Comparison:
    read = reading(snapshot)
    theirs = [facts.balance_report(row) for row in snapshot.rows]
    busy = _busy_assets(snapshot, read.unseen_after)
    totals, effects = _totals(snapshot.account_id, read.settled_before)
    held = claims.explained_holds(snapshot, theirs, read)
    said = claims.stream_claims(snapshot, theirs, totals, read)
    ours = {
        asset: facts.OurBalance(
            total=totals.get(asset, facts.ZERO), effects=tuple(effects.get(asset, ())), is_busy=asset in busy,
            may_be_held=asset in held, stream=said.get(asset),
        )
        for asset in totals.keys() | effects.keys() | busy
    }  # fmt: skip
    before = {asset: frozenset(map(Decimal, distances)) for asset, distances in earlier.items()}
    return compare.compare_balances(read, ours, theirs, earlier=before)


def _positions(snapshot: Snapshot) -> facts.Comparison:
    read = reading(snapshot)
    held = _positions_at_opening(snapshot.account_id)
    busy = _busy_symbols(snapshot, read.unseen_after)
    young = Fill.objects.filter(
        Q(executed_at__gt=read.settled_before) | Q(recorded_at__gt=read.settled_before), account_id=snapshot.account_id
    )
    busy |= set(young.values_list("symbol", flat=True))
    for row in Position.objects.filter(account_id=snapshot.account_id, symbol__contains=":"):
        held[row.symbol] = held.get(row.symbol, facts.ZERO) + row.quantity
    named = held.keys() | {symbol for symbol in busy if symbols.split(symbol).is_contract}
    ours = {
        symbol: facts.OurPosition(quantity=held.get(symbol, facts.ZERO), is_settled=symbol not in busy)
        for symbol in named
    }
    return compare.compare_positions(ours, [facts.position_report(row) for row in snapshot.rows])


def _positions_at_opening(account_code: str) -> dict[str, Decimal]:
    # Ours are counted from the opening on: what was held before stands in the snapshot taken then.
    opening = Snapshot.objects.filter(account_id=account_code, surface=Surface.POSITIONS, reason="opening")
    first = opening.order_by("taken_at").first()
    reports = [facts.position_report(row) for row in first.rows] if first else []
    return {report.symbol: report.quantity for report in reports}


def _transfers(snapshot: Snapshot) -> facts.Comparison:
    theirs = [transfers.transfer_report(row) for row in snapshot.rows]
    own = Transfer.objects.filter(account_id=snapshot.account_id)
    found = {row.id: row for row in own.filter(venue_transfer_id__in={row.venue_transfer_id for row in theirs})}
    if snapshot.window_from:
        found |= {row.id: row for row in own.filter(occurred_at__gte=snapshot.window_from - transfers.TWICE_WITHIN)}
    ours = [
        transfers.OurTransfer(
            id=str(row.id), kind=row.kind, venue_transfer_id=row.venue_transfer_id, asset=row.asset, amount=row.amount,
            fee=row.fee, symbol=row.symbol, reference=row.reference, occurred_at=row.occurred_at,
            recorded_at=row.recorded_at,
        )
        for row in found.values()
    ]  # fmt: skip
    return transfers.compare_transfers(
        reading(snapshot),
        ours,
        theirs,
        before_opening=_transfers_before_opening(snapshot.account_id),
        since=snapshot.account.opened_at or snapshot.taken_at,
    )


def _transfers_before_opening(account_code: str) -> set[tuple[str, str, str]]:
    opening = Snapshot.objects.filter(account_id=account_code, surface=Surface.TRANSFERS, reason="opening")
    first = opening.order_by("taken_at").first()
    return {(row["kind"], row["venue_transfer_id"], row["asset"]) for row in first.rows} if first else set()


def _totals(account_code: str, since: datetime) -> tuple[dict[str, Decimal], dict[str, list[facts.Effect]]]:
    # One statement, so that a fill or a transfer booked meanwhile is in both parts or in neither.
    balances = Balance.objects.filter(account_id=account_code)
    postings = Posting.objects.filter(
        Q(fill__executed_at__gt=since) | Q(fill__recorded_at__gt=since),
        book=Posting.Book.VENUE,
        fill__account_id=account_code,
        fill__executed_at__gt=since - CLOCKS_APART_MAX,
    )
    moved = Transfer.objects.filter(
        Q(occurred_at__gt=since) | Q(recorded_at__gt=since),
        account_id=account_code,
        occurred_at__gt=since - MOVED_LATE_MAX,
    )
    never = Value(None, output_field=DateTimeField())
    rows = balances.annotate(at=never, known_at=never).values_list("asset", "total", "at", "known_at", "id")
    young = postings.values_list("asset", "amount", "fill__executed_at", "fill__recorded_at", "id")
    late = moved.annotate(nothing=Value(0, output_field=BigIntegerField())).values_list(
        "asset", "amount", "occurred_at", "recorded_at", "nothing"
    )
    totals: dict[str, Decimal] = {}
    effects: dict[str, list[facts.Effect]] = defaultdict(list)
    for asset, amount, at, known_at, _ in rows.union(young, late, all=True):
        if at is None:
            totals[asset] = amount
        else:
            effects[asset].append(facts.Effect(at=at, known_at=known_at, amount=amount))
    return totals, effects


def _busy_assets(snapshot: Snapshot, until: datetime) -> set[str]:
    return {asset for symbol in _busy_symbols(snapshot, until) for asset in symbols.split(symbol).moved}


def _busy_symbols(snapshot: Snapshot, until: datetime) -> set[str]:
    unproven = Attempt.objects.filter(account_id=snapshot.account_id, outcome__in=["", "unknown"], resolved_at=None)
    since = OrderEvent.objects.filter(
        account_id=snapshot.account_id, sequence__gt=snapshot.event_sequence, recorded_at__lte=until
    )
    return {*unproven.values_list("order__symbol", flat=True), *since.values_list("order__symbol", flat=True)}


def _unsettled(account_code: str) -> set[object]:
    unproven = Attempt.objects.filter(account_id=account_code, outcome__in=["", "unknown"], resolved_at=None)
    return set(unproven.values_list("order_id", flat=True))

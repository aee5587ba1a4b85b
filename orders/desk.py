"""The rest of the product as the order core sees it, on PostgreSQL: accounts, waiting rows, snapshots, prices, risk facts."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Count, Max

from orders import balance_notes, position_notes, pretrade, states
from orders.detectors import DETECTED_ON, DETECTED_WITHIN
from orders.models import Anomaly, DeadLetter, Fill, Intent, Order
from orders.ports import AtVenue, Waiting
from orders.rows import AccountView, BalanceView, CredentialView, IntentRow, OrderRow
from orders.triggers import ARMED, HELD_BACK
from project.lib import audit, clock, feed, sql
from risk.checks import Facts
from venues import accounts, instruments, maintenance, probes, sessions, snapshots
from venues.books import BookStats
from venues.messages import BalanceReport, MarketSpec, Permissions, PositionReport, Read
from venues.models import Account, BookHealth, ChannelHealth, Credential, Instrument, KeyState, Venue
from venues.streams import Session

WAITING_MAX = 200
_KEYS = (KeyState.ACTIVE, KeyState.CANDIDATE)
_AT_VENUE = sorted(states.AT_VENUE)
# literally as the partial indexes say it: a parameter would not be known to match them
_ALIVE = "status NOT IN ({})".format(", ".join(f"'{status.value}'" for status in sorted(states.TERMINAL)))
_IN_DOUBT = "outcome IN ('', 'unknown') AND resolved_at IS NULL"
_QUEUED = (
    "SELECT a.code, o.id FROM unnest(%s::text[]) AS a(code) CROSS JOIN LATERAL (SELECT id, created_at FROM orders_order "
    "WHERE account_id = a.code AND status = 'queued' AND trigger_state NOT IN ('dormant', 'armed', 'waiting') ORDER BY created_at, id LIMIT %s) o "
    "ORDER BY o.created_at, o.id"
)
# A cancel that can do nothing yet stays in its row: hundreds of orders in doubt must not hold up the cancel of a live one.
_WISHES = (
    "SELECT a.code, i.id, i.action, i.order_id FROM unnest(%s::text[]) AS a(code) CROSS JOIN LATERAL (SELECT w.id, w.action, "
    "w.order_id, w.requested_at FROM orders_intent w LEFT JOIN orders_order o ON o.id = w.order_id WHERE w.account_id = a.code "
    "AND w.done_at IS NULL AND NOT (w.action = 'cancel' AND (coalesce(o.status, '') IN ('sending', 'unknown') OR "
    "(coalesce(o.status, '') IN ('open', 'partially_filled') AND o.mutation <> 'none'))) ORDER BY w.requested_at, w.id "
    "LIMIT %s) i ORDER BY i.requested_at, i.id"
)
_GROUPS = (
    "SELECT g.id, g.kind, o.id FROM orders_ordergroup g JOIN orders_order o ON o.group_id = g.id WHERE g.id IN "
    "(SELECT group_id FROM orders_order WHERE account_id = %s AND group_id IS NOT NULL "
    "AND status NOT IN ('denied', 'filled', 'cancelled', 'expired', 'rejected')) AND g.kind <> 'scaled' "
    "ORDER BY g.created_at, g.id, o.created_at, o.id"
)
_SETTINGS = (
    "SELECT a.code, a.activation_requested_at, a.probe_waived_by, v.rest_url, v.ws_url, v.is_live, c.id, n.id "
    "FROM venues_account a JOIN venues_venue v ON v.code = a.venue_id "
    "LEFT JOIN venues_credential c ON c.account_id = a.code AND c.state = 'active' "
    "LEFT JOIN venues_credential n ON n.account_id = a.code AND n.state = 'candidate' WHERE a.code = ANY(%s)"
)
_KEY_USED = (
    "UPDATE venues_credential c SET last_used_at = h.at FROM (SELECT account_id, max(last_success_at) AS at "
    "FROM venues_channelhealth WHERE account_id = %s GROUP BY account_id) h WHERE c.account_id = h.account_id "
    "AND c.state = 'active' AND (c.last_used_at IS NULL OR c.last_used_at < h.at - interval '1 minute')"
)


class DatabaseDesk:
    """Every call runs inside the transaction that is open on this thread."""

    def account(self, code: str) -> AccountView:
        """Return what the owner goes by. Raises KeyError."""
        row = Account.objects.select_related("venue").filter(pk=code).first()
        if row is None:
            raise KeyError(code)
        keys = {key.state: key for key in Credential.objects.filter(account=row, state__in=_KEYS)}
        return AccountView(
            code=row.code, target=accounts.target(row.venue), status=row.status, status_reason=row.status_reason,
            status_at=row.status_at, activation_requested_at=row.activation_requested_at,
            probe_waived_by=row.probe_waived_by, opened_at=row.opened_at, event_sequence=row.event_sequence,
            credential=_key(keys.get(KeyState.ACTIVE)), candidate=_key(keys.get(KeyState.CANDIDATE)),
        )  # fmt: skip

    def waiting(self, codes: Sequence[str]) -> Waiting:
        """Return what waits for the owners of these accounts, oldest first, bounded per account."""
        listed = list(codes)
        queued: dict[str, list[uuid.UUID]] = defaultdict(list)
        wishes: dict[str, list[tuple[uuid.UUID, str, uuid.UUID | None]]] = defaultdict(list)
        for code, order_id in sql.rows(_QUEUED, listed, WAITING_MAX):
            queued[code].append(order_id)
        for code, intent_id, action, about in sql.rows(_WISHES, listed, WAITING_MAX):
            wishes[code].append((intent_id, action, about))
        settings = {code: tuple(seen) for code, *seen in sql.rows(_SETTINGS, listed)}
        return Waiting(queued=queued, wishes=wishes, settings=settings)

    def intent(self, intent_id: uuid.UUID) -> IntentRow:
        """Return a wish. Raises KeyError."""
        row = Intent.objects.filter(pk=intent_id).first()
        if row is None:
            raise KeyError(intent_id)
        return _wish(row)

    def wishes_about(self, order_id: uuid.UUID) -> list[IntentRow]:
        """Return the wishes about an order that nobody has settled."""
        return [_wish(row) for row in Intent.objects.filter(order_id=order_id, done_at=None)]

    def letter_order(self, letter_id: uuid.UUID) -> uuid.UUID | None:
        """Return the order a dead letter is about, or None."""
        return DeadLetter.objects.filter(pk=letter_id).values_list("order_id", flat=True).first()

    def orders_in_doubt(self, account: str) -> Sequence[uuid.UUID]:
        """Return orders with an attempt in flight or unknown and unresolved."""
        query = f"SELECT DISTINCT order_id FROM orders_attempt WHERE account_id = %s AND {_IN_DOUBT}"
        return sorted(row[0] for row in sql.rows(query, account))

    def symbols_in_doubt(self, account: str) -> Collection[str]:
        """Return the symbols of orders that may be at the venue under an id we do not know: a submit in flight or unknown."""
        query = (
            "SELECT DISTINCT o.symbol FROM orders_attempt a JOIN orders_order o ON o.id = a.order_id WHERE a.account_id = %s "
            f"AND {_IN_DOUBT} AND a.action = 'submit' AND o.venue_order_id = ''"
        )
        return frozenset(row[0] for row in sql.rows(query, account))

    def has_twin_in_doubt(self, order: OrderRow) -> bool:
        """Say whether another order that looks the same may be at the venue under an id we do not know."""
        query = (
            "SELECT 1 FROM orders_attempt a JOIN orders_order o ON o.id = a.order_id WHERE a.account_id = %s "
            f"AND {_IN_DOUBT} AND o.id <> %s AND o.venue_order_id = '' "
            "AND (o.symbol, o.side, o.type, o.quantity) = (%s, %s, %s, %s) AND o.price IS NOT DISTINCT FROM %s LIMIT 1"
        )
        shape = (order.symbol, order.side, order.type, order.quantity, order.price)
        return bool(sql.rows(query, order.account, order.id, *shape))

    def orders_in(self, account: str, *, status: str = "", mutation: str = "") -> Sequence[uuid.UUID]:
        """Return the orders with a status, or with a mutation, oldest first."""
        named = " AND status = %s" * bool(status) + " AND mutation = %s" * bool(mutation)
        query = f"SELECT id FROM orders_order WHERE account_id = %s AND {_ALIVE}{named} ORDER BY created_at, id"
        return [row[0] for row in sql.rows(query, account, *filter(None, (status, mutation)))]

    def armed(self, account: str) -> Sequence[uuid.UUID]:
        """Return the conditional orders we watch, oldest first."""
        found = Order.objects.filter(account_id=account, status="queued", trigger_state=ARMED)
        return list(found.order_by("created_at", "id").values_list("id", flat=True))

    def armed_symbols(self, account: str) -> Sequence[str]:
        """Return the symbols of the conditional orders we watch."""
        query = (
            "SELECT DISTINCT symbol FROM orders_order WHERE account_id = %s AND status = 'queued' AND trigger_state = %s "
            "ORDER BY symbol"
        )
        return [row[0] for row in sql.rows(query, account, ARMED)]

    def expiring(self, account: str, at: datetime) -> Sequence[uuid.UUID]:
        """Return the orders alive that should have ended by then."""
        query = f"SELECT id FROM orders_order WHERE account_id = %s AND expires_at <= %s AND {_ALIVE} ORDER BY expires_at, id"
        return [row[0] for row in sql.rows(query, account, at)]

    def live_groups(self, account: str) -> Sequence[tuple[str, Sequence[uuid.UUID]]]:
        """Return kind and members, in the order they were made, of each group with a member alive."""
        members: dict[tuple[uuid.UUID, str], list[uuid.UUID]] = {}
        for group, kind, order_id in sql.rows(_GROUPS, account):
            members.setdefault((group, kind), []).append(order_id)
        return [(kind, order_ids) for (_, kind), order_ids in members.items()]

    def stale_queued(self, account: str, before: datetime) -> Sequence[uuid.UUID]:
        """Return orders queued and untouched since then."""
        found = Order.objects.filter(account_id=account, status="queued", updated_at__lt=before)
        return list(
            found.exclude(trigger_state__in=HELD_BACK).order_by("created_at", "id").values_list("id", flat=True)
        )

    def at_venue(self, account: str) -> Sequence[AtVenue]:
        """Return id, symbol, venue order id and creation time of every order that stands at the venue, oldest first."""
        query = (
            "SELECT id, symbol, venue_order_id, created_at FROM orders_order WHERE account_id = %s AND status = ANY(%s) "
            "AND status NOT IN ('denied', 'filled', 'cancelled', 'expired', 'rejected') ORDER BY created_at, id"
        )
        return [(row[0], row[1], row[2], row[3]) for row in sql.rows(query, account, _AT_VENUE)]

    def newest_fill_at(self, account: str) -> datetime | None:
        """Return when the newest booked trade was executed."""
        return Fill.objects.filter(account_id=account).aggregate(at=Max("executed_at"))["at"]

    def fills_proved_at(self, account: str) -> datetime | None:
        """Return when the newest sweep of fills that was good was asked for."""
        good = Account(code=account).snapshots.filter(surface="fills", status="good")
        return good.order_by("-taken_at").values_list("requested_at", flat=True).first()

    def has_new_fills(self, account: str, executed_from: datetime, recorded_from: datetime) -> bool:
        """Say whether a trade executed since the one time was booked since the other."""
        recent = Fill.objects.filter(account_id=account, executed_at__gte=executed_from)
        return recent.filter(recorded_at__gte=recorded_from).exists()

    def symbols(self, account: str, venue: str, at_most: int) -> Sequence[str]:
        """Return the venue's symbols when they are few, else those ever ordered on the account."""
        named = Instrument.objects.filter(venue_id=venue, unmapped_reason="")
        symbols = list(named.order_by("symbol").values_list("symbol", flat=True)[: at_most + 1])
        if len(symbols) <= at_most:
            return symbols
        traded = Order.objects.filter(account_id=account).order_by("symbol").values_list("symbol", flat=True)
        return list(traded.distinct())

    def venue_ids(self, account: str, symbol: str, since: datetime) -> frozenset[str]:
        """Return the venue's ids of our orders on a symbol that were made since then, past legs included."""
        made = Order.objects.filter(account_id=account, symbol=symbol, created_at__gte=since)
        rows = made.values_list("venue_order_id", "attempts__venue_order_id")
        return frozenset(name for row in rows for name in row if name)

    def balances(self, account: str, assets: Sequence[str]) -> Mapping[str, BalanceView]:
        """Return both sides per asset, of those that either side has ever named."""
        query = (
            "SELECT asset, total, venue_total, difference, difference_confirmed_at FROM orders_balance "
            "WHERE account_id = %s AND asset = ANY(%s)"
        )
        return {asset: BalanceView(*view) for asset, *view in sql.rows(query, account, list(assets))}

    def note_balances(
        self, account: str, reports: Sequence[BalanceReport], *, requested_at: datetime, is_whole: bool
    ) -> None:
        """Keep what the venue says beside our totals; a whole list says zero of every asset it leaves out."""
        balance_notes.keep(account, reports, requested_at=requested_at, is_whole=is_whole)

    def note_positions(self, account: str, reports: Sequence[PositionReport], *, requested_at: datetime) -> None:
        """Keep a whole list of the venue's positions beside ours."""
        position_notes.note(account, reports, requested_at=requested_at)

    def event_sequence(self, account: str) -> int:
        """Return the number of the account's last event."""
        return Account.objects.values_list("event_sequence", flat=True).get(pk=account)

    def capture(
        self,
        account: str,
        surface: str,
        read: Read,
        *,
        epoch: int,
        reason: str,
        event_sequence: int,
        since: datetime | None,
    ) -> None:
        """Keep a read as a snapshot, and have it compared."""
        feed.wake_comparison()
        snapshots.capture(
            Account(code=account),
            surface,
            read,
            epoch=epoch,
            reason=reason,
            event_sequence=event_sequence,
            window_from=since,
        )

    def opening_trades(self, account: str) -> frozenset[tuple[str, str]]:
        """Return the trades (symbol, venue trade id) that the opening balances already contain."""
        taken = Account(code=account).snapshots.filter(surface="fills", reason="opening").order_by("taken_at").first()
        return frozenset((row["symbol"], row["venue_trade_id"]) for row in (taken.rows if taken else []))

    def set_opened(self, account: str, at: datetime) -> None:
        """Say since when the account's books are open."""
        Account.objects.filter(pk=account).update(opened_at=at)

    def set_status(self, account: str, status: str, reason: str) -> None:
        """Move the account's status where it changed."""
        row = Account.objects.get(pk=account)
        if (row.status, row.status_reason) != (status, reason[:300]):
            accounts.set_status(row, status, reason[:300])

    def keep_probe(self, account: str, permissions: Permissions | None, problem: str) -> None:
        """Judge and keep what the venue says the key may do."""
        probes.keep(account, permissions, problem)

    def keep_candidate(
        self, account: str, credential: uuid.UUID, permissions: Permissions | None, problem: str
    ) -> None:
        """Put a new key in the place of the active one, or refuse it, by what was learnt."""
        probes.keep_candidate(account, credential, permissions, problem)

    def store_instruments(self, venue: str, specs: Sequence[MarketSpec]) -> None:
        """Keep the venue's instruments."""
        instruments.store(Venue.objects.get(pk=venue), specs)

    def store_prices(self, venue: str, prices: Mapping[str, Decimal]) -> None:
        """Keep last prices."""
        instruments.store_prices(Venue(code=venue), prices)

    def keep_session(self, account: str, session: Session) -> None:
        """Keep how a stream's session stands; one that has ended is left alone."""
        sessions.keep(account, session)

    def end_sessions(self, account: str) -> None:
        """End the sessions that an owner left open when it ended without a word: they stood until they were last seen."""
        sessions.end_left_open(account)

    def keep_health(self, account: str, channels: Mapping[str, Any], is_news: bool) -> None:
        """Keep how each channel is doing, and what its detectors have found of late."""
        since = clock.now() - DETECTED_WITHIN
        found = Anomaly.objects.filter(account_id=account, kind__in=DETECTED_ON, seen_at__gt=since)
        detections: dict[str, dict[str, int]] = defaultdict(dict)
        for kind, count in found.order_by().values_list("kind").annotate(count=Count("id")):
            detections[DETECTED_ON[kind]][kind] = count
        rows = [
            ChannelHealth(
                account_id=account, capability=capability, breaker=stats.breaker, breaker_reason=stats.breaker_reason[:200],
                requests=stats.requests, errors=stats.errors, reconnects=stats.reconnects,
                latency_ms_p50=stats.latency_ms_p50, latency_ms_p95=stats.latency_ms_p95,
                latency_ms_p99=stats.latency_ms_p99, recent_requests=stats.recent_requests,
                recent_errors=stats.recent_errors, heard_at=stats.heard_at, clock_offset_ms=stats.clock_offset_ms,
                detections=detections.get(capability, {}),
                last_success_at=stats.last_success_at, last_error_at=stats.last_error_at,
                last_error=stats.last_error[:200], updated_at=clock.now(),
            )
            for capability, stats in channels.items()
        ]  # fmt: skip
        fields = [f.name for f in ChannelHealth._meta.fields if f.name not in {"id", "account", "capability"}]
        ChannelHealth.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["account", "capability"], update_fields=fields
        )
        sql.run(_KEY_USED, account)

    def keep_book_health(self, account: str, listed: Sequence[BookStats]) -> None:
        """Keep how each book the account needs is doing; forget those it does not need any more."""
        BookHealth.objects.filter(account_id=account).exclude(symbol__in=[stats.symbol for stats in listed]).delete()
        rows = [BookHealth(account_id=account, updated_at=clock.now(), **asdict(stats)) for stats in listed]
        fields = [f.name for f in BookHealth._meta.fields if f.name not in {"id", "account", "symbol"}]
        BookHealth.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["account", "symbol"], update_fields=fields
        )

    def maintenance_said(self, venue: str) -> str:
        """Return what the venue said of a maintenance whose end it has not told, or nothing."""
        return maintenance.said(venue)

    def note_maintenance(self, venue: str, said: str) -> None:
        """Take a venue's own word that it is in maintenance, or, when empty, that it is over."""
        maintenance.venue_says(venue, said)

    def priced_symbols(self, account: str, venue: str, at_most: int) -> Sequence[str]:
        """Return the symbols whose prices are wanted."""
        listed = list(Instrument.objects.filter(venue_id=venue).values_list("symbol", flat=True)[: at_most + 1])
        if len(listed) <= at_most:
            return listed
        alive = Order.objects.filter(account_id=account).exclude(status__in=sorted(states.TERMINAL))
        return list(alive.order_by("symbol").values_list("symbol", flat=True).distinct()[:at_most])

    def risk(self, places: Collection[tuple[str, str]]) -> tuple[int, Mapping[tuple[str, str], Facts | None]]:
        """Return the revision of the risk rules and the facts they are applied to, per account and symbol."""
        return pretrade.standing_facts(places)

    def audit(self, actor: str, action: str, subject: object, detail: dict[str, Any]) -> None:
        """Append to the audit chain."""
        audit.record(actor, action, subject, detail)


def _key(row: Credential | None) -> CredentialView | None:
    if row is None:
        return None
    return CredentialView(id=row.pk, probed_at=row.probed_at, probe_result=row.probe_result, sealed=row)


def _wish(row: Intent) -> IntentRow:
    return IntentRow(
        id=row.pk, account=row.account_id, order=row.order_id, action=row.action, data=row.data,
        requested_by=row.requested_by, requested_at=row.requested_at, done_at=row.done_at, result=row.result,
    )  # fmt: skip

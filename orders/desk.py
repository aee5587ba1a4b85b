"""The rest of the product as the order core sees it, on PostgreSQL: accounts, waiting rows, snapshots, prices, risk facts."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import F, Max

from orders import states
from orders.models import Balance, DeadLetter, Fill, Intent, Order
from orders.ports import AtVenue, Waiting
from orders.rows import ZERO, AccountView, BalanceView, CredentialView, IntentRow
from orders.triggers import ARMED, HELD_BACK
from project.lib import audit, clock, rules, sql
from risk import halts, limits
from risk.checks import Facts
from venues import accounts, instruments, probes, snapshots
from venues.messages import BalanceReport, MarketSpec, Permissions, Read
from venues.models import Account, ChannelHealth, Credential, Instrument, RawFrame, Venue

WAITING_MAX = 200
_AT_VENUE = sorted(states.AT_VENUE)
_QUEUED = (
    "SELECT a.code, o.id FROM unnest(%s::text[]) AS a(code) CROSS JOIN LATERAL (SELECT id, created_at FROM orders_order "
    "WHERE account_id = a.code AND status = 'queued' AND trigger_state NOT IN ('dormant', 'armed', 'waiting') ORDER BY created_at, id LIMIT %s) o "
    "ORDER BY o.created_at, o.id"
)
_WISHES = (
    "SELECT a.code, i.id, i.action, i.order_id FROM unnest(%s::text[]) AS a(code) CROSS JOIN LATERAL (SELECT id, action, "
    "order_id, requested_at FROM orders_intent WHERE account_id = a.code AND done_at IS NULL ORDER BY requested_at, id "
    "LIMIT %s) i ORDER BY i.requested_at, i.id"
)
_GROUPS = (
    "SELECT g.id, g.kind, o.id FROM orders_ordergroup g JOIN orders_order o ON o.group_id = g.id WHERE g.id IN "
    "(SELECT group_id FROM orders_order WHERE account_id = %s AND group_id IS NOT NULL "
    "AND status NOT IN ('denied', 'filled', 'cancelled', 'expired', 'rejected')) AND g.kind <> 'scaled' "
    "ORDER BY g.created_at, g.id, o.created_at, o.id"
)
_SETTINGS = (
    "SELECT a.code, a.activation_requested_at, a.probe_waived_by, v.rest_url, v.ws_url, v.is_live, c.id "
    "FROM venues_account a JOIN venues_venue v ON v.code = a.venue_id "
    "LEFT JOIN venues_credential c ON c.account_id = a.code AND c.is_active WHERE a.code = ANY(%s)"
)
_VENUE_BALANCES = (
    "INSERT INTO orders_balance AS b (account_id, asset, total, venue_total, venue_free, venue_held, as_of, updated_at, "
    "difference, difference_since) SELECT %s, v.asset, 0, v.total, v.free, v.held, %s, %s, v.total, %s "
    "FROM unnest(%s::text[], %s::numeric[], %s::numeric[], %s::numeric[]) AS v(asset, total, free, held) "
    "ON CONFLICT (account_id, asset) DO UPDATE SET venue_total = EXCLUDED.venue_total, venue_free = EXCLUDED.venue_free, "
    "venue_held = EXCLUDED.venue_held, as_of = EXCLUDED.as_of, updated_at = EXCLUDED.updated_at, "
    "difference = EXCLUDED.venue_total - b.total, "
    "difference_since = CASE WHEN b.difference = EXCLUDED.venue_total - b.total THEN b.difference_since "
    "ELSE EXCLUDED.difference_since END, "
    "difference_confirmed_at = CASE WHEN b.difference IS DISTINCT FROM EXCLUDED.venue_total - b.total THEN NULL "
    "WHEN b.difference_confirmed_at IS NOT NULL THEN b.difference_confirmed_at "
    "WHEN b.difference_since < EXCLUDED.difference_since - interval '5 seconds' THEN EXCLUDED.difference_since END"
)


class DatabaseDesk:
    """Every call runs inside the transaction that is open on this thread."""

    def account(self, code: str) -> AccountView:
        """Return what the owner goes by. Raises KeyError."""
        row = Account.objects.select_related("venue").filter(pk=code).first()
        if row is None:
            raise KeyError(code)
        key = Credential.objects.filter(account=row, is_active=True).first()
        credential = (
            CredentialView(id=key.pk, probed_at=key.probed_at, probe_result=key.probe_result, sealed=key)
            if key
            else None
        )
        return AccountView(
            code=row.code, target=accounts.target(row.venue), status=row.status, status_reason=row.status_reason,
            status_at=row.status_at, activation_requested_at=row.activation_requested_at,
            probe_waived_by=row.probe_waived_by, opened_at=row.opened_at, event_sequence=row.event_sequence,
            credential=credential,
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
        query = (
            "SELECT DISTINCT order_id FROM orders_attempt WHERE account_id = %s AND outcome IN ('', 'unknown') "
            "AND resolved_at IS NULL"
        )
        return sorted(row[0] for row in sql.rows(query, account))

    def orders_in(self, account: str, *, status: str = "", mutation: str = "") -> Sequence[uuid.UUID]:
        """Return the orders with a status, or with a mutation, oldest first."""
        named = {"status": status, "mutation": mutation}
        wanted = {name: value for name, value in named.items() if value}
        alive = Order.objects.filter(account_id=account, **wanted).exclude(status__in=sorted(states.TERMINAL))
        return list(alive.order_by("created_at", "id").values_list("id", flat=True))

    def armed(self, account: str) -> Sequence[uuid.UUID]:
        """Return the conditional orders we watch, oldest first."""
        found = Order.objects.filter(account_id=account, status="queued", trigger_state=ARMED)
        return list(found.order_by("created_at", "id").values_list("id", flat=True))

    def armed_symbols(self, account: str) -> Sequence[str]:
        """Return the symbols of the conditional orders we watch."""
        found = Order.objects.filter(account_id=account, status="queued", trigger_state=ARMED)
        return list(found.order_by("symbol").values_list("symbol", flat=True).distinct())

    def expiring(self, account: str, at: datetime) -> Sequence[uuid.UUID]:
        """Return the orders alive that should have ended by then."""
        found = Order.objects.filter(account_id=account, expires_at__lte=at).exclude(status__in=sorted(states.TERMINAL))
        return list(found.order_by("expires_at", "id").values_list("id", flat=True))

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

    def has_new_fills(self, account: str, executed_from: datetime, recorded_from: datetime) -> bool:
        """Say whether a trade executed since the one time was booked since the other."""
        recent = Fill.objects.filter(account_id=account, executed_at__gte=executed_from)
        return recent.filter(recorded_at__gte=recorded_from).exists()

    def symbols(self, account: str, venue: str, at_most: int) -> Sequence[str]:
        """Return the venue's symbols when they are few, else those ever ordered on the account."""
        listed = Instrument.objects.filter(venue_id=venue).order_by("symbol").values_list("symbol", flat=True)
        symbols = list(listed[: at_most + 1])
        if len(symbols) <= at_most:
            return symbols
        traded = Order.objects.filter(account_id=account).order_by("symbol").values_list("symbol", flat=True)
        return list(traded.distinct())

    def venue_ids(self, account: str, symbol: str, since: datetime) -> frozenset[str]:
        """Return the venue's ids of our orders on a symbol that were made since then."""
        made = Order.objects.filter(account_id=account, symbol=symbol, created_at__gte=since)
        return frozenset(made.exclude(venue_order_id="").values_list("venue_order_id", flat=True))

    def balances(self, account: str, assets: Sequence[str]) -> Mapping[str, BalanceView]:
        """Return both sides per asset, of those that either side has ever named."""
        return {
            row.asset: BalanceView(
                total=row.total, venue_total=row.venue_total, difference_confirmed=row.difference,
                difference_confirmed_at=row.difference_confirmed_at,
            )
            for row in Balance.objects.filter(account_id=account, asset__in=list(assets))
        }  # fmt: skip

    def note_balances(
        self, account: str, reports: Sequence[BalanceReport], *, requested_at: datetime, is_whole: bool
    ) -> None:
        """Keep what the venue says beside our totals; a whole list says zero of every asset it leaves out."""
        said = {report.asset: (report.total, report.free, report.held) for report in reports}
        if is_whole:
            known = Balance.objects.filter(account_id=account).values_list("asset", flat=True)
            said |= {asset: (ZERO, ZERO, ZERO) for asset in known if asset not in said}
        if said:
            assets, now = sorted(said), clock.now()
            columns = [[said[asset][index] for asset in assets] for index in range(3)]
            sql.run(_VENUE_BALANCES, account, now, now, requested_at, assets, *columns)

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
        """Keep a read as a snapshot."""
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

    def keep_probe(self, account: str, permissions: Permissions | None) -> None:
        """Judge and keep what the venue says the key may do."""
        probes.keep(account, permissions)

    def store_instruments(self, venue: str, specs: Sequence[MarketSpec]) -> None:
        """Keep the venue's instruments."""
        instruments.store(Venue.objects.get(pk=venue), specs)

    def store_prices(self, venue: str, prices: Mapping[str, Decimal]) -> None:
        """Keep last prices."""
        instruments.store_prices(Venue(code=venue), prices)

    def keep_frames(self, account: str, frames: Sequence[tuple[str, datetime]]) -> None:
        """Keep raw stream frames."""
        RawFrame.objects.bulk_create(
            [RawFrame(account_id=account, channel="stream", received_at=at, body=body) for body, at in frames]
        )

    def keep_health(self, account: str, channels: Mapping[str, Any], is_news: bool) -> None:
        """Keep how each channel is doing."""
        rows = [
            ChannelHealth(
                account_id=account, capability=capability, breaker=stats.breaker, breaker_reason=stats.breaker_reason[:200],
                requests=stats.requests, errors=stats.errors, reconnects=stats.reconnects,
                latency_ms_p50=stats.latency_ms_p50, latency_ms_p99=stats.latency_ms_p99,
                last_success_at=stats.last_success_at, last_error_at=stats.last_error_at,
                last_error=stats.last_error[:200], updated_at=clock.now(),
            )
            for capability, stats in channels.items()
        ]  # fmt: skip
        fields = [f.name for f in ChannelHealth._meta.fields if f.name not in {"id", "account", "capability"}]
        ChannelHealth.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["account", "capability"], update_fields=fields
        )

    def priced_symbols(self, account: str, venue: str, at_most: int) -> Sequence[str]:
        """Return the symbols whose prices are wanted."""
        listed = list(Instrument.objects.filter(venue_id=venue).values_list("symbol", flat=True)[: at_most + 1])
        if len(listed) <= at_most:
            return listed
        alive = Order.objects.filter(account_id=account).exclude(status__in=sorted(states.TERMINAL))
        return list(alive.order_by("symbol").values_list("symbol", flat=True).distinct()[:at_most])

    def risk(self, account: str, symbol: str) -> tuple[int, Facts | None]:
        """Return the revision of the risk rules and the facts they are applied to; None when the symbol is not listed."""
        revision = rules.revision()
        row = Account.objects.select_related("venue").get(pk=account)
        instrument = Instrument.objects.filter(venue_id=row.venue_id, symbol=symbol).first()
        return revision, None if instrument is None else risk_facts(row, instrument, own=1)

    def audit(self, actor: str, action: str, subject: object, detail: dict[str, Any]) -> None:
        """Append to the audit chain."""
        audit.record(actor, action, subject, detail)


def _wish(row: Intent) -> IntentRow:
    return IntentRow(
        id=row.pk, account=row.account_id, order=row.order_id, action=row.action, data=row.data,
        requested_by=row.requested_by, requested_at=row.requested_at, done_at=row.done_at, result=row.result,
    )  # fmt: skip


def risk_facts(account: Account, instrument: Instrument, own: int = 0) -> Facts:
    """Gather what the pre-trade check rests on; `own` orders are not counted against the limit of open ones."""
    in_force = limits.in_force(account.code, account.venue_id)
    count = 0
    if "open_orders_max" in in_force:
        alive = [status.value for status in states.ALIVE]
        count = Order.objects.filter(account=account, status__in=alive).exclude(quantity=F("filled_quantity")).count()
    return Facts(
        state=halts.state_for(account.code, account.venue_id),
        may_trade=account.venue.may_trade,
        limits=in_force,
        last_price=instrument.last_price,
        open_orders=count - own,
    )

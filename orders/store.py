"""The books' store on PostgreSQL: orders read by the set, a whole transaction written in one round trip."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

from orders import balance_notes
from orders.books import Books, Conflict, Fenced
from orders.cache import Aggregate, Cache
from orders.desk import DatabaseDesk
from orders.rows import (
    AnomalyRow,
    AttemptRow,
    EventRow,
    FillRow,
    LetterRow,
    OrderRow,
    PositionRow,
    TradeKey,
    TransferKey,
)
from project.lib import clock, failpoints, feed, sql

ORDERS = sql.table(
    "orders_order", id="uuid", account="text account_id", client_order_id="text", body_digest="text", symbol="text",
    side="text", type="text", quantity="numeric", price="numeric", trigger_price="numeric", trailing_offset="numeric",
    time_in_force="text", post_only="bool", reduce_only="bool", expires_at="timestamptz", strategy="text", source="text",
    is_external="bool", group="uuid group_id", group_role="text", status="text", mutation="text", filled_quantity="numeric",
    filled_value="numeric", reason_code="text", reason_message="text", reason_venue_code="text", venue_order_id="text",
    submit_tries="smallint", trigger_state="text", trigger_extreme="numeric", ended_at="timestamptz",
    last_price_seen="numeric", version="bigint", created_at="timestamptz", updated_at="timestamptz",
)  # fmt: skip
BEGUN = sql.table("orders_order", id="uuid", version="bigint")
ORDER_CHANGES = (
    "quantity", "price", "trigger_price", "trailing_offset", "expires_at", "status", "mutation", "filled_quantity",
    "filled_value", "reason_code", "reason_message", "reason_venue_code", "venue_order_id", "submit_tries",
    "trigger_state", "trigger_extreme", "ended_at", "version", "updated_at",
)  # fmt: skip
CHANGED_ORDERS = sql.Table("orders_order", tuple(c for c in ORDERS.columns if c[1] == "id" or c[1] in ORDER_CHANGES))
ATTEMPTS = sql.table(
    "orders_attempt", id="uuid", order="uuid order_id", account="text account_id", action="text", venue_client_id="text",
    epoch="bigint", request_digest="text", window_ms="int", valid_until="timestamptz", sent_at="timestamptz",
    request="jsonb", outcome="text", outcome_at="timestamptz", code="text", message="text", venue_order_id="text",
    evidence="jsonb", lookups_absent="int", last_lookup_at="timestamptz", resolved_at="timestamptz", resolution="text",
)  # fmt: skip
ATTEMPT_CHANGES = (
    "request", "outcome", "outcome_at", "code", "message", "venue_order_id", "evidence", "lookups_absent", "last_lookup_at",
    "resolved_at", "resolution",
)  # fmt: skip
BEGUN_ATTEMPTS = sql.Table(
    "orders_attempt", tuple(c for c in ATTEMPTS.columns if c[1] == "request" or c[1] not in ATTEMPT_CHANGES)
)
CHANGED_ATTEMPTS = sql.Table(
    "orders_attempt", tuple(c for c in ATTEMPTS.columns if c[1] == "id" or c[1] in ATTEMPT_CHANGES)
)
LETTERS = sql.table(
    "orders_deadletter", id="uuid", order="uuid order_id", attempt="uuid attempt_id", account="text account_id", cause="text",
    explanation="text", status="text", money_at_risk="numeric", money_at_risk_asset="text", evidence="jsonb",
    looked_at="timestamptz", resolution="text", resolution_reason="text", resolved_by="text", created_at="timestamptz",
    resolved_at="timestamptz",
)  # fmt: skip
LETTER_CHANGES = ("status", "evidence", "looked_at", "resolution", "resolution_reason", "resolved_by", "resolved_at")
NEW_INTENTS = sql.table(
    "orders_intent", id="uuid", account="text account_id", order="uuid order_id", action="text", data="jsonb",
    requested_by="text", requested_at="timestamptz", result="text",
)  # fmt: skip
INTENTS = sql.table("orders_intent", id="uuid", done_at="timestamptz", result="text")
FILLS = sql.table(
    "orders_fill", id="uuid", order="uuid order_id", account="text account_id", symbol="text", side="text", price="numeric",
    quantity="numeric", quote_quantity="numeric", fee="numeric", fee_asset="text", liquidity="text", venue_trade_id="text",
    venue_order_id="text", source="text", executed_at="timestamptz", recorded_at="timestamptz", realised_pnl="numeric",
)  # fmt: skip
TRANSFERS = sql.table(
    "orders_transfer", id="uuid", account="text account_id", kind="text", venue_transfer_id="text", asset="text",
    amount="numeric", fee="numeric", symbol="text", reference="text", source="text", occurred_at="timestamptz",
    recorded_at="timestamptz",
)  # fmt: skip
POSTINGS = sql.table(
    "orders_posting", entry="uuid", leg="smallint", account="text account_id", asset="text", book="text", amount="numeric",
    cause="text", fill="uuid fill_id", reference="text", memo="text", posted_at="timestamptz",
)  # fmt: skip
EVENTS = sql.table(
    "orders_orderevent", order="uuid order_id", kind="text", status_before="text", status_after="text", data="jsonb",
    source="text", occurred_at="timestamptz", received_at="timestamptz", recorded_at="timestamptz",
)  # fmt: skip
ANOMALIES = sql.table(
    "orders_anomaly", account="text account_id", kind="text", subject="text", order="uuid order_id", fill="uuid fill_id",
    data="jsonb", seen_at="timestamptz",
)  # fmt: skip
POSITIONS = sql.table(
    "orders_position", account="text account_id", symbol="text", quantity="numeric", entry_price="numeric",
    realised_pnl="numeric",
)  # fmt: skip
FRAMES = sql.table("venues_rawframe", account="text account_id", received_at="timestamptz", body="text")
HELD = sql.table("orders_position", quantity="numeric", realised_pnl="numeric")
_ORDER_INSERT = ORDERS.insert()
_ORDER_UPDATE = sql.counting(
    CHANGED_ORDERS.update(ORDER_CHANGES, extra="version_before bigint", condition=" AND t.version = v.version_before"),
    len(CHANGED_ORDERS.columns) + 2,
)
_ATTEMPT_UPDATE = CHANGED_ATTEMPTS.update(ATTEMPT_CHANGES)
_ATTEMPT_INSERT = (
    f"INSERT INTO orders_attempt ({BEGUN_ATTEMPTS.read()}, outcome, code, message, venue_order_id, evidence, lookups_absent, "
    f"resolution) SELECT {BEGUN_ATTEMPTS.chosen()}, '', '', '', '', '[]', 0, '' FROM {BEGUN_ATTEMPTS.unnested()}"
)
_LETTER_INSERT, _LETTER_UPDATE = LETTERS.insert(), LETTERS.update(LETTER_CHANGES)
_INTENT_INSERT = NEW_INTENTS.insert()
_INTENT_UPDATE = INTENTS.update(("done_at", "result"))
_FILL_INSERT, _POSTING_INSERT, _ANOMALY_INSERT = FILLS.insert(), POSTINGS.insert(), ANOMALIES.insert()
_TRANSFER_INSERT = TRANSFERS.insert()
_FRAME_INSERT = f"INSERT INTO venues_rawframe ({FRAMES.read()}, channel, error) SELECT {FRAMES.chosen()}, 'stream', '' FROM {FRAMES.unnested()}"
_TOTALS = (
    "INSERT INTO orders_balance (account_id, asset, total, updated_at) "
    "SELECT v.*, now() FROM unnest($1::text[], $2::text[], $3::numeric[]) AS v "
    "ON CONFLICT (account_id, asset) DO UPDATE SET total = orders_balance.total + EXCLUDED.total, updated_at = now()"
)
_POSITIONS = sql.counting(
    "INSERT INTO orders_position AS p (account_id, symbol, quantity, entry_price, realised_pnl, updated_at) "
    "SELECT v.account, v.symbol, v.quantity, v.entry_price, v.realised_pnl, now() FROM unnest($1::text[], $2::text[], "
    "$3::numeric[], $4::numeric[], $5::numeric[]) AS v(account, symbol, quantity, entry_price, realised_pnl) "
    "ON CONFLICT (account_id, symbol) DO UPDATE SET quantity = EXCLUDED.quantity, entry_price = EXCLUDED.entry_price, "
    "realised_pnl = EXCLUDED.realised_pnl, updated_at = now() WHERE (p.account_id, p.symbol, p.quantity, p.realised_pnl) "
    "IN (SELECT * FROM unnest($1::text[], $2::text[], $6::numeric[], $7::numeric[]))",
    8,
)
_EVENTS = (
    "WITH counter AS (UPDATE venues_account SET event_sequence = event_sequence + $1::int WHERE code = $2 "
    "RETURNING code, event_sequence - $1::int AS base) "
    f"INSERT INTO orders_orderevent (account_id, sequence, {EVENTS.read()}) "
    f"SELECT counter.code, counter.base + v.number, {EVENTS.chosen()} FROM counter, "
    + EVENTS.unnested(first=3, ordinal="number")
)
_HELD = (
    "JOIN orders_accountlease l ON l.account_id = g.account AND l.epoch = g.epoch AND l.expires_at > clock_timestamp() "
    "WHERE g.revision IS NULL OR g.revision = coalesce((SELECT value FROM lib_rulesrevision WHERE id = 1), 0)"
)
_GATES = (
    "SELECT 1 / (count(*) = $4::bigint)::int FROM unnest($1::text[], $2::bigint[], $3::bigint[]) "
    f"AS g(account, epoch, revision) {_HELD}"
)
_COLUMNS = len(BEGUN_ATTEMPTS.columns)
_GATED_ATTEMPTS = (  # one statement for lease, rules, attempts and versions: each costs a tenth of a millisecond
    f"WITH touched AS ({_ATTEMPT_INSERT} "
    f"JOIN unnest(${_COLUMNS + 1}::text[], ${_COLUMNS + 2}::bigint[], ${_COLUMNS + 3}::bigint[]) "
    f"AS g(account, epoch, revision) ON g.account = v.account_id {_HELD} RETURNING 1), "
    "begun AS (UPDATE orders_order AS t SET version = b.version "
    f"FROM unnest(${_COLUMNS + 4}::uuid[], ${_COLUMNS + 5}::bigint[]) AS b(id, version) "
    "WHERE t.id = b.id AND t.version = b.version - 1 RETURNING 1) "
    f"SELECT 1 / ((SELECT count(*) FROM touched) = ${_COLUMNS + 6}::bigint "
    f"AND (SELECT count(*) FROM begun) = ${_COLUMNS + 7}::bigint)::int"
)


class Store(DatabaseDesk):
    """Reads and writes inside the transaction that is open on this thread."""

    def aggregates(self, order_ids: Sequence[uuid.UUID]) -> Iterator[Aggregate]:
        """Return orders with their attempts (oldest first) and open dead letters."""
        wanted = list(order_ids)
        attempts: dict[uuid.UUID, list[AttemptRow]] = {order_id: [] for order_id in wanted}
        letters: dict[uuid.UUID, list[LetterRow]] = {order_id: [] for order_id in wanted}
        found = sql.rows(_READ_ORDERS, wanted)
        orders = [OrderRow(**dict(zip(_ORDER_FIELDS, row[1:], strict=True))) for row in found]
        sent = [order.id for order, row in zip(orders, found, strict=True) if row[0]]
        if sent:
            query = f"SELECT {_ATTEMPT_READ} FROM orders_attempt a WHERE order_id = ANY(%s) ORDER BY sent_at, id"
            for row in sql.rows(query, sent):
                attempt = AttemptRow(**dict(zip(_ATTEMPT_FIELDS, row, strict=True)))
                attempts[attempt.order].append(attempt)
            query = (
                f"SELECT {_LETTER_READ}, a.action FROM orders_deadletter l LEFT JOIN orders_attempt a ON a.id = l.attempt_id "
                "WHERE l.order_id = ANY(%s) AND l.status = 'open' ORDER BY l.created_at"
            )
            for row in sql.rows(query, sent):
                letter = LetterRow(**dict(zip(_LETTER_FIELDS, row, strict=True)))
                letter.action = letter.action or "submit"
                letters[letter.order].append(letter)
        return iter([Aggregate.stored(order, attempts[order.id], letters[order.id]) for order in orders])

    def find(
        self, account: str, client_ids: Sequence[str], venue_ids: Sequence[tuple[str, str]]
    ) -> Sequence[uuid.UUID]:
        """Return the orders that own these client ids or (symbol, venue order id) pairs."""
        symbols, names = [symbol for symbol, _ in venue_ids], [name for _, name in venue_ids]
        query = (
            "SELECT order_id FROM orders_attempt WHERE account_id = %s AND venue_client_id = ANY(%s) UNION "
            "SELECT id FROM orders_order WHERE account_id = %s AND (symbol, venue_order_id) IN "
            "(SELECT * FROM unnest(%s::text[], %s::text[])) UNION SELECT a.order_id FROM orders_attempt a "
            "JOIN orders_order o ON o.id = a.order_id WHERE a.account_id = %s AND a.venue_order_id = ANY(%s) "
            "AND (o.symbol, a.venue_order_id) IN (SELECT * FROM unnest(%s::text[], %s::text[]))"
        )
        found = sql.rows(query, account, list(client_ids), account, symbols, names, account, names, symbols, names)
        return [row[0] for row in found]

    def fills(self, keys: Sequence[TradeKey]) -> list[FillRow]:
        """Return which of these trades are booked."""
        columns = [list(column) for column in zip(*keys, strict=True)] or [[], [], [], []]
        query = (
            f"SELECT {FILLS.read()} FROM orders_fill WHERE (account_id, symbol, venue_trade_id, side) IN "
            "(SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[]))"
        )
        return [FillRow(**dict(zip(_FILL_FIELDS, row, strict=True))) for row in sql.rows(query, *columns)]

    def booked_transfers(self, keys: Sequence[TransferKey]) -> frozenset[TransferKey]:
        """Return which of these transfers are booked."""
        if not keys:
            return frozenset()
        columns = [list(column) for column in zip(*keys, strict=True)]
        query = (
            "SELECT account_id, kind, venue_transfer_id, asset FROM orders_transfer WHERE "
            "(account_id, kind, venue_transfer_id, asset) IN "
            "(SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[]))"
        )
        return frozenset((row[0], row[1], row[2], row[3]) for row in sql.rows(query, *columns))

    def transfers_proved_at(self, account: str) -> datetime | None:
        """Return when the newest read of transfers that was good was asked for."""
        query = (
            "SELECT requested_at FROM venues_snapshot WHERE account_id = %s AND surface = 'transfers' AND status = 'good' "
            "ORDER BY taken_at DESC LIMIT 1"
        )
        return next((row[0] for row in sql.rows(query, account)), None)

    def opening_transfers(self, account: str) -> frozenset[tuple[str, str, str]] | None:
        """Return the transfers (kind, venue id, asset) that the opening balances already contain; None when none was read then."""
        query = (
            "SELECT rows::json FROM venues_snapshot WHERE account_id = %s AND surface = 'transfers' AND reason = 'opening' "
            "ORDER BY taken_at LIMIT 1"
        )
        for (told,) in sql.rows(query, account):
            done = [row for row in told if row["status"] == "done"]
            return frozenset((row["kind"], row["venue_transfer_id"], row["asset"]) for row in done)
        return None

    def moved_assets(self, account: str, since: datetime) -> Sequence[str]:
        """Return the assets of which either side has something, and those of transfers since then."""
        query = (
            "SELECT asset FROM orders_balance WHERE account_id = %s AND (total <> 0 OR venue_total <> 0) UNION "
            "SELECT asset FROM orders_transfer WHERE account_id = %s AND occurred_at >= %s ORDER BY asset"
        )
        return [row[0] for row in sql.rows(query, account, account, since)]

    def position(self, account: str, symbol: str) -> PositionRow | None:
        """Return a position, or None."""
        query = "SELECT quantity, entry_price, realised_pnl FROM orders_position WHERE account_id = %s AND symbol = %s"
        for quantity, entry_price, realised_pnl in sql.rows(query, account, symbol):
            return PositionRow(
                account=account, symbol=symbol, quantity=quantity, entry_price=entry_price, realised_pnl=realised_pnl
            )
        return None

    def is_noted(self, anomaly: AnomalyRow, within_seconds: float) -> bool:
        """Say whether the same anomaly was noted lately."""
        query = (
            "SELECT 1 FROM orders_anomaly WHERE account_id = %s AND kind = %s AND subject = %s AND data = %s::jsonb "
            "AND seen_at > %s - make_interval(secs => %s) LIMIT 1"
        )
        data = json.dumps(anomaly.data)
        found = sql.rows(query, anomaly.account, anomaly.kind, anomaly.subject, data, clock.now(), within_seconds)
        return bool(found)

    def write(self, books: Books) -> None:
        """Store every change of the books. Raises Conflict or Fenced; then nothing is stored."""
        for said in books.announcements.values():
            feed.announce(said.topic, said.kind, said.object_id, account=said.account, data=said.data)
        for account in sorted(books.wakes):
            feed.wake(account)
        if books.anomalies:
            feed.wake_comparison()
        flush = sql.Flush()
        _write_orders(flush, books)
        _write_money(flush, books)
        _write_log(flush, books)
        numbering = feed.numbering()
        if numbering is not None:
            flush.add(*numbering)
        flush.send()


def _write_orders(flush: sql.Flush, books: Books) -> None:
    with_attempts = {attempt.account for attempt in books.new_attempts}
    ungated = {account: gate for account, gate in books.gates.items() if account not in with_attempts}
    if ungated:
        flush.add(_GATES, [*_gates(ungated), str(len(ungated)).encode()])
        flush.expect(Fenced)
    if books.new_orders:
        flush.add(_ORDER_INSERT, ORDERS.values(books.new_orders))
    if books.changed_orders:
        changed = sorted(books.changed_orders.values(), key=lambda pair: pair[0].id)
        versions = sql.array((version for _, version in changed), "bigint")
        values = CHANGED_ORDERS.values(order for order, _ in changed)
        flush.add(_ORDER_UPDATE, [*values, versions, str(len(changed)).encode()])
        flush.expect(Conflict)
    gated = [attempt for attempt in books.new_attempts if attempt.account in books.gates]
    free = [attempt for attempt in books.new_attempts if attempt.account not in books.gates]
    if gated:
        begun = [books.begun[order_id] for order_id in sorted(books.begun)]
        counts = [str(len(gated)).encode(), str(len(begun)).encode()]
        flush.add(_GATED_ATTEMPTS, [*BEGUN_ATTEMPTS.values(gated), *_gates(books.gates), *BEGUN.values(begun), *counts])
        flush.expect(Fenced)
    if free:
        flush.add(_ATTEMPT_INSERT, BEGUN_ATTEMPTS.values(free))
    if books.changed_attempts:
        flush.add(_ATTEMPT_UPDATE, CHANGED_ATTEMPTS.values(books.changed_attempts.values()))
    if books.new_letters:
        flush.add(_LETTER_INSERT, LETTERS.values(books.new_letters))
    if books.changed_letters:
        flush.add(_LETTER_UPDATE, LETTERS.values(books.changed_letters.values()))
    if books.new_intents:
        flush.add(_INTENT_INSERT, NEW_INTENTS.values(books.new_intents))
    if books.changed_intents:
        flush.add(_INTENT_UPDATE, INTENTS.values(books.changed_intents.values()))


def _gates(gates: Mapping[str, tuple[int, int | None]]) -> list[bytes]:
    rows = [(account, *gates[account]) for account in sorted(gates)]
    accounts, epochs, revisions = zip(*rows, strict=True)
    return [sql.array(accounts, "text"), sql.array(epochs, "bigint"), sql.array(revisions, "bigint")]


def _write_money(flush: sql.Flush, books: Books) -> None:
    if books.fills:
        flush.add(_FILL_INSERT, FILLS.values(books.fills))
        failpoints.reach("P10")
    if books.transfers:
        flush.add(_TRANSFER_INSERT, TRANSFERS.values(books.transfers))
    if books.postings:
        flush.add(_POSTING_INSERT, POSTINGS.values(books.postings))
    if books.told.balances:  # first: their distance is told from the totals as they stood before
        flush.add(*balance_notes.told(books.told.balances))
    if books.totals:
        keys = sorted(books.totals)
        amounts = sql.array((books.totals[key] for key in keys), "numeric")
        flush.add(_TOTALS, [sql.array((k[0] for k in keys), "text"), sql.array((k[1] for k in keys), "text"), amounts])
    if books.changed_positions:
        pairs = [books.changed_positions[key] for key in sorted(books.changed_positions)]
        flush.add(_POSITIONS, [*POSITIONS.values(after for after, _ in pairs), *HELD.values(before for _, before in pairs),
                               str(len(pairs)).encode()])  # fmt: skip
        flush.expect(Conflict)
    if books.anomalies:
        flush.add(_ANOMALY_INSERT, ANOMALIES.values(books.anomalies))


def _write_log(flush: sql.Flush, books: Books) -> None:
    if books.told.frames:
        flush.add(_FRAME_INSERT, FRAMES.values(books.told.frames))
    by_account: dict[str, list[EventRow]] = {}
    for event in books.events:
        by_account.setdefault(event.account, []).append(event)
    for account in sorted(by_account):  # after the rows: everybody locks orders before the account's counter
        events = by_account[account]
        flush.add(_EVENTS, [str(len(events)).encode(), account.encode(), *EVENTS.values(events)])


def _selected(table: sql.Table, alias: str) -> str:
    """Return the select list with JSON as `json`: the driver parses that, and Django makes it leave `jsonb` as text."""
    return ", ".join(
        f"{alias}.{name}::json" if kind == "jsonb" else f"{alias}.{name}" for _, name, kind in table.columns
    )


@contextmanager
def transaction() -> Iterator[Books]:
    """Open the books for one transaction of a process that owns no account: intake, a correction, a test."""
    with feed.transaction():
        books = Books(Store(), Cache(), is_careful=True)
        yield books
        books.commit()


_READ_ORDERS = (
    "SELECT EXISTS (SELECT 1 FROM orders_attempt a WHERE a.order_id = o.id) "
    "OR EXISTS (SELECT 1 FROM orders_deadletter l WHERE l.order_id = o.id AND l.status = 'open'), "
    f"{ORDERS.read('o')} FROM orders_order o WHERE id = ANY(%s)"
)
_ORDER_FIELDS = [attribute for attribute, _, _ in ORDERS.columns]
_ATTEMPT_FIELDS = [attribute for attribute, _, _ in ATTEMPTS.columns]
_FILL_FIELDS = [attribute for attribute, _, _ in FILLS.columns]
_LETTER_FIELDS = [*(attribute for attribute, _, _ in LETTERS.columns), "action"]
_ATTEMPT_READ, _LETTER_READ = _selected(ATTEMPTS, "a"), _selected(LETTERS, "l")

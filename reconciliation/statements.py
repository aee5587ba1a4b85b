"""Statements of venues: taken in whole or not at all, compared with our fills, each difference the break that runs know."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import IO, Any

from django.db import connection

from project.lib import audit, clock, feed, ids, symbols
from reconciliation import breaks, statement_compare
from reconciliation import statement_mapping as mappings
from reconciliation.compare import fingerprint
from reconciliation.models import Break, BreakEvent, Coverage, Statement, StatementFinding, StatementMapping
from reconciliation.statement_cells import Market, Wrong
from reconciliation.statement_compare import Scope
from reconciliation.statement_mapping import Layout
from reconciliation.statement_reader import FILE_BYTES_MAX, Line, Reader
from venues import symbols as names
from venues.models import Account, Instrument, Surface

COVERS = {"all": "every market of the account", "named": "only the markets it names"}
PREVIEW_LINES = 20
_LOCK = 7_201_002
_PIECE_BYTES = 1 << 20
_COPY = (
    "COPY reconciliation_statementline (statement_id, number, symbol, side, venue_trade_id, venue_order_id, price, quantity, fee, "
    "fee_asset, executed_at) FROM STDIN"
)
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


class Refused(Exception):
    """Nothing was taken in; the text says why and what to do, for a person."""


class AlreadyImported(Refused):
    """The same file was taken in before; `earlier` is that statement."""

    def __init__(self, earlier: Statement) -> None:
        at = f"{earlier.imported_at:%Y-%m-%d %H:%M} UTC"
        super().__init__(
            f"this very file was imported already, as {earlier.filename} on {at} by {earlier.imported_by}: look at that statement"
        )
        self.earlier = earlier


class _Unreadable(Exception):
    """Takes everything back: the file has problems."""


def take_in(
    account: Account, mapping: StatementMapping, file: IO[bytes], filename: str, actor: str, *,
    window_from: datetime | None = None, window_to: datetime | None = None, covers: str = "all", although_nothing_matches: bool = False,
) -> Statement:  # fmt: skip
    """Read a statement, compare it with our fills, and note what differs as breaks; in one transaction.

    Returns the statement: compared, or refused with every bad line named and nothing taken in. `window_from` and `window_to`
    are the period it is of; without them it is of the time between its first and its last trade. Raises Refused, and
    AlreadyImported for the same file again.
    """
    _check(account, mapping, window_from, window_to, covers)
    digest = _digest(file)
    _refuse_twice(account, digest)
    layout, now = mappings.layout(mapping.columns, mapping.options), clock.now()
    known = markets(account.venue_id, layout)
    if not known:
        raise Refused(
            f"the markets of {account.venue_id} were never loaded, so no symbol can be told: load them on the page of the venue, "
            "or say in the mapping which symbol of theirs is which of ours"
        )
    reader = Reader(layout, known, now)
    row = Statement(
        account=account, mapping=mapping, filename=_name(filename), digest=digest, status=Statement.Status.COMPARED,
        window_from=window_from, window_to=window_to, imported_by=actor, imported_at=now,
    )  # fmt: skip
    try:
        with feed.transaction():
            _lock(account)
            _refuse_twice(account, digest)
            row.save(force_insert=True)
            _compare(Scope(row, layout, covers, now), reader, file, actor, although_nothing_matches)
    except _Unreadable:
        return _keep_refused(row, reader, actor)
    return row


def preview(layout: Layout, account: Account, file: IO[bytes], *, is_partial: bool) -> tuple[Reader, list[Line]]:
    """Read the beginning of a file: what its first lines say, and what is wrong with them. Writes nothing."""
    reader = Reader(layout, markets(account.venue_id, layout), clock.now(), is_partial)
    lines = []
    for line in reader.lines(file):
        lines.append(line)
        if len(lines) >= PREVIEW_LINES:
            break
    return reader, lines


def markets(venue: str, layout: Layout) -> dict[str, tuple[Market, ...]]:
    """Return the markets of a venue by every name an export may give them: the venue's spelling, and ours; one query.

    Of a venue whose markets nobody can load there are those that a person names in the mapping, and no others.
    """
    rows = Instrument.objects.filter(venue_id=venue, unmapped_reason="").order_by("symbol")
    found: dict[str, list[Market]] = defaultdict(list)
    for symbol, theirs, base, quote, settle in rows.values_list("symbol", "venue_symbol", "base", "quote", "settle"):
        market = Market(symbol, base, quote, settle)
        for name in {symbol, theirs}:
            found[name].append(market)
    if not found:
        for symbol in {symbol for symbol in layout.symbols.values() if names.canonical(symbol) == symbol}:
            found[symbol].append(Market(symbol, *symbols.split(symbol)))
    return {name: tuple(named) for name, named in found.items()}


def standing(row: Statement) -> str:
    """Say what a statement came to. It agrees only where every line of it and every fill of its period was compared and equal."""
    if row.status == Statement.Status.REFUSED:
        return "refused"
    told: Mapping[str, Any] = row.summary
    if told.get("different"):
        return "differs"
    if not told.get("agreed"):
        return "nothing to compare"
    is_whole = not (told.get("too_young") or told.get("fills_not_covered") or told.get("fees_compared") is False)
    return "agrees" if is_whole else "agrees in part"


def _check(
    account: Account, mapping: StatementMapping, begins: datetime | None, ends: datetime | None, covers: str
) -> None:
    if mapping.venue_id != account.venue_id:
        raise Refused(f"the mapping is of venue {mapping.venue_id}, the account {account.pk} of {account.venue_id}")
    if (begins is None) != (ends is None) or (begins and ends and begins >= ends):
        raise Refused("give both ends of the period, the first before the last, or neither")
    if covers not in COVERS:
        raise Refused(f"it covers one of {', '.join(COVERS)}")


def _digest(file: IO[bytes]) -> str:
    summed, size = hashlib.sha256(), 0
    file.seek(0)
    while piece := file.read(_PIECE_BYTES):
        size += len(piece)
        if size > FILE_BYTES_MAX:
            raise Refused(f"the file has more than {FILE_BYTES_MAX >> 20} MB; split the export into shorter periods")
        summed.update(piece)
    file.seek(0)
    return summed.hexdigest()


def _refuse_twice(account: Account, digest: str) -> None:
    earlier = Statement.objects.filter(account=account, digest=digest, status=Statement.Status.COMPARED).first()
    if earlier is not None:
        raise AlreadyImported(earlier)


def _lock(account: Account) -> None:
    # Statements of an account come one after another; its orders go on meanwhile.
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [_LOCK, account.pk])


def _compare(scope: Scope, reader: Reader, file: IO[bytes], actor: str, although_nothing_matches: bool) -> None:
    row, began = scope.statement, time.monotonic()
    span = _copy(row, reader, file)
    if reader.problems_count:
        raise _Unreadable
    _settle_window(row, reader, span)
    if "venue_trade_id" not in scope.layout.columns:
        statement_compare.pair_by_content(scope)
    counts = statement_compare.count(scope)
    if not although_nothing_matches:
        _refuse_strangers(scope, reader, counts)
    # The row of its fills is what runs hold while they compare: whoever is second sees what the first has found.
    list(Coverage.objects.select_for_update(no_key=True).filter(account=row.account, surface=Surface.FILLS))
    existing = breaks.unresolved(row.account_id, Surface.FILLS)
    try:
        found = statement_compare.differences(scope)
    except statement_compare.TooMany:
        what = f"more than {statement_compare.DIFFERENCES_MAX:,} trades differ, of {counts['lines']:,} lines"
        raise _problem(
            reader, what, "check the account, the mapping, the period and what it covers; nothing was noted"
        ) from None
    comparison = statement_compare.with_evidence(scope, found, existing)
    told = breaks.Told(str(row.pk), row.account)
    folded = breaks.fold(comparison, told, existing, run_id=row.pk)
    row.lines = counts["lines"]
    row.summary = {
        **counts, **found.counts, "explained": folded.explained,
        "tolerated": sum(folded.tolerated.values()), "opened": folded.opened, "other_rows": dict(reader.other_rows.most_common(50)),
        "fees_compared": "fee" in scope.layout.columns, "by_content": "venue_trade_id" not in scope.layout.columns,
        "covers": scope.covers, "header_line": reader.header_line, "although_nothing_matches": although_nothing_matches,
        "agreeing_breaks": _note_findings(scope, found, comparison.differences, existing),
        "milliseconds": round((time.monotonic() - began) * 1000),
    }  # fmt: skip
    row.save()
    _record(row, actor)


def _copy(row: Statement, reader: Reader, file: IO[bytes]) -> tuple[datetime, datetime] | None:
    file.seek(0)
    first = last = None
    with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        for piece in _pieces(row.pk, reader.lines(file)):
            text, begins, ends = piece
            # With a bad line nothing is taken in: the rest is only read to tell its problems.
            if not reader.problems_count:
                copy.write(text)
            first, last = begins if first is None else min(first, begins), ends if last is None else max(last, ends)
    return (first, last) if first is not None and last is not None else None


def _pieces(statement: uuid.UUID, lines: Iterator[Line], size: int = 1000) -> Iterator[tuple[str, datetime, datetime]]:
    texts: list[str] = []
    first = last = None
    name = str(statement)
    for line in lines:
        fee = "\\N" if line.fee is None else f"{line.fee:f}"
        texts.append(
            f"{name}\t{line.number}\t{line.symbol}\t{line.side}\t{line.venue_trade_id.translate(_ESCAPES)}\t"
            f"{line.venue_order_id.translate(_ESCAPES)}\t{line.price:f}\t{line.quantity:f}\t{fee}\t{line.fee_asset}\t{line.executed_at.isoformat()}\n"
        )
        at = line.executed_at
        first, last = at if first is None or at < first else first, at if last is None or at > last else last
        if len(texts) >= size:
            yield "".join(texts), first, last
            texts, first, last = [], None, None
    if texts and first is not None and last is not None:
        yield "".join(texts), first, last


def _settle_window(row: Statement, reader: Reader, span: tuple[datetime, datetime] | None) -> None:
    if row.window_from is None or row.window_to is None:
        if span is None:
            raise _problem(reader, "no trade in it", "say which period it is of: then it tells that nothing was traded")
        row.window_from, row.window_to = span
        return
    if span is None:
        return
    outside = row.rows.exclude(executed_at__range=(row.window_from, row.window_to)).order_by("number")
    for number, at in outside.values_list("number", "executed_at").iterator(5000):
        what = f"{at:%Y-%m-%d %H:%M:%S} UTC is not in the period that was given"
        reader.note(number, "", at.isoformat(), Wrong(what, "correct the period, or the time zone of the mapping"))
    if reader.problems_count:
        raise _Unreadable


def _refuse_strangers(scope: Scope, reader: Reader, counts: Mapping[str, int]) -> None:
    compared = counts["lines"] - counts["before_opening"]
    if counts["lines"] and not compared:
        since = f"{scope.account.opened_at:%Y-%m-%d %H:%M} UTC"
        raise _problem(reader, f"every trade of it is from before {since}, when the books of {scope.account.pk} begin", "there is nothing to compare it with")  # fmt: skip
    if counts["matched"] or not (compared or counts["fills"]):
        return
    others = Statement.objects.filter(digest=scope.statement.digest, status=Statement.Status.COMPARED)
    other = others.exclude(account=scope.account).values_list("account_id", flat=True).first()
    where = f" The same file was imported for {other}." if other else ""
    raise _problem(
        reader,
        f"none of its {compared:,} trades is among the {counts['fills']:,} fills of {scope.account.pk} in its period.{where}",
        "is it another account's or venue's file? Where it is right, import it again and say that it is to be compared although nothing matches",
    )


def _problem(reader: Reader, what: str, remedy: str) -> _Unreadable:
    reader.note(0, "", "", Wrong(what, remedy))
    return _Unreadable()


def _note_findings(scope: Scope, found: statement_compare.Result, differences: Any, existing: list[Break]) -> int:
    account = scope.account.pk
    named = {fingerprint(account, each.kind, each.subject, each.asset): each.subject for each in differences}
    standing_breaks = Break.objects.filter(account=account, fingerprint__in=list(named)).exclude(
        status=Break.Status.RESOLVED
    )
    findings = [
        StatementFinding(statement=scope.statement, discrepancy_id=key, line=found.lines.get(named[name]))
        for key, name in standing_breaks.values_list("pk", "fingerprint")
    ]
    against = [row for row in existing if row.fingerprint not in named and row.status != Break.Status.RESOLVED]
    agreeing = statement_compare.agreeing(scope, against)
    events = list[BreakEvent]()
    for row in against:
        if (line := agreeing.get(row.subject)) is not None:
            findings.append(StatementFinding(statement=scope.statement, discrepancy=row, line=line, agrees=True))
            text = f"line {line} of the statement {scope.statement.filename} says what our books say"
            events.append(
                breaks.event(
                    row, "statement_agrees", "reconciliation", {"statement": str(scope.statement.pk), "text": text}
                )
            )
    StatementFinding.objects.bulk_create(findings)
    BreakEvent.objects.bulk_create(events)
    return len(events)


def _keep_refused(row: Statement, reader: Reader, actor: str) -> Statement:
    with feed.transaction():
        row.pk, row.status, row.lines = ids.new_id(), Statement.Status.REFUSED, 0
        row.problems = [problem.plain() for problem in sorted(reader.problems, key=lambda each: each.line)]
        row.summary = {"problems": reader.problems_count, "header_line": reader.header_line}
        row.save(force_insert=True)
        _record(row, actor)
    return row


def _record(row: Statement, actor: str) -> None:
    names = ("lines", "agreed", "different", "problems", "covers", "although_nothing_matches")
    told = {name: row.summary[name] for name in names if name in row.summary}
    detail = {
        "account": row.account_id,
        "file": row.filename,
        "digest": row.digest,
        "mapping": row.mapping.version,
        **told,
    }
    audit.record(actor, f"statement.{'refuse' if row.status == Statement.Status.REFUSED else 'import'}", row.pk, detail)
    feed.announce("statements", f"statement.{row.status}", row.pk, account=row.account_id, data={"file": row.filename})


def _name(filename: str) -> str:
    plain = "".join(sign for sign in filename.replace("\\", "/").rsplit("/", 1)[-1] if sign.isprintable()).strip()
    return plain[:200] or "statement.csv"

"""Statements on a real database: taken in whole or not at all, compared as runs do, the same break for the same difference."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from project.lib.models import AuditEntry, FeedEntry
from reconciliation import coverage, evidence, resolutions, runs, statement_compare, statements
from reconciliation.models import Break, BreakEvent, Coverage, StatementFinding, StatementLine
from tests.reconciliation import builders, statement_files
from tests.reconciliation.statement_files import PLAIN, row, take, text
from venues.models import Account

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner() -> Account:
    return statement_files.account()


def kinds() -> list[tuple[str, str]]:
    return list(Break.objects.order_by("kind", "subject").values_list("kind", "status"))


def test_a_month_that_agrees_makes_no_break(owner: Account) -> None:
    fills = statement_files.trades(builders.order(owner), 30)
    found = take(owner, statement_files.mapping(owner), text(row(fill) for fill in fills))
    assert (found.status, found.lines, found.summary["agreed"], found.summary["different"]) == ("compared", 30, 30, 0)
    assert statements.standing(found) == "agrees"
    assert (found.window_from, found.window_to) == (fills[0].executed_at, fills[-1].executed_at)
    assert kinds() == [] and found.rows.count() == 30
    entry = AuditEntry.objects.get(action="statement.import")
    assert (entry.actor, entry.detail["agreed"], entry.detail["digest"]) == ("ada", 30, found.digest)
    assert FeedEntry.objects.filter(topic="statements", kind="statement.compared").count() == 1


def test_every_kind_of_difference_is_an_open_break_with_its_file_and_line(owner: Account) -> None:
    order = builders.order(owner)
    fills = statement_files.trades(order, 9)
    rows = [row(fill) for fill in fills]
    rows[1] |= {"price": "101"}
    rows[2] |= {"fee": "0.07"}
    rows[3] |= {"side": "sell"}
    rows[4] |= {"time": f"{fills[4].executed_at + timedelta(seconds=30):%Y-%m-%d %H:%M:%S}"}
    rows[5] |= {"trade": "T5x"}  # one that is not booked here, and one that the venue does not list
    found = take(owner, statement_files.mapping(owner), text(rows))
    told = {(one.kind, one.subject): one for one in Break.objects.all()}
    assert set(told) == {
        ("fill_differs", "BTC/USDT T1 buy"), ("fee_differs", "BTC/USDT T2 buy"), ("wrong_side", "BTC/USDT T3 sell"),
        ("fill_differs", "BTC/USDT T4 buy"), ("fill_missing_here", "BTC/USDT T5x buy"), ("fill_missing_at_venue", "BTC/USDT T5 buy"),
    }  # fmt: skip
    assert {one.status for one in told.values()} == {"open"}
    price = told["fill_differs", "BTC/USDT T1 buy"]
    assert (price.ours, price.theirs, price.fill) == ("price 100", "price 101", fills[1])
    assert price.evidence["statement"] == {
        "statement": str(found.pk), "file": "june.csv", "line": 3, "digest": found.digest, "is_whole": True,
    }  # fmt: skip
    assert told["fill_differs", "BTC/USDT T4 buy"].evidence["fields"] == ["occurred_at"]
    lines = dict(StatementFinding.objects.filter(statement=found).values_list("discrepancy__subject", "line"))
    assert (lines["BTC/USDT T5x buy"], lines["BTC/USDT T5 buy"], lines["BTC/USDT T3 sell"]) == (7, None, 5)
    (kept,) = json.loads(evidence.bundle(price, "ada"))["content"]["statements"]
    assert (kept["filename"], kept["line"]["price"], kept["line"]["number"], kept["digest"]) == (
        "june.csv",
        "101",
        3,
        found.digest,
    )
    summary = found.summary
    assert (summary["missing_here"], summary["missing_there"], summary["differs"], summary["agreed"]) == (1, 1, 4, 4)
    assert statements.standing(found) == "differs"
    assert all(BreakEvent.objects.filter(discrepancy=one, kind="opened").count() == 1 for one in told.values())


def test_nothing_is_booked_or_closed_by_a_statement(owner: Account) -> None:
    order = builders.order(owner)
    fills = statement_files.trades(order, 4)
    take(owner, statement_files.mapping(owner), text([row(fills[0]), row(fills[1], trade="X"), *map(row, fills[2:])]))
    assert order.fills.count() == 4
    missing = Break.objects.get(kind="fill_missing_at_venue")
    again = take(owner, statement_files.mapping(owner), text(map(row, fills)), "corrected.csv")
    missing.refresh_from_db()
    assert missing.status == "open", "whoever uploads a file must not be able to close a break with it"
    event = BreakEvent.objects.get(discrepancy=missing, kind="statement_agrees")
    assert "line 3 of the statement corrected.csv" in event.detail["text"]
    assert StatementFinding.objects.get(statement=again, discrepancy=missing).agrees
    assert again.summary["agreeing_breaks"] == 1


def test_a_difference_that_a_run_knows_is_the_same_break(owner: Account) -> None:
    coverage.ensure()
    order = builders.order(owner)
    fills = statement_files.trades(order, 4)
    at = builders.ago(200)
    builders.snapshot(owner, "fills", [builders.fill_row("T9", at)], seconds_ago=100)
    runs.advance()
    (first,) = Break.objects.all()
    assert (first.kind, first.status) == ("fill_missing_here", "suspected")
    told = {"trade": "T9", "time": f"{at:%Y-%m-%d %H:%M:%S}", "order": "V1"}
    found = take(owner, statement_files.mapping(owner), text([*map(row, fills), row(fills[0], **told)]))
    first.refresh_from_db()
    assert (first.status, first.seen_count, Break.objects.count()) == ("open", 2, 1), (
        "confirmed by a second source, not a second row"
    )
    assert first.evidence["statement"]["line"] == 6 and len(first.evidence["reads"]) == 1
    assert StatementFinding.objects.get(statement=found).discrepancy == first
    builders.fill(order, "T9", at)
    builders.snapshot(owner, "fills", [builders.fill_row("T9", at)], seconds_ago=20)
    runs.advance()
    first.refresh_from_db()
    assert (first.status, first.resolution) == ("resolved", "automatic"), "booked since: the run that sees it closes it"


def test_a_later_read_does_not_take_back_what_a_statement_tells(owner: Account) -> None:
    coverage.ensure()
    order = builders.order(owner)
    at = builders.ago(300).replace(microsecond=0)
    fills = [builders.fill(order, f"N{n}", at + timedelta(seconds=20 * n)) for n in range(3)]
    take(owner, statement_files.mapping(owner), text([row(fills[0], fee="0.9"), *map(row, fills[1:])]))
    builders.snapshot(
        owner, "fills", [builders.fill_row(f.venue_trade_id, f.executed_at) for f in fills], seconds_ago=20
    )
    runs.advance()
    (row_,) = Break.objects.all()
    assert (row_.kind, row_.status) == ("fee_differs", "open")
    assert Coverage.objects.get(surface="fills").status == "failed", "not green while a person has not decided"
    resolutions.explain(row_, "rita", "a rebate of the venue")
    builders.snapshot(
        owner, "fills", [builders.fill_row(f.venue_trade_id, f.executed_at) for f in fills], seconds_ago=10
    )
    runs.advance()
    assert Coverage.objects.get(surface="fills").status == "proved"


def test_what_a_person_explained_does_not_come_again(owner: Account) -> None:
    fills = statement_files.trades(builders.order(owner), 4)
    take(owner, statement_files.mapping(owner), text([row(fills[0], fee="0.9"), *map(row, fills[1:])]))
    resolutions.explain(Break.objects.get(), "rita", "a rebate of the venue")
    again = take(
        owner, statement_files.mapping(owner), text([row(fills[0], fee="0.9"), *map(row, fills[1:3])]), "part.csv"
    )
    assert Break.objects.count() == 1
    assert (again.summary["explained"], again.summary["different"]) == (1, 1)
    assert statements.standing(again) == "differs", "explained is not equal"


def test_only_the_period_is_judged(owner: Account) -> None:
    fills = statement_files.trades(builders.order(owner), 10)
    found = take(owner, statement_files.mapping(owner), text(row(fill) for fill in fills[3:7]))
    assert (found.summary["different"], kinds()) == (0, [])
    whole: Any = {
        "window_from": fills[0].executed_at - timedelta(hours=1),
        "window_to": fills[-1].executed_at + timedelta(hours=1),
    }
    found = take(owner, statement_files.mapping(owner), text(row(fill) for fill in fills[3:8]), "again.csv", **whole)
    assert found.summary["missing_there"] == 5 and {kind for kind, _ in kinds()} == {"fill_missing_at_venue"}
    edges: Any = {
        "window_from": fills[4].executed_at + timedelta(seconds=1),
        "window_to": fills[8].executed_at - timedelta(seconds=1),
    }
    found = take(owner, statement_files.mapping(owner), text(row(fill) for fill in fills[5:8]), "edges.csv", **edges)
    assert found.summary["missing_there"] == 0


def test_a_line_outside_of_the_period_that_was_given_refuses_the_file(owner: Account) -> None:
    fills = statement_files.trades(builders.order(owner), 3)
    period: Any = {"window_from": fills[1].executed_at, "window_to": fills[2].executed_at}
    found = take(owner, statement_files.mapping(owner), text(map(row, fills)), **period)
    assert (found.status, [problem["line"] for problem in found.problems]) == ("refused", [2])
    assert StatementLine.objects.count() == 0


def test_only_the_markets_it_covers_are_missed(owner: Account) -> None:
    fills = statement_files.trades(builders.order(owner), 5)
    other = builders.fill(builders.order(owner, symbol="ETH/USDT"), "E1", fills[2].executed_at)
    perpetual = builders.fill(builders.order(owner, symbol="BTC/USDT:USDT"), "P1", fills[2].executed_at)
    content = [row(fill) for fill in fills]
    found = take(owner, statement_files.mapping(owner), text(content), covers="named")
    assert (found.summary["different"], found.summary["fills_not_covered"]) == (0, 2)
    assert statements.standing(found) == "agrees in part"
    layout = replace(PLAIN, market="spot")
    found = take(owner, statement_files.mapping(owner, layout), text(content[:-1]), "spot.csv")
    assert list(Break.objects.values_list("fill", flat=True)) == [other.pk] and found.summary["fills_not_covered"] == 1
    assert perpetual.pk is not None


def test_trades_before_the_opening_are_not_ours(owner: Account) -> None:
    owner.opened_at = builders.ago(20 * 86_400)
    owner.save()
    fills = statement_files.trades(builders.order(owner), 3, since_days=10)
    before = row(fills[0], trade="OLD", time=f"{builders.ago(40 * 86_400):%Y-%m-%d %H:%M:%S}")
    found = take(owner, statement_files.mapping(owner), text([before, *map(row, fills)]))
    assert (found.summary["before_opening"], found.summary["different"], kinds()) == (1, 0, [])
    found = take(owner, statement_files.mapping(owner), text([before]), "old.csv")
    assert found.status == "refused" and "is from before" in found.problems[0]["what"]


def test_the_file_of_another_account_is_refused_unless_somebody_insists(owner: Account) -> None:
    other = statement_files.account("other")
    theirs = statement_files.trades(builders.order(other), 5, prefix="Z")
    statement_files.trades(builders.order(owner), 5)
    content, found = text(map(row, theirs)), statement_files.mapping(owner)
    take(other, found, content)
    refused = take(owner, found, content)
    assert refused.status == "refused" and (Break.objects.count(), StatementLine.objects.count()) == (0, 5)
    assert "none of its 5 trades is among the 5 fills of main" in refused.problems[0]["what"]
    assert (
        "imported for other" in refused.problems[0]["what"]
        and "although nothing matches" in refused.problems[0]["remedy"]
    )
    assert AuditEntry.objects.filter(action="statement.refuse").count() == 1
    insisted = take(owner, found, content, although_nothing_matches=True)
    assert insisted.summary["missing_here"] == 5 and insisted.summary["although_nothing_matches"]


def test_too_many_differences_are_the_wrong_file(owner: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement_compare, "DIFFERENCES_MAX", 3)
    fills = statement_files.trades(builders.order(owner), 6)
    found = take(owner, statement_files.mapping(owner), text(row(fill, price="7") for fill in fills))
    assert found.status == "refused" and "more than 3 trades differ, of 6 lines" in found.problems[0]["what"]
    assert (Break.objects.count(), StatementLine.objects.count()) == (0, 0)


def test_without_trade_ids_lines_are_paired_by_what_they_say(owner: Account) -> None:
    order = builders.order(owner)
    at = builders.ago(86_400).replace(microsecond=0)
    spots = [0, 0.2, 0.999, 60, 120.6, 180]
    fills = [builders.fill(order, f"T{n}", at + timedelta(seconds=each)) for n, each in enumerate(spots)]
    rows = [row(fill) for fill in fills]
    rows[4]["time"] = f"{at + timedelta(seconds=121):%Y-%m-%d %H:%M:%S}"  # rounded up where the others are cut off
    columns = {
        name: header for name, header in PLAIN.columns.items() if name not in ("venue_trade_id", "fee", "fee_asset")
    }
    layout = replace(PLAIN, columns=columns)
    found = take(owner, statement_files.mapping(owner, layout), text(rows))
    assert (found.summary["agreed"], found.summary["different"], found.summary["by_content"]) == (6, 0, True)
    assert statements.standing(found) == "agrees in part", "without fees not everything was compared"
    more = [*rows, rows[0], row(fills[3], quantity="0.25")]
    for number, name in enumerate(("more.csv", "more2.csv")):
        found = take(owner, statement_files.mapping(owner, layout), text(more) + b"\n" * number, name)
        assert (found.summary["agreed"], found.summary["missing_here"]) == (6, 2)
        assert Break.objects.filter(kind="fill_missing_here").count() == 2, "the same lines are the same breaks"
    assert all(subject.split()[1].startswith("~") for subject in Break.objects.values_list("subject", flat=True))


def test_a_statement_without_fees_does_not_accuse_them(owner: Account) -> None:
    coverage.ensure()
    order = builders.order(owner)
    fills = statement_files.trades(order, 3)
    columns = {name: header for name, header in PLAIN.columns.items() if name not in ("fee", "fee_asset")}
    layout = replace(PLAIN, columns=columns)
    found = take(owner, statement_files.mapping(owner, layout), text([*map(row, fills), row(fills[0], trade="T9")]))
    assert found.summary["missing_here"] == 1 and not Break.objects.get().evidence["statement"]["is_whole"]
    builders.fill(order, "T9", fills[0].executed_at)
    builders.snapshot(owner, "fills", [], seconds_ago=20)
    runs.advance()
    assert kinds() == [("fill_missing_here", "open")], "no fee was told, so none is wrong; a person closes it"


def test_an_empty_month_needs_its_period(owner: Account) -> None:
    refused = take(owner, statement_files.mapping(owner), text([]))
    assert refused.status == "refused" and "say which period it is of" in refused.problems[0]["remedy"]
    period: Any = {"window_from": builders.ago(40 * 86_400), "window_to": builders.ago(30 * 86_400)}
    found = take(owner, statement_files.mapping(owner), text([]), **period)
    assert (found.status, statements.standing(found)) == ("compared", "nothing to compare")
    statement_files.trades(builders.order(owner), 2, since_days=35)
    again = take(owner, statement_files.mapping(owner), text([]) + b"\n", "later.csv", **period)
    assert again.status == "refused" and "none of its 0 trades is among the 2 fills" in again.problems[0]["what"]


def test_a_venue_whose_markets_nobody_loads_has_those_that_its_mapping_names() -> None:
    owner = builders.account("far", "kraken")
    order = builders.order(owner)
    content = text(row(fill, pair="XBT-TETHER") for fill in statement_files.trades(order, 3, since_days=0.02))
    with pytest.raises(statements.Refused, match="the markets of kraken were never loaded"):
        take(owner, statement_files.mapping(owner), content)
    named = replace(PLAIN, symbols={"XBT-TETHER": "BTC/USDT"})
    found = take(owner, statement_files.mapping(owner, named), content)
    assert (found.summary["agreed"], found.summary["different"]) == (3, 0)
    other = take(owner, statement_files.mapping(owner, replace(PLAIN, symbols={"X": "BTC/USDT"})), content + b"\n")
    assert other.status == "refused" and "a symbol that none of the venue's markets has" in other.problems[0]["what"]

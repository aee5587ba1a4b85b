"""Rules from draft to effect: nothing hides by default, every effect is named, and a dry run comes first."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from project.lib import clock
from project.lib.models import AuditEntry
from reconciliation import coverage, dry_runs, rules, runs
from reconciliation.models import Break, Coverage, CoverageChange, DryRun, Rule
from tests import factories
from tests.reconciliation import builders
from venues.models import Account

D = Decimal
pytestmark = pytest.mark.django_db


@pytest.fixture
def owner() -> Account:
    account = builders.account()
    coverage.ensure()
    builders.opening(account, BTC="2", USDT="1000")
    factories.InstrumentFactory(venue=account.venue, symbol="BTC/USDT", last_price=D("60000"))
    return account


def read(owner: Account, seconds_ago: float, **totals: str) -> None:
    totals = {"BTC": "2", "USDT": "1000", **totals}
    builders.snapshot(owner, "balances", builders.balance_rows(**totals), seconds_ago=seconds_ago)
    runs.advance()


def draft(**values: Any) -> Rule:
    values = {
        "code": "dust", "action": "tolerate", "kinds": ["balance"], "scope": "global", "asset": "", "absolute": None,
        "basis_points": None, "usd": None, "grace_seconds": 0, "reason": "rests", **values,
    }  # fmt: skip
    return rules.draft(values, "rita")


def put_in_force(rule: Rule) -> Rule:
    return rules.activate(rule, "rita", dry_runs.run(rule, "rita").digest)


def balances() -> Coverage:
    return Coverage.objects.get(surface="balances")


def test_no_rule_is_in_force_by_itself_and_the_smallest_difference_counts(owner: Account) -> None:
    assert not Rule.objects.exists()
    for seconds_ago in (30, 20):
        read(owner, seconds_ago, BTC="2.000000000000000001")
    row = Break.objects.get()
    assert (row.status, row.rule, row.tolerance["rule"]) == ("open", None, "")
    assert row.tolerance["passes_at"] == {"absolute": "0.000000000000000001", "basis_points": "0.0001", "usd": "0.01"}


def test_a_tolerated_difference_opens_no_break_and_stays_to_be_seen(owner: Account) -> None:
    put_in_force(draft(usd=D(1)))
    read(owner, 30, BTC="2.00001", USDT="999.5")
    assert not Break.objects.exists()
    cell = balances()
    assert (cell.status, cell.detail) == ("proved", "2 tolerated by rule dust v1")
    assert cell.summary["tolerated"] == {"dust v1": 2}
    assert {row["subject"]: row["delta"] for row in cell.summary["tolerated_rows"]} == {
        "BTC": "0.00001",
        "USDT": "-0.5",
    }
    read(owner, 20, BTC="2.00002", USDT="999.5")
    row = Break.objects.get()
    assert (row.subject, row.status, row.rule, row.tolerance["rule"]) == (
        "BTC",
        "suspected",
        Rule.objects.get(),
        "dust v1",
    )
    assert row.tolerance["allowed"]["usd"] == "1" and row.tolerance["passes_at"]["usd"] == "1.2"
    assert balances().status == "failed" and "1 tolerated by rule dust v1" in balances().detail


def test_a_suspicion_that_a_rule_tolerates_is_closed_and_an_open_break_stays(owner: Account) -> None:
    read(owner, 60, BTC="2.00001")
    put_in_force(draft(usd=D(1)))
    read(owner, 50, BTC="2.00001")
    row = Break.objects.get()
    assert (row.status, row.resolved_by, row.resolution) == ("resolved", "rule:dust:v1", "automatic")
    assert "dust v1" in row.resolution_reason and "Run " in row.resolution_reason
    rules.retire(Rule.objects.get(), "rita")
    for seconds_ago in (40, 30):
        read(owner, seconds_ago, BTC="2.00001")
    opened = Break.objects.get(status="open")
    assert opened.recurrence == 1
    put_in_force(draft(usd=D(1)))
    read(owner, 20, BTC="2.00001")
    opened.refresh_from_db()
    assert opened.status == "open" and opened.rule is not None and opened.rule.version == 2, (
        "only a closing rule ends it"
    )


def test_a_closing_rule_ends_an_open_break_once_and_keeps_the_row(owner: Account) -> None:
    for seconds_ago in (60, 50):
        read(owner, seconds_ago, BTC="2.00001")
    put_in_force(draft(code="rest", action="close", absolute=D("0.001")))
    read(owner, 40, BTC="2.00001")
    row = Break.objects.get()
    assert (row.status, row.resolved_by) == ("resolved", "rule:rest:v1")
    assert list(row.events.order_by("id").values_list("kind", flat=True)) == ["suspected", "opened", "resolved"]
    for seconds_ago in (30, 20):
        read(owner, seconds_ago, BTC="2.00001")
    assert Break.objects.count() == 1 and balances().detail == "1 tolerated by rule rest v1"
    read(owner, 10, BTC="2.5")
    assert Break.objects.get(status="suspected").delta == D("0.5"), "another difference is another matter"


def test_a_closing_rule_takes_nothing_from_a_person(owner: Account) -> None:
    for seconds_ago in (60, 50):
        read(owner, seconds_ago, BTC="2.00001")
    Break.objects.update(owner="ada")
    put_in_force(draft(action="close", absolute=D("0.001")))
    read(owner, 40, BTC="2.00001")
    assert Break.objects.get().status == "open"


def test_time_of_grace_keeps_a_difference_suspected_and_no_longer(owner: Account) -> None:
    put_in_force(draft(code="slow", grace_seconds=3600))
    for seconds_ago in (60, 50):
        read(owner, seconds_ago, BTC="1")
    assert Break.objects.get().status == "suspected" and balances().status == "failed"
    Break.objects.update(first_seen_at=clock.now() - timedelta(hours=2))
    read(owner, 40, BTC="1")
    assert Break.objects.get().status == "open"


def test_a_narrow_rule_shields_what_it_covers_from_a_wide_one(owner: Account) -> None:
    put_in_force(draft(code="wide", absolute=D(1)))
    put_in_force(draft(code="strict", absolute=D(0), scope="account:main", asset="BTC"))
    read(owner, 30, BTC="2.5", USDT="1000.5")
    row = Break.objects.get()
    assert (row.subject, row.tolerance["rule"]) == ("BTC", "strict v1")
    assert balances().summary["tolerated"] == {"wide v1": 1}


def test_a_version_is_activated_only_after_its_own_dry_run_and_retires_the_one_before(owner: Account) -> None:
    first = put_in_force(draft(usd=D(1)))
    second = draft(usd=D(2))
    assert (second.version, rules.status(second)) == (2, "draft")
    stranger = dry_runs.run(first, "rita").digest
    for digest in ("", "0" * 64, stranger):
        with pytest.raises(rules.Refused, match="dry run of exactly this version"):
            rules.activate(second, "rita", digest)
    old = dry_runs.run(second, "rita")
    with factories.unguarded():
        DryRun.objects.filter(pk=old.pk).update(run_at=clock.now() - timedelta(hours=25))
    with pytest.raises(rules.Refused, match="24 hours"):
        rules.activate(second, "rita", old.digest)
    put_in_force(second)
    first.refresh_from_db()
    assert rules.status(first) == "retired" and first.retired_by == "rita"
    with pytest.raises(rules.Refused, match="retired"):
        rules.activate(first, "rita", stranger)
    actions = list(
        AuditEntry.objects.filter(action__startswith="rule.").order_by("sequence").values_list("action", "subject")
    )
    assert actions[-3:] == [("rule.dry_run", "dust v2"), ("rule.retire", "dust v1"), ("rule.activate", "dust v2")]


def test_the_database_keeps_a_version_as_it_was_written(owner: Account) -> None:
    rule = put_in_force(draft(usd=D(1)))
    for change in ("usd = 1000000", "kinds = '[]'", "active_from = now()", "scope = 'venue:x'", "usd = NULL"):
        with pytest.raises(IntegrityError, match="never changes"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"UPDATE reconciliation_rule SET {change} WHERE id = %s", [rule.id])
    with pytest.raises(IntegrityError, match="never changes"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM reconciliation_rule WHERE id = %s", [rule.id])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "allows nothing"),
        ({"action": "close", "grace_seconds": 60}, "needs a bound"),
        ({"usd": D(1), "kinds": ["fill_missing_here"]}, "no amount of these"),
        ({"grace_seconds": 60, "kinds": ["overfill"]}, "no amount of these"),
        ({"usd": D(1), "scope": "venue:nowhere"}, "no scope"),
        ({"usd": D(1), "reason": " "}, "say why"),
        ({"absolute": D(-1)}, "less than zero"),
        ({"grace_seconds": 90_000}, "3600"),
    ],
)
def test_a_rule_that_would_hide_too_much_or_nothing_is_refused(
    owner: Account, values: dict[str, Any], words: str
) -> None:
    with pytest.raises(rules.Refused, match=words):
        draft(**values)
    assert not Rule.objects.exists()


def test_every_template_can_be_drafted(owner: Account) -> None:
    for template in rules.TEMPLATES:
        bounds: dict[str, Any] = {
            name: D(template[name]) for name in ("absolute", "basis_points", "usd") if name in template
        }
        draft(**{**template, **bounds})
    assert Rule.objects.filter(active_from=None).count() == len(rules.TEMPLATES)


def test_a_dry_run_says_what_would_have_become_of_the_past_and_changes_nothing(owner: Account) -> None:
    for seconds_ago in (60, 50):
        read(owner, seconds_ago, BTC="2.00001", USDT="998")
    # This one was larger on the way: only its largest difference counts.
    Break.objects.filter(subject="BTC").update(first_seen_at=clock.now() - timedelta(days=40))
    read(owner, 40, BTC="2.00001", USDT="999.5")
    before = list(Break.objects.order_by("id").values())
    told = dry_runs.run(draft(usd=D("1.5")), "rita").result
    assert {name: told["groups"][name]["count"] for name in dry_runs.GROUPS} == {
        "tolerated": 0, "closed": 0, "outside": 1, "judged_elsewhere": 0,
    }  # fmt: skip
    assert told["groups"]["outside"]["breaks"][0]["usd"] == "2.00", "it was 2 USDT once"
    longer = dry_runs.run(draft(action="close", usd=D(2)), "rita", days=60).result["groups"]["closed"]
    assert (longer["count"], longer["usd"], longer["breaks"][0]["subject"]) == (2, "2.60", "USDT")
    put_in_force(draft(code="mine", absolute=D(0), scope="account:main"))
    other = dry_runs.run(draft(usd=D(2)), "rita", days=60)
    assert other.result["groups"]["judged_elsewhere"]["count"] == 2
    assert list(Break.objects.order_by("id").values()) == before
    assert len({run.digest for run in DryRun.objects.all()}) == DryRun.objects.count() == 4


def test_severity_comes_from_what_the_difference_is_worth(owner: Account) -> None:
    read(owner, 30, BTC="2.5", USDT="995", XYZ="7")
    rows = {row.subject: row for row in Break.objects.all()}
    assert (rows["BTC"].severity, rows["BTC"].severity_usd) == ("critical", D("30000.00"))
    assert (
        "BTC/USDT at binance" in rows["BTC"].evidence["price"]["source"] and rows["BTC"].evidence["price"]["is_assumed"]
    )
    assert (rows["USDT"].severity, rows["USDT"].severity_usd) == ("low", D("5.00"))
    assert "assumed" in rows["USDT"].evidence["price"]["source"]
    assert (rows["XYZ"].severity, rows["XYZ"].severity_usd) == ("high", None), "without a price its kind decides"
    assert "no" in rows["XYZ"].evidence["price"]["why"]
    read(owner, 20, BTC="2.02", USDT="995", XYZ="7")
    rows["BTC"].refresh_from_db()
    assert (rows["BTC"].severity, rows["BTC"].severity_usd) == ("high", D("1200.00")), (
        "it changed, and so did its weight"
    )


def test_a_small_trade_that_is_missing_is_still_missing(owner: Account) -> None:
    order = builders.order(owner)
    builders.fill(order, "T1", builders.ago(100), quantity=D("0.00001"))
    builders.snapshot(owner, "fills", [], seconds_ago=20)
    runs.advance()
    row = Break.objects.get(kind="fill_missing_at_venue")
    assert (row.severity, row.severity_usd) == ("high", D("0.60"))
    assert row.economic_at == order.fills.get().executed_at


def test_every_change_of_what_is_proved_is_on_record_once(owner: Account) -> None:
    read(owner, 60)
    read(owner, 50)
    read(owner, 40, BTC="1")
    read(owner, 30)
    told = CoverageChange.objects.filter(surface="balances").order_by("id")
    assert list(told.values_list("status", flat=True)) == ["proved", "failed", "proved"]
    assert "BTC" in told[1].detail

"""Rules and the history of reconciliation in the console."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client

from project import overview
from project.lib import clock
from project.lib.templatetags.console import duration
from reconciliation.models import DryRun, Rule
from tests import factories
from tests.console.conftest import SignIn
from venues.models import Surface

pytestmark = pytest.mark.django_db
URL = "/reconciliation/rules/"
DUST = {"code": "dust", "action": "tolerate", "kinds": ["balance"], "scope": "global", "usd": "1", "reason": "rests"}


def text(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return " ".join(re.sub(r"<[^>]*>", " ", answer.content.decode()).split())


def test_from_a_template_to_a_rule_in_force_and_out_of_it_again(sign_in: SignIn) -> None:
    factories.BreakFactory(kind="balance", asset="USDT", delta=Decimal("0.4"), severity_usd=Decimal("0.40"))
    factories.BreakFactory(kind="balance", asset="USDT", delta=Decimal("400"), severity_usd=Decimal("400.00"))
    client = sign_in("risk")
    assert 'value="dust"' in client.get(f"{URL}?template=dust").content.decode()
    assert client.post(URL, DUST).status_code == 303
    rule = Rule.objects.get()
    page = f"{URL}{rule.pk}/"
    assert "Not run dry yet" in text(client, page) and "disabled>Activate" in client.get(page).content.decode()
    client.post(f"{page}activation/", {"dry_run": ""})
    assert "look at a dry run of exactly this version first" in text(client, page)
    client.post(f"{page}dry-runs/", {"days": "30"})
    shown = text(client, page)
    assert re.search(r"Tolerated 1 0\.40 USD", shown) and re.search(r"Outside 1 400\.00 USD", shown)
    digest = DryRun.objects.get().digest
    assert f'name="dry_run" value="{digest}"' in client.get(page).content.decode()
    client.post(f"{page}activation/", {"dry_run": digest})
    rule.refresh_from_db()
    assert rule.active_from and "judges from the next read on" in text(client, page)
    client.post(f"{page}retirement/")
    assert "dust v1 is retired" in text(client, page)
    client.post(f"{page}retirement/")
    assert "nothing was changed: dust v1 is retired already" in text(client, page)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"usd": ""}, "it allows nothing"),
        ({"usd": "1.234"}, "at most 2 decimals"),
        ({"usd": "-1"}, "0 or more"),
        ({"usd": "1e3"}, "plain decimal"),
        ({"kinds": ["fill_missing_here"]}, "no amount of these"),
        ({"kinds": ["overfill"]}, "not one of the available choices"),
        ({"scope": "venue:nowhere"}, "not one of the available choices"),
        ({"grace_seconds": "90000"}, "less than or equal to 3600"),
        ({"code": "no spaces"}, "valid"),
    ],
)
def test_a_form_that_is_wrong_says_where(sign_in: SignIn, values: dict[str, object], words: str) -> None:
    answer = sign_in("risk").post(URL, {**DUST, **values})
    assert answer.status_code == 422 and words in answer.content.decode()
    assert not Rule.objects.exists()


@pytest.mark.parametrize("days", ["", "0", "366", "x", "٣"])
def test_a_dry_run_over_no_number_of_days_is_refused(sign_in: SignIn, days: str) -> None:
    rule, client = factories.RuleFactory(), sign_in("risk")
    client.post(f"{URL}{rule.pk}/dry-runs/", {"days": days})
    assert "the days must be between 1 and 365" in text(client, f"{URL}{rule.pk}/")
    assert not DryRun.objects.exists()


def test_history_shows_changes_of_one_cell_the_trend_and_the_time_to_close(sign_in: SignIn) -> None:
    account, other = factories.AccountFactory(code="main"), factories.AccountFactory(code="other")
    now = clock.now()
    factories.CoverageChangeFactory(account=account, detail="1 unresolved: BTC")
    factories.CoverageChangeFactory(account=account, surface="fills", detail="the read failed: HTTP 502")
    factories.CoverageChangeFactory(account=other, detail="of the other")
    for seconds in (60, 120, 7200):
        factories.BreakFactory(
            account=account, kind="position", status="resolved", opened_at=now - timedelta(seconds=seconds), resolved_at=now,
            resolution="automatic", resolved_by="rule:dust:v1",
        )  # fmt: skip
    client = sign_in("viewer")
    shown = text(client, "/reconciliation/history/")
    assert "1 unresolved: BTC" in shown and "HTTP 502" in shown and "of the other" in shown
    assert re.search(r"Position 3 3 3 0 0 2 min 1 h 36 min", shown), "median and 90th percentile"
    one = text(client, "/reconciliation/history/?account=main&surface=fills")
    assert "HTTP 502" in one and "1 unresolved: BTC" not in one and "of the other" not in one
    factories.CoverageFactory(
        account=account,
        summary={
            "tolerated": {"dust v1": 2},
            "tolerated_rows": [
                {"kind": "balance", "subject": "BTC", "delta": "0.00001", "usd": "0.60", "rule": "dust v1"}
            ],
        },
    )
    balances = text(client, "/reconciliation/history/?account=main&surface=balances")
    assert "BTC 0.00001 · balance, tolerated by rule dust v1" in balances and "2 in all" in balances
    assert "2 tolerated" in text(client, "/reconciliation/")
    assert re.search(r"Breaks opened 0", text(client, "/reconciliation/history/?account=other&days=7"))
    for part in ("map", "changes", "trend"):
        assert f'id="{part}"' in client.get(f"/reconciliation/history/?fragment={part}").content.decode()
    assert client.get("/reconciliation/history/?days=9999&surface=nothing&account=nobody").status_code == 200


@pytest.mark.parametrize("path", ["/reconciliation/", "/reconciliation/history/"])
@pytest.mark.parametrize("status", ["never", "stale", "failed", "unsupported", None, "old"])
def test_only_what_was_proved_lately_is_green(sign_in: SignIn, path: str, status: str | None) -> None:
    account, long_ago = factories.AccountFactory(), clock.now() - timedelta(days=1)
    if status == "old":  # proved once, and nobody has been there since to write down that it is stale
        factories.CoverageFactory(account=account, proved_at=long_ago, checked_at=long_ago)
    elif status:
        factories.CoverageFactory(account=account, status=status, proved_at=long_ago)
    page = sign_in("viewer").get(path).content.decode()
    cells = re.findall(r'class="coverage-cell" data-state="(\w+)"', page)
    assert len(cells) >= len(Surface) and "proved" not in cells


def test_the_overview_is_green_only_when_every_surface_of_every_account_is_proved(sign_in: SignIn) -> None:
    client, account = sign_in("viewer"), factories.AccountFactory()
    assert overview.coverage_summary() == {
        "proved": 0,
        "stale": 0,
        "failed": 0,
        "unsupported": 0,
        "never": 5,
        "total": 5,
    }
    for surface in Surface:
        factories.CoverageFactory(account=account, surface=surface)
    assert "All proved" in client.get("/").content.decode()
    for status in ("never", "stale", "failed", "unsupported"):
        account.coverage.filter(surface="transfers").update(status=status)
        page = client.get("/").content.decode()
        assert "All proved" not in page and overview.coverage_summary()["proved"] == 4, status
    account.coverage.update(status="proved")
    account.coverage.filter(surface="transfers").update(proved_at=clock.now() - timedelta(days=1))
    assert "All proved" not in client.get("/").content.decode(), "an old proof is none"
    account.coverage.update(proved_at=clock.now())
    assert "All proved" in client.get("/").content.decode()
    factories.AccountFactory()
    assert "All proved" not in client.get("/").content.decode(), "an account that nobody has looked at"
    assert overview.coverage_summary()["never"] == 5


def test_a_time_is_written_in_its_two_largest_units() -> None:
    written = {seconds: duration(Decimal(seconds)) for seconds in (0, 42, 60, 185, 7800, 356_400)}
    assert written == {0: "0 s", 42: "42 s", 60: "1 min", 185: "3 min 5 s", 7800: "2 h 10 min", 356_400: "4 d 3 h"}
    assert duration(None) == "—"

"""`manage.py check_venue`: who may be examined, with which key, and what it prints."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from orders import leases
from project.management.commands.check_venue import findings
from tests.venues.paper.process import PaperVenue, WorldHandle
from venues import credentials, key_files
from venues.conformance.contract import CASES, Conclusion
from venues.models import Account, ProvedFact, Venue

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def paper_only(paper: PaperVenue, settings: Any) -> PaperVenue:
    settings.PAPER_URL = paper.url
    return paper


@pytest.fixture
def keyed(paper_world: WorldHandle, settings: Any, tmp_path: Path) -> Account:
    settings.EXECUTOR_PRIVATE_KEY_FILE = tmp_path / "private.pem"
    settings.EXECUTOR_PUBLIC_KEY_FILE = tmp_path / "public.pem"
    key_files.generate_keypair(settings.EXECUTOR_PRIVATE_KEY_FILE, settings.EXECUTOR_PUBLIC_KEY_FILE)
    venue = Venue.objects.create(
        code="theirs", exchange=paper_world.exchange, rest_url=paper_world.rest_url, ws_url=paper_world.ws_url
    )
    account = Account.objects.create(code="kit", venue=venue)
    credentials.seal(
        account,
        api_key=paper_world.api_key,
        secret=paper_world.secret,
        passphrase=paper_world.passphrase,
        created_by="test",
    )
    return account


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("check_venue", *arguments, stdout=out)
    return out.getvalue()


def test_a_paper_venue_is_examined_in_a_world_of_its_own(paper_only: PaperVenue) -> None:
    Venue.objects.create(code="paper", exchange="kraken", rest_url=f"{paper_only.url}/kraken/demo")
    before = paper_only.control("GET", "worlds")["results"]
    said = run("paper", "--only", "cancelled_by")
    assert "in a paper world of its own" in said
    assert "2 proved, 0 refuted, 0 skipped" in said
    assert paper_only.control("GET", "worlds")["results"] == before


def test_a_stored_key_is_used_under_a_lease_that_is_given_back(keyed: Account) -> None:
    rows = [json.loads(line) for line in run("theirs", "--account", "kit", "--only", "rests", "--json").splitlines()]
    assert {row["case"]: row["verdict"] for row in rows} == {"limit_order_rests": "proved", "post_only_rests": "proved"}
    assert leases.claim("an executor", "kit", 60) is not None


def test_an_account_that_an_executor_serves_is_left_alone(keyed: Account) -> None:
    assert leases.acquire("an executor", 60)
    with pytest.raises(CommandError, match="An executor serves kit now"):
        run("theirs", "--account", "kit")


def test_trading_away_from_the_paper_venue_is_asked_for(keyed: Account) -> None:
    said = run("theirs", "--account", "kit", "--only", "trades_add_up")
    assert "allow it with --spend" in said
    assert "1 proved" in run("theirs", "--account", "kit", "--only", "trades_add_up", "--spend")


def test_the_real_exchange_gets_no_orders_by_accident() -> None:
    Venue.objects.create(code="real", exchange="kraken")
    with pytest.raises(CommandError, match="the real exchange"):
        run("real")


def test_without_a_key_nothing_is_sent() -> None:
    Venue.objects.create(code="test-server", exchange="kraken", rest_url="http://127.0.0.1:9/kraken")
    with pytest.raises(CommandError, match="needs a key"):
        run("test-server")


def test_an_unknown_code_names_the_known_ones() -> None:
    Venue.objects.create(code="known", exchange="kraken")
    with pytest.raises(CommandError, match="There are: known"):
        run("nobody")


def test_a_broken_promise_ends_with_an_error(keyed: Account, paper: PaperVenue, paper_world: WorldHandle) -> None:
    paper.add_fault(paper_world, "status", "balance", params={"status": 503})
    with pytest.raises(CommandError, match="1 of 1 cases refuted"):
        run("theirs", "--account", "kit", "--only", "balances_add_up")
    paper.remove_faults()


def test_what_was_found_is_kept_by_fact_and_a_part_of_the_cases_is_not(keyed: Account) -> None:
    run("theirs", "--account", "kit", "--only", "rests")
    assert not ProvedFact.objects.exists()
    run("theirs", "--account", "kit", "--read-only")
    kept = ProvedFact.objects.get(exchange=keyed.venue.exchange, fact="fills_need_symbol")
    assert (kept.venue, kept.holds) == ("theirs", True)
    assert not ProvedFact.objects.filter(fact="order_types").exists()  # its cases were skipped


def test_one_refuted_case_refutes_its_fact() -> None:
    by_fact = [case for case in CASES if case.fact == "order_types"]
    verdicts = ["refuted", *["proved"] * (len(by_fact) - 1)]
    concluded = [
        Conclusion(case=case, verdict=verdict, detail=f"saw {verdict}", seconds=0.0)  # type: ignore[arg-type]
        for case, verdict in zip(by_fact, verdicts, strict=True)
    ]
    assert findings(concluded) == [("order_types", False, "saw refuted")]
    assert findings(concluded[1:])[0][:2] == ("order_types", True)

"""Two people, two browsers, real processes: a break is found, assigned, previewed, requested, approved by the other."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.flows import oracle
from tests.flows.client import Api, Refused, wait_for
from tests.flows.stack import AccountAtVenue, Stack

pytestmark = [pytest.mark.process, pytest.mark.browser]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PASSWORD = "two different people"
DEBIT = "12500.25"
REASON = "custody fee, told by the venue's support only"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield started
        started.close()


def person(stack: Stack, name: str, role: str) -> Api:
    """Make somebody who may sign in, with one role, and return a client with a token of theirs."""
    done = stack.manage(
        "shell", "-c",
        "import json; from django.contrib.auth.models import Group, User; from project import tokens\n"
        f"user = User.objects.create_user({name!r}, password={PASSWORD!r})\n"
        f"user.groups.add(Group.objects.get_or_create(name={role!r})[0])\n"
        f"print(json.dumps({{'key': tokens.issue(user, 'desk of {name}')[1]}}))",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("{"))
    return Api(stack.api.url, json.loads(line)["key"])


def debit(stack: Stack, account: AccountAtVenue, amount: str) -> None:
    """Have the venue take money from the account and tell nobody."""
    params = {"account": account.world.api_key, "asset": "USDT", "amount": amount}
    stack.paper.add_fault(account.world, "silent_debit", count=1, params=params)


def broken(stack: Stack, account: AccountAtVenue, delta: str, *statuses: str) -> Any:
    """Wait until the break stands at a difference."""

    def look() -> Any:
        rows = stack.api.all("/breaks/", account=account.code)
        wanted = [r for r in rows if r["kind"] == "balance" and r["status"] in (statuses or ("open",))]
        return next((row for row in wanted if Decimal(row["delta"]) == Decimal(delta)), None)

    return wait_for(f"a break of {delta}", look, 40)


def sign_in(browser: Browser, stack: Stack, name: str, problems: list[str]) -> Page:
    """Open a browser of one's own and sign in."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(15_000)
    page = context.new_page()
    page.on("pageerror", lambda error: problems.append(f"{page.url}: {error}"))
    page.goto(f"{stack.api.url}/approvals/")
    page.fill("#id_username", name)
    page.fill("#id_password", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_url(f"{stack.api.url}/approvals/")
    expect(page.locator("#connection")).to_have_text(re.compile(r"^live · seq"))
    return page


def proved(stack: Stack, account: AccountAtVenue) -> None:
    """Books equal to the venue, the surface proved, ledger, log and audit whole."""
    wait_for("the books equal the venue", lambda: oracle.compare(stack, account).is_clean)

    def balances() -> Any:
        rows = stack.api.all("/coverage/", account=account.code)
        return [row for row in rows if row["surface"] == "balances" and row["status"] == "proved"]

    wait_for("balances are proved again", balances, 30)
    for command in (("verify_ledger",), ("replay", "--check"), ("verify_audit",)):
        done = stack.manage(*command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


def request_it(page: Page, stack: Stack, found: Any) -> None:
    """Assign it to oneself, look at the journal, and ask for a second person."""
    page.goto(f"{stack.api.url}/breaks/{found['id']}/")
    page.select_option("#assign-owner", "rosa")
    page.get_by_role("button", name="Assign").click()
    expect(page.locator("#break-page")).to_contain_text("Investigating")
    page.select_option("#counter-book", "fees")
    page.get_by_role("button", name="Preview").click()
    journal = page.locator("[data-journal] tbody tr")
    expect(journal).to_have_count(2)
    expect(journal.nth(0)).to_contain_text(re.compile(rf"Venue\s*{re.escape(DEBIT)}\s*USDT"))
    expect(journal.nth(1)).to_contain_text(re.compile(rf"Fees\s*{re.escape(DEBIT)}\s*USDT"))
    expect(page.locator("[data-difference] td").nth(0)).to_have_text(f"-{DEBIT}")
    expect(page.locator("[data-difference] td").nth(2)).to_have_text("0")
    page.fill("#adjust-reason", REASON)
    page.get_by_role("button", name="Request approval").click()
    expect(page.locator("#counter-entry")).to_contain_text("Nothing is posted until a second person has approved it")


def test_the_requester_is_refused_and_the_other_approves(stack: Stack, browser: Browser) -> None:
    account = stack.open_account("binance")
    hers, _ = person(stack, "rosa", "risk"), person(stack, "abel", "approver")
    debit(stack, account, DEBIT)
    found = broken(stack, account, f"-{DEBIT}")
    problems: list[str] = []
    rosa, abel = sign_in(browser, stack, "rosa", problems), sign_in(browser, stack, "abel", problems)

    request_it(rosa, stack, found)
    waiting = abel.locator("#approvals-table tbody tr", has_text=account.code)
    expect(waiting).to_contain_text(REASON, timeout=5_000)  # told by the feed: nobody reloaded his page
    asked = stack.api.get("/approvals/", account=account.code)["results"][0]
    assert (asked["status"], asked["amount_usd"]) == ("pending", DEBIT)

    rosa.get_by_role("link", name="See the request").click()
    expect(rosa.locator("[data-closed]")).to_contain_text("You requested this")
    expect(rosa.get_by_role("button", name="Approve and post")).to_be_disabled()
    rosa.evaluate("document.querySelectorAll('#decide button').forEach((button) => { button.disabled = false; })")
    rosa.get_by_role("button", name="Approve and post").click()
    expect(rosa.locator("#flash")).to_contain_text("rosa requested it; somebody else has to decide")
    word = {"decision": "approve", "change_hash": asked["change_hash"]}
    with pytest.raises(Refused) as refusal:
        hers.post(f"/approvals/{asked['id']}/decision/", word)
    assert (refusal.value.status, refusal.value.body["code"]) == (403, "SAME_PERSON")
    assert oracle.compare(stack, account).balances == [f"USDT: venue {100000 - Decimal(DEBIT)}, ledger 100000"]

    rosa.goto(f"{stack.api.url}/breaks/{found['id']}/")
    waiting.get_by_role("link").first.click()
    shown = abel.locator("[data-hash]")
    expect(shown).to_have_text(asked["change_hash"])
    expect(abel.locator("[data-journal] tbody tr")).to_have_count(2)
    abel.fill("#decision-password", PASSWORD)
    abel.get_by_role("button", name="Approve and post").click()
    expect(abel.locator("#flash")).to_contain_text("Approved and carried out")
    expect(rosa.locator("#break-page")).to_contain_text("Resolved", timeout=5_000)

    done = stack.api.get(f"/breaks/{found['id']}/")
    assert (done["status"], done["resolution"], done["resolved_by"]) == ("resolved", "adjusted", "abel")
    proved(stack, account)
    assert not problems


def decided(client: Api, asked: Any) -> str:
    """Approve over the API and return what came of it."""
    word = {"decision": "approve", "change_hash": asked["change_hash"]}
    try:
        return str(client.post(f"/approvals/{asked['id']}/decision/", word)["status"])
    except Refused as refusal:
        return str(refusal.body["code"])


def test_a_change_after_the_request_and_two_approvers_at_once(stack: Stack) -> None:
    account = stack.open_account("kraken")
    ravi, first, second = (
        person(stack, "ravi", "risk"),
        person(stack, "uma", "approver"),
        person(stack, "vito", "approver"),
    )
    debit(stack, account, "2000")
    found = broken(stack, account, "-2000")
    wanted = {"action": "adjust", "reason": REASON}
    early = ravi.post(f"/breaks/{found['id']}/resolution/", wanted)
    assert early["status"] == "pending"

    debit(stack, account, "500.5")
    again = broken(stack, account, "-2500.5", "investigating", "awaiting_approval")
    assert again["id"] == found["id"]
    late = wait_for(
        "the request is outdated",
        lambda: (row := ravi.get(f"/approvals/{early['id']}/"))["status"] == "outdated" and row,
        20,
    )
    assert late["decided_by"] == "rule:approvals" and decided(first, early) == "DECIDED"
    assert broken(stack, account, "-2500.5", "investigating")["id"] == found["id"]

    asked = ravi.post(f"/breaks/{found['id']}/resolution/", {**wanted, "delta": "-2500.5"})
    assert decided(ravi, asked) == "SAME_PERSON"
    with ThreadPoolExecutor(2) as pool:
        outcomes = sorted(pool.map(lambda client: decided(client, asked), (first, second)))
    assert outcomes == ["DECIDED", "approved"]
    assert decided(first, asked) == decided(second, asked) == "DECIDED"
    legs = [row for row in stack.api.all("/ledger/", account=account.code) if row["cause"] == "adjustment"]
    assert len(legs) == 2
    proved(stack, account)

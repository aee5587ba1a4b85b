"""Two people, two browsers, real processes: a break is found, assigned, explained line by line, previewed, requested, approved by the other."""

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
CUSTODY, UNKNOWN = Decimal("1250.25"), Decimal("9300.5")
REASON = "custody fee, told by the venue's support only"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield started
        started.close()


def plain(number: Decimal) -> str:
    """Write a number in full."""
    return format(number.normalize(), "f")


def figure(number: Decimal) -> str:
    """Write an amount as pages do: thousands apart, a minus that is one."""
    return format(number.normalize(), ",f").replace("-", "−")


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


def bought(stack: Stack, account: AccountAtVenue) -> tuple[str, Decimal]:
    """Buy a little at the market, and return the first trade of it with what it cost."""
    order = stack.place(account, f"bought-{account.code}", type="market", quantity="0.02", price=None)
    stack.wait_status(order["id"], "filled")
    fill = stack.api.all("/fills/", account=account.code)[-1]
    return fill["venue_trade_id"], Decimal(fill["price"]) * Decimal(fill["quantity"])


def find_it(page: Page, stack: Stack, account: AccountAtVenue, found: Any) -> None:
    """See the break in the queue, without a link from anywhere else, and open it."""
    page.goto(f"{stack.api.url}/breaks/")
    row = page.locator("#breaks-table tbody tr", has_text=account.code)
    expect(row).to_contain_text(figure(Decimal(found["delta"])))
    row.get_by_role("link").first.click()
    page.wait_for_url(re.compile(rf"/breaks/{found['id']}/"))


def explain_it(page: Page, trade: str, cost: Decimal) -> None:
    """Assign it to oneself, tick the trade that the venue took twice, add an amount of one's own; the rest stands on top."""
    page.select_option("#assign-owner", "rosa")
    page.get_by_role("button", name="Assign").click()
    expect(page.locator("#break-page")).to_contain_text("Investigating")
    remaining = page.locator("[data-remaining]")
    expect(remaining).to_have_text(f"{figure(-cost - CUSTODY - UNKNOWN)} USDT remaining")
    offered = page.locator("[data-candidate]", has_text=f"trade {trade}")
    offered = offered.filter(has_text="booked once here, and twice in the venue's total").filter(has_not_text="fee of")
    expect(offered).to_have_count(1)
    offered.get_by_role("checkbox").check()
    page.get_by_role("button", name="Add lines").click()
    expect(remaining).to_have_text(f"{figure(-CUSTODY - UNKNOWN)} USDT remaining")
    page.fill("#line-amount", str(-CUSTODY))
    page.fill("#line-note", "custody fee by letter")
    page.get_by_role("button", name="Add lines").click()
    expect(remaining).to_have_text(f"{figure(-UNKNOWN)} USDT remaining")
    expect(page.locator("[data-lines] tbody tr")).to_have_count(2)
    top, lines = remaining.bounding_box(), page.locator("[data-lines]").bounding_box()
    assert top and lines and top["y"] + top["height"] <= lines["y"], "what remains stands above the lines"


def journal_of(page: Page, cost: Decimal) -> None:
    """Check the journal as it is shown: an entry per line and one for the rest, each leg to the last digit."""
    legs = page.locator("[data-journal] tbody tr")
    expect(legs).to_have_count(6)
    for number, (amount, memo) in enumerate(
        ((cost, "twice in the venue's total"), (CUSTODY, "by letter"), (UNKNOWN, REASON))
    ):
        said = re.escape(figure(amount))
        expect(legs.nth(2 * number)).to_contain_text(re.compile(rf"Venue\s*{said}\s*USDT"))
        expect(legs.nth(2 * number + 1)).to_contain_text(re.compile(rf"Fees\s*{said}\s*USDT"))
        if memo != REASON or "/approvals/" in page.url:
            expect(legs.nth(2 * number)).to_contain_text(memo)


def request_it(page: Page, cost: Decimal) -> None:
    """Look at the journal, and ask for a second person."""
    page.select_option("#counter-book", "fees")
    page.get_by_role("button", name="Preview").click()
    journal_of(page, cost)
    expect(page.locator("[data-difference] td").nth(0)).to_have_text(figure(-(cost + CUSTODY + UNKNOWN)))
    expect(page.locator("[data-difference] td").nth(2)).to_have_text("0")
    page.fill("#adjust-reason", REASON)
    page.get_by_role("button", name="Request approval").click()
    expect(page.locator("#counter-entry")).to_contain_text("Nothing is posted until a second person has approved it")


def test_the_requester_is_refused_and_the_other_approves(stack: Stack, browser: Browser) -> None:
    account = stack.open_account("binance")
    hers, _ = person(stack, "rosa", "risk"), person(stack, "abel", "approver")
    trade, cost = bought(stack, account)
    missing = cost + CUSTODY + UNKNOWN
    wait_for("the trade is in the books", lambda: oracle.compare(stack, account).is_clean)
    before = Decimal(stack.paper.balances(account.world)["USDT"]["total"])
    debit(stack, account, plain(missing))
    found = broken(stack, account, f"-{missing}")
    problems: list[str] = []
    rosa, abel = sign_in(browser, stack, "rosa", problems), sign_in(browser, stack, "abel", problems)

    find_it(rosa, stack, account, found)
    explain_it(rosa, trade, cost)
    request_it(rosa, cost)
    waiting = abel.locator("#approvals-table tbody tr", has_text=account.code)
    expect(waiting).to_contain_text(REASON, timeout=5_000)  # told by the feed: nobody reloaded his page
    asked = stack.api.get("/approvals/", account=account.code)["results"][0]
    assert (asked["status"], asked["amount_usd"]) == ("pending", plain(missing.quantize(Decimal("0.01"))))

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
    [apart] = oracle.compare(stack, account).balances  # nothing was posted
    assert [Decimal(number) for number in re.findall(r" ([\d.]+)", apart)] == [before - missing, before]

    rosa.goto(f"{stack.api.url}/breaks/{found['id']}/")
    waiting.get_by_role("link").first.click()
    shown = abel.locator("[data-hash]")
    expect(shown).to_have_text(asked["change_hash"])
    journal_of(abel, cost)
    abel.fill("#decision-password", PASSWORD)
    abel.get_by_role("button", name="Approve and post").click()
    expect(abel.locator("#flash")).to_contain_text("Approved and carried out")
    expect(rosa.locator("#break-page")).to_contain_text("Resolved", timeout=5_000)

    done = stack.api.get(f"/breaks/{found['id']}/")
    assert (done["status"], done["resolution"], done["resolved_by"]) == ("resolved", "adjusted", "abel")
    legs = [row for row in stack.api.all("/ledger/", account=account.code) if row["cause"] == "adjustment"]
    assert sum(Decimal(row["amount"]) for row in legs if row["book"] == "venue") == -missing and len(legs) == 6
    balances_equal(abel, stack, account, before - missing)
    proved(stack, account)
    assert not problems


def balances_equal(page: Page, stack: Stack, account: AccountAtVenue, total: Decimal) -> None:
    """See ours and the venue's total on the page of balances, equal, without a delta."""
    page.goto(f"{stack.api.url}/balances/?account={account.code}&asset=USDT")
    cells = page.locator("#balances-table tbody tr", has_text=account.code).locator("td")
    for number, text in ((1, figure(total)), (2, figure(total)), (5, "0")):
        expect(cells.nth(number)).to_have_text(text)


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

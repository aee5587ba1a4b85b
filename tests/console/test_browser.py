"""The console in a real browser on a real web process: live, gap-free, quiet and readable at both widths."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from orders.models import Order
from tests import factories
from tests.console import paths, running, world

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PORT = 9063
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
LIVE = re.compile(r"^live · seq")


@pytest.fixture(scope="module")
def browser(django_db_setup: None) -> Iterator[Browser]:
    # The driver runs an event loop of its own in this thread; the tests' queries are synchronous all the same.
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as driver:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield started
        started.close()


@pytest.fixture
def problems() -> list[str]:
    return []


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1440, "height": 900})
    made.set_default_timeout(15_000)
    yield made
    made.close()


def sign_in(context: BrowserContext, address: str, problems: list[str], role: str = "admin") -> Page:
    page = context.new_page()
    page.on(
        "console",
        lambda message: (
            problems.append(f"{page.url}: {message.text}") if message.type in {"error", "warning"} else None
        ),
    )
    page.on("pageerror", lambda error: problems.append(f"{page.url}: {error}"))
    page.goto(f"{address}/orders/")
    page.fill("#id_username", role)
    page.fill("#id_password", factories.PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_url(f"{address}/orders/")
    expect(page.locator("#connection")).to_have_text(LIVE)
    return page


def test_the_blotter_shows_another_process_s_changes_within_two_seconds(
    context: BrowserContext, problems: list[str]
) -> None:
    world.people()
    account = world.desk()[0]
    order = world.order(account, 1)
    with running.web(PORT) as address:
        page = sign_in(context, address, problems)
        row = page.locator(f"#order-{order.id}")
        row.locator("input[data-select]").check()
        page.locator("[data-filter]").fill("half typed")
        running.elsewhere(
            "from tests.console import world; from venues.models import Account; from orders import intake; from orders.models import Order\n"
            "world.order(Account.objects.get(code='paper-main'), 2)\n"
            f"intake.request_cancellation(Order.objects.get(pk='{order.id}'), actor='somebody')"
        )
        expect(page.locator("text=tw-8802-02")).to_be_visible(timeout=2_000)
        expect(row).to_contain_text("cancel requested", timeout=2_000)
        assert row.locator("input[data-select]").is_checked()
        assert page.locator("[data-filter]").input_value() == "half typed"
    assert not [problem for problem in problems if "WebSocket" not in problem]


def test_a_row_is_cancelled_where_it_stands(context: BrowserContext, problems: list[str]) -> None:
    world.people()
    order = world.order(world.desk()[0], 1)
    with running.web(PORT) as address:
        page = sign_in(context, address, problems, "trader")
        row = page.locator(f"#order-{order.id}")
        row.get_by_role("button", name="Cancel").click()
        expect(row).to_contain_text("cancel requested")
        assert page.url == f"{address}/orders/"
        assert not problems


def test_a_lost_connection_is_said_and_healed(context: BrowserContext, problems: list[str]) -> None:
    world.people()
    account = world.desk()[0]
    with running.web(PORT) as address:
        page = sign_in(context, address, problems)
    expect(page.locator("#connection")).to_have_text(re.compile("^stale since"), timeout=30_000)
    assert page.locator("#orders-table").get_attribute("data-stale")
    late = world.order(account, 3)
    with running.web(PORT):
        expect(page.locator("#connection")).to_have_text(LIVE, timeout=60_000)
        expect(page.locator(f"#order-{late.id}")).to_be_visible(timeout=5_000)
        assert page.locator("#orders-table").get_attribute("data-stale") is None


def test_the_ticket_previews_and_sends(context: BrowserContext, problems: list[str]) -> None:
    world.people()
    world.desk()
    with running.web(PORT) as address:
        page = sign_in(context, address, problems, "trader")
        page.goto(f"{address}/orders/new/?account=paper-main")
        page.fill("#id_symbol", "BTC/USDT")
        page.fill("#id_quantity", "0.5")
        page.fill("#id_price", "64000")
        expect(page.locator("#ticket-preview")).to_contain_text("32,000 USDT")
        page.get_by_role("button", name="Send buy order").click()
        page.wait_for_url(re.compile(r"/orders/[0-9a-f-]{36}/"))
        expect(page.locator("#order-page")).to_contain_text("Queued")
        assert Order.objects.get().quantity == Order.objects.get().leaves_quantity
        assert not problems


@pytest.mark.parametrize("width", [1440, 390])
def test_every_page_is_quiet_and_fits(context: BrowserContext, problems: list[str], width: int) -> None:
    world.day()
    with running.web(PORT) as address:
        page = sign_in(context, address, problems)
        page.set_viewport_size({"width": width, "height": 844})
        wide = []
        for name, path in paths.every_page().items():
            if name == "frame":
                continue  # a fragment, not a page
            page.goto(f"{address}{path}")
            over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            wide += [f"{name} is {over} px too wide"] if over > 0 else []
        assert not wide
        assert not problems

"""The queue of breaks in a real browser: by keyboard, many at once, explained line by line, decided without scrolling."""

from __future__ import annotations

from decimal import Decimal

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from reconciliation.models import Break, BreakLine
from tests import factories
from tests.console import running, world
from tests.console.test_browser import browser, context, problems, sign_in  # noqa: F401
from tests.reconciliation import builders
from tests.reconciliation.two_people import desk, drift

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PORT = 9067


def at(page: Page, row: Break) -> None:
    """Expect the reader to stand on a row."""
    expect(page.locator(f"#break-{row.pk}")).to_have_attribute("data-current", "")


def test_triage_by_keyboard_and_many_at_once(context: BrowserContext, problems: list[str]) -> None:  # noqa: F811
    world.people()
    rows = [factories.BreakFactory(first_seen_at=builders.ago(100 + number)) for number in range(4)]
    with running.web(PORT) as address:
        page = sign_in(context, address, problems, "risk")
        page.goto(f"{address}/breaks/")
        for key in ("j", "x", "j", "j", "x", "k"):
            page.keyboard.press(key)
        at(page, rows[1])
        expect(page.locator("[data-selection-bar] [data-selected-count]")).to_have_text("2")
        page.keyboard.press("a")
        expect(page.get_by_role("heading", name="Assign 2 breaks")).to_be_visible()
        page.select_option("#bulk-owner", "risk")
        running.elsewhere(
            "from reconciliation import resolutions; from reconciliation.models import Break\n"
            f"resolutions.note(Break.objects.get(pk='{rows[2].pk}'), 'bert', 'mine')"
        )
        page.get_by_role("button", name="Assign 2 breaks").click()
        expect(page.locator("[data-count=done]")).to_contain_text("1 done")
        expect(page.locator("tr[data-outcome=skipped]")).to_contain_text("has changed since it was selected")
        assert set(Break.objects.filter(owner="risk").values_list("pk", flat=True)) == {rows[0].pk}

        page.goto(f"{address}/breaks/")
        page.keyboard.press("j")
        page.keyboard.press("s")  # nothing ticked: the row the reader is on
        expect(page.get_by_role("heading", name="Snooze 1 break")).to_be_visible()
        page.get_by_role("button", name="Snooze 1 break").click()
        expect(page.locator("[data-count=done]")).to_contain_text("1 done")
        page.get_by_role("link", name="All breaks").click()
        expect(page.locator(f"#break-{rows[0].pk}")).to_have_count(0)
        expect(page.locator("[data-tab=snoozed] .count")).to_have_text("1")

        page.locator("[data-select-all]").check()
        page.get_by_label("all that match the filters instead").check()
        page.keyboard.press("e")
        expect(page.get_by_role("heading", name="Explain 3 breaks")).to_be_visible()
        page.fill("#bulk-reason", "one outage of the venue")
        page.get_by_role("button", name="Explain 3 breaks").click()
        expect(page.locator("[data-count=done]")).to_contain_text("3 done")
        assert Break.objects.filter(resolution_reason="one outage of the venue").count() == 3
    assert not problems


def test_explained_line_by_line_without_scrolling(context: BrowserContext, problems: list[str]) -> None:  # noqa: F811
    world.people()
    account = desk()
    fill = builders.fill(
        builders.order(account, status="filled"), "T1", builders.ago(200), fee=Decimal("0.001"), fee_asset="BTC"
    )
    row = drift(account, "1.997")  # ours 2.499: the trade is not in it, and 0.002 that nobody knows
    with running.web(PORT) as address:
        page = sign_in(context, address, problems, "risk")
        page.goto(f"{address}/breaks/{row.pk}/")
        for key, name in (("", "Assign"), ("", "Request approval"), ("e", "Explain and resolve")):
            if key:
                page.keyboard.press(key)
            box = page.get_by_role("button", name=name).bounding_box()
            assert box is not None and box["y"] + box["height"] <= 900, f"{name} is at {box}"
        assert page.evaluate("scrollY") == 0
        expect(page.locator("[data-remaining]")).to_have_text("−0.502 BTC remaining")
        trade = page.locator("[data-candidate]", has_text="buy 0.5 BTC/USDT, trade T1").first
        trade.get_by_role("checkbox").check()
        page.fill("#line-amount", "-0.001")
        page.fill("#line-note", "custody fee by letter")
        page.get_by_role("button", name="Add lines").click()
        expect(page.locator("[data-remaining]")).to_have_text("−0.001 BTC remaining")
        assert set(BreakLine.objects.values_list("source", "amount")) == {
            ("fill", Decimal("-0.5")), ("person", Decimal("-0.001")),
        }  # fmt: skip
        page.get_by_role("button", name="Take the line off: custody fee by letter").click()
        expect(page.locator("[data-remaining]")).to_have_text("−0.002 BTC remaining")
        page.locator("body").click(position={"x": 5, "y": 500})
        page.keyboard.press("e")
        page.keyboard.type("the trade is late, the rest is noise")
        running.elsewhere(
            "from reconciliation import resolutions; from reconciliation.models import Break\n"
            f"resolutions.note(Break.objects.get(pk='{row.pk}'), 'bert', 'look at the ticket first')"
        )
        expect(page.locator("#break-page")).to_contain_text("look at the ticket first", timeout=5_000)
        assert page.locator("#explain-reason").input_value() == "the trade is late, the rest is noise"
        page.keyboard.press("Enter")
        expect(page.locator("#break-page")).to_contain_text("Resolved as explained")
        row.refresh_from_db()
        assert row.events.order_by("-id")[0].detail["remaining"] == "-0.002"
        assert BreakLine.objects.get().reference == str(fill.pk)
    assert not problems


def test_of_two_pages_the_older_is_refused(context: BrowserContext, problems: list[str]) -> None:  # noqa: F811
    world.people()
    row = factories.BreakFactory()
    with running.web(PORT) as address:
        page = sign_in(context, address, problems, "risk")
        page.goto(f"{address}/breaks/{row.pk}/")
        page.keyboard.press("p")  # paused: the page stays as old as it is
        running.elsewhere(
            "from reconciliation import resolutions; from reconciliation.models import Break\n"
            f"resolutions.assign(Break.objects.get(pk='{row.pk}'), 'bert', 'bert')"
        )
        page.keyboard.press("e")
        page.keyboard.type("known")
        page.keyboard.press("Enter")
        expect(page.locator("#flash")).to_contain_text("bert assigned it at")
        row.refresh_from_db()
        assert (row.status, row.owner) == ("investigating", "bert")
    assert not problems

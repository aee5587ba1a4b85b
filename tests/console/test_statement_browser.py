"""A statement in a real browser: a file is chosen, shown as it will be read, imported, and its differences are followed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from reconciliation.models import Break, Statement
from tests.console import running, world
from tests.console.test_browser import browser, context, problems, sign_in  # noqa: F401
from tests.reconciliation import builders, statement_files
from tests.reconciliation.statement_files import row, text

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PORT = 9068
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
SHOTS = os.environ.get("GAPLESS_TEST_SCREENSHOTS", "")


def look(page: Page, name: str) -> None:
    """Expect a page that fits both widths in both colours; keep a picture where somebody wants one."""
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is wider than {width}"
            if SHOTS:
                page.screenshot(path=str(Path(SHOTS) / f"{name}-{width}-{scheme}.png"), full_page=True)
    page.set_viewport_size({"width": 1440, "height": 900})


def test_from_a_file_to_its_breaks(context: BrowserContext, problems: list[str], tmp_path: Path) -> None:  # noqa: F811
    world.people()
    owner = statement_files.account()
    fills = statement_files.trades(builders.order(owner), 40)
    rows = [row(fill) for fill in fills]
    rows[3]["price"], rows[5]["fee"], rows[7]["trade"] = "101", "0.0512", "T7x"
    good, bad = tmp_path / "binance-june.csv", tmp_path / "binance-broken.csv"
    good.write_bytes(text(rows))
    bad.write_bytes(
        text(
            [row(fills[0], price="1,234.5"), row(fills[1], side="hold"), row(fills[2], pair="DOGE-EUR"), row(fills[3])]
        )
    )
    with running.web(PORT) as address:
        page = sign_in(context, address, problems, "risk")
        page.goto(f"{address}/statements/")
        look(page, "list-empty")
        page.goto(f"{address}/statements/new/")
        page.select_option("#id_account", "main")
        page.set_input_files("#id_file", str(good))
        expect(page.locator("#statement-preview")).to_contain_text("No export we know has these headers")
        look(page, "new-no-mapping")
        page.get_by_role("link", name="Write a mapping, beginning with what they probably are").click()
        expect(page.locator("#id_column_venue_trade_id")).to_have_value("trade")
        page.fill("#id_label", "monthly trades")
        page.select_option("#id_market", "spot")
        look(page, "mapping")
        page.get_by_role("button", name="Save as a new version").click()
        expect(page.get_by_text("Version 1 of the mappings of binance is written")).to_be_visible()

        page.select_option("#id_account", "main")
        page.set_input_files("#id_file", str(bad))
        expect(page.locator("#statement-preview")).to_contain_text("3 problems so far")
        look(page, "new-problems")
        page.get_by_role("button", name="Import and compare").click()
        expect(page.get_by_text("NOTHING WAS TAKEN IN", exact=True)).to_be_visible()
        look(page, "refused")

        page.get_by_role("link", name="Import another").click()
        expect(page.locator("#id_account")).to_have_value("main")
        page.set_input_files("#id_file", str(good))
        expect(page.locator("#statement-preview tbody tr")).to_have_count(20)
        expect(page.locator("#statement-preview")).not_to_contain_text("problem")
        look(page, "new-preview")
        page.get_by_role("button", name="Import and compare").click()
        expect(page.get_by_text("4 differ. Each is a break below")).to_be_visible()
        look(page, "detail")
        statement = Statement.objects.get(status="compared")
        assert (statement.summary["different"], Break.objects.filter(status="open").count()) == (4, 4)
        page.get_by_role("link", name="Fee differs").click()
        expect(page.get_by_role("link", name="Statement binance-june.csv")).to_be_visible()
        look(page, "break")
        page.goto(f"{address}/statements/")
        expect(page.locator("#statements tbody tr")).to_have_count(2)
        look(page, "list")
        page.goto(f"{address}/statements/mappings/")
        look(page, "mappings")
    assert problems == []

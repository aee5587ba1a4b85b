"""Statements in the console: mapping, preview, upload, what came of it; who may; what is exported."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from project.lib.models import AuditEntry
from reconciliation.models import Break, Statement, StatementLine, StatementMapping
from tests.console.conftest import SignIn
from tests.reconciliation import builders, statement_files
from tests.reconciliation.statement_files import row, text
from venues.models import Account

pytestmark = pytest.mark.django_db
KRAKEN = b'"txid","ordertxid","pair","time","type","ordertype","price","cost","fee","vol","margin","misc","ledgers"\n'


@pytest.fixture
def owner() -> Account:
    return statement_files.account()


def words(answer: Any) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", answer.content.decode()).split())


def file(content: bytes, name: str = "june.csv") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content, "text/csv")


def send(client: Client, owner: Account, content: bytes, **values: Any) -> Any:
    given = {"account": owner.pk, "covers": "all", "file": file(content), **values}
    return client.post("/statements/new/", given)


def fields(page: str) -> dict[str, str]:
    """Return what a form would send as it stands."""
    found = dict(re.findall(r'<input type="text" name="(\w+)" value="([^"]*)"', page))
    for name, options in re.findall(r'<select name="(\w+)".*?>(.*?)</select>', page, re.S):
        chosen = re.search(r'value="([^"]*)" selected', options)
        found[name] = chosen[1] if chosen else ""
    return found


def test_from_a_preset_to_a_comparison_and_its_breaks(sign_in: SignIn, owner: Account) -> None:
    client = sign_in("operator")
    assert "No mapping yet" in words(client.get("/statements/new/")) and "No statement yet" in words(
        client.get("/statements/")
    )
    preset = client.get("/statements/mappings/main/?preset=binance-futures")
    assert preset.status_code == 404, "mappings belong to venues"
    page = client.get("/statements/mappings/binance/?preset=binance-futures").content.decode()
    given = fields(page) | {"with_asset": "on"}
    assert (given["column_venue_trade_id"], given["column_price"], given["market"]) == ("Trade ID", "Price", "contract")
    assert client.post("/statements/mappings/binance/", given).status_code == 303
    written = StatementMapping.objects.get()
    assert (written.version, written.columns["fee"], written.created_by, written.label) == (
        1,
        "Fee",
        "operator",
        "Binance, futures trade history",
    )
    assert AuditEntry.objects.filter(action="statement_mapping.write", actor="operator").count() == 1
    order = builders.order(owner, symbol="BTC/USDT:USDT")
    fills = statement_files.trades(order, 3)
    header = "Uid,Time,Symbol,Side,Price,Quantity,Amount,Fee,Realized Profit,Buyer,Maker,Trade ID,Order ID"
    lines = [
        f"1,{f.executed_at:%Y-%m-%d %H:%M:%S},BTCUSDT,BUY,{f.price:f},{f.quantity:f},50,0.05 USDT,0,true,false,{f.venue_trade_id},9"
        for f in fills
    ]
    lines[1] = lines[1].replace("0.05 USDT", "0.09USDT")
    content = "\n".join([header, *lines]).encode()
    shown = client.post("/statements/preview/", {"account": "main", "file": file(content)})
    assert "BTC/USDT:USDT" in words(shown) and "T1" in words(shown) and "problem" not in words(shown)
    answer = send(client, owner, content)
    found = Statement.objects.get()
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/statements/{found.pk}/")
    detail = client.get(f"/statements/{found.pk}/")
    assert "1 differ" in words(detail) and "Fee differs" in words(detail) and found.digest in detail.content.decode()
    (difference,) = Break.objects.all()
    assert f'href="/breaks/{difference.pk}/"' in detail.content.decode()
    page = words(client.get(f"/breaks/{difference.pk}/"))
    assert "Venue, statement its own export" in page and "good read" not in page
    assert "Statement june.csv line 3" in page and f"digest {found.digest[:12]}" in page
    assert "june.csv" in words(client.get("/statements/")) and "Differs" in words(
        client.get("/statements/?account=main")
    )
    assert "Nothing matches" in words(client.get("/statements/?account=other"))
    again = send(client, owner, content)
    assert again.headers["Location"] == f"/statements/{found.pk}/"
    assert "imported already, as june.csv" in words(client.get(again.headers["Location"]))


def test_a_bad_file_lists_every_bad_line_and_takes_nothing(sign_in: SignIn, owner: Account) -> None:
    client, fills = sign_in("risk"), statement_files.trades(builders.order(owner), 4)
    statement_files.mapping(owner)
    rows = [
        row(fills[0], price="1,5"),
        row(fills[1], side="=cmd|'/C calc'!A0"),
        row(fills[2]),
        row(fills[3], pair="DOGE/EUR"),
    ]
    answer = send(client, owner, text(rows))
    detail = client.get(answer.headers["Location"])
    shown = words(detail)
    assert "NOTHING WAS TAKEN IN" in shown and "3 in all" in shown
    assert "the file writes numbers another way" in shown and "none of the venue&#x27;s markets" in shown
    assert StatementLine.objects.count() == 0 and Break.objects.count() == 0
    exported = client.get(answer.headers["Location"] + "?format=csv")
    table = list(csv.reader(io.StringIO(b"".join(exported.streaming_content).decode())))  # type: ignore[attr-defined]
    assert [line[0] for line in table] == ["line", "2", "3", "5"]
    assert table[2][2] == "'=cmd|'/C calc'!A0", "a spreadsheet must not run what a file said"


def test_differences_are_exported_without_formulas(sign_in: SignIn, owner: Account) -> None:
    fills = statement_files.trades(builders.order(owner), 3)
    found = statement_files.take(
        owner, statement_files.mapping(owner), text([*map(row, fills), row(fills[0], trade="=1+1", side="sell")])
    )
    exported = sign_in("viewer").get(f"/statements/{found.pk}/?format=csv")
    table = list(csv.reader(io.StringIO(b"".join(exported.streaming_content).decode())))  # type: ignore[attr-defined]
    assert table[1][:4] == ["5", "fill_missing_here", "BTC/USDT =1+1 sell", "open"]
    assert not any(cell.startswith(("=", "+", "@")) for line in table for cell in line)


def test_the_preview_proposes_what_fits_and_stores_nothing(sign_in: SignIn, owner: Account) -> None:
    client = sign_in("operator")
    waiting = client.post("/statements/preview/", {"account": "", "file": file(b"x")})
    assert "Choose an account and a file" in words(waiting)
    kraken = statement_files.account("krk", "kraken")
    shown = client.post("/statements/preview/", {"account": "krk", "file": file(KRAKEN)})
    assert "NO MAPPING" in words(shown) and "?preset=kraken-trades" in shown.content.decode()
    odd = client.post("/statements/preview/", {"account": "krk", "file": file(b"Pair;Side;Price;Qty;Time\n")})
    link = re.search(r'href="(/statements/mappings/kraken/\?column_[^"]*)"', odd.content.decode())
    assert link is not None
    proposed = fields(client.get(link[1].replace("&amp;", "&")).content.decode())
    assert (proposed["column_symbol"], proposed["column_quantity"], proposed["column_executed_at"]) == (
        "Pair",
        "Qty",
        "Time",
    )
    plain = statement_files.mapping(kraken)
    wrong = client.post("/statements/preview/", {"account": "krk", "mapping": plain.pk, "file": file(KRAKEN)})
    assert "no column quantity" in words(wrong) and "?preset=kraken-trades" in wrong.content.decode()
    content = text([row(fill) for fill in statement_files.trades(builders.order(kraken), 40)]) + b"T99,cut off he"
    whole = client.post("/statements/preview/", {"account": "krk", "file": file(content)})
    assert "problem" not in words(whole), "twenty lines are shown, and the rest is read at the import"
    assert whole.content.decode().count("<tr><th scope=") == 20
    cut = client.post("/statements/preview/", {"account": "krk", "is_partial": "1", "file": file(content[:300])})
    assert "problem" not in words(cut), "the last line of a piece of a file may be cut"
    foreign = client.post("/statements/preview/", {"account": "main", "mapping": plain.pk, "file": file(KRAKEN)})
    assert "ANOTHER VENUE" in words(foreign)
    wide = content.decode().encode("utf-16")
    halved = client.post("/statements/preview/", {"account": "krk", "is_partial": "1", "file": file(wide[:601])})
    assert "problem" not in words(halved) and "T0" in words(halved)
    assert Statement.objects.count() == 0


@pytest.mark.parametrize(
    ("values", "words_"),
    [
        ({"account": ""}, "This field is required"),
        ({"file": ""}, "This field is required"),
        ({"window_from": "2026-06-01T00:00:00"}, "both ends of the period"),
        ({"window_from": "yesterday"}, "Enter a valid date/time"),
        ({"covers": "everything"}, "not one of the available choices"),
    ],
)
def test_an_upload_that_is_wrong_says_where(
    sign_in: SignIn, owner: Account, values: dict[str, Any], words_: str
) -> None:
    statement_files.mapping(owner)
    answer = send(sign_in("risk"), owner, text([]), **values)
    assert answer.status_code == 422 and words_ in words(answer)
    assert Statement.objects.count() == 0


def test_without_a_mapping_nothing_is_read(sign_in: SignIn, owner: Account) -> None:
    answer = send(sign_in("risk"), owner, text([]))
    assert answer.status_code == 422 and "has no mapping yet" in words(answer)


@pytest.mark.parametrize(
    ("values", "words_"),
    [
        ({"column_price": ""}, "This field is required"),
        ({"column_fee": "price"}, "the column price is the price already"),
        ({"zone": "Mars/Olympus"}, "is not a time zone"),
        ({"time_format": "%Y"}, "a pattern with year, month, day"),
        ({"sell": "buy"}, "cannot be both buy and sell"),
        ({"thousands": "."}, "cannot be the decimal sign"),
        ({"column_fee_asset": "", "fee_asset": ""}, "in which asset is the fee"),
        ({"column_kind": "sort", "kinds": ""}, "which words in the column of sorts"),
        ({"time_tolerance_seconds": "99999"}, "between 0 and 3600"),
        ({"delimiter": "x"}, "not one of the available choices"),
        ({"symbols": "x\n" * 600}, None),
    ],
)
def test_a_mapping_that_cannot_be_used_is_not_written(
    sign_in: SignIn, owner: Account, values: dict[str, str], words_: str | None
) -> None:
    client = sign_in("risk")
    statement_files.mapping(owner)
    given = fields(client.get("/statements/mappings/binance/?from=1").content.decode())
    answer = client.post("/statements/mappings/binance/", {**given, **values})
    if words_ is None:
        assert answer.status_code in (303, 422)
        return
    assert answer.status_code == 422 and words_ in words(answer)
    assert StatementMapping.objects.count() == 1


def test_viewers_read_and_change_nothing(sign_in: SignIn, owner: Account) -> None:
    found = statement_files.mapping(owner)
    made = statement_files.take(owner, found, text(map(row, statement_files.trades(builders.order(owner), 2))))
    for role in ("viewer", "trader", "approver"):
        client = sign_in(role)
        for path in (
            "/statements/",
            "/statements/new/",
            f"/statements/{made.pk}/",
            "/statements/mappings/",
            "/statements/mappings/binance/",
        ):
            assert client.get(path).status_code == 200, path
        assert "Needs the role admin or operator or risk" in words(client.get("/statements/new/"))
        assert send(client, owner, b"x").status_code == 403
        assert client.post("/statements/mappings/binance/", {}).status_code == 403
        assert client.post("/statements/preview/", {}).status_code == 403
    assert Statement.objects.count() == 1 and Client().get("/statements/").status_code == 302


def test_a_page_of_a_statement_costs_the_same_with_many_breaks(sign_in: SignIn, owner: Account) -> None:
    client, counts = sign_in("viewer"), []
    for number, count in enumerate((4, 60)):
        fills = statement_files.trades(builders.order(owner), count + 1, since_days=19 - number, prefix=f"Q{number}-")
        rows = [row(fill, price="101") for fill in fills[1:]]
        made = statement_files.take(
            owner, statement_files.mapping(owner), text([row(fills[0]), *rows]), f"{number}.csv"
        )
        with CaptureQueriesContext(connection) as counted:
            shown = client.get(f"/statements/{made.pk}/")
        assert shown.content.decode().count('id="finding-') == count
        counts.append(len(counted))
    assert counts[0] == counts[1] <= 14, counts

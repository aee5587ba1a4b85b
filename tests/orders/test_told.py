"""What a stream told goes out with the flush: every frame to the letter, the last word on each asset, in the order of its telling."""

from __future__ import annotations

from decimal import Decimal

import pytest

from orders import store, sweeps
from orders.books import Books
from orders.cache import Cache
from orders.models import Balance
from orders.service import Service
from orders.stream import Item, Stream
from project.lib import clock, feed, sql
from venues.messages import BalanceReport, Read
from venues.models import Account, RawFrame

pytestmark = pytest.mark.django_db
D = Decimal
BODIES = [
    '{"e":"x","q":"1"}',
    "back\\slash",
    'a, b {c} "NULL" NULL',
    "line\nline",
    "ключ €",
    "nul\0",
    "",
    "half \ud800",
]


def has(asset: str, total: str) -> BalanceReport:
    return BalanceReport(asset=asset, total=D(total), free=D(total), held=D(0))


def kept() -> dict[str, tuple[Decimal | None, Decimal | None, Decimal | None]]:
    """Return the venue's total, what the stream said, and the distance to ours, by asset."""
    rows = Balance.objects.values_list("asset", "venue_total", "stream_total", "difference")
    return {asset: (total, streamed, difference) for asset, total, streamed, difference in rows}


def listed(books: Books, service: Service, *reports: BalanceReport) -> None:
    read = Read(status="good", requested_at=clock.now(), taken_at=clock.now(), rows=reports)
    sweeps._note_balances(books, service, read)


def told(books: Books, service: Service, *reports: BalanceReport) -> None:
    sweeps.apply_reports(books, service, reports, source="stream")


def test_frames_are_kept_to_the_letter(service: Service) -> None:
    stream = Stream(service)
    with store.transaction() as books:
        stream._take([Item(clock.now(), body) for body in BODIES], books)
    rows = RawFrame.objects.order_by("pk").values_list("account", "channel", "body", "error")
    stored = [body.replace("\0", "\ufffd").replace("\ud800", "\ufffd") for body in BODIES if body]
    assert list(rows) == [(service.account, "stream", body, "") for body in stored]


def test_a_batch_of_a_stream_is_one_round_trip(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    stream, sent, send = Stream(service), list[int](), sql.Flush.send

    def counted(flush: sql.Flush) -> None:
        sent.append(len(flush.statements))
        send(flush)

    batch = [Item(clock.now(), f"frame {number}", (has("BTC", str(number)), has("USDT", "5"))) for number in range(40)]
    monkeypatch.setattr(sql.Flush, "send", counted)
    with feed.transaction():
        books = Books(store.Store(), Cache())
        stream._take(batch, books)
        books.commit()
    assert sent == [3, 1], "frames, balances and the feed in one flush; then the signal"
    assert RawFrame.objects.count() == 40 and kept() == {"BTC": (D(39), D(39), D(39)), "USDT": (D(5), D(5), D(5))}


def test_the_later_word_stands_whoever_said_it(service: Service, account: Account) -> None:
    with store.transaction() as books:
        told(books, service, has("BTC", "1"), has("ETH", "7"))
        listed(books, service, has("BTC", "2"))
    assert kept() == {"BTC": (D(2), D(1), D(2)), "ETH": (D(0), D(7), D(0))}
    with store.transaction() as books:
        listed(books, service, has("BTC", "3"), has("ETH", "8"))
        told(books, service, has("BTC", "4"))
    assert kept() == {"BTC": (D(4), D(4), D(4)), "ETH": (D(8), D(7), D(8))}
    assert set(Balance.objects.values_list("account", flat=True)) == {account.code}

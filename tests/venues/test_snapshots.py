"""Instruments and snapshots are kept as the venue said them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from venues import instruments, snapshots
from venues.messages import BalanceReport, Malformed, MarketSpec, Read
from venues.models import Account, Instrument, Snapshot, Venue

pytestmark = pytest.mark.django_db(transaction=True)
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
SPEC = MarketSpec(
    symbol="BTC/USDT", venue_symbol="BTCUSDT", base="BTC", quote="USDT", kind="spot", price_step=Decimal("0.01"),
    quantity_step=Decimal("0.00001"), quantity_min=Decimal("0.00001"), quantity_max=None, notional_min=Decimal("5"),
    contract_size=Decimal(1), is_active=True,
)  # fmt: skip


@pytest.fixture
def venue() -> Venue:
    """Return a venue."""
    return Venue.objects.create(code="paper", exchange="binance", rest_url="http://127.0.0.1:1/x")


@pytest.fixture
def account(venue: Venue) -> Account:
    """Return an account."""
    return Account.objects.create(code="desk", venue=venue)


def read(*rows: object, status: str = "good", minutes: int = 0, **more: object) -> Read:
    moment = NOON + timedelta(minutes=minutes)
    return Read(status=status, rows=rows, requested_at=moment, taken_at=moment + timedelta(seconds=1), **more)  # type: ignore[arg-type]


def test_instruments_follow_the_list(venue: Venue) -> None:
    other = replace(SPEC, symbol="ETH/USDT", venue_symbol="ETHUSDT", base="ETH")
    assert instruments.store(venue, [SPEC, other]) == 2
    assert instruments.store(venue, [SPEC, other]) == 0
    assert instruments.store(venue, [replace(SPEC, price_step=Decimal("0.1"))]) == 2
    assert Instrument.objects.get(symbol="BTC/USDT").price_step == Decimal("0.1")
    assert not Instrument.objects.get(symbol="ETH/USDT").is_active
    assert instruments.store(venue, []) == 0
    assert Instrument.objects.get(symbol="BTC/USDT").is_active
    instruments.store_prices(venue, {"BTC/USDT": Decimal("60000.5")})
    assert Instrument.objects.get(symbol="BTC/USDT").last_price == Decimal("60000.5")
    venue.refresh_from_db()
    assert venue.markets_loaded_at is not None


def test_a_snapshot_keeps_rows_and_what_it_could_not_read(account: Account) -> None:
    balance = BalanceReport(asset="BTC", total=Decimal("2.50"), free=Decimal("2"), held=Decimal("0.5"))
    broken = Malformed(source="balances", reason="free is not a number", raw='{"free": "NaN"}')
    kept = snapshots.capture(
        account,
        "balances",
        read(balance, status="partial", malformed=(broken,)),
        epoch=3,
        reason="schedule",
        event_sequence=7,
    )
    kept.refresh_from_db()
    assert kept.rows[0] == {"asset": "BTC", "total": "2.5", "free": "2", "held": "0.5"}
    assert kept.rows[1]["malformed"] == "free is not a number"
    assert (kept.status, kept.epoch, kept.event_sequence, kept.error) == ("partial", 3, 7, "1 rows could not be read")


def test_a_failed_read_is_kept_as_failed(account: Account) -> None:
    snapshots.capture(account, "fills", read(minutes=0), epoch=1, reason="schedule", event_sequence=1)
    snapshots.capture(
        account,
        "fills",
        read(status="failed", minutes=1, error="timeout"),
        epoch=1,
        reason="schedule",
        event_sequence=1,
    )
    newest, good = snapshots.latest(account, "fills"), snapshots.latest(account, "fills", good_only=True)
    assert newest is not None
    assert good is not None
    assert (newest.status, newest.error, good.status) == ("failed", "timeout", "good")
    assert snapshots.latest(account, "balances") is None


def test_pruning_never_takes_the_newest_good_one(account: Account) -> None:
    for minute in range(30):
        status = "good" if minute < 3 else "failed"
        snapshots.capture(
            account, "fills", read(status=status, minutes=minute), epoch=1, reason="schedule", event_sequence=1
        )
    assert snapshots.prune(account, "fills", keep=5) == 23
    assert Snapshot.objects.count() == 7
    good = snapshots.latest(account, "fills", good_only=True)
    assert good is not None
    assert good.requested_at == NOON + timedelta(minutes=2)

"""The paper venue moved by recorded trades: its quotes are centred on prices that were really traded."""

from __future__ import annotations

import itertools
import os
from decimal import Decimal
from pathlib import Path

import pytest

from tests.venues.paper.process import WorldHandle, running_paper_venue, wait_until
from venues.paper.replay import read_trades

pytestmark = pytest.mark.recorded_data
FOLDER = Path(os.environ.get("GAPLESS_RECORDED_DATA", "../shared/data"))
TAPE = FOLDER / "binance-futures-btcusdt-trades-2020-02-22.csv"


def test_recorded_tape_is_read_whole() -> None:
    trades = list(read_trades(TAPE))
    assert len(trades) == 9_999
    assert all(earlier.at <= later.at for earlier, later in itertools.pairwise(trades))
    assert {trade.side for trade in trades} == {"buy", "sell"}


@pytest.mark.parametrize("exchange", ["binance", "kraken", "bybit", "deribit"])
def test_paper_venue_follows_the_recorded_tape(exchange: str, tmp_path: Path) -> None:
    recorded = {trade.price for trade in read_trades(TAPE)}
    demo = ("--world", "demo", "--exchange", exchange)
    options = (*demo, "--replay", str(TAPE.resolve()), "--replay-symbol", "BTC/USDT", "--speed", "500")
    with running_paper_venue(tmp_path, *options) as venue:
        world = WorldHandle(exchange, "demo", "", "", "", "")
        seen: set[Decimal] = set()

        def follows() -> bool:
            seen.add(Decimal(venue.prices(world)["BTC/USDT"]["centre"]))
            return len(seen & recorded) >= 20

        wait_until(follows, 30)
        assert min(recorded) <= max(seen & recorded) <= max(recorded)

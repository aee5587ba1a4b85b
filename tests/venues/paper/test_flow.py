"""Books move by themselves, the same way for the same seed, or as recorded."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path

from tests.venues.paper.process import PaperVenue, running_paper_venue, wait_until
from venues.paper import defaults
from venues.paper.engine import Engine
from venues.paper.flow import Flow
from venues.paper.markets import EXCHANGES, markets_of
from venues.paper.replay import Replay


def path_of(seed: int, steps: int, folder: Path) -> list[dict[str, str]]:
    exchange = EXCHANGES["binance"]
    flow = Flow(Engine(exchange, list(markets_of(exchange).values()), lambda: 1), seed, folder / f"{time.time_ns()}")
    path = []
    for _ in range(steps):
        flow.step()
        path.append(flow.prices()["BTC/USDT"])
    return path


def test_same_seed_same_path(tmp_path: Path) -> None:
    assert path_of(5, 200, tmp_path) == path_of(5, 200, tmp_path)
    assert path_of(5, 200, tmp_path) != path_of(6, 200, tmp_path)


def test_price_moves_and_comes_back(tmp_path: Path) -> None:
    centres = [float(prices["centre"]) for prices in path_of(5, 3000, tmp_path)]
    assert len(set(centres)) > 2900
    assert all(0.95 < centre / 60_000 < 1.05 for centre in centres)


def test_price_path_goes_on_after_a_restart(tmp_path: Path) -> None:
    with running_paper_venue(tmp_path) as venue:
        world = venue.create_world("binance", flow_steps_per_second=50)
        start = venue.prices(world)
        wait_until(lambda: venue.prices(world) != start)
        venue.stop()
        saved = json.loads((tmp_path / "binance" / "test" / "flow.json").read_text())
        venue.start_again()
        venue.stop()
        resumed = json.loads((tmp_path / "binance" / "test" / "flow.json").read_text())
    assert resumed["step"] >= saved["step"] > 0


def test_recorded_trades_come_when_they_are_due(tmp_path: Path) -> None:
    replay = Replay(trade_file(tmp_path), "BTC/USDT", speed=10)
    assert [trade.price for trade in replay.due(1_000_000)] == [9682]
    assert [trade.price for trade in replay.due(1_050_000)] == []
    assert [int(trade.price) for trade in replay.due(1_200_000)] == [9690, 9700]


def test_demo_worlds_repeat_recorded_trades(tmp_path: Path) -> None:
    options = ("--world", "demo", "--replay", str(trade_file(tmp_path)), "--speed", "10")
    with running_paper_venue(tmp_path / "data", *options) as venue:
        names = {(row["exchange"], row["world"]) for row in venue.control("GET", "worlds")["results"]}
        assert names == {(exchange, "demo") for exchange in defaults.EXCHANGES}
        wait_until(lambda: last_price(venue).startswith("97"))


def last_price(venue: PaperVenue) -> str:
    found = venue.control("GET", "prices?exchange=binance&world=demo")["results"]
    last: str = found["BTC/USDT"]["last"]
    return last


def trade_file(folder: Path) -> Path:
    path = folder / "trades.csv"
    with path.open("w", newline="") as content:
        writer = csv.writer(content)
        writer.writerow(["exchange", "symbol", "timestamp", "local_timestamp", "id", "side", "price", "amount"])
        for number, (at, price) in enumerate(((0, "9682"), (1_000_000, "9690"), (2_000_000, "9700"))):
            writer.writerow(["binance-futures", "BTCUSDT", 1_582_329_602_000_000 + at, 0, number, "buy", price, "0.1"])
    return path


def test_still_world_stays_while_another_moves(venue: PaperVenue) -> None:
    still = venue.create_world("kraken", "still")
    moving = venue.create_world("kraken", "moving", flow_steps_per_second=50)
    before, start = venue.prices(still), venue.prices(moving)
    wait_until(lambda: venue.prices(moving)["BTC/USDT"]["bid"] != start["BTC/USDT"]["bid"])
    assert venue.prices(still) == before
    venue.remove_world(still)
    venue.remove_world(moving)

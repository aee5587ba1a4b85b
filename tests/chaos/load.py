"""The outside system: posts orders at a bounded rate and fsyncs what was acknowledged before it asks for anything more."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections import Counter, deque
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.chaos.cluster import Cluster
from tests.chaos.venues import Desk
from tests.chaos.verdict import History
from tests.flows.client import Api, Refused

# symbol, quantity step, first quantity in steps: every order of a symbol has a quantity of its own, so that the venue's
# journal names the intent without believing anything the product says
SYMBOLS = (("BTC/USDT", "0.00001", 20), ("ETH/USDT", "0.0001", 50), ("SOL/USDT", "0.001", 100))
CALL_SECONDS = 6.0
ANSWER_SECONDS = 90.0
RESTING_MAX = 25
GIVE_UP_SHARE = 0.3
Row = dict[str, Any]


class Trader(threading.Thread):
    """Trades one account; one request at a time, each kept on disk before it goes and again once it is acknowledged."""

    def __init__(self, cluster: Cluster, desk: Desk, seed: int, rate: float) -> None:
        super().__init__(daemon=True, name=f"trader-{desk.code}")
        self.desk, self.counts = desk, Counter[str]()
        self.answered_otherwise: list[str] = []
        self._api = Api(cluster.api.url, cluster.token)
        self._chance = random.Random(f"{seed}:{desk.code}:load")
        self._every_seconds = 1 / rate
        self._numbers: Counter[str] = Counter()
        self._resting: deque[str] = deque()
        self._acknowledged: list[Row] = []
        self._stopping = threading.Event()
        self._prices = {symbol: float(row["last"]) for symbol, row in cluster.paper.prices(desk.world).items()}
        self._attempted_file = (cluster.home / f"attempted-{desk.code}.jsonl").open("ab")
        self._acknowledged_file = (cluster.home / f"acknowledged-{desk.code}.jsonl").open("ab")

    def stop(self) -> None:
        """Ask for no more orders; the request under way still gets its answer."""
        self._stopping.set()

    def run(self) -> None:
        """Trade until stopped."""
        due = time.monotonic()
        while not self._stopping.is_set():
            self._step()
            due = max(due + self._every_seconds, time.monotonic() - 2.0)  # after an outage no burst without bound
            self._stopping.wait(max(0.0, due - time.monotonic()))
        self._attempted_file.close()
        self._acknowledged_file.close()

    def _step(self) -> None:
        chance = self._chance.random()
        if (chance < 0.15 and self._resting) or len(self._resting) > RESTING_MAX:
            self._cancel(self._resting.popleft())
        elif chance < 0.20 and self._acknowledged:
            self._repeat(self._chance.choice(self._acknowledged[-200:]))
        elif chance < 0.22 and self._acknowledged:
            self._contradict(self._chance.choice(self._acknowledged[-200:]))
        else:
            self._order()

    def _order(self) -> None:
        body = self._body()
        _keep(self._attempted_file, body)
        self.counts["attempted"] += 1
        answer = self._insist("POST", "/api/v1/orders/", body, may_give_up=True)
        if answer is None:
            self.counts["given up"] += 1
        elif "id" in answer:
            _keep(self._acknowledged_file, {"client_order_id": body["client_order_id"], "id": answer["id"]})
            self.counts["acknowledged"] += 1
            self._acknowledged.append({"body": body, "id": answer["id"]})
            if body["type"] == "limit" and body["time_in_force"] == "gtc":
                self._resting.append(answer["id"])
        else:
            self._otherwise(f"{body['client_order_id']} was refused: {answer}")

    def _cancel(self, order_id: str) -> None:
        answer = self._insist("POST", f"/api/v1/orders/{order_id}/cancellation/", {})
        ended = answer is not None and answer.get("code") == "NOT_CANCELLABLE"
        self.counts["cancels too late" if ended else "cancels"] += 1
        if answer is not None and "id" not in answer and not ended:
            self._otherwise(f"cancel of {order_id} was refused: {answer}")

    def _repeat(self, known: Row) -> None:
        answer = self._insist("POST", "/api/v1/orders/", known["body"])
        self.counts["repeats"] += 1
        if answer is not None and answer.get("id") != known["id"]:
            self._otherwise(f"{known['body']['client_order_id']} repeated is {answer.get('id')}, was {known['id']}")

    def _contradict(self, known: Row) -> None:
        body = known["body"]
        other = {**body, "side": "sell" if body["side"] == "buy" else "buy"}
        answer = self._insist("POST", "/api/v1/orders/", other)
        self.counts["contradictions"] += 1
        if answer is not None and answer.get("code") != "CLIENT_ORDER_ID_TAKEN":
            self._otherwise(f"{body['client_order_id']} with another body was answered {answer}")

    def _otherwise(self, what: str) -> None:
        if len(self.answered_otherwise) < 50:
            self.answered_otherwise.append(what[:400])
        self.counts["answered otherwise"] += 1

    def _insist(self, method: str, path: str, body: Row, may_give_up: bool = False) -> Row | None:
        """Ask until there is an answer that is no failure; None when given up. A refusal (4xx) comes back as its body."""
        deadline = time.monotonic() + ANSWER_SECONDS
        gives_up = may_give_up and self._chance.random() < GIVE_UP_SHARE
        while time.monotonic() < deadline:
            try:
                answer: Row = self._api.call(method, path, body, timeout=CALL_SECONDS)
                return answer
            except Refused as refused:
                if refused.status < 500 and refused.status != 429:
                    return refused.body if isinstance(refused.body, dict) else {"code": str(refused.body)[:200]}
            except (OSError, ValueError):  # no connection, cut short, no answer in time
                pass
            self.counts["failed calls"] += 1
            if gives_up or (self._stopping.is_set() and may_give_up):
                return None
            time.sleep(0.3)
        self.counts["never answered"] += 1
        return None

    def symbols(self) -> tuple[tuple[str, str, int], ...]:
        """Return what is traded: symbol, quantity step, first quantity in steps."""
        return SYMBOLS

    def _body(self) -> Row:
        symbol, step, first = self._chance.choice(self.symbols())
        number = self._numbers[symbol]
        self._numbers[symbol] += 1
        side = self._chance.choice(("buy", "sell"))
        body: Row = {
            "client_order_id": f"{self.desk.code}-{symbol[:3]}-{number}", "account": self.desk.code, "symbol": symbol,
            "side": side, "quantity": f"{Decimal(step) * (first + number):f}", "type": "market",
        }  # fmt: skip
        kind = self._chance.choices(("far", "near", "ioc", "market"), (30, 15, 30, 25))[0]
        if kind == "market":
            return body
        sign = 1 if side == "buy" else -1
        away = {"far": 1 - 0.4 * sign, "near": 1 - 0.0008 * sign, "ioc": 1 + 0.01 * sign}[kind]
        price = f"{round(self._prices[symbol] * away * 2) / 2:.1f}"  # a step that every market has
        return {**body, "type": "limit", "price": price, "time_in_force": "ioc" if kind == "ioc" else "gtc"}


def history(folder: Path, desks: list[Desk]) -> History:
    """Return every attempted order, and the acknowledged ids by client order id, as the files on disk say."""
    attempted: list[Row] = []
    acknowledged: dict[str, str] = {}
    for desk in desks:
        attempted += _lines(folder / f"attempted-{desk.code}.jsonl")
        for row in _lines(folder / f"acknowledged-{desk.code}.jsonl"):
            acknowledged[row["client_order_id"]] = row["id"]
    return History(attempted=attempted, acknowledged=acknowledged)


def _keep(file: Any, row: Row) -> None:
    file.write(json.dumps(row).encode() + b"\n")
    file.flush()
    os.fsync(file.fileno())


def _lines(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text().splitlines()]

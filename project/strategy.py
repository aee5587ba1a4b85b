"""A sample strategy: a process of its own that knows only the HTTP API and its token. Standard library alone."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import time
import urllib.error
import urllib.parse
import urllib.request
from decimal import ROUND_DOWN, Decimal
from typing import Any

logger = logging.getLogger("strategy")
PAUSE_SECONDS = 2.0
OPEN_MAX = 8
OPEN = {"queued", "sending", "open", "partially_filled"}
NOTIONAL = Decimal(150)


class Gateway:
    """The API as a strategy sees it."""

    def __init__(self, url: str, token: str) -> None:
        self._url, self._token = url.rstrip("/"), token

    def get(self, path: str, **query: str) -> Any:
        """Return the decoded answer of a GET."""
        return self._call("GET", f"{path}?{urllib.parse.urlencode(query)}" if query else path, None)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Return the decoded answer of a POST."""
        return self._call("POST", path, body)

    def place(self, order: dict[str, Any]) -> Any:
        """Post an order until there is an answer. The same id and body may be sent again: it is one order for ever."""
        while True:
            try:
                return self.post("/api/v1/orders/", order)
            except urllib.error.HTTPError as error:
                if error.code < 500:
                    logger.warning("order refused with %s: %s", error.code, error.read().decode()[:300])
                    return None
            except OSError as error:
                logger.warning("no answer (%s); asking again with the same id", type(error).__name__)
            time.sleep(1)

    def _call(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        request = urllib.request.Request(
            self._url + path,
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Authorization": f"Token {self._token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=15) as answer:
            return json.loads(answer.read() or b"null")


class Strategy:
    """Trades a little around the last price on every ready account, on both sides, and cancels what grows old."""

    def __init__(self, gateway: Gateway, chance: random.Random) -> None:
        self._gateway, self._chance = gateway, chance
        self._count = 0
        self._run = f"demo-{int(time.time()):x}"

    def step(self) -> None:
        """Do one round: one intent per ready account, and a cancel where too much is open."""
        for account in self._gateway.get("/api/v1/accounts/")["results"]:
            if account["status"] != "ready":
                continue
            instruments = self._gateway.get("/api/v1/instruments/", venue=account["venue"])["results"]
            priced = [row for row in instruments if row["last_price"]]
            if priced:
                self._trade(account["code"], self._chance.choice(priced))
            self._tidy(account["code"])

    def _trade(self, account: str, instrument: dict[str, Any]) -> None:
        price = Decimal(instrument["last_price"])
        side = self._chance.choice(["buy", "sell"])
        is_inverse = instrument["settle"] == instrument["base"]  # its quantity is in quote asset
        self._count += 1
        order: dict[str, Any] = {
            "client_order_id": f"{self._run}-{self._count}",
            "account": account,
            "symbol": instrument["symbol"],
            "side": side,
            "quantity": _on_step(
                (NOTIONAL if is_inverse else NOTIONAL / price) * Decimal(self._chance.randint(50, 150)) / 100,
                instrument["quantity_step"],
            ),
            "strategy": "demo",
        }
        kind = self._chance.choices(["market", "passive", "ioc", "post_only"], [3, 4, 2, 2])[0]
        if kind == "market":
            order["type"] = "market"
        else:
            away = Decimal(self._chance.randint(1, 25)) / 10_000
            toward = -away if kind in {"passive", "post_only"} else away
            limit = price * (1 + toward if side == "buy" else 1 - toward)
            order |= {"type": "limit", "price": _on_step(limit, instrument["price_step"])}
            if kind == "ioc":
                order["time_in_force"] = "ioc"
            if kind == "post_only":
                order["post_only"] = True
        placed = self._gateway.place(order)
        if placed:
            logger.info(
                "%s %s %s %s on %s: %s", kind, side, order["quantity"], order["symbol"], account, placed["status"]
            )

    def _tidy(self, account: str) -> None:
        alive = self._gateway.get("/api/v1/orders/", account=account, status=",".join(sorted(OPEN)))["results"]
        for order in alive[OPEN_MAX:]:
            with contextlib.suppress(urllib.error.HTTPError):  # filled meanwhile: nothing left to cancel
                self._gateway.post(f"/api/v1/orders/{order['id']}/cancellation/", {})


def _on_step(number: Decimal, step: str) -> str:
    grid = Decimal(step) or Decimal("0.00000001")
    return format((number / grid).to_integral_value(ROUND_DOWN) * grid, "f")


def main() -> None:
    """Run until ended; an API that is away is waited for."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    strategy = Strategy(Gateway(os.environ["GAPLESS_URL"], os.environ["GAPLESS_TOKEN"]), random.Random())
    while True:
        try:
            strategy.step()
        except (OSError, KeyError, ValueError) as error:
            logger.warning("round skipped: %s", type(error).__name__)
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main()

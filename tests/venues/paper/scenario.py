"""A long scripted run against a world in memory; prints the digest and number of its journal records and frames."""

from __future__ import annotations

import hashlib
import random
import sys

from tests.venues.paper.simulating import KRAKEN_BUY, LIMIT_BUY, Desk, listen

FAULTS = ("drop_after", "late_accept", "cancel_then_fill", "overfill", "ack_then_deny", "read_lag", "duplicate_fill")
STEPS = 150


def play(exchange: str, seed: int) -> str:
    """Run the script and return what it leaves as one line."""
    desk = Desk(exchange, seed, {"read_lag_seconds": 5, "read_lag_random": True}, accounts=2)
    frames = listen(desk)
    chance = random.Random(seed)
    seen = hashlib.sha256()
    for number in range(STEPS):
        if chance.random() < 0.3:
            desk.fault(chance.choice(FAULTS), params={"seconds": 3}, probability=0.7)
        for reply in (order(desk, chance, number), *lookups(desk)):
            seen.update(reply)
        if chance.random() < 0.4:
            cancel_newest(desk)
        desk.world.step()
        desk.pass_seconds(chance.choice((0.1, 1, 4)))
        seen.update(repr(frames()).encode())
    for line in desk.world.journal.lines:
        seen.update(line)
    return f"{seen.hexdigest()} {len(desk.world.journal)}"


def order(desk: Desk, chance: random.Random, number: int) -> bytes:
    """Place an order of one kind or another."""
    price = f"{chance.randrange(59_900, 60_100)}"
    if desk.exchange == "binance":
        stop = {"type": "STOP_LOSS_LIMIT", "stopPrice": "60100"} if number % 5 == 0 else {}
        params = {**LIMIT_BUY, "price": price, "quantity": "0.01", "newClientOrderId": f"a1id{number}", **stop}
        return desk.binance("POST", "order", params, key=f"key{1 + number % 2}").content
    special = {"ordertype": "trailing-stop", "price": "+20"} if number % 5 == 0 else {"price": price}
    params = {**KRAKEN_BUY, "volume": "0.01", "expiretm": "+30", "cl_ord_id": f"a1id{number}", **special}
    return desk.kraken("AddOrder", params, key=f"key{1 + number % 2}").content


def lookups(desk: Desk) -> list[bytes]:
    """Ask for open orders, trades and balances."""
    if desk.exchange == "binance":
        trades = desk.binance("GET", "myTrades", {"symbol": "BTCUSDT"})
        return [
            desk.binance("GET", "openOrders", {}).content,
            trades.content,
            desk.binance("GET", "account", {}).content,
        ]
    return [desk.kraken(path, {}).content for path in ("OpenOrders", "TradesHistory", "BalanceEx")]


def cancel_newest(desk: Desk) -> None:
    """Cancel an account's newest open order, if it has one."""
    newest = next(reversed(desk.world.engine.accounts["key1"].open.values()), None)
    if newest is None:
        return
    if desk.exchange == "binance":
        desk.binance("DELETE", "order", {"symbol": "BTCUSDT", "orderId": newest.number})
    else:
        desk.kraken("CancelOrder", {"txid": newest.order_id})


if __name__ == "__main__":
    sys.stdout.write(play(sys.argv[1], int(sys.argv[2])) + "\n")

"""A long scripted run against a world in memory; prints the digest and number of its journal records and frames."""

from __future__ import annotations

import hashlib
import random
import sys

from tests.venues.paper import bybit_desk
from tests.venues.paper.simulating import DERIBIT_BUY, KRAKEN_BUY, LIMIT_BUY, OKX_BUY, Desk, listen

FAULTS = ("drop_after", "late_accept", "cancel_then_fill", "overfill", "ack_then_deny", "read_lag", "duplicate_fill")
STEPS = 150
UP = "STOP_DIRECTION_STOP_UP"


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
    if desk.exchange == "bybit":
        stop = {"orderFilter": "tpslOrder", "triggerPrice": "60100"} if number % 5 == 0 else {}
        wanted = {**bybit_desk.BUY, "price": price, "qty": "0.01", "orderLinkId": f"a1id{number}", **stop}
        return bybit_desk.ask(desk, "POST", "order/create", wanted, key=f"key{1 + number % 2}").content
    if desk.exchange == "okx":
        if number % 5 == 0:
            trail = {**OKX_BUY, "ordType": "move_order_stop", "callbackSpread": "20", "sz": "0.01"}
            return desk.okx("POST", "trade/order-algo", trail, key=f"key{1 + number % 2}").content
        params = {**OKX_BUY, "px": price, "sz": "0.01", "clOrdId": f"a1id{number}"}
        return desk.okx("POST", "trade/order", params, key=f"key{1 + number % 2}").content
    if desk.exchange == "deribit":
        contract = {"instrument_name": "BTC-PERPETUAL", "amount": "100"} if number % 2 else {"amount": "0.01"}
        side = "buy" if chance.random() < 0.5 else "sell"
        params = {**DERIBIT_BUY, **contract, "price": price, "label": f"a1id{number}"}
        return desk.deribit(side, params, key=f"key{1 + number % 2}").content
    if desk.exchange == "coinbase":
        body = desk.coinbase_order(price, "0.01", client_order_id=f"a1id{number}")
        if number % 5 == 0:
            terms = {"base_size": "0.01", "limit_price": price, "stop_price": "60100", "stop_direction": UP}
            body["order_configuration"] = {"stop_limit_stop_limit_gtc": terms}
        return desk.coinbase("POST", "orders", body, key=f"key{1 + number % 2}").content
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
    if desk.exchange == "bybit":
        wallet = bybit_desk.ask(desk, "GET", "account/wallet-balance", {"accountType": "UNIFIED"})
        lists = ("order/realtime", "execution/list")
        read = [bybit_desk.ask(desk, "GET", path, {"category": "spot"}).content for path in lists]
        return [*read, wallet.content]
    if desk.exchange == "okx":
        paths = ("trade/orders-pending", "trade/fills-history", "account/balance")
        return [desk.okx("GET", path, {}).content for path in paths]
    if desk.exchange == "deribit":
        paths = ("get_open_orders", "get_positions", "get_account_summaries")
        return [desk.deribit(path, {}).content for path in paths]
    if desk.exchange == "coinbase":
        paths = ("orders/historical/batch", "orders/historical/fills", "accounts")
        return [desk.coinbase("GET", path).content for path in paths]
    return [desk.kraken(path, {}).content for path in ("OpenOrders", "TradesHistory", "BalanceEx")]


def cancel_newest(desk: Desk) -> None:
    """Cancel an account's newest open order, if it has one."""
    newest = next(reversed(desk.world.engine.accounts["key1"].open.values()), None)
    if newest is None:
        return
    if desk.exchange == "binance":
        desk.binance("DELETE", "order", {"symbol": "BTCUSDT", "orderId": newest.number})
    elif desk.exchange == "bybit":
        cancel = {"category": "spot", "symbol": "BTCUSDT", "orderId": newest.order_id}
        kind = "Order" if newest.is_working else "tpslOrder"
        bybit_desk.ask(desk, "POST", "order/cancel", {**cancel, "orderFilter": kind})
    elif desk.exchange == "okx":
        desk.okx("POST", "trade/cancel-order", {"instId": "BTC-USDT", "ordId": newest.order_id})
    elif desk.exchange == "deribit":
        desk.deribit("cancel", {"order_id": newest.order_id})
    elif desk.exchange == "coinbase":
        desk.coinbase("POST", "orders/batch_cancel", {"order_ids": [newest.order_id]})
    else:
        desk.kraken("CancelOrder", {"txid": newest.order_id})


if __name__ == "__main__":
    sys.stdout.write(play(sys.argv[1], int(sys.argv[2])) + "\n")

"""The lean HTTP side: many requests on one connection, parts of requests, and what is handed to aiohttp."""

from __future__ import annotations

import json
import socket
import urllib.parse
from typing import Any

from tests.venues.paper.clients import client
from tests.venues.paper.process import PaperVenue, WorldHandle, wait_until

PING = "GET /binance/{world}/api/v3/ping HTTP/1.1\r\nHost: x\r\n{extra}\r\n"


def dial(venue: PaperVenue) -> socket.socket:
    """Open a connection to the venue."""
    address = urllib.parse.urlsplit(venue.url)
    made = socket.create_connection((address.hostname, address.port), timeout=5)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def answers(one: socket.socket, count: int) -> list[tuple[int, bytes]]:
    """Read some whole answers as status and body."""
    found: list[tuple[int, bytes]] = []
    data = b""
    while len(found) < count:
        head, separator, rest = data.partition(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if separator and len(rest) >= length:
            found.append((int(head.split(b" ")[1]), rest[:length]))
            data = rest[length:]
            continue
        received = one.recv(65_536)
        assert received, "the connection ended early"
        data += received
    return found


def test_requests_sent_together_are_answered_in_order(venue: PaperVenue, binance_world: WorldHandle) -> None:
    world = binance_world.world
    time = f"GET /binance/{world}/api/v3/time HTTP/1.1\r\nHost: x\r\n\r\n"
    nowhere = "GET /binance/nowhere/api/v3/time HTTP/1.1\r\nHost: x\r\n\r\n"
    with dial(venue) as one:
        one.sendall((PING.format(world=world, extra="") + time + nowhere).encode())
        first, second, third = answers(one, 3)
    assert first == (200, b"{}")
    assert b"serverTime" in second[1]
    assert third[0] == 404


def test_request_in_pieces(venue: PaperVenue, binance_world: WorldHandle) -> None:
    text = PING.format(world=binance_world.world, extra="").encode()
    with dial(venue) as one:
        for number in range(0, len(text), 7):
            one.sendall(text[number : number + 7])
        assert answers(one, 1) == [(200, b"{}")]


def test_connection_goes_on_with_control_and_back(venue: PaperVenue, binance_world: WorldHandle) -> None:
    ping = PING.format(world=binance_world.world, extra="").encode()
    with dial(venue) as one:
        one.sendall(ping)
        assert answers(one, 1)[0][0] == 200
        one.sendall(b"GET /_control/health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert json.loads(answers(one, 1)[0][1])["status"] == "ok"
        one.sendall(b"GET /_control/worlds HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answers(one, 1)[0][0] == 200


def test_connection_close_and_bodies_too_large(venue: PaperVenue, binance_world: WorldHandle) -> None:
    with dial(venue) as one:
        one.sendall(PING.format(world=binance_world.world, extra="Connection: close\r\n").encode())
        assert answers(one, 1) == [(200, b"{}")]
        assert one.recv(10) == b""
    with dial(venue) as one:
        one.sendall(b"POST /binance/x/api/v3/order HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n")
        assert answers(one, 1)[0][0] == 413
        assert one.recv(10) == b""


async def test_dropped_client_does_not_undo_its_order(venue: PaperVenue, binance_world: WorldHandle) -> None:
    exchange = client(binance_world)
    try:
        await exchange.load_markets()
        signed = exchange.sign(
            "order",
            ["private"],
            "POST",
            {
                "symbol": "BTCUSDT",
                "side": "BUY",
                "type": "LIMIT",
                "timeInForce": "GTC",
                "quantity": "1",
                "price": "5000",
            },
        )
    finally:
        await exchange.close()
    path = urllib.parse.urlsplit(signed["url"]).path
    head = f"POST {path} HTTP/1.1\r\nX-MBX-APIKEY: {binance_world.api_key}\r\nContent-Length: {len(signed['body'])}\r\n"
    with dial(venue) as one:
        one.sendall(f"{head}\r\n{signed['body']}".encode())
    records: list[Any] = wait_until(lambda: venue.journal(binance_world, "accepted"))
    assert len(records) == 1

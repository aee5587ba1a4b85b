"""The console's socket: who may open it, what its frames say, and that nothing is missed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client

from project import asgi, consumers, hub
from project.lib import feed
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)
HOST = "127.0.0.1:9062"


@pytest.fixture(autouse=True)
async def connections_end_with_the_test() -> AsyncIterator[None]:
    yield
    await sync_to_async(connections.close_all)()


def _cookie(role: str = "viewer") -> str:
    client = Client()
    client.force_login(factories.UserFactory(role=role))
    return client.cookies["sessionid"].value


def _announce(*topics: str) -> int:
    with feed.transaction():
        for topic in topics:
            feed.announce(topic, f"{topic}.changed", "1")
    return feed.head()


async def opened(
    since: int, cookie: str | None = None, origin: str = f"http://{HOST}"
) -> tuple[WebsocketCommunicator, bool, Any]:
    cookie = cookie if cookie is not None else await sync_to_async(_cookie)()
    headers = [(b"host", HOST.encode()), (b"origin", origin.encode()), (b"cookie", f"sessionid={cookie}".encode())]
    socket = WebsocketCommunicator(asgi.application, f"/ws/console/?since={since}", headers)
    connected, code = await socket.connect(timeout=10)
    return socket, connected, code


async def frame(socket: WebsocketCommunicator) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await socket.receive_from(timeout=10))
    return found


async def news(socket: WebsocketCommunicator) -> dict[str, Any]:
    while True:
        found = await frame(socket)
        if found["topics"] or found["prev"] != found["seq"]:
            return found


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        f"http://127.0.0.1:{1 + int(HOST[-4:])}",
        "null",
        "",
        f"ws://{HOST}",
        f"http://{HOST}.evil.example",
    ],
)
async def test_only_this_console_may_open_it(origin: str) -> None:
    _, connected, _ = await opened(0, origin=origin)
    assert not connected


@pytest.mark.parametrize("cookie", ["", "nosuchsession"])
async def test_a_signed_out_page_is_told_why(cookie: str) -> None:
    socket, connected, _ = await opened(0, cookie=cookie)
    assert connected
    closed = await socket.receive_output(timeout=10)
    assert (closed["type"], closed["code"]) == ("websocket.close", 4401)


async def test_somebody_without_a_role_is_refused() -> None:
    def signed_in() -> str:
        client = Client()
        client.force_login(User.objects.create_user("nobody"))
        return client.cookies["sessionid"].value

    socket, _, _ = await opened(0, cookie=await sync_to_async(signed_in)())
    assert (await socket.receive_output(timeout=10))["code"] == 4403


async def test_frames_join_without_a_hole() -> None:
    start = await sync_to_async(_announce)("orders")
    socket, _, _ = await opened(start)
    assert (await frame(socket))["prev"] == start
    last = start
    for topics in (["orders"], ["fills", "balances"], ["orders", "breaks"]):
        head = await sync_to_async(_announce)(*topics)
        found = await news(socket)
        assert (found["prev"], found["seq"], sorted(found["topics"])) == (last, head, sorted(topics))
        last = found["seq"]
    await socket.disconnect()


async def test_what_happened_between_page_and_socket_is_in_the_first_frame() -> None:
    start = await sync_to_async(feed.head)()
    head = await sync_to_async(_announce)("orders", "fills", "orders")
    socket, _, _ = await opened(start)
    first = await frame(socket)
    assert (first["prev"], first["seq"], first["topics"]) == (start, head, ["fills", "orders"])
    await socket.disconnect()


@pytest.mark.parametrize("since", [10**12, 0])
async def test_an_impossible_place_makes_the_page_refetch(since: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "CATCH_UP_ENTRIES_MAX", 1)
    await sync_to_async(_announce)("orders", "fills", "balances")
    socket, _, _ = await opened(since)
    assert (await frame(socket))["prev"] == -1
    await socket.disconnect()


async def test_a_burst_is_coalesced() -> None:
    start = await sync_to_async(feed.head)()
    socket, _, _ = await opened(start)
    await frame(socket)
    count, head = 200, 0
    for _ in range(count):
        head = await sync_to_async(_announce)("orders")
    frames, last = 0, start
    while last < head:
        found = await news(socket)
        assert found["prev"] == last
        frames, last = frames + 1, found["seq"]
    assert frames < count / 4
    await socket.disconnect()


async def test_silence_is_broken_by_a_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "HEARTBEAT_SECONDS", 0.5)
    start = await sync_to_async(_announce)("orders")
    socket, _, _ = await opened(start)
    for _ in range(3):
        found = await frame(socket)
        assert (found["prev"], found["seq"], found["topics"]) == (start, start, []) and found["at"].endswith("Z")
    await socket.disconnect()


async def test_the_socket_ends_with_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "SESSION_CHECK_SECONDS", 0.3)
    person = await sync_to_async(factories.UserFactory)(role="viewer")

    def sign_in() -> str:
        client = Client()
        client.force_login(person)
        return client.cookies["sessionid"].value

    socket, _, _ = await opened(0, cookie=await sync_to_async(sign_in)())
    await sync_to_async(User.objects.filter(pk=person.pk).update)(is_active=False)
    deadline = time.monotonic() + 10
    while (message := await socket.receive_output(timeout=10))["type"] != "websocket.close":
        assert time.monotonic() < deadline
    assert message["code"] == 4401


async def test_a_page_that_does_not_read_is_told_to_refetch() -> None:
    slow = hub.Socket(5)
    for seq in range(6, 6 + hub.QUEUE_FRAMES_MAX + 1):
        slow.offer(seq, ["orders"])
    assert slow.queue.qsize() == 1
    assert json.loads(slow.queue.get_nowait())["prev"] == -1


async def test_commands_over_the_socket_are_ignored() -> None:
    socket, _, _ = await opened(0)
    await socket.send_to(text_data='{"cancel": "everything"}')
    await sync_to_async(_announce)("orders")
    assert await news(socket)
    await socket.disconnect()


async def test_the_last_page_out_turns_the_listener_off() -> None:
    socket, _, _ = await opened(0)
    await frame(socket)
    await socket.disconnect()
    await asyncio.sleep(0)
    assert hub.current()._task is None

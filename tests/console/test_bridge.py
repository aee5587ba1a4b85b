"""The HTTP bridge: bodies in and out, limits, streams, a client that leaves."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import pytest
from django.conf import settings

from project import asgi

Message = dict[str, Any]


def scope(method: str = "GET", path: str = "/healthz", headers: list[tuple[bytes, bytes]] | None = None) -> Message:
    return {
        "type": "http", "method": method, "path": path, "query_string": b"", "http_version": "1.1", "scheme": "http",
        "server": ("127.0.0.1", 9061), "client": ("127.0.0.1", 1), "headers": [(b"host", b"127.0.0.1:9061"), *(headers or [])],
    }  # fmt: skip


async def answer(asked: Message, *parts: bytes) -> tuple[int, dict[bytes, bytes], bytes, list[Message]]:
    waiting = [{"type": "http.request", "body": part, "more_body": True} for part in parts[:-1]]
    waiting.append({"type": "http.request", "body": parts[-1] if parts else b"", "more_body": False})
    sent: list[Message] = []

    async def receive() -> Message:
        if waiting:
            return waiting.pop(0)
        await asyncio.sleep(3600)
        raise AssertionError("nobody waits an hour")

    async def send(message: Message) -> None:
        sent.append(message)

    await asgi.application(asked, receive, send)
    return (
        sent[0]["status"],
        dict(sent[0]["headers"]),
        b"".join(message.get("body", b"") for message in sent[1:]),
        waiting,
    )


async def test_a_request_and_its_answer() -> None:
    status, headers, body, _ = await answer(scope())
    assert status == 200 and headers[b"content-type"] == b"application/json" and b'"ok"' in body


async def test_cookies_carry_no_space_that_a_strict_server_refuses() -> None:
    _, headers, _, _ = await answer(scope(path="/login/"))
    assert headers[b"set-cookie"].startswith(b"csrftoken=")


async def test_head_has_no_body() -> None:
    status, headers, body, _ = await answer(scope("HEAD"))
    assert status == 200 and body == b"" and int(headers[b"content-length"]) > 0


async def test_a_large_body_is_refused_before_it_is_read() -> None:
    size = str(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1).encode()
    status, headers, body, unread = await answer(scope("POST", "/login/", [(b"content-length", size)]), b"x")
    assert status == 413 and headers[b"content-type"] == b"application/problem+json" and b"BODY_TOO_LARGE" in body
    assert len(unread) == 1


async def test_a_large_body_without_a_length_is_refused_on_the_way() -> None:
    status, _, _, unread = await answer(scope("POST", "/login/"), b"x" * 900_000, b"x" * 900_000, b"x")
    assert status == 413 and len(unread) == 1


@pytest.mark.parametrize("path", sorted(settings.STATEMENT_PATHS))
async def test_only_a_statement_may_be_large(path: str) -> None:
    size = settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1
    large = [(b"content-length", str(size).encode()), (b"content-type", b"multipart/form-data; boundary=x")]
    status, _, _, unread = await answer(scope("POST", path, large), b"x" * size)
    assert status in (302, 401, 403) and unread == [], "read whole, and then asked who it is"
    over = [(b"content-length", str(settings.STATEMENT_UPLOAD_MAX_SIZE + 1).encode())]
    status, _, body, unread = await answer(scope("POST", path, over), b"x")
    assert status == 413 and len(unread) == 1 and str(settings.STATEMENT_UPLOAD_MAX_SIZE).encode() in body
    assert (await answer(scope("GET", path, large), b"x"))[0] == 413, "what is only read needs no large body"


async def test_a_file_is_streamed_whole() -> None:
    status, headers, body, _ = await answer(scope(path="/static/django_htmx/htmx-2.min.js"))
    assert status == 200 and len(body) == int(headers[b"content-length"]) > 10_000


async def test_headers_with_underscores_never_reach_the_application() -> None:
    environ = asgi._environ(
        scope(
            headers=[
                (b"x_forwarded_proto", b"https"),
                (b"x-forwarded-proto", b"http"),
                (b"cookie", b"a=1"),
                (b"cookie", b"b=2"),
            ]
        ),
        io.BytesIO(),
    )
    assert environ["HTTP_X_FORWARDED_PROTO"] == "http" and environ["HTTP_COOKIE"] == "a=1; b=2"


async def test_paths_outside_ascii_survive() -> None:
    environ = asgi._environ(scope(path="/orders/€/"), io.BytesIO())
    assert environ["PATH_INFO"].encode("latin1").decode() == "/orders/€/"


async def test_a_stream_ends_when_its_client_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = asyncio.Event()
    loop = asyncio.get_running_loop()

    class Endless:
        streaming = True

        def __iter__(self) -> Any:
            while True:
                yield b"x" * 70_000

        def close(self) -> None:
            loop.call_soon_threadsafe(closed.set)

    def application(environ: Message, start: Any) -> Endless:
        start("200 OK", [])
        return Endless()

    monkeypatch.setattr(asgi, "wsgi", application)
    sent: list[int] = []
    asked = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> Message:
        for message in asked:
            return message
        while len(sent) < 3:
            await asyncio.sleep(0.01)
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(len(message.get("body", b"")))

    await asyncio.wait_for(asgi.application(scope(), receive, send), 10)
    await asyncio.wait_for(closed.wait(), 10)


async def test_the_servers_lifespan_is_answered() -> None:
    steps, sent = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}], []

    async def receive() -> Message:
        return steps.pop(0)

    async def send(message: Message) -> None:
        sent.append(message["type"])

    await asgi.application({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]

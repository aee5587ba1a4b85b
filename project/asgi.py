"""The web role: HTTP through one pooled thread per request, websockets through Channels. See docs/adr/0001-http-bridge.md."""

from __future__ import annotations

import asyncio
import io
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import IO, Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

from django.core.wsgi import get_wsgi_application

wsgi = get_wsgi_application()  # sets Django up; what follows needs that

from django.conf import settings

from project import routing
from venues import key_providers

key_providers.refuse_where_keys_are_only_sealed()

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

THREADS = 12  # each keeps one database connection open
CHUNK_BYTES = 65_536
BODY_BYTES_MAX = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
UPLOADS_AT_ONCE_MAX = 2  # each may fill a temporary file and read it for seconds
_uploads = asyncio.Semaphore(UPLOADS_AT_ONCE_MAX)
_pool = ThreadPoolExecutor(THREADS, thread_name_prefix="request")


class _Refused(Exception):
    """The body is larger than its request needs; says how many bytes it may have."""

    def __init__(self, bytes_max: int) -> None:
        super().__init__(bytes_max)
        self.bytes_max = bytes_max


async def application(scope: Message, receive: Receive, send: Send) -> None:
    """Serve one HTTP request, one websocket, or the server's lifespan."""
    if scope["type"] == "http":
        await _serve(scope, receive, send)
    elif scope["type"] == "websocket":
        await routing.websockets(scope, receive, send)
    else:
        await _live(receive, send)


async def _serve(scope: Message, receive: Receive, send: Send) -> None:
    bytes_max = _bytes_max(scope)
    async with _uploads if bytes_max > BODY_BYTES_MAX else nullcontext():
        try:
            body = await _body(scope, receive, bytes_max)
        except _Refused as refusal:
            await _refuse(send, refusal.bytes_max)
            return
        if body is None:
            return  # the client left before it had sent everything
        with body:
            await _answer(scope, receive, send, body)


async def _answer(scope: Message, receive: Receive, send: Send, body: IO[bytes]) -> None:
    loop = asyncio.get_running_loop()
    answer = _Answer(loop, send, is_head=scope["method"] == "HEAD")
    work = loop.run_in_executor(_pool, answer.run, _environ(scope, body))
    watch = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
        answer.is_abandoned = not work.done()
        await work
    finally:
        answer.is_abandoned = True
        watch.cancel()


class _Answer:
    """One WSGI call in its thread: small answers leave in one step, streamed ones chunk by chunk as fast as they are read."""

    def __init__(self, loop: asyncio.AbstractEventLoop, send: Send, *, is_head: bool) -> None:
        self._loop, self._send, self._is_head = loop, send, is_head
        self._start: Message = {}
        self.is_abandoned = False

    def run(self, environ: Message) -> None:
        response: Any = wsgi(environ, self._start_response)
        try:
            if self._is_head or not getattr(response, "streaming", False):
                self._emit(b"" if self._is_head else b"".join(response), more=False)
                return
            for chunk in _chunks(response):
                if self.is_abandoned:
                    return
                self._emit(chunk, more=True)
            self._emit(b"", more=False)
        finally:
            response.close()

    def _start_response(
        self, status: str, headers: Iterable[tuple[str, str]], _: object = None
    ) -> Callable[[bytes], None]:
        pairs = [(name.lower().encode("latin1"), value.strip().encode("latin1")) for name, value in headers]
        self._start = {"type": "http.response.start", "status": int(status[:3]), "headers": pairs}
        return lambda data: None

    def _emit(self, data: bytes, *, more: bool) -> None:
        delivered = asyncio.run_coroutine_threadsafe(self._deliver(data, more), self._loop)
        while True:
            try:
                return delivered.result(timeout=1.0)
            except TimeoutError:
                if not self._loop.is_running():  # the server has stopped: nobody will ever take this answer
                    raise ConnectionAbortedError("the server stopped before the answer could leave") from None

    async def _deliver(self, data: bytes, more: bool) -> None:
        if self._start:
            start, self._start = self._start, {}
            await self._send(start)
        await self._send({"type": "http.response.body", "body": data, "more_body": more})


def _chunks(parts: Iterable[bytes]) -> Iterator[bytes]:
    gathered = bytearray()
    for part in parts:
        gathered += part
        if len(gathered) >= CHUNK_BYTES:
            yield bytes(gathered)
            gathered.clear()
    yield bytes(gathered)


def _bytes_max(scope: Message) -> int:
    is_statement = scope["method"] == "POST" and scope["path"] in settings.STATEMENT_PATHS
    return settings.STATEMENT_UPLOAD_MAX_SIZE if is_statement else BODY_BYTES_MAX


async def _body(scope: Message, receive: Receive, bytes_max: int) -> IO[bytes] | None:
    for name, value in scope["headers"]:
        if name == b"content-length" and (not value.isdigit() or int(value) > bytes_max):
            raise _Refused(bytes_max)
    gathered: IO[bytes] = io.BytesIO() if bytes_max == BODY_BYTES_MAX else tempfile.SpooledTemporaryFile(BODY_BYTES_MAX)  # noqa: SIM115 - the caller closes it
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            gathered.close()
            return None
        size += gathered.write(message.get("body", b""))
        if size > bytes_max:
            gathered.close()
            raise _Refused(bytes_max)
        if not message.get("more_body"):
            gathered.seek(0)
            return gathered


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _refuse(send: Send, bytes_max: int) -> None:
    text = (
        f'{{"type":"urn:gapless:problem:body-too-large","title":"Content Too Large","status":413,"code":"BODY_TOO_LARGE",'
        f'"outcome":"not_sent","retry_safe":true,"errors":[],"detail":"The body is larger than {bytes_max} bytes. Nothing of it was read or stored."}}'
    ).encode()
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(text)).encode()),
               (b"cache-control", b"no-store"), (b"connection", b"close")]  # fmt: skip
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": text})


def _environ(scope: Message, body: IO[bytes]) -> Message:
    server = scope.get("server") or ("localhost", 80)
    length = body.seek(0, io.SEEK_END)
    body.seek(0)
    environ: Message = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": scope.get("root_path", "").encode().decode("latin1"),
        "PATH_INFO": scope["path"].encode("utf-8", "replace").decode("latin1"),
        "QUERY_STRING": scope["query_string"].decode("latin1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1] or 0),
        "SERVER_PROTOCOL": f"HTTP/{scope.get('http_version', '1.1')}",
        "REMOTE_ADDR": (scope.get("client") or ("",))[0],
        "CONTENT_LENGTH": str(length),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": body,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin1").upper(), raw_value.decode("latin1")
        if "_" in name or name == "CONTENT-LENGTH":  # an underscore could pass for a dash of a header the proxy sets
            continue
        key = "CONTENT_TYPE" if name == "CONTENT-TYPE" else f"HTTP_{name.replace('-', '_')}"
        glue = "; " if name == "COOKIE" else ","
        environ[key] = f"{environ[key]}{glue}{value}" if key in environ else value
    return environ


async def _live(receive: Receive, send: Send) -> None:
    while True:
        step = (await receive())["type"]
        await send({"type": f"{step}.complete"})
        if step == "lifespan.shutdown":
            return

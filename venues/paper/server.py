"""The venue's HTTP and WebSocket server: worlds under their prefixes, faults around every answer."""

import argparse
import asyncio
import contextlib
import itertools
import json
import logging
import re
import signal
import time
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from aiohttp import WSMsgType, web

from venues.paper import defaults
from venues.paper.control import Control
from venues.paper.faults import AFTER, BEFORE, EITHER, Call, Rule
from venues.paper.messages import NOBODY, Answer, Context, HttpRequest, abortable, encode
from venues.paper.replay import Replay
from venues.paper.schedule import run_demo_schedule
from venues.paper.streams import Connection
from venues.paper.world import World
from venues.paper.worlds import DIALECTS, Worlds, demo_blueprint

try:
    from uvloop import run as run_loop
except ImportError:  # the stock loop serves as well, only slower
    from asyncio import run as run_loop

log = logging.getLogger(__name__)

BODY_BYTES_MAX = 1 << 20
HEARTBEAT_SECONDS = 30.0
HTML_PAGE = "<html><head><title>Bad gateway</title></head><body><h1>The server is on its way</h1></body></html>"
HUGE_NUMBER = "1E999999999"
DECIMAL_TEXT = re.compile(r"-?\d+\.\d+")

_connection_numbers = itertools.count(1)
_connection_ids: WeakKeyDictionary[asyncio.Transport, int] = WeakKeyDictionary()


class Server:
    """Answers for every world; one catch-all route keeps a request's path exactly as it was sent."""

    def __init__(self, worlds: Worlds, base_url: str) -> None:
        self.worlds = worlds
        self.control = Control(worlds, base_url)
        self.application = web.Application(client_max_size=BODY_BYTES_MAX)
        self.application.router.add_route("*", "/{tail:.*}", self.handle)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer any request."""
        path, _, query = request.raw_path.partition("?")
        parts = path.split("/", 3)
        if parts[1] == "_control":
            return await self.control.handle(request, path)
        try:
            world = self.worlds.find(parts[1], parts[2])
        except (KeyError, IndexError):
            return web.json_response({"error": "no such world; see /_control/worlds"}, status=404)
        path = "/" + (parts[3] if len(parts) > 3 else "")
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await serve_stream(world, request, path, query)
        body = await request.read() if request.can_read_body else b""
        http = HttpRequest(
            method=request.method,
            path=path,
            query=query,
            headers=request.headers,
            body=body,
            remote=request.remote or "",
            connection=_connection_id(request),
            received_at=time.time_ns() // 1000,
        )
        return await answer_request(world, request, http)


async def answer_request(world: World, request: web.Request, http: HttpRequest) -> web.StreamResponse:
    """Let the dialect answer, unless a fault happens before or after it."""
    dialect = DIALECTS[world.exchange.name]
    parsed = dialect.read(world, http)
    call: Call = parsed.call
    world.context = Context(http.connection, http.received_at)
    rule = world.faults.take((*BEFORE, *EITHER), call, "before")
    world.context = NOBODY
    if rule is not None:
        await world.journal.durable()
        response = await _misbehave(world, request, rule, Answer({}))
        if rule.fault != "hang":
            return response
    world.context = Context(http.connection, http.received_at)
    try:
        answer: Answer = dialect.answer(world, parsed)
        rule = world.faults.take((*AFTER, *EITHER), call, "after")
    finally:
        world.context = NOBODY
    await world.journal.durable()
    if rule is not None:
        return await _misbehave(world, request, rule, answer)
    return _response(answer)


async def serve_stream(world: World, request: web.Request, path: str, query: str) -> web.StreamResponse:
    """Serve one WebSocket until either side ends it."""
    if world.now() < world.refuse_streams_until:
        return web.Response(status=503, text="streams are closed")
    dialect = DIALECTS[world.exchange.name]
    socket = web.WebSocketResponse(heartbeat=HEARTBEAT_SECONDS, max_msg_size=BODY_BYTES_MAX, compress=False)
    await socket.prepare(request)
    connection = Connection(socket, abortable(request.transport))
    world.hub.connections.add(connection)
    try:
        dialect.open_stream(world, connection, path, query)
        async for message in socket:
            if message.type == WSMsgType.TEXT:
                dialect.read_frame(world, connection, path, message.data)
    finally:
        world.hub.connections.discard(connection)
        await connection.close()
    return socket


async def _misbehave(world: World, request: web.Request, rule: Rule, answer: Answer) -> web.StreamResponse:
    fault = rule.fault
    if fault in ("drop_before", "drop_after"):
        _cut(request)
        return web.Response()
    if fault == "hang":
        await asyncio.sleep(rule.number("seconds", 30))
        return _response(answer)
    if fault == "status":
        status = int(rule.number("status", 503))
        if rule.params.get("body") == "json":
            return web.json_response(
                {"code": -1000, "msg": "Internal error", "error": ["EService:Busy"]}, status=status
            )
        return web.Response(status=status, text=HTML_PAGE, content_type="text/html")
    if fault in ("rate_limited", "ban", "unknown_reject", "duplicate_client_id_reject"):
        dialect = DIALECTS[world.exchange.name]
        return _response(dialect.fault_answer(world, fault, rule.number("seconds", 5)))
    if fault == "truncate":
        return await _truncated(request, answer)
    if fault == "huge_exponent":
        return _response(replace(answer, body=_enlarged(answer.body)))
    text = {"empty": "", "html": HTML_PAGE, "json_empty": "{}"}[fault]
    content_type = "text/html" if fault == "html" else "application/json"
    return web.Response(text=text, content_type=content_type)


async def _truncated(request: web.Request, answer: Answer) -> web.StreamResponse:
    content = json.dumps(answer.body).encode()
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(content))})
    await response.prepare(request)
    await response.write(content[: len(content) // 2])
    transport = request.transport
    if transport is not None:
        transport.close()
    return response


def _enlarged(body: Any) -> Any:
    if isinstance(body, dict):
        return {name: _enlarged(value) for name, value in body.items()}
    if isinstance(body, list):
        return [_enlarged(value) for value in body]
    return HUGE_NUMBER if isinstance(body, str) and DECIMAL_TEXT.fullmatch(body) else body


def _response(answer: Answer) -> web.Response:
    content = encode(answer.body)
    return web.Response(text=content, status=answer.status, headers=answer.headers, content_type="application/json")


def _cut(request: web.Request) -> None:
    transport = abortable(request.transport)
    if transport is not None:
        transport.abort()


def _connection_id(request: web.Request) -> str:
    transport = request.transport
    if transport is None:
        return "http-gone"
    number = _connection_ids.get(transport)
    if number is None:
        number = _connection_ids[transport] = next(_connection_numbers)
    return f"http-{number}"


def options(parser: argparse.ArgumentParser) -> None:
    """Add the server's options to a command."""
    parser.add_argument("--host", default=defaults.HOST)
    parser.add_argument("--port", type=int, default=defaults.PORT)
    parser.add_argument("--data", type=Path, required=True, help="folder of the worlds' journals")
    parser.add_argument("--world", default=defaults.WORLD, help="demo world made on each exchange; empty for none")
    parser.add_argument("--seed", type=int, default=defaults.SEED)
    parser.add_argument("--flow", type=float, default=defaults.FLOW_STEPS_PER_SECOND, help="steps a second, 0 is still")
    parser.add_argument("--replay", type=Path, help="trade file that moves the demo worlds instead of the flow")
    parser.add_argument("--replay-symbol", default="BTC/USDT")
    parser.add_argument("--speed", type=float, default=1.0, help="how much faster than recorded")
    parser.add_argument("--fault-schedule", choices=("demo", "none"), default="none")


def main(arguments: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    run_loop(serve(arguments))


async def serve(arguments: argparse.Namespace) -> None:
    """Open the worlds, listen, and close them when told to stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    worlds = Worlds(arguments.data)
    worlds.reopen_all()
    demo = _demo_worlds(worlds, arguments)
    server = Server(worlds, f"{arguments.host}:{arguments.port}")
    runner = web.AppRunner(server.application, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, arguments.host, arguments.port, backlog=1024).start()
    log.info("paper venue on http://%s:%s with %s worlds", arguments.host, arguments.port, len(worlds.by_name))
    background: list[Coroutine[Any, Any, None]] = []
    if arguments.fault_schedule == "demo":
        background = [run_demo_schedule(world) for world in demo]
    tasks = [loop.create_task(work) for work in background]
    await stop.wait()
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    await runner.cleanup()
    await worlds.close()


def _demo_worlds(worlds: Worlds, arguments: argparse.Namespace) -> list[World]:
    demo: list[World] = []
    for exchange in defaults.EXCHANGES if arguments.world else ():
        if (exchange, arguments.world) not in worlds.by_name:
            worlds.create(demo_blueprint(exchange, arguments.world, arguments.seed, arguments.flow))
        world = worlds.find(exchange, arguments.world)
        if arguments.replay:
            world.replay = Replay(arguments.replay, arguments.replay_symbol, arguments.speed)
        demo.append(world)
    return demo

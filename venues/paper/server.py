"""The venue's server: REST requests over the lean wire, control and WebSockets over aiohttp, on one port."""

import argparse
import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

from venues.paper import defaults
from venues.paper.control import Control
from venues.paper.markets import EXCHANGES
from venues.paper.messages import abortable
from venues.paper.replay import Replay
from venues.paper.schedule import run_demo_schedule
from venues.paper.streams import Connection
from venues.paper.wire import BODY_BYTES_MAX, WireProtocol
from venues.paper.world import World
from venues.paper.worlds import Worlds, demo_blueprint

try:
    from uvloop import run as run_loop
except ImportError:  # the stock loop serves as well, only slower
    from asyncio import run as run_loop

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 30.0
# Orders live for ever and are no garbage: looking through all of them now and then made each order dearer the more
# there were (measured: 112 µs of CPU an order among 1,000, 176 among 100,000).
GARBAGE_THRESHOLDS = (20_000, 20, 1000)


class Server:
    """Answers what the wire hands over: control requests and WebSockets; one catch-all route keeps a path as sent."""

    def __init__(self, worlds: Worlds, base_url: str) -> None:
        self.worlds = worlds
        self.control = Control(worlds, base_url)
        self.application = web.Application(client_max_size=BODY_BYTES_MAX)
        self.application.router.add_route("*", "/{tail:.*}", self.handle)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a control request or serve a stream."""
        path, _, query = request.raw_path.partition("?")
        parts = path.split("/", 3)
        if parts[1] == "_control":
            return await self.control.handle(request, path)
        try:
            world = self.worlds.find(parts[1], parts[2])
        except (KeyError, IndexError):
            return web.json_response({"error": "no such world; see /_control/worlds"}, status=404)
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await serve_stream(world, request, "/" + (parts[3] if len(parts) > 3 else ""), query)
        return web.json_response({"error": "send the body with a Content-Length"}, status=411)


async def serve_stream(world: World, request: web.Request, path: str, query: str) -> web.StreamResponse:
    """Serve one WebSocket until either side ends it."""
    if world.refuses_stream(path):
        return web.Response(status=503, text="streams are closed")
    socket = web.WebSocketResponse(heartbeat=HEARTBEAT_SECONDS, max_msg_size=BODY_BYTES_MAX, compress=False)
    await socket.prepare(request)
    connection = Connection(socket, abortable(request.transport))
    connection.path = path
    world.hub.add(connection)
    try:
        world.dialect.open_stream(world, connection, path, query)
        async for message in socket:
            if message.type == WSMsgType.TEXT:
                world.dialect.read_frame(world, connection, path, message.data)
    finally:
        world.hub.discard(connection)
        await connection.close()
    return socket


def options(parser: argparse.ArgumentParser) -> None:
    """Add the server's options to a command."""
    parser.add_argument("--host", default=defaults.HOST)
    parser.add_argument("--port", type=int, default=defaults.PORT)
    parser.add_argument("--data", type=Path, required=True, help="folder of the worlds' journals")
    parser.add_argument("--world", default=defaults.WORLD, help="demo world made on each exchange; empty for none")
    parser.add_argument(
        "--exchange", action="append", choices=sorted(EXCHANGES), help="where demo worlds are made, repeatable"
    )
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
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    runner = web.AppRunner(server.application, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    handover = runner.server
    if handover is None:
        raise RuntimeError("aiohttp made no server")
    listening = await loop.create_server(
        lambda: WireProtocol(worlds, handover), arguments.host, arguments.port, backlog=1024
    )
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
    listening.close()
    await runner.cleanup()
    await worlds.close()


def _demo_worlds(worlds: Worlds, arguments: argparse.Namespace) -> list[World]:
    demo: list[World] = []
    for exchange in (arguments.exchange or defaults.EXCHANGES) if arguments.world else ():
        if (exchange, arguments.world) not in worlds.by_name:
            worlds.create(demo_blueprint(exchange, arguments.world, arguments.seed, arguments.flow))
        world = worlds.find(exchange, arguments.world)
        if arguments.replay:
            world.replay = Replay(arguments.replay, arguments.replay_symbol, arguments.speed)
        demo.append(world)
    return demo

"""A world inside another program: no files, no threads, no event loop, no real time; the same calls, the same bytes.

The clock is handed in and moved by the caller: when it reaches `world.next_due()`, call `world.advance()`. Requests go
through `request`, which returns what the exchange would send, faults included; `connect` opens a stream.
"""

from collections.abc import Callable
from typing import Any

from venues.paper.blueprint import Blueprint
from venues.paper.dialects import binance, bybit, coinbase, deribit, kraken, okx
from venues.paper.exchange import Hang, Reply, handle
from venues.paper.hub import Listener
from venues.paper.journal import MemoryJournal, Record
from venues.paper.messages import HttpRequest
from venues.paper.world import Protocols, World

DIALECTS: dict[str, Protocols] = {
    "binance": binance,
    "bybit": bybit,
    "coinbase": coinbase,
    "deribit": deribit,
    "kraken": kraken,
    "okx": okx,
}


class SimulatedWorld(World):
    """A world whose journal is a list; `journal.lines` are its bytes, `records()` its records."""

    journal: MemoryJournal

    def records(self, kind: str | None = None) -> list[Record]:
        """Return the journal, or its records of one kind."""
        return [record for record in self.journal.records() if kind in (None, record["kind"])]


class SimulatedStream(Listener):
    """A stream's other side: `frames` are the texts it got and nobody has taken yet."""

    def __init__(self, world: World, path: str, query: str) -> None:
        super().__init__()
        self.world = world
        self.path = path
        self.frames: list[str] = []
        self.is_open = True
        world.hub.add(self)
        world.dialect.open_stream(world, self, path, query)

    def send_text(self, text: str) -> None:
        """Keep a frame, unless the connection is gone."""
        if self.is_open:
            self.frames.append(text)

    def cut(self) -> None:
        """End the connection from the venue's side."""
        self.is_open = False
        self.world.hub.discard(self)

    def write(self, text: str) -> None:
        """Send a frame to the venue. Raises ConnectionError once the connection is gone."""
        if not self.is_open:
            raise ConnectionError("the stream is closed")
        self.world.dialect.read_frame(self.world, self, self.path, text)

    def take(self) -> list[str]:
        """Return the frames that came since the last call."""
        frames, self.frames = self.frames, []
        return frames


def simulated_world(
    exchange: str,
    seed: int,
    now: Callable[[], int],
    accounts: list[dict[str, Any]],
    personality: dict[str, Any] | None = None,
    limits: dict[str, Any] | None = None,
    markets: list[str] | None = None,
) -> SimulatedWorld:
    """Make a world in memory. `now` returns microseconds; accounts are as in POST /_control/worlds.

    Its books stand still until `world.step()` moves them. Raises ValueError or KeyError for a bad option.
    """
    blueprint = Blueprint(
        exchange=exchange,
        world="simulated",
        seed=seed,
        flow_steps_per_second=0,
        markets=markets,
        accounts=accounts,
        personality=dict(personality or {}),
        limits=dict(limits or {}),
    )
    return SimulatedWorld(blueprint, MemoryJournal(), DIALECTS[exchange], now)


def request(
    world: World,
    method: str,
    path: str,
    query: str = "",
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    connection: str = "http-1",
    has_waited: bool = False,
) -> Reply | Hang:
    """Send a request whose time of arrival is now. A Reply is to be delivered after its `delay_seconds`, cut or cut in
    half when it says so; after a Hang's seconds the same request is to be sent again with `has_waited`."""
    http = HttpRequest(
        method=method,
        path=path,
        query=query,
        headers=headers or {},
        body=body,
        remote="127.0.0.1",
        connection=connection,
        received_at=world.now(),
    )
    return handle(world, http, has_waited)


def connect(world: World, path: str, query: str = "") -> SimulatedStream:
    """Open a stream. Raises ConnectionError while the world refuses streams."""
    world.advance()
    if world.refuses_stream(path):
        raise ConnectionError("streams are closed")
    return SimulatedStream(world, path, query)

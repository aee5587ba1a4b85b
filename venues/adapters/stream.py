"""The private stream: facts from raw frames, a poison frame harms nothing, silence and gaps reconnect."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from project.lib import clock
from venues.adapters import rows, strict
from venues.adapters.ccxt import CcxtAdapter
from venues.breaker import Breaker
from venues.health import Channel
from venues.messages import Report, StreamState

OnFrame = Callable[[str, datetime], None]
OnReports = Callable[[list[Report], datetime], None]
OnState = Callable[[StreamState], None]
SUBSCRIBE_SECONDS_MAX = 10.0
SILENCE_SECONDS_MAX = 20.0
BACKOFF_SECONDS = (0.25, 30.0)
SETTLED_SECONDS = 30.0


class StreamLost(Exception):
    """The stream cannot be trusted any more; the message is the reason code."""


class Stream:
    """One private stream. run() never returns by itself."""

    def __init__(
        self,
        adapter: CcxtAdapter,
        channel: Channel,
        breaker: Breaker,
        on_frame: OnFrame,
        on_reports: OnReports,
        on_state: OnState,
    ) -> None:
        self._adapter = adapter
        self._channel = channel
        self._breaker = breaker
        self._on_frame, self._on_reports, self._on_state = on_frame, on_reports, on_state
        self._ended: asyncio.Future[str] | None = None
        self._acknowledged = asyncio.Event()
        self._last_message_at: datetime | None = None
        self._last_message = 0.0
        self._sequence: int | None = None

    async def run(self) -> None:
        """Connect, deliver, reconnect, until cancelled."""
        client = self._adapter.client
        client.on_raw_frame, client.on_socket_lost = self._take, self._socket_lost
        failures = 0
        while True:
            live_since: float | None = None
            reason = ""
            self._prepare()
            self._tell("connecting")
            try:
                await asyncio.wait_for(self._or_lost(self._adapter.subscribe(self)), SUBSCRIBE_SECONDS_MAX)
                live_since = time.monotonic()
                self._channel.succeeded()
                self._breaker.succeeded(live_since)
                self._tell("live")
                await self._watch()
            except Exception as problem:
                reason = (
                    str(problem) if isinstance(problem, StreamLost) else f"STREAM_NOT_OPENED {type(problem).__name__}"
                )
            finally:
                await self._drop()
            settled = live_since is not None and time.monotonic() - live_since > SETTLED_SECONDS
            failures = 0 if settled else failures + 1
            self._channel.failed(reason)
            self._channel.reconnects += 1
            self._breaker.failed(time.monotonic(), reason)
            self._tell("lost", reason)
            shortest, longest = BACKOFF_SECONDS
            await asyncio.sleep(random.uniform(0, min(longest, shortest * 2 ** min(failures, 10))))

    async def acknowledged(self) -> None:
        """Wait until the venue has confirmed the subscription."""
        await self._acknowledged.wait()

    def _prepare(self) -> None:
        self._ended = asyncio.get_running_loop().create_future()
        self._acknowledged.clear()
        self._sequence = None
        self._last_message = time.monotonic()

    async def _or_lost(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        ended = self._ended
        assert_ended = ended if ended is not None else asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait({task, assert_ended}, return_when=asyncio.FIRST_COMPLETED)
            if assert_ended.done():
                raise StreamLost(assert_ended.result())
            await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _watch(self) -> None:
        ended = self._ended
        while ended is not None:
            quiet = SILENCE_SECONDS_MAX - (time.monotonic() - self._pipe_alive_at())
            if quiet <= 0:
                raise StreamLost("STREAM_SILENT")
            done, _ = await asyncio.wait({ended}, timeout=quiet + 0.05)
            if done:
                raise StreamLost(ended.result())

    def _pipe_alive_at(self) -> float:
        # Pongs count as life: an account without trades is silent for hours.
        pongs = [
            socket.lastPong for socket in self._adapter.client.clients.values() if getattr(socket, "lastPong", None)
        ]
        ages = [time.time() - pong / 1000 for pong in pongs]
        return max([self._last_message, *(time.monotonic() - age for age in ages)])

    async def _drop(self) -> None:
        client = self._adapter.client
        self._ended = None
        sockets, client.clients = list(client.clients.values()), {}
        for socket in sockets:
            socket.is_dropped = True  # its last callbacks come late and must not end the next connection
        await asyncio.gather(*(socket.close() for socket in sockets), return_exceptions=True)

    def _tell(self, state: Any, reason: str = "") -> None:
        self._on_state(StreamState(state=state, at=clock.now(), reason=reason, last_message_at=self._last_message_at))

    def _socket_lost(self, socket: Any, reason: str) -> None:
        if not getattr(socket, "is_dropped", False):
            self._lose(reason)

    def _lose(self, reason: str) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(reason)

    def _take(self, socket: Any, data: str | bytes) -> None:
        if getattr(socket, "is_dropped", False):
            return
        received_at = clock.now()
        self._last_message_at, self._last_message = received_at, time.monotonic()
        text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
        try:
            payload = strict.loads(text)
        except strict.NotStrict as problem:
            self._on_frame(text, received_at)
            self._on_reports([rows.malformed("stream", str(problem), text)], received_at)
            return
        try:
            reports = self._adapter.read_frame(payload)
        except Exception as problem:  # a fault of our reader must cost one frame, not the stream
            reports = [rows.malformed("stream", f"our reader failed: {type(problem).__name__}", text)]
        if reports is not None:
            self._on_frame(text, received_at)
            self._check_sequence(payload)
            if reports:
                self._on_reports(reports, received_at)
            return
        self._pass_on(socket, payload, text)

    def _pass_on(self, socket: Any, payload: Any, text: str) -> None:
        if isinstance(payload, dict) and payload.get("method") == "subscribe":
            if payload.get("success") is True:
                self._acknowledged.set()
            else:
                self._lose("STREAM_REFUSED")
            return
        try:
            socket.on_message_callback(socket, json.loads(text))
        except Exception:
            # ccxt could not make sense of a frame that carries no fact of ours.
            self._channel.last_error = "a frame that ccxt could not read"

    def _check_sequence(self, payload: Any) -> None:
        number = payload.get("sequence") if isinstance(payload, dict) else None
        if not isinstance(number, str) or not (number.isascii() and number.isdigit() and len(number) < 20):
            return
        expected, self._sequence = self._sequence, int(number) + 1
        if expected is not None and int(number) != expected:
            self._lose("STREAM_GAP")

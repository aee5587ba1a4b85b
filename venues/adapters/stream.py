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
from venues.facts.shapes import StreamRule
from venues.health import Channel
from venues.messages import Report, StreamState
from venues.streams import StreamReason, wait_seconds

OnFrame = Callable[[str, list[Report], datetime], None]
OnState = Callable[[StreamState], None]
SETTLED_SECONDS = 30.0
ALIVE_SECONDS = 4.0


class StreamLost(Exception):
    """The stream cannot be trusted any more."""

    def __init__(self, reason: StreamReason, detail: str = "") -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


class Stream:
    """One private stream. run() never returns by itself."""

    def __init__(
        self,
        adapter: CcxtAdapter,
        rule: StreamRule,
        channel: Channel,
        breaker: Breaker,
        on_frame: OnFrame,
        on_state: OnState,
    ) -> None:
        self._adapter, self._rule = adapter, rule
        self._channel = channel
        self._breaker = breaker
        self._on_frame, self._on_state = on_frame, on_state
        self._ended: asyncio.Future[StreamReason] | None = None
        self._acknowledged = asyncio.Event()
        self._last_message_at: datetime | None = None
        self._last_message = self._opened = 0.0
        self._frames = 0
        self._sequence: int | None = None

    async def run(self) -> None:
        """Connect, deliver, reconnect, until cancelled."""
        client = self._adapter.client
        client.on_raw_frame, client.on_socket_lost = self._take, self._socket_lost
        failures = tries = 0
        while True:
            tries += 1
            self._prepare()
            self._tell("connecting")
            subscribed_at: float | None = None
            try:
                await self._open()
                subscribed_at = time.monotonic()
                self._channel.succeeded()
                self._breaker.succeeded(subscribed_at)
                self._tell("subscribed", tries=tries)
                await self._watch()
            except StreamLost as loss:
                lost = loss
            except Exception as problem:  # never its text: it may carry a signed address
                lost = StreamLost(StreamReason.NOT_OPENED, type(problem).__name__)
            finally:
                await self._drop()
            if subscribed_at is not None:
                tries = 0
            settled = subscribed_at is not None and time.monotonic() - subscribed_at > SETTLED_SECONDS
            failures = 0 if settled else failures + 1
            self._note_loss(lost)
            await asyncio.sleep(wait_seconds(failures, random.random()))

    async def _open(self) -> None:
        try:
            async with asyncio.timeout(self._rule.subscribe_seconds_max):
                await self._or_lost(self._adapter.subscribe(self))
        except TimeoutError:
            raise StreamLost(StreamReason.NOT_OPENED_IN_TIME) from None

    def _note_loss(self, lost: StreamLost) -> None:
        told = f"{lost.reason} {lost.detail}".strip()
        self._channel.failed(told)
        self._channel.reconnects += 1
        self._breaker.failed(time.monotonic(), told)
        self._tell("lost", lost.reason, lost.detail)

    async def acknowledged(self) -> None:
        """Wait until the venue has confirmed the subscription."""
        await self._acknowledged.wait()

    def _prepare(self) -> None:
        self._ended = asyncio.get_running_loop().create_future()
        self._acknowledged.clear()
        self._sequence, self._frames, self._last_message_at = None, 0, None
        self._last_message = self._opened = time.monotonic()

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
        """Return never: raise StreamLost when the connection ends or shows no life for too long."""
        ended = self._ended
        told_at = time.monotonic()
        while ended is not None:
            now = time.monotonic()
            limits = [(self._rule.silence_seconds_max, self._pipe_alive_at(), StreamReason.SILENT)]
            if self._rule.frame_seconds_max is not None:
                limits.append((self._rule.frame_seconds_max, self._last_message, StreamReason.HEARTBEAT_MISSED))
            patience, reason = min((limit - (now - seen), reason) for limit, seen, reason in limits)
            if patience <= 0:
                raise StreamLost(reason)
            if now - told_at >= ALIVE_SECONDS:
                told_at = now
                self._tell("alive")
            done, _ = await asyncio.wait({ended}, timeout=min(patience, ALIVE_SECONDS) + 0.05)
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

    def _tell(self, state: Any, reason: StreamReason | None = None, detail: str = "", tries: int = 1) -> None:
        told = StreamState(
            state=state, at=clock.now(), reason=reason, detail=detail, tries=tries, frames=self._frames,
            last_message_at=self._last_message_at,
        )  # fmt: skip
        self._on_state(told)

    def _socket_lost(self, socket: Any, reason: str) -> None:
        if not getattr(socket, "is_dropped", False):
            self._lose(StreamReason(reason))

    def _lose(self, reason: StreamReason) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(reason)

    def _take(self, socket: Any, data: str | bytes) -> None:
        if getattr(socket, "is_dropped", False):
            return
        received_at = clock.now()
        self._last_message_at, self._last_message = received_at, time.monotonic()
        self._frames += 1
        self._channel.heard_at = received_at
        text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
        if text in self._adapter.pongs:
            socket.on_message_callback(socket, text)
            return
        try:
            payload = strict.loads(text)
        except strict.NotStrict as problem:
            self._on_frame(text, [rows.malformed("stream", str(problem), text)], received_at)
            return
        try:
            reports = self._adapter.read_frame(payload)
        except Exception as problem:  # a fault of our reader must cost one frame, not the stream
            reports = [rows.malformed("stream", f"our reader failed: {type(problem).__name__}", text)]
        if reports is not None:
            self._on_frame(text, reports, received_at)
            self._check_sequence(payload)
            return
        self._pass_on(socket, payload, text)

    def _pass_on(self, socket: Any, payload: Any, text: str) -> None:
        if isinstance(payload, dict) and "subscribe" in (payload.get("method"), payload.get("op")):
            if payload.get("success") is True:
                self._acknowledged.set()
            else:
                self._lose(StreamReason.REFUSED)
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
            self._lose(StreamReason.GAP)

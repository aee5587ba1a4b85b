"""A wire that loses what it is told to lose, so that doubt can be made at any venue, a real one too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from venues.adapters.transport import HttpRecord, Wire

Loss = Literal["never_sent", "answer_lost", "answer_cut", "answer_empty"]


class LosingWire:
    """Passes every request on, but for the next one that carries the marker: that one is lost as told."""

    def __init__(self, inner: Wire) -> None:
        self._inner = inner
        self._marker, self._loss = "", ""
        self.lost = 0

    def lose(self, marker: str, loss: Loss) -> None:
        """Lose the next request that names this id."""
        self._marker, self._loss = marker, loss

    async def send(self, record: HttpRecord, headers: Mapping[str, str], body: bytes | None) -> None:
        """Send the request, or do to it what was asked for."""
        if not self._marker or not record.carries(self._marker):
            await self._inner.send(record, headers, body)
            return
        loss, self._marker, self._loss = self._loss, "", ""
        self.lost += 1
        if loss == "never_sent":
            record.fault = "connection refused"
            return
        await self._inner.send(record, headers, body)
        if loss == "answer_empty":
            record.body = ""
            return
        record.status, record.body = None, ""
        record.fault = "timeout" if loss == "answer_lost" else "truncated"

    async def close(self) -> None:
        """Close the wire underneath."""
        await self._inner.close()

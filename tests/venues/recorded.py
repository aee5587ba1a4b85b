"""A wire that gives recorded answers and keeps what was asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from venues.adapters.transport import Headers, HttpRecord


class RecordedWire:
    """Stands where the real wire stands; each request takes the next answer (status, body)."""

    def __init__(self, *answers: tuple[int, Any]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.headers: list[Mapping[str, str]] = []

    async def send(self, record: HttpRecord, headers: Mapping[str, str], body: bytes | None) -> None:
        """Answer as recorded."""
        query = record.url.partition("?")[2]
        text = (body or b"").decode() or query
        self.asked.append((record.path, json.loads(text) if text.startswith("{") else dict(parse_qsl(text))))
        self.headers.append(headers)
        record.sent = True
        status, answer = self.answers.pop(0)
        record.status, record.headers = status, Headers()
        record.body = answer if isinstance(answer, str) else json.dumps(answer)

    async def close(self) -> None:
        """Nothing is open."""

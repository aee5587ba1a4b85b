"""What crosses between the server and a dialect."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol, runtime_checkable
from urllib.parse import unquote_plus

import orjson

Body = dict[str, Any] | list[Any] | bytes
encode_bytes = orjson.dumps


def encode(body: Any) -> str:
    """Return a value as JSON text without spaces."""
    return orjson.dumps(body).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """A request as received; `path` and `query` are raw and without the world's prefix, `received_at` in microseconds."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    remote: str
    connection: str
    received_at: int


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply before any fault touches it; a body of bytes is plain text."""

    body: Body
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """The dialect answers with an error of its protocol."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Context:
    """On whose behalf the engine moves: connection, time of receipt, nonce."""

    connection: str
    received_at: int
    nonce: int | None = None


NOBODY = Context("", 0)


def read_form(text: str) -> dict[str, str]:
    """Return the fields of a query or form body, empty ones included; the last one of a name counts."""
    is_quoted = "%" in text or "+" in text
    fields: dict[str, str] = {}
    for pair in text.split("&"):
        name, _, value = pair.partition("=")
        if not pair:
            continue
        if is_quoted:
            name, value = unquote_plus(name), unquote_plus(value)
        fields[name] = value
    return fields


def plain(number: Decimal) -> str:
    """Return a decimal without an exponent."""
    return f"{number:f}"


@runtime_checkable
class Abortable(Protocol):
    """A transport of any event loop."""

    def abort(self) -> None:
        """End the connection at once, without a word."""


def abortable(transport: object) -> Abortable | None:
    """Return a transport that can be aborted, None when it is gone."""
    return transport if isinstance(transport, Abortable) else None

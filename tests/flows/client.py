"""A small HTTP client for tests: the API as an outside system sees it, and waiting for facts with a deadline."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any, TypeVar

Fact = TypeVar("Fact")


class Refused(Exception):
    """An answer of 4xx or 5xx, with its decoded body."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(f"{status}: {body}")
        self.status, self.body = status, body


class Api:
    """Calls with a token; every answer is decoded JSON."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self.token = url, token

    def get(self, path: str, **query: object) -> Any:
        """Return the answer of a GET under /api/v1."""
        tail = f"?{urllib.parse.urlencode(query)}" if query else ""
        return self.call("GET", f"/api/v1{path}{tail}")

    def post(self, path: str, body: object | None = None) -> Any:
        """Return the answer of a POST under /api/v1. Raises Refused."""
        return self.call("POST", f"/api/v1{path}", body if body is not None else {})

    def all(self, path: str, **query: object) -> list[Any]:
        """Return every row of a list, page by page."""
        page = self.get(path, **query)
        rows = list(page["results"])
        while page["next"]:
            page = self.call("GET", page["next"].removeprefix(self.url))
            rows += page["results"]
        return rows

    def call(self, method: str, path: str, body: object | None = None, timeout: float = 20) -> Any:
        """Send one request and decode its answer. Raises Refused for 4xx and 5xx, OSError for no answer."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Authorization": f"Token {self.token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            text = error.read().decode()
            try:
                raise Refused(error.code, json.loads(text)) from None
            except json.JSONDecodeError:
                raise Refused(error.code, text) from None


def wait_for(what: str, look: Callable[[], Fact | None], seconds: float = 20, every: float = 0.05) -> Fact:
    """Look until there is a fact, and return it; fail with what was waited for and what was seen last."""
    deadline = time.monotonic() + seconds
    seen: object = None
    while time.monotonic() < deadline:
        try:
            seen = look()
        except (OSError, Refused) as error:
            seen = error
        else:
            if seen:
                return seen
        time.sleep(every)
    raise AssertionError(f"not seen within {seconds} s: {what}; last: {seen!r}")

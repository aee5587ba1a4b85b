"""P5: a process that dies half way through a request leaves half a request at the venue, which is none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from project.lib import failpoints
from tests.venues.test_wire import OK, TIMEOUT_SECONDS, Server, asked, served
from venues.adapters.wire import LeanWire

ANSWER = OK + b"Content-Length: 2\r\n\r\n{}"
TEST_BUILD = {"GAPLESS_TEST_BUILD": "1"}


@pytest.fixture(autouse=True)
def switched_off() -> Iterator[None]:
    yield
    failpoints.verify({})


async def test_half_of_a_request_is_written_before_the_point() -> None:
    failpoints.verify({**TEST_BUILD, "GAPLESS_FAILPOINTS": "P5=1:raise"})
    wire = LeanWire(TIMEOUT_SECONDS)
    async with served(Server(ANSWER)) as server:
        with pytest.raises(failpoints.Injected):
            await asked(wire, server.url)
        await wire.close()
        await server.ended.wait()
    assert server.connections == 1 and server.requests == []


async def test_both_halves_are_one_request() -> None:
    failpoints.verify({**TEST_BUILD, "GAPLESS_FAILPOINTS": "P5=0:kill"})
    wire = LeanWire(TIMEOUT_SECONDS)
    async with served(Server(ANSWER)) as server:
        record = await asked(wire, server.url, headers={"X-One": "1"})
        await wire.close()
    assert (record.status, record.body) == (200, "{}")
    [request] = server.requests
    assert request.startswith(b"GET /order HTTP/1.1\r\n") and request.endswith(b"X-One: 1\r\n\r\n")

"""Every exchange can be built, pointed elsewhere, and says so when there is none of its name."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from venues import capabilities
from venues.adapters import client as clients
from venues.adapters.registry import ADAPTERS
from venues.adapters.wire import LeanWire
from venues.credentials import Secret
from venues.errors import UnknownExchange
from venues.exchanges import EXCHANGES
from venues.targets import VenueTarget

ROOT = Path(__file__).resolve().parents[2]


def leaves(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for child in node.values():
            yield from leaves(child)
    elif isinstance(node, str):
        yield node


def test_the_plain_list_equals_what_ccxt_has() -> None:
    assert list(EXCHANGES) == clients.exchange_ids()
    assert len(EXCHANGES) == 104
    assert set(ADAPTERS) <= set(EXCHANGES)


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_every_exchange_goes_where_it_is_pointed(exchange: str) -> None:
    wire = LeanWire(1.0)
    target = VenueTarget(
        code="x", exchange=exchange, rest_url="http://127.0.0.1:9001/base", ws_url="ws://127.0.0.1:9001/base"
    )
    client = clients.build(
        target, capabilities.for_exchange(exchange), Secret("key-of-a-user", "c2VjcmV0", "pass"), wire
    )
    try:
        for address in leaves(client.urls["api"]):
            assert address.split("/base")[0] in ("http://127.0.0.1:9001", "ws://127.0.0.1:9001"), address
        assert client.number is str
        assert client.enableRateLimit is False
        assert client.options["maxRetriesOnFailure"] == 0
    finally:
        client.session = None
        await wire.close()


def test_the_original_path_is_kept() -> None:
    assert clients._moved("https://api.x.com/api/v3", "http://h:1/w", "ws://h:1/w") == "http://h:1/w/api/v3"
    assert clients._moved("wss://s.x.com:9443/ws", "http://h:1/w", "ws://h:1/w") == "ws://h:1/w/ws"
    assert clients._moved("https://api.{hostname}", "http://h:1", "ws://h:1") == "http://h:1"


async def test_an_unknown_exchange_names_the_nearest() -> None:
    wire = LeanWire(1.0)
    target = VenueTarget(code="x", exchange="binanse")
    with pytest.raises(UnknownExchange, match="binance") as refused:
        clients.build(target, capabilities.for_exchange("binanse"), None, wire)
    await wire.close()
    assert "binance" in refused.value.nearest


def test_web_does_not_load_ccxt() -> None:
    program = (
        "import django; django.setup(); import sys, venues.accounts, venues.credentials, venues.snapshots, venues.instruments;"
        "sys.exit('ccxt' in sys.modules)"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "project.settings"}
    assert subprocess.run([sys.executable, "-c", program], env=environment, cwd=ROOT, check=False).returncode == 0


def test_the_default_promises_nothing() -> None:
    plain = capabilities.for_exchange("somewhere")
    assert (plain.window, plain.stream, plain.tier, plain.client_id_lookup) == (False, False, "B", "scan")
    assert not capabilities.for_exchange("upbit").is_tradable

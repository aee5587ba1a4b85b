"""The constant that the stress run cannot import, since it runs without Django."""

from __future__ import annotations

from tests.stress.__main__ import HELD_SECONDS
from venues.adapters.client import LINE_SECONDS_MAX


def test_a_request_counts_as_held_when_others_no_longer_wait_behind_it() -> None:
    assert HELD_SECONDS == LINE_SECONDS_MAX

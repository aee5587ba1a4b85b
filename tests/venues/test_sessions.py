"""Sessions as rows: kept once they ended, ended when their owner is gone, added up to uptime and latencies."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from rest_framework.test import APIClient

from project.lib import clock
from tests import factories
from tests.conftest import Client
from venues import sessions
from venues.models import Account, StreamSession
from venues.streams import Session, StreamReason


@pytest.fixture
def account(db: None) -> Account:
    made: Account = factories.AccountFactory(code="first")
    return made


def ago(seconds: float) -> datetime:
    return clock.now() - timedelta(seconds=seconds)


def stood(account: Account, began: float, ended: float | None = None, **changes: object) -> StreamSession:
    """Keep a session that began and ended so many seconds ago; without an end it was seen just now."""
    plain = Session(kind="private", connected_at=ago(began), seen_at=ago(ended or 1), live_at=ago(began))
    if ended is not None:
        plain.end(ago(ended), StreamReason.GAP)
    session = replace(plain, **changes)  # type: ignore[arg-type]
    sessions.keep(account.code, session)
    return StreamSession.objects.get(pk=session.id)


def test_a_session_is_kept_as_it_stands_and_its_end_is_final(account: Account) -> None:
    session = Session(kind="private", connected_at=ago(50), seen_at=ago(50))
    sessions.keep(account.code, session)
    session.frames, session.last_message_at = 7, ago(3)
    sessions.keep(account.code, session)
    row = StreamSession.objects.get()
    assert (row.frames, row.last_message_at, row.ended_at, row.live_at) == (7, session.last_message_at, None, None)
    session.end(ago(2), StreamReason.SILENT, "x" * 500)
    sessions.keep(account.code, session)
    late = replace(session, frames=99, reason=StreamReason.STOPPED)
    sessions.keep(account.code, late)
    row.refresh_from_db()
    assert (row.frames, row.reason, row.ended_at, len(row.detail)) == (7, "STREAM_SILENT", session.ended_at, 100)


def test_what_an_owner_left_open_ended_when_it_was_last_seen(account: Account) -> None:
    other = factories.AccountFactory()
    left, theirs = stood(account, 100), stood(other, 100)
    done = stood(account, 200, 150)
    sessions.end_left_open(account.code)
    for row in (left, theirs, done):
        row.refresh_from_db()
    assert (left.reason, left.ended_at) == ("STREAM_OWNER_LOST", left.seen_at)
    assert (theirs.ended_at, done.reason) == (None, "STREAM_GAP")


def test_a_stream_is_summed_up(account: Account) -> None:
    stood(account, 1000, 600)
    stood(account, 500, 300, reconnect_ms=100_000, healed_ms=100_400)
    stood(account, 290, None, reconnect_ms=90, healed_ms=400, tries=2)
    stood(account, 100_000, 90_000)  # before the window
    [summary] = sessions.summaries([account], clock.now())
    assert (summary.state, summary.sessions, summary.last_reason) == ("live", 3, "STREAM_GAP")
    assert summary.uptime_percent == pytest.approx(89.0, abs=0.1)
    assert (summary.reconnect_ms_p50, summary.reconnect_ms_max) == (100_000, 100_000)
    assert (summary.healed_ms_p50, summary.healed_ms_max) == (100_400, 100_400)
    assert summary.last_meaning.startswith("the venue's own numbers")


@pytest.mark.parametrize(
    ("ended", "live", "seen", "state"),
    [(None, True, 1, "live"), (None, False, 1, "catching_up"), (5, True, 5, "down"), (None, True, 60, "down")],
)
def test_a_stream_whose_owner_went_quiet_is_down(
    account: Account, ended: float | None, live: bool, seen: float, state: str
) -> None:
    stood(account, 100, ended, live_at=ago(90) if live else None, seen_at=ago(seen))
    [summary] = sessions.summaries([account], clock.now())
    assert summary.state == state


def test_uptime_is_never_rounded_up_to_the_whole(account: Account) -> None:
    stood(account, 86_000, 43_000)
    stood(account, 42_999, None)
    [summary] = sessions.summaries([account], clock.now())
    assert summary.uptime_percent == 99.99


def test_the_api_shows_streams_to_those_who_see_the_account(
    account: Account, client_for: Client, api: APIClient
) -> None:
    stood(account, 1000, 600)
    stood(account, 500, None, reconnect_ms=100, healed_ms=250)
    other = factories.AccountFactory(code="second", venue=account.venue)
    stood(other, 50, None)
    whole = api.get(f"/api/v1/venues/{account.venue_id}/").json()["streams"]
    assert [(row["account"], row["state"], row["sessions"]) for row in whole] == [
        (account.code, "live", 2), (other.code, "live", 1)]  # fmt: skip
    assert (whole[0]["reconnect_ms_p50"], whole[0]["healed_ms_max"], whole[0]["last_reason"]) == (
        100,
        250,
        "STREAM_GAP",
    )
    rows = api.get("/api/v1/stream-sessions/", {"account": account.code}).json()["results"]
    assert [(row["reason"], row["reconnect_ms"]) for row in rows] == [("", 100), ("STREAM_GAP", None)]
    limited = client_for("viewer", accounts=[other.code])
    assert [row["account"] for row in limited.get("/api/v1/stream-sessions/").json()["results"]] == [other.code]
    shown = limited.get(f"/api/v1/venues/{account.venue_id}/").json()["streams"]
    assert [row["account"] for row in shown] == [other.code]

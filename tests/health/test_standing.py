"""How venues stand by what their owners wrote down, and the sample of every minute."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from project import maintenance as retention
from project.lib import clock
from tests import factories
from venues import standing
from venues.models import Account, ChannelHealth, HealthSample


def measured(account: Account, **changes: object) -> None:
    for capability in ("submit", "cancel", "query", "stream"):
        now = clock.now()
        plain = {"requests": 9, "recent_requests": 9, "heard_at": now, "updated_at": now, **changes}
        factories.ChannelHealthFactory(account=account, capability=capability, **plain)


@pytest.fixture
def account(db: None) -> Account:
    made: Account = factories.AccountFactory(status="ready")
    return made


def test_a_venue_stands_as_its_accounts_measure_it(account: Account) -> None:
    measured(account)
    assert standing.standings()[account.venue_id].score.points == 100
    ChannelHealth.objects.filter(capability="submit").update(breaker="open", breaker_reason="lost")
    one = standing.standings()[account.venue_id]
    assert (one.score.points, one.channels["submit"].points, one.channels["query"].points) == (40, 40, 100)


def test_an_account_that_nobody_measures_leaves_the_venue_without_points(account: Account) -> None:
    measured(account)
    other = factories.AccountFactory(venue=account.venue, status="recovering")
    assert standing.standings()[account.venue_id].score.points is None
    measured(other, updated_at=clock.now() - timedelta(minutes=2))
    assert standing.standings()[account.venue_id].score.state == "not_measured"
    Account.objects.filter(pk=other.pk).update(status="disabled")  # nobody is to measure it
    assert standing.standings()[account.venue_id].score.points == 100


def test_queries_do_not_grow_with_venues(account: Account) -> None:
    measured(account)
    with CaptureQueriesContext(connection) as few:
        standing.standings()
    for _ in range(10):
        measured(factories.AccountFactory(status="ready"))
    with CaptureQueriesContext(connection) as many:
        assert len(standing.standings()) == 11
    assert len(many) == len(few) == 3


def test_one_sample_a_minute_and_retention(account: Account) -> None:
    measured(account, latency_ms_p95=2_000.0)
    assert standing.sample() == 1
    assert standing.sample() in (0, 1)  # one, if the minute has just turned
    first = HealthSample.objects.earliest("at")
    assert (first.points, first.channels["submit"]) == (90, 90)
    assert first.reasons[0]["code"] == "SLOW"
    assert standing.trend(account.venue)[0] == first
    HealthSample.objects.exclude(pk=first.pk).delete()
    HealthSample.objects.update(at=clock.now() - timedelta(days=31))
    retention.prune()
    assert not HealthSample.objects.exists()

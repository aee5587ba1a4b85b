"""How each venue stands now: its channels as their owners measured them, scored; and a sample of it every minute."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from project.lib import clock, feed
from venues import capabilities, maintenance, scoring
from venues.health import CAPABILITIES
from venues.models import Account, AccountStatus, ChannelHealth, HealthSample, MaintenanceWindow, Venue
from venues.scoring import ChannelFacts, Score

SAMPLE_SECONDS = 60
TREND_SAMPLES = 120
# Without an owner at work there is nothing to measure, and that is as it should be.
UNCONNECTED = (AccountStatus.NEW, AccountStatus.DISABLED)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A venue's score, those of its channels with the figures they rest on, and the maintenance it is in, if any."""

    venue: str
    score: Score
    channels: dict[str, Score] = field(default_factory=dict)
    facts: dict[str, ChannelFacts] = field(default_factory=dict)
    window: MaintenanceWindow | None = None


def standings(codes: Iterable[str] | None = None, now: datetime | None = None) -> dict[str, Standing]:
    """Return how venues stand, by code, those without accounts left out; three queries, however many there are."""
    now = now or clock.now()
    rows = ChannelHealth.objects.select_related("account__venue").exclude(account__status__in=UNCONNECTED)
    accounts = Account.objects.exclude(status__in=UNCONNECTED)
    if codes is not None:
        listed = list(codes)
        rows, accounts = rows.filter(account__venue__in=listed), accounts.filter(venue__in=listed)
    by_venue: dict[str, dict[str, list[ChannelFacts]]] = defaultdict(lambda: defaultdict(list))
    connected: dict[str, set[str]] = defaultdict(set)
    for row in rows.order_by("account_id", "id"):
        connected[row.account.venue_id].add(row.account_id)
        by_venue[row.account.venue_id][row.capability].append(_facts(row, now))
    windows = maintenance.current(now)
    wanted: dict[str, set[str]] = defaultdict(set)
    for account, venue in accounts.values_list("code", "venue_id"):
        wanted[venue].add(account)
    return {
        venue: _standing(venue, by_venue[venue], windows.get(venue), is_whole=codes_of == connected[venue])
        for venue, codes_of in sorted(wanted.items())
    }


def sample() -> int:
    """Write down how every venue stands in this minute, once however often it is asked; return how many were new."""
    now = clock.now()
    at = now.replace(second=0, microsecond=0)
    rows = [
        HealthSample(
            venue_id=code, at=at, state=one.score.state, points=one.score.points,
            channels={name: score.points for name, score in one.channels.items()},
            reasons=[reason._asdict() for reason in one.score.reasons],
        )
        for code, one in standings(now=now).items()
    ]  # fmt: skip
    before = HealthSample.objects.filter(at=at).count()
    with feed.transaction():
        HealthSample.objects.bulk_create(rows, ignore_conflicts=True)
        if rows:
            feed.announce("venues", "health.sampled", at.isoformat())
    return len(rows) - before


def trend(venue: Venue) -> list[HealthSample]:
    """Return the samples of the last two hours, the oldest first."""
    since = clock.now() - timedelta(seconds=SAMPLE_SECONDS * TREND_SAMPLES)
    return list(HealthSample.objects.filter(venue=venue, at__gte=since).order_by("at"))


def _standing(
    venue: str, channels: dict[str, list[ChannelFacts]], window: MaintenanceWindow | None, *, is_whole: bool
) -> Standing:
    facts: dict[str, ChannelFacts] = {
        name: scoring.worst(channels[name]) for name in CAPABILITIES if channels.get(name)
    }
    scores: dict[str, Score] = {name: scoring.channel_score(one) for name, one in facts.items()}
    text = maintenance.words(window) if window else ""
    score = scoring.venue_score(scores if is_whole else {}, maintenance=text)
    return Standing(venue=venue, score=score, channels=scores, facts=facts, window=window)


def _facts(row: ChannelHealth, now: datetime) -> ChannelFacts:
    venue = row.account.venue
    is_expected = row.capability == "query" or (
        row.capability == "stream" and capabilities.for_exchange(venue.exchange, venue.quirks).stream
    )
    heard_at = row.heard_at or row.last_success_at
    return ChannelFacts(
        capability=row.capability, measured_seconds=(now - row.updated_at).total_seconds(), breaker=row.breaker,
        recent_requests=row.recent_requests, recent_errors=row.recent_errors, latency_ms_p50=row.latency_ms_p50,
        latency_ms_p95=row.latency_ms_p95, latency_ms_p99=row.latency_ms_p99,
        silence_seconds=(now - heard_at).total_seconds() if is_expected and heard_at else None,
        clock_offset_ms=row.clock_offset_ms, detections=row.detections,
    )  # fmt: skip

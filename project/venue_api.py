"""One venue over HTTP: where it is, how each channel does, and what is proved about its accounts."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from project.lib import clock
from reconciliation.models import Coverage
from reconciliation.serializers import CoverageOutput
from venues import maintenance, queries, scoring, sessions, standing
from venues.api import LiveSwitch
from venues.models import Account, BookHealth
from venues.serializers import (
    AccountHealthOutput,
    BookOutput,
    BudgetOutput,
    LiveInput,
    ScoreOutput,
    StopOutput,
    StreamOutput,
    VenueOutput,
)
from venues.upkeep_api import WindowOutput


class VenueDetailOutput(VenueOutput):
    """A venue with the health, streams, books and coverage of the caller's accounts there."""

    score = ScoreOutput()
    channel_scores = serializers.DictField(child=ScoreOutput())
    maintenance = WindowOutput(allow_null=True)
    health = AccountHealthOutput(many=True)
    streams = StreamOutput(many=True)
    books = BookOutput(many=True)
    coverage = CoverageOutput(many=True)
    budgets = BudgetOutput(many=True)
    stops = StopOutput(many=True)


class OneVenue(LiveSwitch):
    """One venue with health, breakers, coverage and rate budgets; an admin may switch it to live."""

    serializer_class = VenueDetailOutput

    @extend_schema(responses=VenueDetailOutput)
    def get(self, request: Request, code: str) -> Response:
        return self.written(self._whole(self.one("venue", code=code)))

    @extend_schema(request=LiveInput, responses=VenueDetailOutput)
    def patch(self, request: Request, code: str) -> Response:
        return self.written(self._whole(self.switch(code)))

    def _whole(self, venue: Any) -> Any:
        accounts = Account.objects.filter(venue=venue).order_by("code").prefetch_related("channels")
        if (codes := self.caller().accounts) is not None:
            accounts = accounts.filter(pk__in=codes)
        venue.health = list(accounts)
        venue.books = list(BookHealth.objects.filter(account__in=venue.health).order_by("symbol", "account_id"))
        venue.streams = sessions.summaries(venue.health, clock.now())
        venue.coverage = list(Coverage.objects.filter(account__in=venue.health).order_by("account_id", "surface"))
        venue.budgets = queries.budgets(venue, [account.code for account in venue.health])
        venue.stops = queries.stops(venue, venue.budgets)
        stands = standing.standings([venue.pk]).get(venue.pk)
        venue.score = stands.score if stands else scoring.venue_score({})
        venue.channel_scores = stands.channels if stands else {}
        venue.maintenance = stands.window if stands else maintenance.window_of(venue, clock.now())
        return venue

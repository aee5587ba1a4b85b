"""One venue over HTTP: where it is, how each channel does, and what is proved about its accounts."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from reconciliation.models import Coverage
from reconciliation.serializers import CoverageOutput
from venues.api import LiveSwitch
from venues.models import Account
from venues.serializers import AccountHealthOutput, LiveInput, VenueOutput


class VenueDetailOutput(VenueOutput):
    """A venue with the health and coverage of the caller's accounts there."""

    health = AccountHealthOutput(many=True)
    coverage = CoverageOutput(many=True)


class OneVenue(LiveSwitch):
    """One venue with health, breakers and coverage; an admin may switch it to live."""

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
        venue.coverage = list(Coverage.objects.filter(account__in=venue.health).order_by("account_id", "surface"))
        return venue

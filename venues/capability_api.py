"""What is known of every exchange over HTTP, with the source of each fact."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from project.lib import problems
from project.lib.fields import Output
from project.lib.rest import Filter, View
from venues import capabilities, matrix, proofs
from venues.exchanges import EXCHANGES
from venues.models import Account
from venues.serializers import CapabilityOutput

LIMIT, LIMIT_MAX = 100, 1000


class CapabilityPage(Output):
    """One page of exchanges, by their ids."""

    results = CapabilityOutput(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)


class Capabilities(View):
    """What is known of each exchange, and where each fact comes from."""

    resource = "capabilities"
    parameters = ("account",)
    filters: Mapping[str, Filter] = {
        "exchange": Filter(path="id", choices=EXCHANGES),
        "tier": Filter(path="tier", choices=("A", "B", "C")),
    }

    @extend_schema(
        responses=CapabilityPage, parameters=[OpenApiParameter("limit", int), OpenApiParameter("cursor", str)]
    )
    def get(self, request: Request) -> Response:
        wanted, limit = self._wanted(), self._limit()
        first = self._first(wanted)
        page = wanted[first : first + limit]
        shown = matrix.exchanges(proofs.recorded(page), page)
        return Response({
            "results": CapabilityOutput(shown, many=True).data,
            "next": self._link(first + limit, wanted) if first + limit < len(wanted) else None,
            "previous": self._link(max(first - limit, 0), wanted) if first else None,
        })  # fmt: skip

    def _wanted(self) -> list[str]:
        """Return the ids of the exchanges asked for. Raises Problem naming the nearest valid value."""
        wanted = list(EXCHANGES)
        for name, filter in self.filters.items():
            text = self.request.query_params.get(name)
            if text is None:
                continue
            filter.condition(name, text)
            values = text.split(",")
            wanted = [
                one for one in wanted if (one if name == "exchange" else capabilities.for_exchange(one).tier) in values
            ]
        code = self.request.query_params.get("account")
        if code is not None:
            account = self.account_scope(code, Account.objects.select_related("venue"))
            wanted = [one for one in wanted if one == account.venue.exchange]
        return wanted

    def _limit(self) -> int:
        text = self.request.query_params.get("limit", str(LIMIT))
        if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= LIMIT_MAX:
            error = problems.field_error(
                "limit", "INVALID", f"must be between 1 and {LIMIT_MAX}", got=text, nearest=LIMIT
            )
            raise problems.refused_fields([error])
        return int(text)

    def _first(self, wanted: Sequence[str]) -> int:
        """Return where the page begins: a cursor is the id of its first exchange."""
        cursor = self.request.query_params.get("cursor")
        if cursor is None:
            return 0
        try:
            return wanted.index(base64.urlsafe_b64decode(cursor.encode()).decode())
        except (ValueError, binascii.Error):
            message = "is not one of ours; take it from `next` or `previous`"
            raise problems.refused_fields([problems.field_error("cursor", "INVALID", message, got=cursor)]) from None

    def _link(self, first: int, wanted: Sequence[str]) -> str:
        query = self.request.query_params.copy()
        query["cursor"] = base64.urlsafe_b64encode(wanted[first].encode()).decode()
        return self.request.build_absolute_uri(f"{self.request.path}?{query.urlencode()}")

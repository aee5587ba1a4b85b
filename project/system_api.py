"""API resources that belong to no single app: the index, the feed, the schema, and the answer for a wrong path."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from drf_spectacular.utils import OpenApiParameter, extend_schema
from drf_spectacular.views import SpectacularJSONAPIView
from rest_framework import serializers
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from orders.models import DeadLetter
from orders.states import Status as OrderStatus
from project.lib import feed, problems
from project.lib.fields import Moment, Output
from project.lib.models import FeedEntry
from project.lib.rest import Filter, View
from reconciliation.models import Break, Coverage, Run
from venues.models import Account, AccountStatus

RESOURCES = (
    "venues", "accounts", "orders", "fills", "transfers", "positions", "balances", "portfolio", "ledger", "breaks", "dead-letters", "coverage",
    "reconciliations", "halts", "error-cases", "error-decisions", "rules", "maintenance-windows", "reactions", "firings",
    "instruments", "capabilities", "stream-sessions", "events", "tokens", "schema",
)  # fmt: skip
TOPICS = (
    "orders", "fills", "transfers", "positions", "balances", "ledger", "breaks", "dead_letters", "venues", "accounts", "coverage",
    "runs", "rules", "halts", "tokens", "approvals",
)  # fmt: skip
FEED_LIMIT, FEED_LIMIT_MAX = 100, 1000


class IndexOutput(Output):
    """The version and where everything is."""

    version = serializers.CharField()
    resources = serializers.DictField(child=serializers.CharField())


class Index(View):
    """Where everything is."""

    permission_classes = [IsAuthenticated]

    @extend_schema(responses=IndexOutput)
    def get(self, request: Request) -> Response:
        base = reverse("api:index", request=request)
        return Response({"version": settings.VERSION, "resources": {name: f"{base}{name}/" for name in RESOURCES}})


class NotFound(View):
    """Any other path under the API."""

    permission_classes = [IsAuthenticated]

    def _check_parameters(self, request: Request) -> None:
        first, *rest = self.kwargs["path"].strip("/").split("/")
        close = difflib.get_close_matches(first, RESOURCES, n=1, cutoff=0.6)
        path = "/".join([close[0] if close else first, *rest])
        nearest = f"{reverse('api:index')}{path}/" if close else reverse("api:index")
        error = problems.field_error("path", "NOT_FOUND", "no such resource", got=request.path, nearest=nearest)
        raise problems.Problem(404, "NOT_FOUND", "There is no such resource; paths end with a slash.", errors=[error])


class FeedEntryOutput(Output):
    """One committed fact. `prev` is the entry before it under the same filter; a gap means: read again."""

    seq = serializers.IntegerField()
    prev = serializers.IntegerField()
    at = Moment()
    topic = serializers.CharField()
    kind = serializers.CharField()
    object_id = serializers.CharField()
    account = serializers.CharField()
    data = serializers.JSONField()


class FeedOutput(Output):
    """A piece of the feed. When `next` is null, ask again with `after` = `head`."""

    results = FeedEntryOutput(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    head = serializers.IntegerField()


class Feed(View):
    """Committed facts in sequence, from any point on."""

    resource = "events"
    parameters = ("after",)
    filters: Mapping[str, Filter] = {
        "account": Filter(path="account", kind="account"),
        "topic": Filter(path="topic", choices=TOPICS),
    }

    @extend_schema(
        responses=FeedOutput,
        parameters=[
            OpenApiParameter("after", int, description="Entries after this one."),
            OpenApiParameter("limit", int),
        ],
    )
    def get(self, request: Request) -> Response:
        after = self._number("after", 0, 2**63 - 1, 0)
        limit = self._number("limit", 1, FEED_LIMIT_MAX, FEED_LIMIT)
        head = feed.head()  # before the rows: what lies up to here is visible to the read below
        entries = list(self._entries().filter(seq__gt=after).order_by("seq")[: limit + 1])
        if after:
            self._check_retention(after, head)
        page, has_more = entries[:limit], len(entries) > limit
        results, prev = [], after
        for entry in page:
            entry.prev = prev
            prev = entry.seq
            results.append(FeedEntryOutput(entry).data)
        return Response(
            {
                "results": results,
                "next": self._link(page[-1].seq) if has_more else None,
                "previous": None,
                "head": head,
            }
        )

    def _entries(self) -> Any:
        entries = FeedEntry.objects.all()
        accounts = self.caller().accounts
        if accounts is not None:
            entries = entries.filter(account__in=accounts)
        for name, filter in self.filters.items():
            if text := self.request.query_params.get(name):
                if filter.kind == "account":
                    self.account_scope(text, Account.objects.all())
                entries = entries.filter(**filter.condition(name, text))
        return entries

    def _number(self, name: str, least: int, most: int, default: int) -> int:
        text = self.request.query_params.get(name)
        if text is None:
            return default
        if not text.isascii() or not text.isdigit() or len(text) > 19 or not least <= int(text) <= most:
            error = problems.field_error(
                name, "INVALID", f"must be between {least} and {most}", got=text, nearest=default
            )
            raise problems.refused_fields([error])
        return int(text)

    def _check_retention(self, after: int, head: int) -> None:
        oldest = FeedEntry.objects.order_by("seq").values_list("seq", flat=True).first() or head + 1
        if after < oldest - 1:
            detail = (
                f"The feed is kept from {oldest} on; entries after {after} are gone. Read the lists you follow again, "
                f"then go on with after={head}."
            )
            raise problems.Problem(410, "FEED_EXPIRED", detail, head=head)

    def _link(self, seq: int) -> str:
        query = self.request.query_params.copy()
        query["after"] = str(seq)
        return self.request.build_absolute_uri(f"{self.request.path}?{query.urlencode()}")


class Schema(SpectacularJSONAPIView):
    """This API as OpenAPI 3.1."""

    permission_classes = [IsAuthenticated]
    custom_settings = {
        "ENUM_NAME_OVERRIDES": {
            "OrderStatus": [status.value for status in OrderStatus],
            "AccountStatus": AccountStatus.values,
            "DeadLetterStatus": DeadLetter.Status.values,
            "BreakStatus": Break.Status.values,
            "BreakKind": Break.Kind.values,
            "RunStatus": Run.Status.values,
            "CoverageStatus": Coverage.Status.values,
        }
    }

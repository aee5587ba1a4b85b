"""Reconciliation over HTTP: ask for a run, read what is proved, decide about a difference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.auth import get_user_model
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from project.lib import problems
from project.lib.rest import Filter, Listing, Rows, choices
from reconciliation import resolutions, runs
from reconciliation.models import Break, Coverage, Run
from reconciliation.serializers import (
    AssignmentInput,
    BreakDetailOutput,
    BreakOutput,
    CoverageOutput,
    ResolutionInput,
    RunInput,
    RunOutput,
)
from venues.models import Account, Surface

ACCOUNT = Filter(path="account_id", kind="account")


class RunRows(Rows):
    """Reconciliation runs."""

    resource = "reconciliations"
    queryset = Run.objects.all()
    serializer_class = RunOutput
    ordering = ("-requested_at", "id")


class Runs(Listing, RunRows):
    """Ask for a run; list runs, newest first."""

    filters: Mapping[str, Filter] = {
        "account": ACCOUNT,
        "status": Filter(path="status", choices=choices(Run.Status.values)),
        "trigger": Filter(path="trigger"),
    }

    @extend_schema(request=RunInput, responses={202: RunOutput})
    def post(self, request: Request) -> Response:
        account = self.account_scope(self.read(RunInput)["account"], Account.objects.all())
        run = runs.request(account, trigger="api", actor=self.caller().actor)
        return self.written(run, 202, {"Location": request.build_absolute_uri(f"{run.pk}/")})


class OneRun(RunRows):
    """One run."""

    @extend_schema(responses=RunOutput)
    def get(self, request: Request, id: str) -> Response:
        return self.written(self.one("run", id=id))


class BreakRows(Rows):
    """Differences between our books and the venues'."""

    resource = "breaks"
    queryset = Break.objects.all()
    serializer_class: type[BreakOutput] = BreakOutput
    ordering = ("-first_seen_at", "id")


class Breaks(Listing, BreakRows):
    """List breaks, newest first."""

    filters: Mapping[str, Filter] = {
        "account": ACCOUNT,
        "status": Filter(path="status", choices=choices(Break.Status.values)),
        "kind": Filter(path="kind", choices=choices(Break.Kind.values)),
        "order": Filter(path="order_id", kind="uuid"),
        "asset": Filter(path="asset"),
        "owner": Filter(path="owner"),
    }


class OneBreak(BreakRows):
    """One break with its history."""

    queryset = Break.objects.prefetch_related("events")
    serializer_class = BreakDetailOutput

    @extend_schema(responses=BreakDetailOutput)
    def get(self, request: Request, id: str) -> Response:
        return self.written(self.one("break", id=id))

    def decided(self, id: str, decide: Any, *arguments: str) -> Response:
        """Carry a person's decision out and answer with the break. Raises Problem when it is refused."""
        difference = self.one("break", id=id)
        try:
            decide(difference, self.caller().actor, *arguments)
        except resolutions.Refused as refusal:
            raise problems.conflict("REFUSED", f"Nothing was changed: {refusal}.") from None
        return self.written(self.one("break", id=id))


class Resolution(OneBreak):
    """End a break: explain it, or adjust the ledger by a counter-entry."""

    http_method_names = ["post"]

    @extend_schema(request=ResolutionInput, responses={200: BreakDetailOutput})
    def post(self, request: Request, id: str) -> Response:
        wanted = self.read(ResolutionInput)
        decide = {"explain": resolutions.explain, "adjust": resolutions.adjust}[wanted["action"]]
        return self.decided(id, decide, wanted["reason"])


class Assignment(OneBreak):
    """Give a break to a person."""

    http_method_names = ["post"]

    @extend_schema(request=AssignmentInput, responses={200: BreakDetailOutput})
    def post(self, request: Request, id: str) -> Response:
        owner = self.read(AssignmentInput)["owner"]
        people = get_user_model()._default_manager.filter(is_active=True)
        if not people.filter(username=owner).exists():
            raise problems.not_found("owner", "person", owner, people.values_list("username", flat=True)[:500])
        return self.decided(id, resolutions.assign, owner)


class CoverageMap(Listing):
    """What is proved, per account and surface. Only `proved` is green."""

    resource = "coverage"
    queryset = Coverage.objects.all()
    serializer_class = CoverageOutput
    ordering = ("id",)
    filters: Mapping[str, Filter] = {
        "account": ACCOUNT,
        "surface": Filter(path="surface", choices=choices(Surface.values)),
        "status": Filter(path="status", choices=choices(Coverage.Status.values)),
    }

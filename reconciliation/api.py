"""Reconciliation over HTTP: ask for a run, read what is proved."""

from __future__ import annotations

from collections.abc import Mapping

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from project.lib.rest import Filter, Listing, Rows, choices
from reconciliation import runs
from reconciliation.models import Coverage, Run
from reconciliation.serializers import CoverageOutput, RunInput, RunOutput
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

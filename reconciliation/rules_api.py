"""Rules over HTTP: draft, dry run, activate, retire; the history of coverage; the statistics of breaks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from project.lib import problems
from project.lib.fields import Nothing
from project.lib.rest import Filter, Listing, Rows, View, choices
from reconciliation import dry_runs, history, rules
from reconciliation.models import Coverage, CoverageChange, DryRun, Rule
from reconciliation.rule_serializers import (
    ActivationInput,
    CoverageChangeOutput,
    DryRunInput,
    DryRunOutput,
    RuleInput,
    RuleOutput,
    StatisticsOutput,
)
from venues.api import refuse_limited
from venues.models import Account, Surface


class RuleRows(Rows):
    """Rules reach beyond accounts: every caller sees all of them; what they did to breaks, only who sees all accounts."""

    resource = "rules"
    account_path = ""
    queryset: Any = Rule.objects.all()
    serializer_class: Any = RuleOutput
    ordering: tuple[str, ...] = ("-created_at", "id")

    def refused(self, refusal: rules.Refused) -> problems.Problem:
        """Return the answer to a decision that was not carried out."""
        return problems.conflict("REFUSED", f"Nothing was changed: {refusal}.")


class Rules(Listing, RuleRows):
    """Draft a version of a rule; list versions, the newest first. Only an active one has effects."""

    filters: Mapping[str, Filter] = {
        "code": Filter(path="code"),
        "action": Filter(path="action", choices=choices(Rule.Action.values)),
        "scope": Filter(path="scope"),
        "is_draft": Filter(path="active_from__isnull", kind="flag"),
        "is_in_force": Filter(path="retired_at__isnull", kind="flag"),
    }

    @extend_schema(request=RuleInput, responses={201: RuleOutput})
    def post(self, request: Request) -> Response:
        refuse_limited(self)
        try:
            rule = rules.draft(self.read(RuleInput), self.caller().actor)
        except rules.Refused as refusal:
            raise self.refused(refusal) from None
        return self.written(rule, 201, {"Location": request.build_absolute_uri(f"{rule.pk}/")})


class OneRule(RuleRows):
    """One version; deleting it retires it. The row stays."""

    @extend_schema(responses=RuleOutput)
    def get(self, request: Request, id: str) -> Response:
        return self.written(self.one("rule", id=id))

    @extend_schema(request=Nothing, responses={200: RuleOutput})
    def delete(self, request: Request, id: str) -> Response:
        refuse_limited(self)
        rule = self.one("rule", id=id)
        self.read(Nothing)
        try:
            return self.written(rules.retire(rule, self.caller().actor))
        except rules.Refused as refusal:
            raise self.refused(refusal) from None


class Activation(OneRule):
    """Put a version in force; the one before it is retired in the same transaction."""

    http_method_names = ["post"]

    @extend_schema(request=ActivationInput, responses={200: RuleOutput})
    def post(self, request: Request, id: str) -> Response:
        refuse_limited(self)
        wanted = self.read(ActivationInput)
        try:
            return self.written(rules.activate(self.one("rule", id=id), self.caller().actor, wanted["dry_run"]))
        except rules.Refused as refusal:
            raise self.refused(refusal) from None


class DryRuns(Listing, RuleRows):
    """Try a version on the breaks of the past; list what was tried. Changes nothing."""

    queryset = DryRun.objects.all()
    serializer_class = DryRunOutput
    ordering = ("-run_at", "id")

    def get_queryset(self) -> Any:
        """Return the dry runs of the version in the address."""
        if getattr(self, "swagger_fake_view", False):
            return self.queryset.none()
        refuse_limited(self)
        return super().get_queryset().filter(rule_id=self.kwargs["id"])

    @extend_schema(request=DryRunInput, responses={201: DryRunOutput})
    def post(self, request: Request, id: str) -> Response:
        refuse_limited(self)
        wanted = self.read(DryRunInput)
        rule = Rule.objects.filter(pk=id).first()
        if rule is None:
            raise problems.not_found("id", "rule", id)
        return self.written(dry_runs.run(rule, self.caller().actor, wanted["days"]), 201)


class CoverageHistory(Listing):
    """Every change of what is proved, the newest first."""

    resource = "coverage"
    queryset = CoverageChange.objects.all()
    serializer_class = CoverageChangeOutput
    ordering = ("-at", "-id")
    filters: Mapping[str, Filter] = {
        "account": Filter(path="account_id", kind="account"),
        "surface": Filter(path="surface", choices=choices(Surface.values)),
        "status": Filter(path="status", choices=choices(Coverage.Status.values)),
    }


class Statistics(View):
    """Breaks opened and closed per day and per kind, with the time it took to close them."""

    resource = "breaks"
    parameters = ("days", "account")

    @extend_schema(responses=StatisticsOutput)
    def get(self, request: Request) -> Response:
        text = request.query_params.get("days", str(history.DAYS))
        if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= history.DAYS_MAX:
            message = f"must be between 1 and {history.DAYS_MAX}"
            raise problems.refused_fields([problems.field_error("days", "INVALID", message, got=text[:40])])
        accounts, wanted = self.caller().accounts, request.query_params.get("account")
        if wanted is not None:
            accounts = frozenset({self.account_scope(wanted, Account.objects.all()).pk})
        return Response(StatisticsOutput(history.statistics(int(text), accounts)).data)

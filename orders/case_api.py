"""Answers of venues that nobody has classified, over HTTP, with the orders that wait on each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rest_framework import serializers

from orders import error_cases
from project.lib.fields import Id, Moment, Output
from project.lib.rest import Filter, Listing, choices
from venues import cases
from venues.models import ErrorCase, Operation


class CaseOutput(Output):
    """An answer that no row of the error matrix knows, how it was judged meanwhile, and what ccxt's class suggests."""

    id = Id()
    family = serializers.CharField()
    operation = serializers.ChoiceField(choices=Operation.values)
    venue_code = serializers.CharField()
    messages = serializers.ListField(child=serializers.CharField())
    http_status = serializers.IntegerField(allow_null=True)
    exception_class = serializers.CharField()
    judged_outcome = serializers.CharField()
    judged_code = serializers.CharField()
    suggested_ruling = serializers.SerializerMethodField()
    suggested_reason_code = serializers.SerializerMethodField()
    count = serializers.IntegerField()
    first_seen_at = Moment()
    last_seen_at = Moment()
    decision = Id(source="decision_id", allow_null=True)
    orders_waiting = serializers.SerializerMethodField()

    def get_suggested_ruling(self, case: ErrorCase) -> str:
        """Return what ccxt's class suggests."""
        return cases.suggestion(case)[0]

    def get_suggested_reason_code(self, case: ErrorCase) -> str:
        """Return the code that goes with it."""
        return cases.suggestion(case)[1]

    def get_orders_waiting(self, case: ErrorCase) -> list[str]:
        """Return the ids of the orders that are unknown because of it."""
        waiting: dict[Any, list[str]] = self.context["waiting"]
        return waiting.get(case.pk, [])


class Cases(Listing):
    """List the cases, the newest first; the open ones have no decision. Decide with POST error-decisions/."""

    resource = "error_cases"
    account_path = ""
    queryset = ErrorCase.objects.all()
    serializer_class = CaseOutput
    ordering = ("-last_seen_at", "id")
    filters: Mapping[str, Filter] = {
        "family": Filter(path="family"),
        "operation": Filter(path="operation", choices=choices(Operation.values)),
        "is_open": Filter(path="decision__isnull", kind="flag"),
    }

    def context_for(self, rows: Sequence[Any]) -> dict[str, Any]:
        """Read which orders wait on the cases of a page; only those of the caller's accounts are named."""
        return {"waiting": error_cases.waiting_on([row.pk for row in rows], self.caller().accounts)}

"""Order groups over HTTP: accept once, show with their orders, cancel what is alive of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from orders import group_intake, group_requests, intake, requests
from orders.api import ACCOUNT, fees_of, json_object
from orders.models import OrderGroup
from orders.serializers import OrderGroupInput, OrderGroupOutput
from project.lib import problems
from project.lib.fields import Nothing
from project.lib.rest import Filter, Listing, Rows
from venues.models import Account


class GroupRows(Rows):
    """Groups with their orders, read together for a whole page."""

    resource = "orders"
    queryset = OrderGroup.objects.prefetch_related("orders")
    serializer_class = OrderGroupOutput
    ordering = ("-created_at", "id")

    def context_for(self, rows: Sequence[OrderGroup]) -> dict[str, Any]:
        """Sum the fees of all their orders at once."""
        return {"fees": fees_of([order for group in rows for order in group.orders.all()])}


class Groups(Listing, GroupRows):
    """Accept a group of orders, once for ever per account and client group id; list groups, newest first."""

    filters: Mapping[str, Filter] = {
        "account": ACCOUNT,
        "client_group_id": Filter(path="client_group_id"),
        "kind": Filter(path="kind", choices=group_requests.KINDS),
    }

    @extend_schema(request=OrderGroupInput, responses={202: OrderGroupOutput, 200: OrderGroupOutput})
    def post(self, request: Request) -> Response:
        try:
            wanted = group_requests.parse(json_object(request))
            account = self.account_scope(wanted.account, Account.objects.select_related("venue"))
            accepted = group_intake.accept(wanted, account, source=self.caller().actor)
        except requests.Invalid as refusal:
            raise problems.from_field_problems(refusal.problems) from None
        except group_intake.Conflict as conflict:
            error = problems.field_error("client_group_id", "TAKEN", "belongs to a group with another body")
            raise problems.conflict(
                "CLIENT_GROUP_ID_TAKEN", f"{conflict}. Nothing was sent for this request.", errors=[error],
                group_id=str(conflict.group.pk),
            ) from None  # fmt: skip
        headers = {"Location": request.build_absolute_uri(f"{accepted.group.pk}/")}
        if not accepted.is_new:
            headers["Idempotent-Replayed"] = "true"
        return self.written(self.one("group", id=accepted.group.pk), 202 if accepted.is_new else 200, headers)


class OneGroup(GroupRows):
    """One group."""

    @extend_schema(responses=OrderGroupOutput)
    def get(self, request: Request, id: str) -> Response:
        return self.written(self.one("group", id=id))


class Cancellation(GroupRows):
    """Ask for every order of a group that is alive to be cancelled: a request, not a fact; they may still fill."""

    @extend_schema(request=Nothing, responses={202: OrderGroupOutput})
    def post(self, request: Request, id: str) -> Response:
        self.read(Nothing)
        group = self.one("group", id=id)
        try:
            group_intake.request_cancellation(group, actor=self.caller().actor)
        except intake.NotCancellable as refusal:
            raise problems.conflict("NOT_CANCELLABLE", f"Nothing was sent: {refusal}.") from None
        return self.written(self.one("group", id=id), 202)

"""What all accounts hold together, over HTTP."""

from __future__ import annotations

from collections.abc import Mapping

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from orders import portfolio
from orders.portfolio_serializers import PortfolioOutput
from project.lib.rest import Filter, View
from venues.models import Account


class Everything(View):
    """Per asset, per account and in total, valued in USD by our own books."""

    resource = "balances"
    filters: Mapping[str, Filter] = {"account": Filter(path="account_id", kind="account")}

    @extend_schema(responses=PortfolioOutput)
    def get(self, request: Request) -> Response:
        code = request.query_params.get("account")
        accounts = self.caller().accounts
        if code is not None:
            accounts = frozenset({self.account_scope(code, Account.objects.all()).code})
        return Response(PortfolioOutput(portfolio.read(accounts)).data)

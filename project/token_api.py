"""API tokens over HTTP: a person's own keys; each is shown once."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from project import tokens
from project.lib import clock, problems
from project.lib.fields import Id, Input, Moment, Output
from project.lib.models import ApiToken
from project.lib.rest import Listing, Rows
from venues.models import Account


class TokenOutput(Output):
    """A token, without its key."""

    id = Id()
    label = serializers.CharField()
    prefix = serializers.CharField()
    accounts = serializers.ListField(child=serializers.CharField())
    is_read_only = serializers.BooleanField()
    created_at = Moment()
    expires_at = Moment(allow_null=True)
    last_used_at = Moment(allow_null=True)
    revoked_at = Moment(allow_null=True)


class NewTokenOutput(TokenOutput):
    """A token with its key, this one time."""

    key = serializers.CharField()


class TokenInput(Input):
    """A new token: a label, and optionally the accounts it is limited to and when it ends."""

    label = serializers.CharField(max_length=80)
    accounts = serializers.ListField(child=serializers.CharField(max_length=64), max_length=1000, default=list)
    is_read_only = serializers.BooleanField(default=False)
    expires_at = Moment(required=False, allow_null=True)


class TokenRows(Rows):
    """The caller's own tokens."""

    resource = "tokens"
    account_path = ""
    queryset = ApiToken.objects.all()
    serializer_class: type[TokenOutput] = TokenOutput
    ordering = ("-created_at", "id")

    def visible(self, rows: Any) -> Any:
        """Narrow to the person's own."""
        return rows.filter(user=self.request.user)


class Tokens(Listing, TokenRows):
    """Make a token; list one's own, newest first."""

    parameters = ("account",)

    def get_queryset(self) -> Any:
        """Narrow to the tokens that reach one account."""
        rows = super().get_queryset()
        code = self.request.query_params.get("account")
        if code is None:
            return rows
        self.account_scope(code, Account.objects.all())
        return rows.filter(Q(accounts=[]) | Q(accounts__contains=[code]))

    @extend_schema(request=TokenInput, responses={201: NewTokenOutput})
    def post(self, request: Request) -> Response:
        wanted = self.read(TokenInput)
        for code in wanted["accounts"]:
            self.account_scope(code, Account.objects.all(), "accounts")
        expires_at = wanted.get("expires_at")
        if expires_at is not None and expires_at <= clock.now():
            error = problems.field_error("expires_at", "PAST", "must lie in the future")
            raise problems.refused_fields([error])
        parent = request.auth
        accounts: list[str] = wanted["accounts"]
        if isinstance(parent, ApiToken):  # a key never makes a stronger or longer-lived one
            accounts = accounts or list(parent.accounts)
            expires_at = min(filter(None, (expires_at, parent.expires_at)), default=None)
        token, key = tokens.issue(
            request.user,
            wanted["label"],
            accounts,
            expires_at,
            is_read_only=wanted["is_read_only"],
            actor=self.caller().actor,
        )
        return Response({**self.shown([token])[0], "key": key}, status=201)


class OneToken(TokenRows):
    """One token; deleting it revokes it at once."""

    @extend_schema(responses=TokenOutput)
    def get(self, request: Request, id: str) -> Response:
        return self.written(self.one("token", id=id))

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: Request, id: str) -> Response:
        tokens.revoke(self.one("token", id=id), self.caller().actor)
        return Response(status=204)

"""Base of every API view: size and type checks, roles, account scope, filters as data, cursor paging."""

from __future__ import annotations

import difflib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import DataError
from django.db.models import QuerySet
from rest_framework.exceptions import NotFound
from rest_framework.generics import GenericAPIView
from rest_framework.mixins import ListModelMixin
from rest_framework.pagination import CursorPagination
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from project.lib import access, problems
from project.lib.fields import Input
from project.lib.problems import Problem
from project.lib.schema import ApiSchema

BODY_BYTES_MAX = 1_048_576
PAGING = ("limit", "cursor")
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True, kw_only=True)
class Filter:
    """One query parameter of a list: the column it narrows, and what it may hold (comma-separated for several)."""

    path: str
    kind: str = "text"
    choices: tuple[str, ...] = ()

    def description(self) -> str:
        """Say in the schema what the parameter takes."""
        if self.choices:
            return f"One or several (comma-separated) of: {', '.join(self.choices)}."
        return {"uuid": "An id.", "flag": "true or false.", "account": "Code of an account."}.get(
            self.kind, "Exact value."
        )

    def condition(self, name: str, text: str) -> dict[str, Any]:
        """Turn the text of the parameter into a lookup. Raises Problem naming the nearest valid value."""
        values = text.split(",") if self.choices else [text]
        for value in values:
            if self.choices and value not in self.choices:
                close = difflib.get_close_matches(value, self.choices, n=1, cutoff=0.3)
                raise _refused(name, f"must be one of {', '.join(self.choices)}", value, close[0] if close else None)
        if self.kind == "flag":
            if text not in ("true", "false"):
                raise _refused(name, "must be true or false", text, "true")
            return {self.path: text == "true"}
        if self.kind == "uuid":
            try:
                return {self.path: uuid.UUID(text)}
            except ValueError:
                raise _refused(name, "must be an id", text, None) from None
        return {f"{self.path}__in": values} if len(values) > 1 else {self.path: text}


def _refused(name: str, message: str, got: str, nearest: str | None) -> Problem:
    return problems.refused_fields([problems.field_error(name, "INVALID", message, got=got, nearest=nearest)])


class RolePermission(BasePermission):
    """Allow a request when the caller's roles allow the method on the view's resource."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Ask the one table in project.lib.access. Raises Problem saying what is missing."""
        if not request.user.is_authenticated:
            return False
        caller = access.caller(request)
        if caller.may(view.resource, request.method):
            return True
        if caller.is_read_only and request.method in WRITES:
            raise Problem(403, "READ_ONLY_TOKEN", "This token may only read. Nothing was changed.")
        who = ", ".join(sorted(access.WRITERS.get(view.resource, frozenset()) | {"admin"}))
        raise Problem(403, "FORBIDDEN", f"Your role does not allow this; it needs one of: {who}. Nothing was changed.")


class View(APIView):
    """Base of every endpoint."""

    resource = ""
    parameters: tuple[str, ...] = ()
    filters: Mapping[str, Filter] = {}
    media_type = "application/json"
    body_bytes_max = BODY_BYTES_MAX
    permission_classes = [RolePermission]
    schema = ApiSchema()
    metadata_class = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse what can be refused before anything is read: size, media type; then who; then parameters."""
        length = str(request.META.get("CONTENT_LENGTH") or "0")
        if not length.isascii() or not length.isdigit():
            raise Problem(400, "MALFORMED", "The header Content-Length is not a number.")
        if len(length) > 9 or int(length) > self.body_bytes_max:
            raise Problem(
                413, "BODY_TOO_LARGE", f"A body may have {self.body_bytes_max} bytes. Nothing of this one was read."
            )
        media_type = (request.content_type or "").split(";")[0].strip().lower()
        if request.method in WRITES and int(length) and media_type != self.media_type:
            detail = f"The body must be {self.media_type}, not {media_type[:80] or 'without a type'}."
            raise Problem(415, "NOT_JSON_TYPE", detail)
        super().initial(request, *args, **kwargs)
        self._check_parameters(request)

    def caller(self) -> access.Caller:
        """Return who is asking."""
        return access.caller(self.request)

    def read(self, kind: type[Input]) -> dict[str, Any]:
        """Parse and check the body. Raises Problem or ValidationError naming the fields."""
        data = self.request.data
        serializer = kind(data={} if not data and not isinstance(data, list) else data)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def account_scope(self, code: str, rows: QuerySet[Any], field: str = "account") -> Any:
        """Return the account row with this code if the caller sees it. Raises the same 404 for foreign and unknown."""
        account = rows.filter(pk=code).first() if self.caller().sees(code) else None
        if account is None:
            codes = rows.order_by("pk").values_list("pk", flat=True)
            known = self.caller().accounts if self.caller().accounts is not None else codes[:500]
            raise problems.not_found(field, "account", code, known or ())
        return account

    def _check_parameters(self, request: Request) -> None:
        known = (*self.filters, *self.parameters, *PAGING)
        for name, values in request.query_params.lists():
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                shown = ", ".join(known)
                raise _refused(
                    name[:80], f"is not a parameter here; they are {shown}", values[0], close[0] if close else None
                )
            if len(values) > 1 or "\0" in values[0]:
                raise _refused(name, "must be given once, without NUL", values[0], None)


class Pager(CursorPagination):
    """Newest first by a stable key; a page never shifts when rows are added."""

    page_size = 100
    max_page_size = 1000
    page_size_query_param = "limit"

    def get_ordering(self, request: Request, queryset: Any, view: Any) -> tuple[str, ...]:
        """Take the order from the view."""
        return tuple(view.ordering)

    def get_page_size(self, request: Request) -> int:
        """Refuse a limit that is not one, rather than guess another."""
        text = request.query_params.get("limit")
        if text is None:
            return self.page_size
        if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= self.max_page_size:
            raise _refused("limit", f"must be between 1 and {self.max_page_size}", text, str(self.page_size))
        return int(text)

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> Any:
        """Read one page. Raises Problem for a cursor that none of our pages gave out."""
        try:
            return super().paginate_queryset(queryset, request, view)
        except (ValueError, ValidationError, DataError, NotFound):
            cursor = request.query_params.get("cursor", "")
            raise _refused("cursor", "is not one of ours; take it from `next` or `previous`", cursor, None) from None


class Rows(View, GenericAPIView):
    """A view on a set of rows, narrowed to what the caller may see."""

    account_path = "account_id"
    ordering: tuple[str, ...] = ("-id",)
    pagination_class = Pager
    filter_backends: list[Any] = []
    queryset: Any

    def get_queryset(self) -> Any:
        """Return the caller's rows, narrowed by the query parameters."""
        if getattr(self, "swagger_fake_view", False):
            return self.queryset.none()
        rows = self.visible(self.queryset.all())
        for name, filter in self.filters.items():
            text = self.request.query_params.get(name)
            if text is None or self.request.method != "GET":
                continue
            if filter.kind == "account":
                self.check_account(text)
            rows = rows.filter(**filter.condition(name, text))
        return rows

    def visible(self, rows: Any) -> Any:
        """Narrow rows to the caller's accounts."""
        accounts = self.caller().accounts
        return (
            rows if accounts is None or not self.account_path else rows.filter(**{f"{self.account_path}__in": accounts})
        )

    def check_account(self, code: str) -> None:
        """Refuse a filter by an account that is not there or not the caller's."""
        model = self.queryset.model
        accounts: QuerySet[Any] = _account_model(model, self.account_path)._default_manager.all()
        self.account_scope(code, accounts)

    def one(self, what: str, **key: Any) -> Any:
        """Return one row the caller may see. Raises the same 404 for foreign and unknown."""
        row = self.visible(self.queryset.all()).filter(**key).first()
        if row is None:
            name, value = next(iter(key.items()))
            raise problems.not_found(name, what, str(value))
        return row

    def context_for(self, rows: Sequence[Any]) -> dict[str, Any]:
        """Read what a page of rows needs beside itself, in a fixed number of queries."""
        return {}

    def shown(self, rows: Sequence[Any]) -> list[Any]:
        """Return rows as the API shows them."""
        context = {**self.get_serializer_context(), **self.context_for(rows)}
        return list(self.serializer_class(rows, many=True, context=context).data)

    def written(self, row: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        """Answer with one row."""
        return Response(self.shown([row])[0], status=status, headers=dict(headers or {}))


class Listing(ListModelMixin, Rows):
    """A list: GET answers one page."""

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self.get_paginated_response(self.shown(self.paginate_queryset(self.get_queryset())))


def _account_model(model: Any, path: str) -> Any:
    if path in ("code", "pk"):
        return model
    for part in path.removesuffix("_id").split("__"):
        model = model._meta.get_field(part).related_model
    return model


def choices(values: Iterable[str]) -> tuple[str, ...]:
    """Return an enum's values for a Filter."""
    return tuple(str(value) for value in values)

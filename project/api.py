"""What the settings of the REST framework name: the strict parser, and the one shape of every error."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import IO, Any

from django.core.exceptions import BadRequest, RequestDataTooBig
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.db import DataError, IntegrityError, InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions, parsers
from rest_framework.response import Response

from project.lib import problems
from project.lib.problems import Problem

logger = logging.getLogger(__name__)
BODY_BYTES_MAX = 1_048_576
MEDIA_TYPE = "application/problem+json"
ORDER_RESOURCE = "orders"


class Number(float):
    """A JSON number with a point or exponent; it remembers its digits, so that a refusal can show them."""

    def __new__(cls, text: str) -> Number:
        """Keep the text beside the value."""
        number = super().__new__(cls, text)
        number.text = text
        return number

    text: str

    def __repr__(self) -> str:
        return self.text


class StrictJSONParser(parsers.BaseParser):
    """JSON as RFC 8259 and no more: UTF-8, no duplicate names, no NaN, no NUL, at most 1 MiB."""

    media_type = "application/json"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the decoded body. Raises Problem."""
        raw = stream.read(BODY_BYTES_MAX + 1)
        if len(raw) > BODY_BYTES_MAX:
            raise too_large()
        try:
            body = json.loads(
                raw.decode("utf-8"),
                object_pairs_hook=_object,
                parse_float=Number,
                parse_constant=_refuse_constant,
            )
            if b"\\u" in raw:
                for name, text in _texts(body, ""):
                    _refuse_unstorable(name, text)
        except UnicodeDecodeError as error:
            raise Problem(400, "NOT_UTF8", f"The body is not UTF-8 from byte {error.start} on.") from None
        except json.JSONDecodeError as error:
            where = f"line {error.lineno}, column {error.colno}"
            raise Problem(400, "NOT_JSON", f"The body is not JSON: {error.msg} at {where}.") from None
        except RecursionError:
            raise Problem(
                400, "TOO_DEEP", "The body is nested too deeply; every body here is one flat object."
            ) from None
        except ValueError:
            raise Problem(400, "NOT_A_NUMBER", "The body has a number that is too large to be one.") from None
        return body


def too_large() -> Problem:
    """Return the refusal of a body over the limit."""
    return Problem(413, "BODY_TOO_LARGE", f"A body may have {BODY_BYTES_MAX} bytes. Nothing of this one was read.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    body = dict(pairs)
    if len(body) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        error = problems.field_error(twice[:80], "DUPLICATE", "is given twice; which one counts would be a guess")
        raise problems.refused_fields([error])
    return body


def _refuse_constant(name: str) -> None:
    raise Problem(400, "NOT_JSON", f"The body is not JSON: {name} is not a JSON value.")


def _texts(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key, key
            yield from _texts(inner, name or key)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, name)


def _refuse_unstorable(name: str, text: str) -> None:
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        shown = name.encode("ascii", "replace").decode().replace("\0", "?")[:80]
        raise problems.refused_fields(
            [problems.field_error(shown, "MALFORMED", "holds a NUL or half a surrogate pair")]
        )


def problem_response(error: Exception, context: Mapping[str, Any]) -> Response:
    """Write any exception of an API view as application/problem+json. The settings name this function."""
    problem = _problem(error)
    request, view = context["request"], context.get("view")
    status = problem.status_code
    is_order = getattr(view, "resource", "") == ORDER_RESOURCE and request.method not in {"GET", "HEAD", "OPTIONS"}
    body = {
        "type": f"urn:gapless:problem:{problem.code.lower().replace('_', '-')}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": problem.text,
        "instance": request.path,
        "code": problem.code,
        "outcome": None if not is_order else "unknown" if status >= 500 else "not_sent",
        "retry_safe": is_order or status < 500 or request.method in {"GET", "HEAD", "OPTIONS"},
        "errors": problem.errors,
        **problem.extra,
    }
    if status in (401, 403, 413):
        logger.info("refused %s %s: %s %s", request.method, request.path, status, problem.code)
    response = Response(body, status=status, headers=problem.headers, content_type=MEDIA_TYPE)
    return response


def _problem(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, exceptions.ValidationError):
        return problems.refused_fields(list(_flatten(error.get_full_details(), "")))
    if isinstance(error, exceptions.APIException):
        return _framework_problem(error)
    if isinstance(error, Http404):
        return Problem(404, "NOT_FOUND", "There is nothing here that you may see.")
    if isinstance(error, DjangoPermissionDenied):
        return Problem(403, "FORBIDDEN", "Your role does not allow this.")
    if isinstance(error, RequestDataTooBig):
        return too_large()
    if isinstance(error, BadRequest | DataError):
        return Problem(400, "INVALID", "The request holds a value that cannot be stored or compared.")
    if isinstance(error, IntegrityError):
        return problems.conflict("CONFLICT", "Somebody else wrote the same thing at the same time. Read it and decide.")
    if isinstance(error, OperationalError | InterfaceError):
        logger.exception("the database did not answer")
        return Problem(
            503,
            "DATABASE_UNAVAILABLE",
            "The database does not answer. An order posted now may or may not have been accepted: post it again with "
            "the same client_order_id, which cannot create a second one.",
            headers={"Retry-After": "2"},
        )
    reference = uuid.uuid4().hex[:12]
    logger.error("internal error %s", reference, exc_info=error)
    detail = (
        "This is a fault of ours. If you were posting an order, post it again with the same client_order_id: that "
        f"cannot create a second one. The log names this fault {reference}."
    )
    return Problem(500, "INTERNAL", detail, reference=reference)


def _framework_problem(error: exceptions.APIException) -> Problem:
    codes = {
        400: "MALFORMED", 401: "NOT_AUTHENTICATED", 403: "FORBIDDEN", 404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED",
        406: "NOT_ACCEPTABLE", 415: "NOT_JSON_TYPE", 429: "TOO_MANY_REQUESTS",
    }  # fmt: skip
    detail = str(error.detail)
    if isinstance(error, exceptions.NotAuthenticated):
        detail = "No token was given. Send the header `Authorization: Token <key>`; a key is made under Settings."
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait) + 1)
    return Problem(error.status_code, codes.get(error.status_code, "REFUSED"), detail, headers=headers)


def _flatten(details: Any, field: str) -> Iterator[dict[str, Any]]:
    if isinstance(details, Mapping) and {"message", "code"} == set(details):
        yield problems.field_error(field, str(details["code"]).upper(), str(details["message"]))
    elif isinstance(details, Mapping):
        for name, inner in details.items():
            yield from _flatten(inner, str(name) if name != "non_field_errors" else field)
    else:
        for inner in details:
            yield from _flatten(inner, field)

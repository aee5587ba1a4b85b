"""Refusals of the API: one shape for everything that is not done (RFC 9457), naming fields and nearest valid values."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from rest_framework.exceptions import APIException

SHOWN_CHARACTERS = 80


class FieldProblem(Protocol):
    """What any layer may say about one field; `got` and `nearest_valid` are optional."""

    @property
    def field(self) -> str: ...
    @property
    def code(self) -> str: ...
    @property
    def message(self) -> str: ...


class Problem(APIException):
    """One refusal. Raised by any view; written as application/problem+json by the exception handler."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail, code)
        self.status_code, self.code, self.text = status, code, detail
        self.errors, self.headers, self.extra = [dict(error) for error in errors], dict(headers or {}), extra


def field_error(field: str, code: str, message: str, *, got: object = None, nearest: object = None) -> dict[str, Any]:
    """Return one entry of `errors`."""
    error: dict[str, Any] = {"field": field, "code": code, "message": message}
    if got is not None:
        error["got"] = got[:SHOWN_CHARACTERS] if isinstance(got, str) else repr(got)[:SHOWN_CHARACTERS]
    if nearest is not None:
        error["nearest_valid"] = str(nearest)
    return error


def refused_fields(errors: Sequence[Mapping[str, Any]], status: int = 400) -> Problem:
    """Return the refusal of a request whose fields are wrong; nothing of it is stored."""
    names = ", ".join(dict.fromkeys(str(error["field"]) for error in errors))
    return Problem(
        status, "INVALID", f"The request was refused and nothing of it was stored. Wrong: {names}.", errors=errors
    )


def from_field_problems(problems: Iterable[FieldProblem]) -> Problem:
    """Turn a layer's field problems into a refusal: 409 for a name that is taken, else 400."""
    errors = [
        field_error(
            problem.field,
            problem.code,
            problem.message,
            got=getattr(problem, "got", None),
            nearest=getattr(problem, "nearest_valid", None) or getattr(problem, "nearest", None),
        )
        for problem in problems
    ]
    return refused_fields(errors, 409 if any(error["code"] == "TAKEN" for error in errors) else 400)


def not_found(field: str, what: str, got: str, known: Iterable[str] = ()) -> Problem:
    """Return the answer for something that is not there or not yours: the two look the same."""
    nearest = difflib.get_close_matches(got, list(known), n=1, cutoff=0.5)
    error = field_error(field, "NOT_FOUND", f"no such {what}", got=got, nearest=nearest[0] if nearest else None)
    return Problem(404, "NOT_FOUND", f"There is no {what} {got[:SHOWN_CHARACTERS]!r} that you may use.", errors=[error])


def conflict(code: str, detail: str, **extra: Any) -> Problem:
    """Return a 409: the request is well formed, but the thing is not in a state that allows it."""
    return Problem(409, code, detail, **extra)

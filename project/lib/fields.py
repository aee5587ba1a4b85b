"""Serializer fields of the API: decimals, ids and times as exact strings; strict input that names what is wrong."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from project.lib import decimals, problems


@extend_schema_field({"type": "string", "format": "decimal", "examples": ["0.0125"]})
class DecimalText(serializers.Field):
    """A decimal as a plain string: exact, no exponent, no trailing zeros."""

    def to_representation(self, value: Decimal) -> str | None:
        """Write it."""
        return decimals.write(value)


@extend_schema_field({"type": "string", "format": "date-time", "examples": ["2026-01-31T12:00:00.000000Z"]})
class Moment(serializers.Field):
    """A time as RFC 3339 in UTC with microseconds and Z."""

    def to_representation(self, value: datetime) -> str:
        """Write it."""
        return write_moment(value)

    def to_internal_value(self, data: object) -> datetime:
        """Read it; a time without an offset is refused, since its meaning would be a guess."""
        try:
            moment = datetime.fromisoformat(data) if isinstance(data, str) else None
            if moment is not None and moment.tzinfo is not None:
                return moment.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        raise serializers.ValidationError("must be a time with an offset such as 2026-01-31T12:00:00Z", "MALFORMED")


class Id(serializers.Field):
    """An id as a string, whatever its type in the database."""

    def to_representation(self, value: object) -> str:
        """Write it."""
        return str(value)


extend_schema_field({"type": "string"})(Id)


def write_moment(value: datetime) -> str:
    """Return a time as the API writes it."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Output(serializers.Serializer):
    """What the API answers with. Fields are named one by one; nothing is shown by accident."""


class Input(serializers.Serializer):
    """What the API takes: unknown fields and wrong JSON types are refused, never coerced."""

    is_secret = False  # when set, no refusal shows what was given

    def to_internal_value(self, data: object) -> Any:
        """Check names and types before the fields check values."""
        if not isinstance(data, Mapping):
            raise problems.refused_fields([problems.field_error("", "NOT_AN_OBJECT", "the body must be a JSON object")])
        wrong = [*self._unknown(data), *self._mistyped(data)]
        if wrong:
            raise problems.refused_fields(wrong)
        return super().to_internal_value(data)

    def _unknown(self, data: Mapping[str, object]) -> list[dict[str, Any]]:
        errors = []
        for name in data:
            if name not in self.fields:
                close = difflib.get_close_matches(name, list(self.fields), n=1)
                message = f"is not a field here; the fields are {', '.join(self.fields) or 'none'}"
                errors.append(
                    problems.field_error(name[:80], "UNKNOWN_FIELD", message, nearest=close[0] if close else None)
                )
        return errors

    def _mistyped(self, data: Mapping[str, object]) -> list[dict[str, Any]]:
        errors = []
        for name, field in self.fields.items():
            value = data.get(name)
            if value is None:
                continue
            got = None if self.is_secret else value
            if isinstance(field, serializers.CharField | serializers.ChoiceField) and not isinstance(value, str):
                errors.append(problems.field_error(name, "NOT_A_STRING", "must be a string", got=got))
            if isinstance(field, serializers.BooleanField) and not isinstance(value, bool):
                errors.append(problems.field_error(name, "NOT_A_BOOLEAN", "must be true or false", got=got))
        return errors


class Nothing(Input):
    """An empty body, or {}."""


class ErrorOutput(Output):
    """One wrong field of a request."""

    field = serializers.CharField()
    code = serializers.CharField()
    message = serializers.CharField()
    got = serializers.CharField(required=False)
    nearest_valid = serializers.CharField(required=False)


class ProblemOutput(Output):
    """A refusal or failure, as application/problem+json (RFC 9457)."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    instance = serializers.CharField()
    code = serializers.CharField()
    outcome = serializers.ChoiceField(choices=["not_sent", "rejected", "unknown"], allow_null=True)
    retry_safe = serializers.BooleanField()
    errors = ErrorOutput(many=True)

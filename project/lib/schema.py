"""How the OpenAPI document is drawn from the views: filters, refusals, tags."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema

from project.lib import fields


class ApiSchema(AutoSchema):
    """Adds what the views declare as data: their filters, and that every refusal is a problem document."""

    def get_tags(self) -> list[str]:
        """Group operations by resource."""
        return [getattr(self.view, "resource", "") or "system"]

    def _get_filter_parameters(self) -> list[dict[str, Any]]:
        if self.method != "GET":
            return []
        return [
            {
                "name": name,
                "in": "query",
                "required": False,
                "schema": {"type": "string"},
                "description": filter.description(),
            }
            for name, filter in getattr(self.view, "filters", {}).items()
        ]

    def _get_response_bodies(self, direction: str = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        problem = self.resolve_serializer(fields.ProblemOutput, "response").ref
        refusal = {"content": {"application/problem+json": {"schema": problem}}, "description": "Refused or failed."}
        return {**bodies, "4XX": refusal, "5XX": refusal}

"""Statements over HTTP: hand one in, read what came of it; the mappings of a venue as versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from project.lib import problems
from project.lib.rest import BODY_BYTES_MAX, Filter, Listing, Rows, choices
from reconciliation import statement_presets as presets
from reconciliation import statement_versions, statements
from reconciliation.models import Statement, StatementMapping
from reconciliation.statement_mapping import WrongMapping
from reconciliation.statement_reader import FILE_BYTES_MAX
from reconciliation.statement_serializers import (
    StatementDetailOutput,
    StatementInput,
    StatementMappingInput,
    StatementMappingOutput,
    StatementOutput,
)
from venues.api import refuse_limited
from venues.models import Account, Venue

TOLD_MAX = 100


class StatementRows(Rows):
    """Statements of venues."""

    resource = "statements"
    queryset = Statement.objects.all()
    serializer_class: Any = StatementOutput
    ordering = ("-imported_at", "id")


class Statements(Listing, StatementRows):
    """Hand in a venue's export of trades; list statements, newest first."""

    media_type = "application/json"
    parser_classes = [MultiPartParser]
    filters: Mapping[str, Filter] = {
        "account": Filter(path="account_id", kind="account"),
        "status": Filter(path="status", choices=choices(Statement.Status.values)),
        "digest": Filter(path="digest"),
    }

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """A file comes as a form, and may be large."""
        if request.method == "POST":
            self.media_type, self.body_bytes_max = "multipart/form-data", FILE_BYTES_MAX + 65_536
        super().initial(request, *args, **kwargs)

    @extend_schema(request={"multipart/form-data": StatementInput}, responses={201: StatementDetailOutput})
    def post(self, request: Request) -> Response:
        wanted = self.read(StatementInput)
        account = self.account_scope(wanted["account"], Account.objects.select_related("venue"))
        known = statement_versions.of(account.venue_id)
        mapping = known.filter(pk=wanted["mapping"]).first() if "mapping" in wanted else known.first()
        if mapping is None:
            raise problems.not_found(
                "mapping", f"mapping of venue {account.venue_id}", str(wanted.get("mapping", "newest"))
            )
        try:
            row = statements.take_in(
                account, mapping, wanted["file"].file, wanted["file"].name, self.caller().actor,
                window_from=wanted.get("window_from"), window_to=wanted.get("window_to"), covers=wanted["covers"],
                although_nothing_matches=wanted["although_nothing_matches"] == "true",
            )  # fmt: skip
        except statements.AlreadyImported as refusal:
            raise problems.conflict(
                "ALREADY_IMPORTED", f"Nothing was taken in: {refusal}.", statement=str(refusal.earlier.pk)
            ) from None
        except statements.Refused as refusal:
            raise problems.conflict("REFUSED", f"Nothing was taken in: {refusal}.") from None
        if row.status == Statement.Status.REFUSED:
            raise unreadable(row)
        self.serializer_class = StatementDetailOutput
        return self.written(row, 201, {"Location": request.build_absolute_uri(f"{row.pk}/")})


class OneStatement(StatementRows):
    """One statement, with every problem or every break it speaks of."""

    serializer_class = StatementDetailOutput

    @extend_schema(responses=StatementDetailOutput)
    def get(self, request: Request, id: str) -> Response:
        return self.written(self.one("statement", id=id))


class StatementMappings(Listing, Rows):
    """Write a version of how a venue's export is read; list versions. A version never changes."""

    resource = "statements"
    account_path = ""
    queryset = StatementMapping.objects.all()
    serializer_class: Any = StatementMappingOutput
    ordering = ("-created_at", "id")
    filters: Mapping[str, Filter] = {"venue": Filter(path="venue_id"), "version": Filter(path="version")}
    body_bytes_max = BODY_BYTES_MAX

    @extend_schema(request=StatementMappingInput, responses={201: StatementMappingOutput})
    def post(self, request: Request) -> Response:
        refuse_limited(self)
        wanted = self.read(StatementMappingInput)
        venue = Venue.objects.filter(pk=wanted["venue"]).first()
        if venue is None:
            raise problems.not_found(
                "venue", "venue", wanted["venue"], Venue.objects.values_list("code", flat=True)[:500]
            )
        preset = presets.BY_CODE.get(wanted.get("preset", ""))
        columns, options = wanted.get("columns", {}), wanted.get("options", {})
        if preset is not None and isinstance(columns, dict) and isinstance(options, dict):
            columns, options = {**preset.layout.columns, **columns}, {**preset.layout.options(), **options}
        label = wanted.get("label") or (preset.label if preset else "")
        try:
            row = statement_versions.write(venue, columns, options, label, self.caller().actor)
        except WrongMapping as wrong:
            raise problems.refused_fields([problems.field_error(wrong.field, "INVALID", str(wrong))]) from None
        return self.written(row, 201)


def unreadable(row: Statement) -> problems.Problem:
    """Return the 422 of a file that was not taken in: its bad lines, and the statement that lists them all."""
    count = row.summary.get("problems", len(row.problems))
    errors = [
        problems.field_error(f"line {each['line']}" if each["line"] else "file", "UNREADABLE", f"{each['column']}: {each['what']}; {each['remedy']}".lstrip(": "), got=each["value"] or None)
        for each in row.problems[:TOLD_MAX]
    ]  # fmt: skip
    detail = f"Nothing of {row.filename} was taken in: {count} problem{'' if count == 1 else 's'}. The statement {row.pk} lists them."
    return problems.Problem(422, "STATEMENT_REFUSED", detail, errors=errors, statement=str(row.pk))

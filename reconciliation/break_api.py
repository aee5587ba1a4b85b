"""The queue of differences over HTTP: read, decide, explain line by line, hand the evidence out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiTypes, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from project.lib import clock, problems
from project.lib.rest import Filter, Listing, Rows, View, choices
from reconciliation import adjustments, evidence, lines, queue, resolutions, workflow
from reconciliation.break_serializers import (
    AssignmentInput,
    BreakDetailOutput,
    BreakEventOutput,
    BreakOutput,
    CauseInput,
    CountsOutput,
    EffectOutput,
    LineRemovalInput,
    LinesInput,
    LinesOutput,
    NoteInput,
    ReasonInput,
    ResolutionInput,
    ReversalInput,
    SnoozeInput,
    WaitingInput,
)
from reconciliation.models import Break, BreakEvent
from risk.models import Approval
from risk.serializers import ApprovalOutput

ACCOUNT = Filter(path="account_id", kind="account")


class BreakRows(Rows):
    """Differences between our books and the venues'."""

    resource = "breaks"
    queryset = Break.objects.all()
    serializer_class: type[BreakOutput] = BreakOutput
    ordering = ("-first_seen_at", "id")

    def version(self) -> int | None:
        """Return the version of the break the caller saw, as If-Match names it; None where it names none. Raises Problem."""
        text = self.request.headers.get("If-Match", "").removeprefix("W/").strip('"')
        if text in ("", "*"):
            return None
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise problems.conflict("STALE", "If-Match names no version of this break; take it from ETag or `version`.")
        return int(text)


class Breaks(Listing, BreakRows):
    """List breaks, newest first."""

    filters: Mapping[str, Filter] = {
        "account": ACCOUNT,
        "status": Filter(path="status", choices=choices(Break.Status.values)),
        "kind": Filter(path="kind", choices=choices(Break.Kind.values)),
        "order": Filter(path="order_id", kind="uuid"),
        "asset": Filter(path="asset"),
        "owner": Filter(path="owner"),
        "team": Filter(path="team"),
        "severity": Filter(path="severity", choices=choices(Break.Severity.values)),
        "cause": Filter(path="cause", choices=tuple(workflow.CAUSES)),
    }
    parameters = ("tab", "overdue")

    def get_queryset(self) -> Any:
        """Narrow the rows to a tab of the queue, and to what is overdue, where that is asked for."""
        rows = super().get_queryset()
        if getattr(self, "swagger_fake_view", False):
            return rows
        if tab := self.request.query_params.get("tab", ""):
            if tab not in queue.TABS:
                message = f"must be one of {', '.join(queue.TABS)}"
                raise problems.refused_fields([problems.field_error("tab", "INVALID", message, got=tab)])
            rows = rows.filter(queue.tab_condition(tab, self.caller().person, clock.now()))
        wanted = self.request.query_params.get("overdue", "false")
        if wanted not in ("true", "false"):
            raise problems.refused_fields(
                [problems.field_error("overdue", "INVALID", "must be true or false", got=wanted)]
            )
        return rows.filter(queue.overdue(clock.now())) if wanted == "true" else rows


class Counts(View):
    """How many differences each tab of the queue has for the caller; equal to what the pages show."""

    resource = "breaks"

    @extend_schema(responses=CountsOutput)
    def get(self, request: Request) -> Response:
        caller = self.caller()
        return Response(CountsOutput(queue.counts(caller.person, caller.accounts)).data)


class Events(Listing):
    """Everything that happened to one break, oldest first."""

    resource = "breaks"
    queryset = BreakEvent.objects.all()
    serializer_class = BreakEventOutput
    account_path = "discrepancy__account_id"
    ordering = ("id",)

    def get_queryset(self) -> Any:
        """Narrow to the break of the path."""
        rows = super().get_queryset()
        return rows if "id" not in self.kwargs else rows.filter(discrepancy_id=self.kwargs["id"])

    @extend_schema(responses=BreakEventOutput(many=True))
    def get(self, request: Request, id: str) -> Response:
        if not self.visible_breaks().filter(pk=id).exists():
            raise problems.not_found("id", "break", str(id))
        return super().get(request)

    def visible_breaks(self) -> Any:
        """Return the breaks the caller may see."""
        accounts = self.caller().accounts
        return Break.objects.all() if accounts is None else Break.objects.filter(account_id__in=accounts)


class OneBreak(BreakRows):
    """One break with the newest part of its history."""

    queryset = Break.objects.all()
    serializer_class = BreakDetailOutput

    @extend_schema(responses=BreakDetailOutput)
    def get(self, request: Request, id: str) -> Response:
        return self.answered(id)

    def answered(self, id: str, status: int = 200) -> Response:
        """Answer with the break as it stands; its version is the ETag."""
        row = self.one("break", id=id)
        return self.written(row, status, {"ETag": f'"{row.version}"'})

    def decided(self, id: str, decide: Callable[..., Break], *arguments: Any, **options: Any) -> Response:
        """Carry a person's decision out and answer with the break. Raises Problem when it is refused, or its version is old."""
        difference = self.one("break", id=id)
        try:
            decide(difference, self.caller().actor, *arguments, version=self.version(), **options)
        except resolutions.Refused as refusal:
            raise refused(refusal) from None
        return self.answered(id)

    def asked(self, id: str, act: Any, reason: str, **options: Any) -> Response:
        """Post a counter-entry and answer with the break, or 202 with the approval where a second person is needed."""
        caller = self.caller()
        try:
            row = act(
                self.one("break", id=id), caller.actor, reason, person=caller.person, version=self.version(), **options
            )
        except resolutions.Refused as refusal:
            raise refused(refusal) from None
        if row.approval is None or row.approval.status != Approval.Status.PENDING:
            return self.answered(id)
        where = self.request.build_absolute_uri(f"/api/v1/approvals/{row.approval.id}/")
        return Response(ApprovalOutput(row.approval).data, status=202, headers={"Location": where})


class Resolution(OneBreak):
    """End a break: explain it, say that the venue fixed it, or adjust the ledger, above a threshold with a second person."""

    parameters = ("book",)
    http_method_names = ["get", "post"]

    @extend_schema(request=ResolutionInput, responses={200: BreakDetailOutput, 202: ApprovalOutput})
    def post(self, request: Request, id: str) -> Response:
        wanted = self.read(ResolutionInput)
        if wanted["action"] != "adjust":
            act = resolutions.explain if wanted["action"] == "explain" else resolutions.mark_fixed
            return self.decided(id, act, wanted["reason"], cause=wanted["cause"])
        return self.asked(
            id, adjustments.adjust, wanted["reason"], book=wanted["book"], expected=wanted.get("delta", "")
        )

    @extend_schema(responses={200: EffectOutput})
    def get(self, request: Request, id: str) -> Response:
        """Show what the counter-entry would do, against the book named."""
        book = request.query_params.get("book", "adjustments")
        if book not in adjustments.BOOKS:
            message = f"must be one of {', '.join(adjustments.BOOKS)}"
            raise problems.refused_fields([problems.field_error("book", "INVALID", message, got=book)])
        return Response(EffectOutput(adjustments.preview(self.one("break", id=id), book)).data)


class Reversal(OneBreak):
    """Take the counter-entries of a break back, above a threshold with a second person."""

    http_method_names = ["post"]

    @extend_schema(request=ReversalInput, responses={200: BreakDetailOutput, 202: ApprovalOutput})
    def post(self, request: Request, id: str) -> Response:
        return self.asked(id, adjustments.reverse, self.read(ReversalInput)["reason"])


class Assignment(OneBreak):
    """Give a break to a person, to a team, or back to whom it belonged before."""

    http_method_names = ["post"]

    @extend_schema(request=AssignmentInput, responses={200: BreakDetailOutput})
    def post(self, request: Request, id: str) -> Response:
        wanted = self.read(AssignmentInput)
        if wanted["to_previous"]:
            return self.decided(id, resolutions.pass_back)
        owner, team = wanted["owner"], wanted.get("team")
        people = get_user_model()._default_manager.filter(is_active=True)
        if owner and not people.filter(username=owner).exists():
            raise problems.not_found("owner", "person", owner, people.values_list("username", flat=True)[:500])
        if team and not Group.objects.filter(name=team).exists():
            raise problems.not_found("team", "team", team, Group.objects.values_list("name", flat=True)[:500])
        return self.decided(id, resolutions.assign, owner, team=team)


class Notes(OneBreak):
    """Add a note to the history of a break."""

    http_method_names = ["post"]

    @extend_schema(request=NoteInput, responses={200: BreakDetailOutput})
    def post(self, request: Request, id: str) -> Response:
        return self.decided(id, resolutions.note, self.read(NoteInput)["text"])


class Waiting(OneBreak):
    """Wait for the venue, with what it was asked; DELETE takes the break back to investigating, with what it answered."""

    http_method_names = ["post", "delete"]

    @extend_schema(request=WaitingInput, responses={200: BreakDetailOutput})
    def post(self, request: Request, id: str) -> Response:
        return self.decided(id, resolutions.wait_for_venue, self.read(WaitingInput)["asked"])

    @extend_schema(request=NoteInput, responses={200: BreakDetailOutput})
    def delete(self, request: Request, id: str) -> Response:
        return self.decided(id, resolutions.resume, self.read(NoteInput)["text"])


class Snooze(OneBreak):
    """Take a break out of sight until a time; DELETE brings it back now."""

    http_method_names = ["post", "delete"]

    @extend_schema(request=SnoozeInput, responses={200: BreakDetailOutput})
    def post(self, request: Request, id: str) -> Response:
        wanted = self.read(SnoozeInput)
        return self.decided(id, resolutions.snooze, wanted["until"], wanted["reason"])

    @extend_schema(responses={200: BreakDetailOutput})
    def delete(self, request: Request, id: str) -> Response:
        return self.decided(id, resolutions.wake)


class Cause(OneBreak):
    """Say why a break came about, out of the fixed list."""

    http_method_names = ["post"]

    @extend_schema(request=CauseInput, responses={200: BreakDetailOutput})
    def post(self, request: Request, id: str) -> Response:
        return self.decided(id, resolutions.set_cause, self.read(CauseInput)["cause"])


class Reopening(OneBreak):
    """Take the resolution of a break back; a counter-entry stays posted."""

    http_method_names = ["post"]

    @extend_schema(request=ReasonInput, responses={200: BreakDetailOutput})
    def post(self, request: Request, id: str) -> Response:
        return self.decided(id, resolutions.reopen, self.read(ReasonInput)["reason"])


class Lines(OneBreak):
    """What explains a break line by line, what remains, and what may explain it; add lines, take lines off."""

    http_method_names = ["get", "post", "delete"]

    @extend_schema(responses={200: LinesOutput})
    def get(self, request: Request, id: str) -> Response:
        return self._shown(id)

    @extend_schema(request=LinesInput, responses={200: LinesOutput})
    def post(self, request: Request, id: str) -> Response:
        wanted = self.read(LinesInput)
        self.decided(id, lines.add, wanted["candidates"], wanted["amount"], wanted["note"])
        return self._shown(id)

    @extend_schema(request=LineRemovalInput, responses={200: LinesOutput})
    def delete(self, request: Request, id: str) -> Response:
        self.decided(id, lines.remove, self.read(LineRemovalInput)["lines"])
        return self._shown(id)

    def _shown(self, id: str) -> Response:
        row = self.one("break", id=id)
        given = lines.of(row)
        told = {"delta": row.delta, "asset": row.asset, "remaining": lines.remaining(row, given), "lines": given}
        told |= {
            "candidates": lines.candidates(row, given),
            "unsettled_orders": [str(one.pk) for one in lines.unsettled(row)],
        }
        return Response(LinesOutput(told).data, headers={"ETag": f'"{row.version}"'})


class Bundle(BreakRows):
    """The signed evidence of a break as canonical JSON; `manage.py verify_bundle` checks it."""

    http_method_names = ["get"]
    queryset = Break.objects.select_related("account__venue", "rule", "order")

    @extend_schema(responses={200: OpenApiTypes.OBJECT})
    def get(self, request: Request, id: str) -> HttpResponse:
        row = self.one("break", id=id)
        try:
            text = evidence.bundle(row, self.caller().actor)
        except OSError as problem:
            why = f"The evidence could not be signed: {problem.strerror or problem}. Nothing was changed."
            raise problems.Problem(503, "NO_SIGNING_KEY", why) from None
        return HttpResponse(text, content_type="application/json")


def refused(refusal: resolutions.Refused) -> problems.Problem:
    """Return the 409 of a decision that was not carried out: STALE where the caller saw an older version."""
    code = "STALE" if isinstance(refusal, resolutions.Stale) else "REFUSED"
    return problems.conflict(code, f"Nothing was changed: {refusal}.")

"""Approvals over HTTP: read what waits for a second person, decide it, withdraw one's own."""

from __future__ import annotations

from collections.abc import Mapping

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from project import decisions, reauthentication
from project.lib import problems
from project.lib.models import ApiToken
from project.lib.rest import Filter, Listing, Rows, choices
from risk.approvals import Refused
from risk.models import Approval
from risk.serializers import ApprovalOutput, DecisionInput, WithdrawalInput


class ApprovalRows(Rows):
    """Changes that need a second, different person."""

    resource = "approvals"
    queryset = Approval.objects.all()
    serializer_class = ApprovalOutput
    ordering = ("-requested_at", "id")


class Approvals(Listing, ApprovalRows):
    """List approvals, newest first."""

    filters: Mapping[str, Filter] = {
        "account": Filter(path="account_id", kind="account"),
        "status": Filter(path="status", choices=choices(Approval.Status.values)),
        "action": Filter(path="action"),
        "subject": Filter(path="subject"),
        "requested_by_person": Filter(path="requested_by_person"),
    }


class OneApproval(ApprovalRows):
    """One approval with everything that will be done."""

    @extend_schema(responses=ApprovalOutput)
    def get(self, request: Request, id: str) -> Response:
        return self.written(self.one("approval", id=id))


class Decision(ApprovalRows):
    """Approve and carry out, or refuse, as the second person."""

    resource = "decisions"

    @extend_schema(request=DecisionInput, responses={200: ApprovalOutput})
    def post(self, request: Request, id: str) -> Response:
        approval, wanted = self.one("approval", id=id), self.read(DecisionInput)
        if not isinstance(request.auth, ApiToken) and reauthentication.is_needed(request):
            detail = "Nothing was decided: confirm your password on the page of the approval first, or use a token."
            raise problems.Problem(403, "CONFIRM_PASSWORD", detail)
        try:
            decided = decisions.decide(
                approval, self.caller(), wanted["decision"], wanted["change_hash"], wanted["reason"]
            )
        except Refused as refusal:
            raise _problem("decided", refusal) from None
        return self.written(decided)


class Withdrawal(ApprovalRows):
    """Take one's own request back."""

    resource = "decisions"

    @extend_schema(request=WithdrawalInput, responses={200: ApprovalOutput})
    def post(self, request: Request, id: str) -> Response:
        approval = self.one("approval", id=id)
        try:
            withdrawn = decisions.withdraw(approval, self.caller(), self.read(WithdrawalInput)["reason"])
        except Refused as refusal:
            raise _problem("withdrawn", refusal) from None
        return self.written(withdrawn)


def _problem(word: str, refusal: Refused) -> problems.Problem:
    status = 403 if refusal.code in ("SAME_PERSON", "FORBIDDEN") else 409
    return problems.Problem(status, refusal.code, f"Nothing was {word}: {refusal}.")

"""What the API shows and takes of halts and approvals."""

from __future__ import annotations

from rest_framework import serializers

from project.lib.fields import DecimalText, Id, Input, Moment, Output
from risk.models import Approval, Halt


class HaltOutput(Output):
    """A stop and, once lifted, its release."""

    id = Id()
    scope = serializers.CharField()
    state = serializers.ChoiceField(choices=Halt.State.values)
    reason = serializers.CharField()
    created_by = serializers.CharField()
    created_at = Moment()
    released_at = Moment(allow_null=True)
    released_by = serializers.CharField()
    release_reason = serializers.CharField()


class HaltInput(Input):
    """Stop new orders in `global`, `venue:<code>` or `account:<code>`."""

    scope = serializers.CharField(max_length=100)
    reason = serializers.CharField(max_length=300)
    state = serializers.ChoiceField(choices=Halt.State.values, default=Halt.State.HALTED)


class ReleaseInput(Input):
    """Why trading may go on."""

    reason = serializers.CharField(max_length=300)


class ApprovalOutput(Output):
    """A change that one person requested and another decides."""

    id = Id()
    action = serializers.CharField()
    subject = serializers.CharField()
    account = serializers.CharField(source="account_id", allow_null=True)
    summary = serializers.CharField()
    change = serializers.JSONField()
    change_hash = serializers.CharField()
    amount_usd = DecimalText(allow_null=True)
    reason = serializers.CharField()
    status = serializers.ChoiceField(choices=Approval.Status.values)
    requested_by = serializers.CharField()
    requested_by_person = serializers.CharField()
    requested_at = Moment()
    expires_at = Moment()
    decided_by = serializers.CharField()
    decided_at = Moment(allow_null=True)
    decision_reason = serializers.CharField()
    result = serializers.JSONField()


class DecisionInput(Input):
    """The second person's word on exactly the change with this hash; a refusal needs a reason."""

    decision = serializers.ChoiceField(choices=["approve", "refuse"])
    change_hash = serializers.CharField(max_length=64)
    reason = serializers.CharField(max_length=500, allow_blank=True, default="")


class WithdrawalInput(Input):
    """Why one's own request is taken back."""

    reason = serializers.CharField(max_length=500, allow_blank=True, default="")

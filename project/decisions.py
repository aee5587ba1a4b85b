"""What an approval carries out: one table of actions over all apps, and the decisions of people on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from project.lib import access
from reconciliation import adjustments
from risk import approvals
from risk.approvals import Action, Refused
from risk.models import Approval

_COUNTER_ENTRY = Action(current=adjustments.current, carry_out=adjustments.carry_out, leave=adjustments.leave)
ACTIONS: Mapping[str, Action] = {adjustments.ADJUST: _COUNTER_ENTRY, adjustments.REVERSE: _COUNTER_ENTRY}


def decide(approval: Approval, caller: access.Caller, decision: str, change_hash: str, reason: str) -> Approval:
    """Approve (and carry out) or refuse, as the second person. Raises Refused; see risk.approvals."""
    action = _action(approval)
    if decision == "approve":
        return approvals.approve(approval, caller, change_hash, action, reason)
    if decision == "refuse":
        return approvals.refuse(approval, caller, change_hash, action, reason)
    raise Refused("the decision must be approve or refuse", "INVALID")


def withdraw(approval: Approval, caller: access.Caller, reason: str) -> Approval:
    """Take one's own request back. Raises Refused."""
    return approvals.withdraw(approval, caller, _action(approval), reason)


def settle() -> int:
    """Settle what has run out or changed; return how many. For the schedule."""
    return approvals.expire(ACTIONS)


def effect(approval: Approval) -> dict[str, Any] | None:
    """Return what a pending approval would do to books and balances as they stand now; None for one that is decided."""
    if approval.status != Approval.Status.PENDING or approval.action not in ACTIONS:
        return None
    return adjustments.effect(approval)


def _action(approval: Approval) -> Action:
    action = ACTIONS.get(approval.action)
    if action is None:
        raise Refused(
            f"nothing here carries out {approval.action}: it was requested in another version", "UNKNOWN_ACTION"
        )
    return action

"""Checks during the run: every commit and every acceptance is judged at the moment it happens, against the venue's truth."""

from __future__ import annotations

import json
import uuid

from orders import states
from orders.rows import AttemptRow, EventRow
from orders.states import Status
from tests.simulation.memory import Committed, Database
from tests.simulation.trace import Trace
from tests.simulation.venue import SimVenue, Submit

HEALING = {"late_fill", "fill", "illegal_transition"}
_OURS = {"SUBMIT_NOT_ACCEPTED", "SUBMIT_NOT_SENT"}


class Watch:
    """Sees every committed transaction and every submit that reaches the venue."""

    def __init__(self, database: Database, venue: SimVenue, trace: Trace) -> None:
        self.database, self.venue, self.trace = database, venue, trace
        self.halted_since: dict[str, float] = {}
        self.accepted_by_order: dict[uuid.UUID, list[Submit]] = {}
        self.alarms: set[str] = set()
        database.on_commit = self.committed
        venue.on_submit = self.arrived

    def committed(self, committed: Committed) -> None:
        """Judge one transaction."""
        note = self.trace.note
        for attempt in committed.attempts:
            note("attempt", attempt.action, attempt.venue_client_id, attempt.order, attempt.epoch, attempt.window_ms)
            self._sending(attempt)
        for attempt in committed.outcomes:
            note("outcome", attempt.action, attempt.venue_client_id, attempt.outcome, attempt.code, attempt.resolution)
            if attempt.action == "submit" and attempt.outcome == "accepted":
                self.venue.acknowledged(attempt.venue_client_id)
        for event in committed.events:
            data = json.dumps(event.data)
            note("event", event.order, event.kind, event.status_before, event.status_after, event.source, data)
            self._event(event)
        for fill in committed.fills:
            note("fill", fill.order, fill.venue_trade_id, fill.quantity, fill.source)
        for letter in committed.letters:
            note("letter", letter.id, letter.order, letter.status, letter.cause, letter.resolution)
        for account, status, reason in committed.statuses:
            note("account", account, status, reason)
        for anomaly in committed.anomalies:
            note("anomaly", anomaly.kind, anomaly.subject)

    def arrived(self, submit: Submit) -> None:
        """Judge a submit that the venue has just decided about."""
        key = self.database.attempt_by_client_id.get((submit.account, submit.client_id))
        if key is None:
            self.trace.violate(
                "I3", f"the venue got {submit.client_id}, which no committed attempt knows", submit.client_id
            )
            return
        attempt = self.database.attempts[key]
        if submit.verdict != "accepted":
            return
        name = str(attempt.order)
        legs = self.accepted_by_order.setdefault(attempt.order, [])
        live = [leg.order.order_id for leg in legs if leg.order is not None and leg.order.is_open]
        if live or (legs and not self._is_amended(attempt.order)):
            about = f"order {name} was accepted twice: {legs[-1].client_id} and {submit.client_id}, alive {live}"
            self.trace.violate("I1", about, name)
        legs.append(submit)
        order = self.database.orders[attempt.order]
        if not self.venue.facts.window:
            return
        if order.status == Status.DENIED:
            self.trace.violate("I10", f"order {name} was accepted after it was called {order.reason_code}", name)
        if self.database.leases[submit.account].epoch > attempt.epoch:
            self.trace.violate("I13", f"order {name} of epoch {attempt.epoch} was accepted under a newer one", name)
        since = self.halted_since.get(submit.account)
        if since is not None and submit.at_seconds > since + attempt.window_ms / 1000 + 1:
            self.trace.violate("I12", f"order {name} was accepted {submit.at_seconds - since:.1f} s after a halt", name)

    def _sending(self, attempt: AttemptRow) -> None:
        if attempt.action != "submit":
            return
        name, database = str(attempt.order), self.database
        for key in database.attempts_of[attempt.order]:
            known = database.attempts[key]
            if known.action != "submit" or known.id == attempt.id:
                continue
            is_open_doubt = known.outcome == "" or known.is_unresolved
            if known.outcome != "not_sent" and (is_open_doubt or not self._is_amended(attempt.order)):
                self.trace.violate("I4", f"order {name} is sent again while its try before is {known.outcome!r}", name)
        if attempt.account in self.halted_since:
            self.trace.violate("I12", f"order {name} was committed for sending during a halt", name)
        if database.leases[attempt.account].epoch != attempt.epoch:
            self.trace.violate("I13", f"order {name} was committed for sending under an old epoch", name)
        read = {
            made.surface
            for made in database.captures[attempt.account]
            if made.epoch == attempt.epoch and made.reason == "recovery" and made.status != "failed"
        }
        missing = {"open_orders", "fills", "balances"} - read
        if missing:
            self.trace.violate("I20", f"order {name} is sent before {sorted(missing)} were read in this epoch", name)

    def _never_accepted(self, order_id: uuid.UUID, name: str) -> None:
        keys = self.database.attempts_of[order_id]
        tries = [self.database.attempts[key] for key in keys if self.database.attempts[key].action == "submit"]
        newest = max(tries, key=lambda attempt: attempt.sent_at)
        if any(leg.client_id == newest.venue_client_id for leg in self.accepted_by_order.get(order_id, [])):
            self.trace.violate("I10", f"order {name} was called never accepted, and the venue has accepted it", name)

    def _is_amended(self, order_id: uuid.UUID) -> bool:
        return any(self.database.attempts[key].action == "amend" for key in self.database.attempts_of[order_id])

    def _event(self, event: EventRow) -> None:
        name = str(event.order)
        if event.kind == "never_accepted":
            self._never_accepted(event.order, name)
        legs = self.accepted_by_order.get(event.order, [])
        if event.status_after == Status.CANCELLED != event.status_before and legs:
            standing = legs[-1].order
            if standing is not None and standing.is_open:
                self.trace.violate("I10", f"order {name} was called cancelled; the venue has it open", name)
        is_reopened = event.status_before in states.TERMINAL and event.status_after != event.status_before
        if is_reopened and event.kind not in HEALING:
            self.alarms.add(f"{event.kind}: {event.status_before} to {event.status_after}")
        if event.status_after not in {Status.DENIED, Status.REJECTED} or event.status_before == event.status_after:
            return
        code = event.data.get("code", "")
        if event.order in self.accepted_by_order and (event.status_after == Status.REJECTED or code in _OURS):
            self.trace.violate("I10", f"order {name} was called {event.status_after} {code}; the venue has it", name)

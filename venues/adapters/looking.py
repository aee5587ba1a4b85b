"""Looking for one order: by its ids where the venue takes ours, else by its shape among the orders nobody knows yet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from project.lib import clock
from venues.adapters import client_ids, unified
from venues.adapters.judging import Judging, class_names
from venues.adapters.transport import HttpRecord, recording
from venues.capabilities import Capabilities
from venues.credentials import Secret
from venues.messages import Evidence, FillReport, Lookup, OrderReport, Shape

LOOKUP_MARGIN = timedelta(minutes=1)
CANDIDATES_SHOWN = 20
SENT_IDS_KEPT = 50_000
Step = Callable[[], Awaitable[OrderReport | None]]
Listing = Callable[[], Awaitable[list[OrderReport]]]
AnyReport = TypeVar("AnyReport")


class Looking(Judging):
    """The looking half of an adapter."""

    client: Any = None

    def __init__(self, capabilities: Capabilities, secret: Secret) -> None:
        super().__init__(capabilities, secret)
        self._sent_ids: dict[str, str] = {}

    async def look_up(
        self,
        *,
        symbol: str,
        venue_client_id: str,
        venue_order_id: str | None,
        since: datetime,
        shape: Shape | None = None,
        known_venue_order_ids: frozenset[str] = frozenset(),
    ) -> Lookup:
        """Look for one order by the venue's recipe. Absent only when every request was answered well."""
        since -= LOOKUP_MARGIN
        if not self.capabilities.client_ids and venue_order_id is None:
            return await self._by_shape(symbol, since, shape, known_venue_order_ids)
        client_id = self.wire_client_id(venue_client_id) if self.capabilities.client_ids else ""
        evidence: list[Evidence] = []
        is_complete = True
        for step in self.recipe(symbol, client_id, venue_order_id, since):
            found, said, is_good = await self._taken(step)
            evidence += said
            if found:
                return Lookup(result="found", order=self.as_ours(found), evidence=tuple(evidence))
            is_complete = is_complete and is_good
        kept_hours = self.capabilities.cancelled_hours
        if kept_hours is not None and clock.now() - since > timedelta(hours=kept_hours):
            # It may have been there, and cancelled, and forgotten.
            answer = f"the venue keeps cancelled orders for {kept_hours:g} hours, and this one may be older"
            evidence.append(Evidence(source="local", at=clock.now(), answer=answer))
            is_complete = False
        return Lookup(result="absent" if is_complete and evidence else "failed", evidence=tuple(evidence))

    def wire_client_id(self, venue_client_id: str) -> str:
        """Return the client id in the form this exchange takes."""
        form = self.capabilities.client_id_form
        if form == "plain" or not venue_client_id:
            return venue_client_id
        wire_id = client_ids.to_wire(form, venue_client_id)
        if form == "whole_number":
            self._sent_ids[wire_id] = venue_client_id
            if len(self._sent_ids) > SENT_IDS_KEPT:
                del self._sent_ids[next(iter(self._sent_ids))]
        return wire_id

    def as_ours(self, report: AnyReport) -> AnyReport:
        """Return a report under the client id we know the order by, where the exchange shows it in a form of its own."""
        form = self.capabilities.client_id_form
        if form == "plain" or not isinstance(report, OrderReport | FillReport) or report.venue_client_id is None:
            return report
        wire_id = report.venue_client_id
        return replace(report, venue_client_id=self._sent_ids.get(wire_id) or client_ids.from_wire(form, wire_id))

    def recipe(self, symbol: str, client_id: str, venue_order_id: str | None, since: datetime) -> list[Step]:
        """Return the requests that together would show the order if it were there, most telling first."""

        async def by_id() -> OrderReport | None:
            key, in_place = self.capabilities.client_id_key, self.capabilities.client_id_in_place
            parameters = {} if venue_order_id or in_place else {key: client_id, "clientOrderId": client_id}
            row = await self.client.fetch_order(venue_order_id or (client_id if in_place else ""), symbol, parameters)
            return named([self.order_row(row)], client_id, venue_order_id)

        steps: list[Step] = []
        if self.client.has.get("fetchOrder") and (venue_order_id or self.capabilities.client_id_lookup == "order"):
            steps.append(by_id)
        return steps + [among(listing, client_id, venue_order_id) for listing in self.listings(symbol, since)]

    def listings(self, symbol: str, since: datetime) -> list[Listing]:
        """Return the requests that together list every order of the symbol that is open or was placed since then."""
        since_ms = int(since.timestamp() * 1000)

        def listed(method: str) -> Listing:
            async def run() -> list[OrderReport]:
                found = await getattr(self.client, method)(symbol, since_ms if method != "fetch_open_orders" else None)
                return [self.order_row(row) for row in found]

            return run

        return [listed(name) for key, name in unified.LISTINGS if self.client.has.get(key) is True]

    def order_row(self, row: Mapping[str, Any]) -> OrderReport:
        """Read one order as ccxt hands it on, with the client id as the exchange shows it. Raises rows.RowError."""
        return unified.order(row, self.capabilities.client_id_row_key)

    def says_absent(self, trace: Sequence[HttpRecord], problem: Exception) -> bool:
        """Say whether a failed lookup was a good answer of the kind "no such order"."""
        return bool(trace) and trace[-1].payload is not None and "OrderNotFound" in class_names(problem)

    async def _taken(self, step: Callable[[], Awaitable[Any]]) -> tuple[Any, list[Evidence], bool]:
        """Return what a step found, the evidence of its requests, and whether they were answered well."""
        with recording() as trace:
            try:
                found = await step()
                verdict = "found" if found else "not found"
            except Exception as problem:
                found = None
                verdict = "not found" if self.says_absent(trace, problem) else "failed"
        said = [self.evidence(record, verdict) for record in trace]
        return found, said or [Evidence(source="local", at=clock.now(), answer=verdict)], verdict != "failed"

    async def _by_shape(self, symbol: str, since: datetime, shape: Shape | None, known: frozenset[str]) -> Lookup:
        if shape is None:
            nothing = Evidence(source="local", at=clock.now(), answer="nothing to look for the order by")
            return Lookup(result="failed", evidence=(nothing,))
        evidence: list[Evidence] = []
        candidates: dict[str, OrderReport] = {}
        is_complete = True
        for listing in self.listings(symbol, since):
            found, said, is_good = await self._taken(listing)
            evidence += said
            is_complete = is_complete and is_good
            for report in found or ():
                if report.venue_order_id not in known and _has_shape(report, symbol, since, shape):
                    candidates[str(report.venue_order_id)] = report
        is_complete = is_complete and bool(evidence)
        evidence.append(_conclusion(symbol, since, shape, sorted(candidates), is_complete))
        if not is_complete or len(candidates) > 1:
            return Lookup(result="failed", evidence=tuple(evidence))
        only = next(iter(candidates.values()), None)
        return Lookup(result="found" if only else "absent", order=only, evidence=tuple(evidence))


def named(reports: Sequence[OrderReport], client_id: str, venue_order_id: str | None) -> OrderReport | None:
    """Return the report that carries one of the ids."""
    for report in reports:
        if client_id and report.venue_client_id == client_id:
            return report
        if venue_order_id and report.venue_order_id == venue_order_id:
            return report
    return None


def among(listing: Listing, client_id: str, venue_order_id: str | None) -> Step:
    """Return a step that looks for an order in a listing."""

    async def run() -> OrderReport | None:
        return named(await listing(), client_id, venue_order_id)

    return run


def _has_shape(report: OrderReport, symbol: str, since: datetime, shape: Shape) -> bool:
    if report.symbol != symbol or report.side != shape.side or report.quantity != shape.quantity:
        return False
    if report.type is not None and report.type != shape.type:
        return False
    if shape.price is not None and report.price != shape.price:
        return False
    # Last touched before ours was sent: somebody's older order.
    return report.occurred_at is None or report.occurred_at >= since


def _conclusion(symbol: str, since: datetime, shape: Shape, ids: list[str], is_complete: bool) -> Evidence:
    if not is_complete:
        answer = "not every list could be read"
    elif not ids:
        answer = f"no order of this shape since {since:%Y-%m-%d %H:%M:%S} UTC"
    elif len(ids) == 1:
        answer = f"the only order of this shape since {since:%Y-%m-%d %H:%M:%S} UTC"
    else:
        answer = f"{len(ids)} orders of this shape since {since:%Y-%m-%d %H:%M:%S} UTC"
    wanted: Mapping[str, Any] = {key: str(value) for key, value in asdict(shape).items() if value is not None}
    detail = {"symbol": symbol, "shape": dict(wanted), "candidates": ids[:CANDIDATES_SHOWN]}
    return Evidence(source="shape", at=clock.now(), answer=answer, detail=detail)

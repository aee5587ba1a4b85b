"""The checker: what was acknowledged and what the product says, against the venues' journals, in Jepsen's terms. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

Row = Mapping[str, Any]
Key = tuple[str, str, Decimal]
RESTING = frozenset({"open", "partially_filled"})
NEVER_LIVE = frozenset({"denied", "rejected"})
ENDED_AT_VENUE = frozenset({"cancelled", "expired"})
ENDED = NEVER_LIVE | ENDED_AT_VENUE | {"filled"}
VIOLATIONS = (
    "lost", "unexpected", "duplicated", "wrong", "unresolved", "stale_accepts", "sent_before_commit", "answered_otherwise",
    "balances_differ", "fills_missing", "fills_invented", "proofs_failed", "needed_help",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Venue:
    """One account's venue: its journal, its balances now, and whether requests end by themselves after a window."""

    account: str
    journal: list[Row]
    balances: Mapping[str, Decimal]
    has_window: bool


@dataclass(frozen=True, kw_only=True)
class Product:
    """What the product's database says, read at one moment; times are microseconds since 1970."""

    orders: list[Row]  # id account client_order_id symbol side quantity status mutation filled_quantity
    attempts: list[Row]  # id order account action venue_client_id epoch outcome is_resolved committed_at
    fills: list[Row]  # order account symbol side price quantity cost fee fee_asset liquidity trade_id
    letters: list[Row]  # id order status action resolved_by
    grants: list[Row]  # account epoch at
    balances: Mapping[tuple[str, str], Decimal]


@dataclass(frozen=True, kw_only=True)
class History:
    """What the client knows: every order it tried, and the ids that were acknowledged."""

    attempted: Sequence[Row]  # client_order_id account symbol side quantity
    acknowledged: Mapping[str, str]


@dataclass
class Verdict:
    """Each category lists what belongs to it; those in VIOLATIONS must be empty."""

    attempted: int = 0
    acked: int = 0
    ok: int = 0
    at_venue: int = 0
    fills: int = 0
    recovered: list[str] = field(default_factory=list)
    late_accepts: list[str] = field(default_factory=list)
    settled_by_evidence: int = 0
    settled_by_person: int = 0
    found: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in VIOLATIONS})

    @property
    def is_clean(self) -> bool:
        """Whether nothing contradicts the promise."""
        return not any(self.found.values())

    def figures(self) -> dict[str, int]:
        """Return every figure by name."""
        return {
            "attempted": self.attempted, "acked": self.acked, "ok": self.ok, "at_venue": self.at_venue, "recovered": len(self.recovered),
            "fills": self.fills, "settled_by_evidence": self.settled_by_evidence,
            "settled_by_person": self.settled_by_person, "late_accepts_without_window": len(self.late_accepts),
            **{name: len(items) for name, items in self.found.items()},
        }  # fmt: skip


@dataclass
class AtVenue:
    """What the journal says became of one order the venue accepted."""

    order_id: str
    client_id: str
    at: int
    received_at: int
    quantity: Decimal
    status: str = "open"
    executed: Decimal = Decimal(0)


def judge(history: History, product: Product, venues: Iterable[Venue]) -> Verdict:
    """Compare everything with everything. Quantities name intents: no two orders of an account and symbol share one."""
    verdict = Verdict(attempted=len(history.attempted), acked=len(history.acknowledged))
    intents = {_key(row): row["client_order_id"] for row in history.attempted}
    by_intent = {row["client_order_id"]: row for row in product.orders}
    for venue in venues:
        accepted = fold(venue.journal)
        verdict.at_venue += len(accepted)
        mine = {intent: [] for key, intent in intents.items() if key[0] == venue.account}  # type: dict[str, list[AtVenue]]
        for key, at_venue in accepted:
            intent = intents.get((venue.account, *key))
            if intent is None:
                verdict.found["unexpected"].append(f"{venue.account}: nobody asked for {key} ({at_venue.order_id})")
            else:
                mine[intent].append(at_venue)
        for intent, orders in mine.items():
            _judge_intent(verdict, history, by_intent.get(intent), intent, orders)
        _judge_attempts(verdict, product, venue, {i: o for i, o in mine.items() if o}, by_intent)
        _judge_fills(verdict, product, venue)
        _judge_balances(verdict, product, venue)
    _judge_acknowledged(verdict, history, product)
    _judge_letters(verdict, product)
    asked_for = set(intents.values())
    verdict.found["unexpected"] += [
        f"the product has order {row['id']} ({row['client_order_id']}, {row['status']}), which nobody asked for"
        for row in product.orders
        if row["client_order_id"] not in asked_for
    ]
    return verdict


def fold(journal: Iterable[Row]) -> list[tuple[tuple[str, Decimal], AtVenue]]:
    """Return every order of ours that the venue accepted, by symbol and quantity, with its end."""
    by_id: dict[tuple[str, str], AtVenue] = {}
    accepted = []
    for row in journal:
        if row["kind"] == "accepted" and row.get("origin") != "external":
            order = AtVenue(
                str(row["order_id"]), row["client_order_id"], int(row["at"]), int(row.get("received_at", row["at"])),
                Decimal(row["quantity"]),
            )  # fmt: skip
            by_id[(row["symbol"], order.order_id)] = order
            accepted.append(((row["symbol"], order.quantity), order))
        elif row["kind"] in ("filled", "cancelled", "expired"):
            known = by_id.get((row["symbol"], str(row["order_id"])))
            if known is None:
                continue
            if row["kind"] == "filled":
                known.executed += Decimal(row["quantity"])
                known.status = "filled" if known.executed >= known.quantity else "partially_filled"
            else:
                known.status = row["kind"]
    return accepted


def is_settled(order: Row, parked: set[str]) -> bool:
    """Say whether an order has ended, rests, or waits for a person, with no change of it under way."""
    if order["id"] in parked:
        return True
    return order["status"] in ENDED or (order["status"] in RESTING and order["mutation"] == "none")


def _judge_intent(verdict: Verdict, history: History, order: Row | None, intent: str, accepted: list[AtVenue]) -> None:
    executed = sum((one.executed for one in accepted), Decimal(0))
    if len(accepted) > 1 or any(executed > one.quantity for one in accepted):
        ids = ", ".join(one.order_id for one in accepted)
        verdict.found["duplicated"].append(f"{intent}: accepted {len(accepted)} times ({ids}), {executed} executed")
    if order is None:
        if accepted:
            verdict.found["unexpected"].append(f"{intent}: {accepted[0].order_id} at the venue, not in the product")
        return
    if intent not in history.acknowledged:
        verdict.recovered.append(intent)
    before = len(verdict.found["wrong"])
    _judge_word(verdict, order, intent, accepted, executed)
    is_right = len(verdict.found["wrong"]) == before and len(accepted) <= 1
    if is_right and intent in history.acknowledged and is_settled(order, set()):
        verdict.ok += 1


def _judge_word(verdict: Verdict, order: Row, intent: str, accepted: list[AtVenue], executed: Decimal) -> None:
    status, filled = order["status"], order["filled_quantity"]
    if status not in ENDED | RESTING:
        return  # it says nothing final; that is unresolved, not wrong
    theirs = accepted[-1].status if accepted else "never accepted"
    agrees = (
        (status in NEVER_LIVE and not accepted)
        or (status == theirs)
        or (status in ENDED_AT_VENUE and theirs in ENDED_AT_VENUE)
        or (status == "cancelled" and not accepted and not order["was_sent"])
    )
    if not agrees or filled != executed:
        verdict.found["wrong"].append(
            f"{intent} ({order['id']}): the product says {status}, {filled} filled; the venue {theirs}, {executed} filled"
        )


def _judge_attempts(
    verdict: Verdict, product: Product, venue: Venue, accepted: dict[str, list[AtVenue]], by_intent: Mapping[str, Row]
) -> None:
    submits = [row for row in product.attempts if row["action"] == "submit" and row["account"] == venue.account]
    by_client_id = {row["venue_client_id"]: row for row in submits}
    by_order: dict[str, list[Row]] = defaultdict(list)
    for row in submits:
        by_order[row["order"]].append(row)
    grants = {(grant["account"], grant["epoch"]): grant["at"] for grant in product.grants}
    for intent, orders in accepted.items():
        for at_venue in orders:
            attempt: Row | None = by_client_id.get(at_venue.client_id) if at_venue.client_id else None
            if attempt is None:
                attempts = by_order[by_intent[intent]["id"]] if intent in by_intent else []
                sent = [a for a in attempts if a["outcome"] not in ("not_sent", "rejected")]
                attempt = sent[-1] if sent else None
            if attempt is None:
                verdict.found["unexpected"].append(
                    f"{intent}: {at_venue.order_id} at the venue without a stored attempt"
                )
                continue
            if attempt["committed_at"] is not None and at_venue.received_at < attempt["committed_at"]:
                verdict.found["sent_before_commit"].append(f"{intent}: attempt {attempt['id']}")
            granted_at = grants.get((venue.account, attempt["epoch"] + 1))
            if granted_at is not None and at_venue.at > granted_at:
                late = f"{intent}: signed under epoch {attempt['epoch']}, accepted {at_venue.at - granted_at} µs after the next"
                (verdict.found["stale_accepts"] if venue.has_window else verdict.late_accepts).append(late)


def _judge_fills(verdict: Verdict, product: Product, venue: Venue) -> None:
    theirs = Counter(_fill(row, "order_id") for row in venue.journal if row["kind"] == "filled")
    ours = Counter(_fill(row, "venue_order_id") for row in product.fills if row["account"] == venue.account)
    verdict.fills += sum(theirs.values())
    verdict.found["fills_missing"] += [f"{venue.account}: {key}" for key in (theirs - ours).elements()]
    verdict.found["fills_invented"] += [f"{venue.account}: {key}" for key in (ours - theirs).elements()]


def _judge_balances(verdict: Verdict, product: Product, venue: Venue) -> None:
    running = running_funding(venue.journal)
    ours = {asset: total for (account, asset), total in product.balances.items() if account == venue.account}
    for asset in sorted({*ours, *venue.balances}):
        theirs, total = venue.balances.get(asset, Decimal(0)) - running[asset], ours.get(asset, Decimal(0))
        if theirs != total:
            verdict.found["balances_differ"].append(f"{venue.account} {asset}: venue {theirs}, ledger {total}")


def running_funding(journal: Iterable[Row]) -> dict[str, Decimal]:
    """Return what the running session has paid out and taken, by asset: it becomes the account's when the venue settles."""
    running: dict[tuple[str, str], Decimal] = {}
    for row in journal:
        if row["kind"] == "settled":
            running.pop((row["asset"], row["symbol"]), None)
        elif row["kind"] == "funded":
            key = (row["asset"], row["symbol"])
            running[key] = running.get(key, Decimal(0)) + Decimal(row["amount"])
    total: dict[str, Decimal] = defaultdict(Decimal)
    for (asset, _), amount in running.items():
        total[asset] += amount
    return total


def _judge_acknowledged(verdict: Verdict, history: History, product: Product) -> None:
    by_id = {row["id"]: row for row in product.orders}
    parked = {row["order"] for row in product.letters if row["status"] == "open"}
    for intent, order_id in history.acknowledged.items():
        order = by_id.get(order_id)
        if order is None:
            verdict.found["lost"].append(f"{intent}: {order_id} was acknowledged and is not there")
        elif order["client_order_id"] != intent:
            verdict.found["lost"].append(f"{intent}: {order_id} stands for {order['client_order_id']}")
        elif not is_settled(order, parked):
            verdict.found["lost"].append(f"{intent}: {order_id} is {order['status']}, {order['mutation']}")


def _judge_letters(verdict: Verdict, product: Product) -> None:
    parked = {row["order"] for row in product.letters if row["status"] == "open"}
    for row in product.letters:
        if row["status"] == "open":
            verdict.found["unresolved"].append(f"dead letter {row['id']} of order {row['order']} ({row['cause']})")
        elif row["by_person"]:
            verdict.settled_by_person += 1
    for attempt in product.attempts:
        if attempt["outcome"] in ("", "unknown") and not attempt["is_resolved"]:
            if attempt["order"] not in parked:
                verdict.found["unresolved"].append(
                    f"attempt {attempt['id']} ({attempt['action']}) of {attempt['order']}"
                )
        elif attempt["outcome"] == "unknown":
            verdict.settled_by_evidence += 1
    verdict.settled_by_evidence -= verdict.settled_by_person


def _key(row: Row) -> Key:
    return row["account"], row["symbol"], Decimal(row["quantity"])


def _fill(row: Row, order_key: str) -> tuple[object, ...]:
    # What a trade of a contract is worth is never paid, and no venue states it: only spot has a cost.
    cost = Decimal(0) if ":" in row["symbol"] else Decimal(row["cost"])
    return (
        row["symbol"], str(row["trade_id"]), row["side"], Decimal(row["quantity"]), Decimal(row["price"]), cost, Decimal(row["fee"]), row["fee_asset"], row["liquidity"], str(row[order_key]),
    )  # fmt: skip

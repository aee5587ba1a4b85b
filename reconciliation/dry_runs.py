"""What a rule would have done to the breaks of the past days. Reads only; the result is kept with its hash."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from orders import valuation
from orders.valuation import Price
from project.lib import audit, clock, decimals, feed, signing
from reconciliation import rules
from reconciliation.models import Break, BreakEvent, DryRun, Rule
from reconciliation.tolerance import Allowance, Case, is_within, judging

DAYS, DAYS_MAX = 30, 365
BREAKS_MAX = 20_000
LISTED_MAX = 100
TOLERATED, CLOSED, OUTSIDE, ELSEWHERE = "tolerated", "closed", "outside", "judged_elsewhere"
GROUPS = (TOLERATED, CLOSED, OUTSIDE, ELSEWHERE)


def run(rule: Rule, actor: str, days: int = DAYS) -> DryRun:
    """Work out what a version would have done to the breaks first seen in the past days, and keep it.

    A break counts by the largest difference it ever showed. `days` is bounded by DAYS_MAX; of more than BREAKS_MAX breaks
    the newest are looked at, which the result says.
    """
    days = max(1, min(days, DAYS_MAX))
    result = result_of(rule, days)
    digest = signing.digest({"rule": rules.definition(rule), "result": result})
    with feed.transaction():
        made = DryRun.objects.create(rule=rule, days=days, result=result, digest=digest, run_by=actor)
        counts = {name: result["groups"][name]["count"] for name in GROUPS}
        audit.record(actor, "rule.dry_run", f"{rule.code} v{rule.version}", {"digest": made.digest, **counts})
        feed.announce("rules", "rule.dry_run", rule.id, data={"code": rule.code, "version": rule.version})
    return made


def result_of(rule: Rule, days: int) -> dict[str, Any]:
    """Return counts, sums in USD and the breaks themselves (LISTED_MAX of each group, the most valuable first)."""
    now = clock.now()
    candidate = rules.allowance(rule)
    others = [each for each in rules.active() if each.code != rule.code]
    found = Break.objects.select_related("account").filter(
        first_seen_at__gte=now - timedelta(days=days), kind__in=candidate.kinds or rules.TOLERABLE
    )
    sort, _, name = rule.scope.partition(":")
    if sort != "global":
        found = found.filter(**{{"venue": "account__venue_id", "account": "account_id"}[sort]: name})
    rows = list(found.order_by("-first_seen_at", "id")[: BREAKS_MAX + 1])
    is_cut, rows = len(rows) > BREAKS_MAX, rows[:BREAKS_MAX]
    largest, prices = _largest(rows), _prices_now(rows)
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        case = _case(row, largest.get(row.id, abs(row.delta) if row.delta is not None else None), prices)
        if candidate.asset and candidate.asset != case.asset:
            continue
        groups[_group(candidate, others, case)].append(_line(row, case))
    return {
        "from": (now - timedelta(days=days)).isoformat(timespec="seconds"), "to": now.isoformat(timespec="seconds"),
        "days": days, "is_cut": is_cut, "looked_at": sum(len(lines) for lines in groups.values()),
        "groups": {name: _told(groups[name]) for name in GROUPS},
    }  # fmt: skip


def _group(candidate: Allowance, others: Iterable[Allowance], case: Case) -> str:
    if judging([*others, candidate], case, rules.TOLERABLE) is not candidate:
        return ELSEWHERE
    if case.kind in rules.TOLERABLE and is_within(candidate, case):
        return CLOSED if candidate.action == Rule.Action.CLOSE else TOLERATED
    return OUTSIDE


def _largest(rows: list[Break]) -> dict[Any, Decimal]:
    """Return the largest difference each break ever showed: what it was on the way counts as well."""
    found = {row.id: abs(row.delta) for row in rows if row.delta is not None}
    events = BreakEvent.objects.filter(discrepancy__in=list(found), kind__in=["suspected", "changed"])
    for key, detail in events.values_list("discrepancy_id", "detail"):
        delta = _number(detail.get("delta"))
        if delta is None and (ours := _number(detail.get("ours"))) is not None:
            theirs = _number(detail.get("theirs"))
            delta = None if theirs is None else theirs - ours
        if delta is not None:
            found[key] = max(found[key], abs(delta))
    return found


def _prices_now(rows: list[Break]) -> dict[str, Price]:
    # Breaks that were never valued are valued at the prices of now: those of then are not kept.
    return valuation.prices_usd({_asset(row) for row in rows if row.severity_usd is None and row.delta is not None})


def _asset(row: Break) -> str:
    return str(row.tolerance.get("asset") or row.asset)


def _case(row: Break, amount: Decimal | None, prices: Mapping[str, Price]) -> Case:
    usd, price = row.severity_usd, prices.get(_asset(row))
    if usd is None and amount is not None and price is not None:
        return _valued(row, amount, amount * price.value)
    if usd is not None and amount and row.delta:
        usd = usd * amount / abs(row.delta)
    return _valued(row, amount, usd)


def _valued(row: Break, amount: Decimal | None, usd: Decimal | None) -> Case:
    total = _number(row.tolerance.get("total"))
    if total is None and row.kind in (Break.Kind.BALANCE, Break.Kind.POSITION):
        total = _number(row.ours)
    return Case(
        kind=row.kind, account=row.account_id, venue=row.account.venue_id, asset=_asset(row),
        amount=amount, total=total, usd=usd,
    )  # fmt: skip


def _line(row: Break, case: Case) -> dict[str, Any]:
    return {
        "break": str(row.id), "account": row.account_id, "kind": row.kind, "subject": row.subject, "status": row.status,
        "amount": decimals.write(case.amount), "asset": case.asset, "first_seen_at": row.first_seen_at.isoformat(timespec="seconds"),
        "usd": None if case.usd is None else f"{case.usd:.2f}",
    }  # fmt: skip


def _told(lines: list[dict[str, Any]]) -> dict[str, Any]:
    known = [Decimal(line["usd"]) for line in lines if line["usd"] is not None]
    lines.sort(key=lambda line: Decimal(line["usd"] or 0), reverse=True)
    return {
        "count": len(lines), "usd": f"{sum(known, Decimal(0)):.2f}", "without_price": len(lines) - len(known),
        "breaks": lines[:LISTED_MAX],
    }  # fmt: skip


def _number(text: object) -> Decimal | None:
    try:
        number = Decimal(str(text)) if text not in (None, "") else None
    except InvalidOperation:
        return None
    return number if number is None or number.is_finite() else None

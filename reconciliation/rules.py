"""Rules for differences as versioned rows: draft, active, retired. A version never changes; none is active unless a person chose it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Max, Q

from project.lib import audit, clock, decimals, feed
from reconciliation import facts, severity
from reconciliation.models import Break, DryRun, Rule
from reconciliation.severity import Verdict
from reconciliation.tolerance import Allowance, Case, is_within, is_young, judging, passes_at
from venues.models import Account, Venue

Kind = Break.Kind
# Of these the delta says all there is to say; an order or a trade that is missing is never too small to be missing.
TOLERABLE = frozenset({
    Kind.BALANCE, Kind.POSITION, Kind.FEE_DIFFERS, Kind.BALANCE_FROZEN, Kind.STREAM_DIFFERS, Kind.TRANSFER_DIFFERS,
})  # fmt: skip
# What two reads in a row find; what an owner recorded as a fact is open at once and needs no time.
COMPARED = frozenset(Kind.values) - {
    Kind.LATE_FILL, Kind.OVERFILL, Kind.ILLEGAL_TRANSITION, Kind.UNREADABLE, Kind.DELAYED_FILL,
    Kind.ACKNOWLEDGED_THEN_DENIED, Kind.THROTTLED_IN_MOVE,
}  # fmt: skip
GRACE_SECONDS_MAX = 3600
DRY_RUN_VALID = timedelta(hours=24)
# Offered on the page, never active by themselves: what they would hide is for a person to see first.
TEMPLATES: tuple[dict[str, Any], ...] = (
    {"code": "dust", "action": "tolerate", "kinds": ["balance"], "usd": "1", "reason": "Rests of rounding worth a dollar or less."},
    {"code": "rounding", "action": "tolerate", "kinds": ["balance"], "absolute": "0.00000001", "reason": "The last digit a venue shows of a total."},
    {"code": "fee-rounding", "action": "close", "kinds": ["fee_differs"], "basis_points": "1", "reason": "Fees rounded otherwise by the venue."},
    {"code": "slow-positions", "action": "tolerate", "kinds": ["position"], "grace_seconds": 120, "reason": "A venue that counts positions late."},
)  # fmt: skip


class Refused(Exception):
    """The rule was not made or changed; the text says why and what to do, for a person."""


@dataclass(frozen=True)
class Judgement:
    """What the rules say of a difference: which one judged it, whether it is within, and what it is worth."""

    rule: Allowance | None
    within: bool
    case: Case
    verdict: Verdict

    @property
    def is_tolerated(self) -> bool:
        """Whether no break is to be made of it."""
        return bool(self.within and self.rule and self.rule.action == Rule.Action.TOLERATE)

    @property
    def is_closed(self) -> bool:
        """Whether an open break of it is to be closed by the rule."""
        return bool(self.within and self.rule and self.rule.action == Rule.Action.CLOSE)

    def is_young(self, first_seen_at: Any) -> bool:
        """Whether the rule gives it more time before it counts."""
        return bool(self.rule and self.rule.grace_seconds and is_young(self.rule, first_seen_at, clock.now()))

    def tolerance(self) -> dict[str, Any]:
        """Return what a break keeps of it: the rule, what it allows, and at what the difference would pass."""
        told = {name: decimals.write(value) for name, value in passes_at(self.case).items()}
        allowed = {} if self.rule is None else {
            "absolute": decimals.write(self.rule.absolute), "basis_points": decimals.write(self.rule.basis_points),
            "usd": decimals.write(self.rule.usd), "grace_seconds": self.rule.grace_seconds, "action": self.rule.action,
        }  # fmt: skip
        return {
            "rule": self.rule.name if self.rule else "", "allowed": allowed, "passes_at": told, "within": self.within,
            "asset": self.case.asset, "total": decimals.write(self.case.total), "may_be_tolerated": self.case.kind in TOLERABLE,
        }  # fmt: skip


def allowance(rule: Rule) -> Allowance:
    """Return a rule as the value that tolerance goes by."""
    return Allowance(
        id=str(rule.id), code=rule.code, version=rule.version, action=rule.action, kinds=frozenset(rule.kinds), scope=rule.scope,
        asset=rule.asset, absolute=rule.absolute, basis_points=rule.basis_points, usd=rule.usd,
        grace_seconds=rule.grace_seconds, active_from=rule.active_from,
    )  # fmt: skip


def active() -> list[Allowance]:
    """Return the rules in force, in one query."""
    return [allowance(rule) for rule in Rule.objects.filter(active_from__isnull=False, retired_at=None)]


def judge_all(account: Account, differences: Mapping[str, facts.Difference]) -> dict[str, Judgement]:
    """Judge differences of an account by the rules in force: three queries at most, none for none."""
    if not differences:
        return {}
    in_force, prices = active(), severity.prices_for(differences.values(), account.venue_id)
    return {
        name: judged(account.code, account.venue_id, difference, severity.judge(difference, prices), in_force)
        for name, difference in differences.items()
    }


def judged(
    account: str, venue: str, difference: facts.Difference, verdict: Verdict, in_force: Iterable[Allowance]
) -> Judgement:
    """Judge one difference."""
    case = Case(
        kind=difference.kind, account=account, venue=venue, asset=difference.unit or difference.asset,
        amount=difference.delta, total=difference.total, usd=verdict.exact_usd,
    )  # fmt: skip
    rule = judging(in_force, case, TOLERABLE)
    return Judgement(rule, rule is not None and case.kind in TOLERABLE and is_within(rule, case), case, verdict)


def draft(values: Mapping[str, Any], actor: str) -> Rule:
    """Write down a new version of a rule as a draft, which only dry runs use.

    `values`: code, action, kinds, scope, asset, absolute, basis_points, usd (Decimals or None), grace_seconds, reason.
    Raises Refused.
    """
    _check(values)
    with feed.transaction():
        # The versions of a code are counted one at a time.
        list(Rule.objects.select_for_update(no_key=True).filter(code=values["code"]).order_by("id"))
        newest = Rule.objects.filter(code=values["code"]).aggregate(newest=Max("version"))["newest"] or 0
        rule = Rule.objects.create(**values, version=newest + 1, created_by=actor)
        _record(rule, actor, "rule.draft")
    return rule


def activate(rule: Rule, actor: str, dry_run_digest: str) -> Rule:
    """Put a version in force and retire the one before it, in one transaction.

    `dry_run_digest` names the dry run of exactly this version that the person has looked at. Raises Refused.
    """
    with feed.transaction():
        versions = list(Rule.objects.select_for_update(no_key=True).filter(code=rule.code).order_by("id"))
        row = next(each for each in versions if each.pk == rule.pk)
        _may_be_activated(row, versions, dry_run_digest)
        now = clock.now()
        for older in versions:
            if older.active_from and older.retired_at is None:
                older.retired_at, older.retired_by = now, actor
                older.save(update_fields=["retired_at", "retired_by"])
                _record(older, actor, "rule.retire")
        row.active_from = now
        row.save(update_fields=["active_from"])
        _record(row, actor, "rule.activate", {"dry_run": dry_run_digest})
    return row


def retire(rule: Rule, actor: str) -> Rule:
    """End a rule or put a draft away; what it tolerates is a difference again at the next read. Raises Refused."""
    with feed.transaction():
        row = Rule.objects.select_for_update(no_key=True).get(pk=rule.pk)
        if row.retired_at:
            raise Refused(f"{row.code} v{row.version} is retired already")
        row.retired_at, row.retired_by = clock.now(), actor
        row.save(update_fields=["retired_at", "retired_by"])
        _record(row, actor, "rule.retire")
    return row


def definition(rule: Rule) -> dict[str, Any]:
    """Return everything that makes a version what it is, for the audit and for hashes."""
    return {
        "code": rule.code, "version": rule.version, "action": rule.action, "kinds": sorted(rule.kinds), "scope": rule.scope,
        "asset": rule.asset, "absolute": decimals.write(rule.absolute), "basis_points": decimals.write(rule.basis_points),
        "usd": decimals.write(rule.usd), "grace_seconds": rule.grace_seconds,
    }  # fmt: skip


def status(rule: Rule) -> str:
    """Return draft, active or retired."""
    return "retired" if rule.retired_at else "active" if rule.active_from else "draft"


def _check(values: Mapping[str, Any]) -> None:
    bounds: list[Decimal] = [values[name] for name in ("absolute", "basis_points", "usd") if values[name] is not None]
    if any(bound < 0 for bound in bounds):
        raise Refused("a bound cannot be less than zero")
    if not bounds and not values["grace_seconds"]:
        raise Refused("it allows nothing: give an absolute bound, basis points, a value in USD, or a time of grace")
    if not bounds and values["action"] == Rule.Action.CLOSE:
        raise Refused("a rule that closes needs a bound; time alone closes nothing")
    if values["grace_seconds"] > GRACE_SECONDS_MAX:
        raise Refused(f"a difference may wait {GRACE_SECONDS_MAX} seconds at most before it counts")
    allowed = TOLERABLE if bounds else COMPARED
    wrong = sorted(set(values["kinds"]) - allowed)
    if wrong:
        raise Refused(
            f"{', '.join(wrong)}: no amount of these is small enough to pass. A rule with bounds may name "
            f"{', '.join(sorted(TOLERABLE))}"
        )
    if not values["reason"].strip():
        raise Refused("say why, in a sentence")
    sort, _, name = values["scope"].partition(":")
    exists = {"venue": Venue.objects.filter(pk=name), "account": Account.objects.filter(pk=name)}.get(sort)
    if not (values["scope"] == "global" or (exists is not None and exists.exists())):
        raise Refused(f"there is no scope {values['scope']!r}: write global, venue:<code> or account:<code>")


def _may_be_activated(row: Rule, versions: Iterable[Rule], digest: str) -> None:
    if row.retired_at:
        raise Refused(f"{row.code} v{row.version} is retired; write a new version")
    if row.active_from:
        raise Refused(f"{row.code} v{row.version} is active already")
    if any(each.version > row.version and each.active_from for each in versions):
        raise Refused("a newer version has been active; write a new version from this one")
    run = DryRun.objects.filter(rule=row, digest=digest).order_by("-run_at").first() if digest else None
    if run is None:
        raise Refused("look at a dry run of exactly this version first: it shows what would have been let pass")
    if run.run_at < clock.now() - DRY_RUN_VALID:
        raise Refused("that dry run is older than 24 hours; run it again and look at it")


def _record(rule: Rule, actor: str, action: str, detail: dict[str, Any] | None = None) -> None:
    audit.record(
        actor, action, f"{rule.code} v{rule.version}", {**definition(rule), "reason": rule.reason, **(detail or {})}
    )
    feed.announce("rules", action, rule.id, data={"code": rule.code, "version": rule.version, "status": status(rule)})


def scopes() -> list[str]:
    """Return every scope a rule can have."""
    venues = [f"venue:{code}" for code in Venue.objects.order_by("code").values_list("code", flat=True)]
    return [
        "global",
        *venues,
        *(f"account:{c}" for c in Account.objects.order_by("code").values_list("code", flat=True)),
    ]


def listed(filters: Mapping[str, str]) -> Any:
    """Return rules: those in force and the drafts, or all versions with `tab=all`."""
    found = Rule.objects.order_by("code", "-version")
    return found if filters.get("tab") == "all" else found.filter(Q(retired_at=None))

"""What a venue's score and the detectors give cause for: the watchdog asks, the rules a person chose decide."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from orders.detectors import DETECTED_ON
from orders.models import Anomaly
from risk import reactions
from risk.models import Firing, Reaction
from venues import standing
from venues.standing import Standing

DETECTED_SECONDS = 60


def check(now: datetime) -> list[Firing]:
    """Apply the rules in force to how things stand; return what fired."""
    rules = reactions.in_force()
    if not rules and not reactions.standing().exists():
        return []
    return reactions.apply([*_scores(rules, now), *_detections(rules, now)], now)


def _scores(rules: list[Reaction], now: datetime) -> Iterator[reactions.Cause]:
    by_score = [rule for rule in rules if rule.trigger == Reaction.Trigger.SCORE]
    stands = standing.standings(now=now) if by_score else {}
    for rule in by_score:
        for code, one in stands.items():
            points = one.score.points
            # without points nobody measures, or it is in maintenance: both are said elsewhere, and neither is a score
            if rule.venue_id in (None, code) and points is not None and points < (rule.threshold or 0):
                text = f"{code} scores {points}, below {rule.threshold}: {_why(one)}"
                yield reactions.Cause(
                    reaction=rule, venue=code, account="", scope=f"venue:{code}", text=text[:250],
                    evidence={"points": points, "reasons": [reason._asdict() for reason in one.score.reasons]},
                )  # fmt: skip


def _detections(rules: list[Reaction], now: datetime) -> Iterator[reactions.Cause]:
    by_kind = [rule for rule in rules if rule.trigger in DETECTED_ON]
    if not by_kind:
        return
    since = now - timedelta(seconds=DETECTED_SECONDS)
    seen = Anomaly.objects.filter(kind__in={rule.trigger for rule in by_kind}, seen_at__gt=since)
    rows = list(seen.select_related("account").order_by("-seen_at", "-id"))
    for rule in by_kind:
        told = set()
        for row in rows:
            account = row.account
            if row.kind != rule.trigger or rule.venue_id not in (None, account.venue_id) or account.code in told:
                continue
            told.add(account.code)
            yield reactions.Cause(
                reaction=rule, venue=account.venue_id, account=account.code, scope=f"account:{account.code}",
                text=f"{account.venue_id}: {rule.get_trigger_display()} ({row.subject})"[:250],
                evidence={"anomaly": row.pk, "data": row.data},
            )  # fmt: skip


def _why(one: Standing) -> str:
    return "; ".join(reason.text for reason in one.score.reasons) or "no reason was given"

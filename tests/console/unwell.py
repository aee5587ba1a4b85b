"""A venue that does badly: measured, in the samples of two hours, with a case to classify, a window and a reaction."""

from __future__ import annotations

from datetime import timedelta

from orders import error_cases
from orders.models import Anomaly, Order
from project.lib import clock
from risk import reactions
from tests import factories
from venues import decisions, maintenance, standing
from venues.models import Account, ChannelHealth, HealthSample


def unwell(account: Account) -> None:
    """Make it so."""
    now = clock.now()
    for capability in ("submit", "cancel", "query", "stream"):
        ChannelHealth.objects.update_or_create(
            account=account, capability=capability,
            defaults={"recent_requests": 40, "updated_at": now, "heard_at": now, "latency_ms_p50": 38.0,
                      "latency_ms_p95": 120.0, "latency_ms_p99": 410.0, "clock_offset_ms": 180},
        )  # fmt: skip
    ChannelHealth.objects.filter(account=account, capability="submit").update(
        recent_errors=7, latency_ms_p95=1_350.0, detections={"acknowledged_then_denied": 1}, clock_offset_ms=-740
    )
    for minute in range(1, 120):
        dip = 55 if 40 < minute < 58 else 0
        HealthSample.objects.create(
            venue=account.venue,
            at=now - timedelta(minutes=120 - minute),
            state="measured",
            points=95 - minute % 7 - dip,
        )
    standing.sample()
    maintenance.plan(
        venue=account.venue_id, starts_at=now + timedelta(hours=5), ends_at=now + timedelta(hours=7),
        reason="announced: upgrade of the matching engine", actor="oona",
    )  # fmt: skip
    rule = reactions.make(
        venue="", trigger="score_below", threshold=60, action="alert", release="calm", reason="look before it hurts",
        actor="ria",
    )  # fmt: skip
    cause = reactions.Cause(
        reaction=rule, venue=account.venue_id, account="", scope=f"venue:{account.venue_id}", evidence={"points": 35},
        text=f"{account.venue_id} scores 35, below 60: submit: 17 % of its requests failed in the last minute",
    )  # fmt: skip
    reactions.apply([cause], now)
    _case(account)


def _case(account: Account) -> None:
    seen = {
        "operation": "submit", "venue_code": "-4192", "message": "Order placement is temporarily restricted for this symbol.",
        "http_status": 400, "exception_class": "ExchangeError", "outcome": "unknown", "code": "OUTCOME_UNKNOWN",
    }  # fmt: skip
    order = Order.objects.filter(account=account, status="unknown").first()
    order = order or factories.OrderFactory(account=account, status="unknown")
    Anomaly.objects.create(account=account, order=order, kind="unclassified_answer", subject=str(order.pk), data=seen)
    error_cases.gather()
    decisions.make(
        family="kraken", operation="any", venue_code="EService:Busy", ruling="not_sent", is_transient=True,
        note="their status page: nothing is executed when busy", actor="ria",
    )  # fmt: skip

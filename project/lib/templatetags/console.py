"""Template filters of the pages: figures a person reads, tones as one table, JSON as text."""

from __future__ import annotations

import json
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from django import template

register = template.Library()
DECIMALS_SHOWN = 8
_DUST = Decimal(1).scaleb(-DECIMALS_SHOWN)

# Colour of a state word; order states have colours of their own (badge.css).
TONES: dict[str, str] = {
    "new": "muted", "probing": "accent", "recovering": "accent", "ready": "ok", "reducing": "warn", "halted": "danger",
    "disabled": "muted",
    "closed": "ok", "half_open": "warn", "open": "danger",
    "suspected": "warn", "investigating": "danger", "resolved": "ok",
    "queued": "muted", "running": "accent", "done": "ok", "partial": "warn", "failed": "danger",
    "accepted": "ok", "rejected": "warn", "not_sent": "muted", "unknown": "unknown", "": "accent",
    "proved": "ok", "stale": "warn", "never": "muted", "unsupported": "muted", "good": "ok",
}  # fmt: skip
EVENT_TONES: dict[str, str] = {
    "unknown": "unknown", "illegal_transition": "danger", "late_fill": "danger", "denied": "warn", "rejected": "warn",
    "fill": "ok", "filled": "ok", "cancelled": "muted", "expired": "muted", "lookup_failed": "warn",
}  # fmt: skip


@register.filter
def figure(number: Decimal | None) -> str:
    """Write an amount with thousands separated and at most eight decimals; dust is called dust, nothing is a dash."""
    if number is None:
        return "—"
    if number != 0 and abs(number) < _DUST:
        return f"{'−' if number < 0 else ''}<{_DUST:f}"
    whole = format(number.quantize(_DUST, ROUND_HALF_EVEN), ",f").rstrip("0").rstrip(".")
    return whole.replace("-", "−") if whole not in {"", "-0"} else "0"


@register.filter
def signed(number: Decimal | None) -> str:
    """Write an amount with its sign, so that colour is never the only difference."""
    text = figure(number)
    return f"+{text}" if number is not None and number > 0 else text


@register.filter
def tone(state: str) -> str:
    """Return the tone of a state word."""
    return TONES.get(str(state), "muted")


@register.filter
def event_tone(kind: str) -> str:
    """Return the tone of a kind of event."""
    return EVENT_TONES.get(str(kind), "accent")


@register.filter
def json_text(value: Any) -> str:
    """Write JSON for reading."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, default=str)


@register.filter
def headline(code: str) -> str:
    """Turn a code such as order_missing_at_venue into words with a capital first."""
    return str(code).replace("_", " ").replace(".", " ").capitalize()


@register.filter
def share(part: Decimal, whole: Decimal) -> int:
    """Return part of whole in percent, 0 to 100."""
    return int(min(max(part / whole * 100, Decimal(0)), Decimal(100))) if whole else 0


@register.filter
def get(mapping: Any, key: Any) -> Any:
    """Return an entry of a mapping, or nothing."""
    return mapping.get(key) if mapping else None


@register.filter
def words_of(text: str) -> list[str]:
    """Split a text at its spaces, for a loop over fixed names."""
    return text.split()


@register.filter
def evidence_result(item: dict[str, Any]) -> str:
    """Say whether a piece of evidence found the thing, found it absent, or could not tell."""
    text = f"{item.get('answer', '')} {item.get('result', '')}".lower()
    if any(word in text for word in ("fail", "timeout", "error", "no answer", "could not", "not read")):
        return "failed"
    return (
        "absent" if any(word in text for word in ("absent", "not found", "not there", "none", "no such")) else "found"
    )


@register.filter
def clock_of(text: str) -> str:
    """Shorten an ISO time inside stored JSON to UTC hours, minutes and seconds."""
    return f"{str(text)[11:19]} UTC" if len(str(text)) > 18 else str(text)


@register.filter
def short(text: Any) -> str:
    """Shorten a long id to its two ends; the whole is copied on click."""
    whole = str(text)
    return f"{whole[:8]}…{whole[-4:]}" if len(whole) > 20 else whole


@register.filter
def said(detail: dict[str, Any]) -> str:
    """Return the words a person left with a decision."""
    return str(detail.get("reason") or detail.get("text") or detail.get("owner") or "")


@register.filter
def told(detail: dict[str, Any]) -> str:
    """Write the detail of an audit entry on one line; what is empty is left out."""
    shown = {name: value for name, value in detail.items() if value not in ("", None, [], {})}
    return " · ".join(f"{name.replace('_', ' ')}: {value}" for name, value in shown.items())

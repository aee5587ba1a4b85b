"""Template filters of the pages: figures a person reads, tones as one table, JSON as text."""

from __future__ import annotations

import json
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from django import template

from project.lib import decimals

register = template.Library()
DECIMALS_SHOWN = 8
_DUST = Decimal(1).scaleb(-DECIMALS_SHOWN)

# Colour of a state word; order states have colours of their own (badge.css).
TONES: dict[str, str] = {
    "new": "muted", "probing": "accent", "recovering": "accent", "ready": "ok", "reducing": "warn", "halted": "danger",
    "disabled": "muted",
    "closed": "ok", "half_open": "warn", "open": "danger",
    "suspected": "warn", "investigating": "danger", "resolved": "ok", "waiting_for_venue": "warn", "awaiting_approval": "warn",
    "pending": "warn", "approved": "ok", "refused": "danger", "withdrawn": "muted", "outdated": "muted",
    "queued": "muted", "running": "accent", "done": "ok", "partial": "warn", "failed": "danger",
    "accepted": "ok", "rejected": "warn", "not_sent": "muted", "unknown": "unknown", "": "accent",
    "live": "ok", "catching_up": "warn", "down": "danger",
    "proved": "ok", "stale": "warn", "never": "muted", "unsupported": "muted", "good": "ok",
}  # fmt: skip
EVENT_TONES: dict[str, str] = {
    "unknown": "unknown", "illegal_transition": "danger", "late_fill": "danger", "denied": "warn", "rejected": "warn",
    "fill": "ok", "filled": "ok", "cancelled": "muted", "expired": "muted", "lookup_failed": "warn",
    "book_stale": "warn", "book_fresh": "ok",
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
def grouped(text: str | None) -> str | None:
    """Write the numbers of a text to the last digit, with thousands apart; None stays None, for default_if_none."""
    return None if text is None else decimals.grouped(text)


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
    """Return the words a person left with a decision, and what it set."""
    words = [str(detail[name]) for name in ("reason", "text", "asked", "owner", "team", "cause") if detail.get(name)]
    words += [f"until {str(detail['until'])[:16].replace('T', ' ')} UTC"] if detail.get("until") else []
    words += [f"{detail['remaining']} remaining"] if detail.get("remaining") is not None else []
    words += [f"now {detail['delta']}"] if detail.get("delta") and "ours" in detail else []
    return " · ".join(words)


@register.filter
def told(detail: dict[str, Any]) -> str:
    """Write the detail of an audit entry on one line; what is empty is left out."""
    shown = {name: value for name, value in detail.items() if value not in ("", None, [], {})}
    return " · ".join(f"{name.replace('_', ' ')}: {value}" for name, value in shown.items())


@register.filter
def outcome_tone(outcome: str) -> str:
    """Return the tone of what became of one of many."""
    return {"would": "accent", "done": "ok", "skipped": "warn", "failed": "danger"}.get(str(outcome), "muted")


@register.filter
def outcome_label(outcome: str) -> str:
    """Return the word for what became or would become of one of many."""
    return "Would change" if outcome == "would" else str(outcome).capitalize()


@register.filter
def score_tone(points: int | None) -> str:
    """Return the tone of a score: only a good one is green, and none at all is not."""
    if points is None:
        return "muted"
    return "ok" if points >= 80 else "warn" if points >= 50 else "danger"


@register.filter
def duration(seconds: Decimal | None) -> str:
    """Write a time in its two largest units: 42 s, 3 min 5 s, 2 h 10 min, 4 d 3 h."""
    if seconds is None:
        return "—"
    whole = int(seconds)
    units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")]
    first = next((index for index, (size, _) in enumerate(units) if whole >= size), 3)
    parts, rest = [], whole
    for size, name in units[first : first + 2]:
        parts.append(f"{rest // size} {name}")
        rest %= size
    return " ".join(part for index, part in enumerate(parts) if index == 0 or not part.startswith("0 "))


@register.filter
def spark(samples: list[Any]) -> str:
    """Return the points of a line through the samples' scores, 240 wide and 40 high; minutes without one are left out."""
    width = 240 / max(len(samples) - 1, 1)
    drawn = [(number, sample.points) for number, sample in enumerate(samples) if sample.points is not None]
    return " ".join(f"{number * width:.1f},{40 - points * 0.38 - 1:.1f}" for number, points in drawn)

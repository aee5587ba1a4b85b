"""When an unknown submit may be called never accepted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from orders import proof
from tests.orders.scene import at

WINDOW_END = at(5)
COUNTED_FROM = 5 + 4 + 2 + 1  # the window, the venue's processing bound, its read lag, the margin


def doubt(**changes: Any) -> proof.Doubt:
    facts: dict[str, Any] = {
        "sent_at": at(0), "valid_until": WINDOW_END, "processing_bound_seconds": 4, "read_lag_seconds": 2, "lookups_absent": 2,
        "books_explained": True, **changes,
    }  # fmt: skip
    return proof.Doubt(**facts)


@pytest.mark.parametrize(
    ("changes", "seconds", "is_proved", "missing"),
    [
        ({}, COUNTED_FROM, True, ""),
        ({}, COUNTED_FROM - 0.001, False, "may still execute it until 12:00:12"),
        ({"lookups_absent": 1}, COUNTED_FROM, False, "1 of 2 good lookups"),
        ({"lookups_absent": 0}, COUNTED_FROM + 3600, False, "0 of 2 good lookups"),
        ({"lookups_absent": 9}, COUNTED_FROM - 1, False, "may still execute"),
        ({"books_explained": False}, COUNTED_FROM, False, "not yet explained"),
        ({"valid_until": None}, 10**7, False, "no validity window"),
        ({"read_lag_seconds": 60}, COUNTED_FROM + 57, False, "may still execute"),
        ({"read_lag_seconds": 60}, COUNTED_FROM + 58, True, ""),
    ],
)
def test_the_absence_rule(changes: dict[str, Any], seconds: float, is_proved: bool, missing: str) -> None:
    verdict = proof.judge(doubt(**changes), at(seconds))
    assert verdict.is_proved is is_proved
    assert missing in verdict.missing and bool(verdict.missing) is not is_proved


def test_a_not_found_counts_from_the_end_of_every_bound() -> None:
    assert proof.conclusive_from(doubt()) == WINDOW_END + timedelta(seconds=7)
    assert proof.conclusive_from(doubt(valid_until=None)) is None

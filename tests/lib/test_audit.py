"""The audit chain: every change of any entry shows."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command

from project.lib import audit, feed
from project.lib.models import AuditEntry
from tests.factories import unguarded
from tests.orders.scene import in_threads


@pytest.fixture
def chain(db: None) -> list[AuditEntry]:
    with feed.transaction():
        return [
            audit.record(
                "ada", "limit.put", f"limit {n}", {"before": None, "after": str(n), "deep": {"b": [1], "a": True}}
            )
            for n in range(4)
        ]


def verify(capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    try:
        call_command("verify_audit")
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    return code, capsys.readouterr().out


def test_a_whole_chain_is_whole(chain: list[AuditEntry], capsys: pytest.CaptureFixture[str]) -> None:
    code, said = verify(capsys)
    assert code == 0 and said.startswith("whole: 4 entries") and chain[-1].hash in said


@pytest.mark.django_db
def test_an_empty_chain_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(capsys)[0] == 0


@pytest.mark.parametrize(
    "change",
    [
        {"actor": "eve"}, {"action": "limit.get"}, {"subject": "limit 9"}, {"detail": {"after": "9"}}, {"at": None},
        {"hash": "f" * 64}, {"previous_hash": "f" * 64},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_any_changed_figure_is_named(
    chain: list[AuditEntry], change: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    if "at" in change:
        change = {"at": chain[1].at.replace(microsecond=(chain[1].at.microsecond + 1) % 10**6)}
    with unguarded():
        AuditEntry.objects.filter(sequence=2).update(**change)
    code, said = verify(capsys)
    assert code == 1 and "audit entry 2" in said


def test_a_missing_entry_is_named(chain: list[AuditEntry], capsys: pytest.CaptureFixture[str]) -> None:
    with unguarded():
        AuditEntry.objects.filter(sequence=2).delete()
    code, said = verify(capsys)
    assert code == 1 and "entry 2 is missing" in said


@pytest.mark.django_db(transaction=True)
def test_eight_at_once_make_one_chain() -> None:
    def write(number: int) -> None:
        for count in range(5):
            with feed.transaction():
                audit.record(f"person-{number}", "x", count)

    in_threads(8, write)
    entries = list(AuditEntry.objects.order_by("sequence"))
    assert len(entries) == 40 and audit.first_difference(entries) is None

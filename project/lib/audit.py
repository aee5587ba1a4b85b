"""The audit log: who changed what, in the same transaction as the change, hash-chained."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from django.db import connection

from project.lib import clock
from project.lib.models import AuditEntry

GENESIS = "0" * 64
_CHAIN_LOCK = 7_201_001


def record(actor: str, action: str, subject: object, detail: dict[str, Any] | None = None) -> AuditEntry:
    """Append one entry to the chain. Call inside the transaction that makes the change."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_CHAIN_LOCK])
    last = AuditEntry.objects.order_by("-sequence").first()
    entry = AuditEntry(
        sequence=last.sequence + 1 if last else 1,
        at=clock.now(),
        actor=actor,
        action=action,
        subject=str(subject)[:200],
        detail=detail or {},
        previous_hash=last.hash if last else GENESIS,
    )
    entry.hash = digest(entry)
    entry.save(force_insert=True)
    return entry


def digest(entry: AuditEntry) -> str:
    """Return the SHA-256 over the canonical JSON of everything in the entry but its own hash."""
    body = [
        entry.sequence,
        entry.at.isoformat(),
        entry.actor,
        entry.action,
        entry.subject,
        entry.detail,
        entry.previous_hash,
    ]
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def first_difference(entries: Iterable[AuditEntry]) -> str | None:
    """Walk the chain in order; return None when whole, or a sentence naming the first entry that does not fit."""
    previous, expected = GENESIS, 1
    for entry in entries:
        if entry.sequence != expected:
            return f"audit entry {expected} is missing; found {entry.sequence} instead"
        if entry.previous_hash != previous:
            return f"audit entry {entry.sequence} does not follow the entry before it"
        if entry.hash != digest(entry):
            return f"audit entry {entry.sequence} was changed after it was written"
        previous, expected = entry.hash, expected + 1
    return None

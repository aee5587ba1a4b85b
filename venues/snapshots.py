"""What a venue said about one surface of an account at one time, kept as evidence."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from datetime import datetime
from decimal import Decimal
from typing import Any

from project.lib import decimals
from venues.messages import Malformed, Read
from venues.models import Account, Snapshot

KEPT_PER_SURFACE = 20


def capture(
    account: Account,
    surface: str,
    read: Read,
    *,
    epoch: int,
    reason: str,
    event_sequence: int,
    window_from: datetime | None = None,
    cursor: str = "",
) -> Snapshot:
    """Store one read as it was: good, partial, failed or unsupported. It changes nothing else."""
    rows = [_plain(row) for row in read.rows]
    broken = [{"malformed": row.reason, "raw": row.raw} for row in read.malformed]
    return Snapshot.objects.create(
        account=account,
        surface=surface,
        status=read.status,
        requested_at=read.requested_at,
        taken_at=read.taken_at,
        window_from=window_from,
        window_to=read.taken_at if window_from else None,
        cursor=cursor[:200],
        event_sequence=event_sequence,
        rows=rows + broken,
        digest=hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest(),
        error=(read.error or (f"{len(broken)} rows could not be read" if broken else ""))[:300],
        epoch=epoch,
        reason=reason[:32],
    )


def latest(account: Account, surface: str, *, good_only: bool = False) -> Snapshot | None:
    """Return the newest snapshot of a surface (the newest good one when asked), or None."""
    found = Snapshot.objects.filter(account=account, surface=surface)
    if good_only:
        found = found.filter(status="good")
    return found.order_by("-taken_at", "-id").first()


def prune(account: Account, surface: str, *, keep: int = KEPT_PER_SURFACE) -> int:
    """Delete all but the newest snapshots of a surface, never the newest good one. Return how many went."""
    of_surface = Snapshot.objects.filter(account=account, surface=surface).order_by("-taken_at", "-id")
    kept = set(of_surface.values_list("id", flat=True)[:keep])
    kept |= set(of_surface.filter(status="good").values_list("id", flat=True)[:2])
    deleted, _ = of_surface.exclude(id__in=kept).exclude(reason="opening").delete()
    return deleted


def _plain(row: Any) -> dict[str, Any]:
    if isinstance(row, Malformed) or not dataclasses.is_dataclass(row):
        raise TypeError("a snapshot keeps reports")
    return {name: _text(getattr(row, name)) for name in row.__dataclass_fields__}


def _text(value: Any) -> Any:
    if isinstance(value, Decimal):
        return decimals.write(value)
    return value.isoformat() if isinstance(value, datetime) else value

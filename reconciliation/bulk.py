"""One action on many breaks: a frozen selection, what would become of each, and what became of each.

A selection is signed and carries ids and versions; what changed after it was made is skipped, never guessed at.
"""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.core import signing
from django.db import Error

from project.lib import audit, feed
from reconciliation import resolutions, workflow
from reconciliation.models import Break
from reconciliation.resolutions import Refused

logger = logging.getLogger(__name__)
SELECTION_MAX = 1000
LIFETIME = timedelta(minutes=15)
_SALT = "reconciliation.selection"


@dataclass(frozen=True)
class Selection:
    """Breaks as somebody selected them: id and version of each."""

    items: tuple[tuple[uuid.UUID, int], ...]
    person: str

    @property
    def digest(self) -> str:
        """Return the SHA-256 over ids and versions: the name of exactly this selection."""
        return hashlib.sha256("\n".join(f"{key} {version}" for key, version in self.items).encode()).hexdigest()


@dataclass(frozen=True)
class Action:
    """Something done to many breaks: its verb on the button, its fields, which action of the workflow it is, how it is done."""

    verb: str
    fields: tuple[str, ...]
    needs: str
    do: Callable[[Break, str, Mapping[str, Any], int], Break]


@dataclass
class Item:
    """What would become or became of one break: would, done, skipped or failed, with the reason."""

    id: uuid.UUID
    outcome: str
    why: str = ""
    row: Break | None = None


ACTIONS: dict[str, Action] = {
    "assign": Action("Assign", ("owner", "team"), "assign", lambda row, actor, given, version: resolutions.assign(
        row, actor, given.get("owner", ""), team=given.get("team", ""), version=version)),
    "snooze": Action("Snooze", ("until", "reason"), "snooze", lambda row, actor, given, version: resolutions.snooze(
        row, actor, given["until"], given.get("reason", ""), version=version)),
    "explain": Action("Explain", ("reason", "cause"), "explain", lambda row, actor, given, version: resolutions.explain(
        row, actor, given.get("reason", ""), cause=given.get("cause", ""), version=version)),
    "cause": Action("Set the cause of", ("cause",), "cause", lambda row, actor, given, version: resolutions.set_cause(
        row, actor, given.get("cause", ""), version=version)),
}  # fmt: skip


def freeze(rows: Iterable[tuple[uuid.UUID, int]], person: str) -> tuple[str, Selection]:
    """Sign a selection for one person; it holds for 15 minutes. Raises Refused for none, and for more than 1,000."""
    items = tuple(sorted(dict(rows).items()))
    if not items:
        raise Refused("nothing is selected")
    if len(items) > SELECTION_MAX:
        raise Refused(f"at most {SELECTION_MAX:,} breaks are changed at once; narrow the filters")
    selection = Selection(items, person)
    packed = {"items": [[key.hex, version] for key, version in items], "person": person, "digest": selection.digest}
    return signing.dumps(packed, salt=_SALT, compress=True), selection


def thaw(token: str, person: str) -> Selection:
    """Read a selection back. Raises Refused when it is too old, somebody else's, or not as it was signed."""
    try:
        told = signing.loads(token, salt=_SALT, max_age=LIFETIME)
    except signing.SignatureExpired:
        raise Refused("the selection is older than 15 minutes; select again") from None
    except signing.BadSignature:
        raise Refused("the selection is not one of ours; select again") from None
    selection = Selection(tuple((uuid.UUID(hex=key), int(version)) for key, version in told["items"]), told["person"])
    if selection.person != person:
        raise Refused("the selection is somebody else's; make your own")
    return selection


def foresee(selection: Selection, action: str) -> list[Item]:
    """Say what the action would do to each break now. Changes nothing."""
    keys = [key for key, _ in selection.items]
    rows = {row.pk: row for row in Break.objects.select_related("account__venue").filter(pk__in=keys)}
    return [_foreseen(rows.get(key), key, version, action) for key, version in selection.items]


def act(selection: Selection, action: str, actor: str, given: Mapping[str, Any]) -> list[Item]:
    """Do the action to each break that is still as selected, one transaction each, and say what became of each."""
    items = foresee(selection, action)
    versions = dict(selection.items)
    for item in items:
        if item.outcome == "would" and item.row is not None:
            item.outcome, item.why = _done(item.row, action, actor, given, versions[item.id])
    counts = {name: sum(item.outcome == name for item in items) for name in ("done", "skipped", "failed")}
    with feed.transaction():
        audit.record(actor, f"breaks.{action}", selection.digest, {"selected": len(items), **counts})
    return items


def _foreseen(row: Break | None, key: uuid.UUID, version: int, action: str) -> Item:
    if row is None:
        return Item(key, "skipped", "it is not there")
    if row.version != version:
        return Item(key, "skipped", "it has changed since it was selected", row)
    if why := workflow.refusal(ACTIONS[action].needs, row.status):
        return Item(key, "skipped", why, row)
    return Item(key, "would", "", row)


def _done(row: Break, action: str, actor: str, given: Mapping[str, Any], version: int) -> tuple[str, str]:
    try:
        ACTIONS[action].do(row, actor, given, version)
    except Refused as refusal:
        return "skipped", str(refusal)
    except Error as problem:
        logger.exception("bulk action %s failed on break %s", action, row.pk)
        return "failed", f"the database refused it ({type(problem).__name__}); nothing of this one was changed"
    return "done", ""

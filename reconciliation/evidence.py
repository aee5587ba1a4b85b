"""The evidence of a break as one signed file, and the check of such a file: whole, unchanged, signed by whom it says."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Q

from orders.models import Posting
from project.lib import audit, clock, signing
from project.lib.models import AuditEntry
from reconciliation import lines, queue
from reconciliation.models import Break, BreakEvent, StatementFinding
from risk.models import Approval
from venues.models import Snapshot

FORMAT = "gapless-evidence-1"
HISTORY_MAX, SNAPSHOTS_MAX, ROWS_MAX, POSTINGS_MAX, APPROVALS_MAX, AUDIT_MAX = 5000, 20, 200, 500, 50, 500
STATEMENTS_MAX = 20
_NAMES = ("asset", "symbol", "venue_trade_id", "venue_order_id", "venue_client_id", "venue_transfer_id")
_BREAK = tuple(field.attname for field in Break._meta.concrete_fields)


def bundle(row: Break, actor: str) -> bytes:
    """Return the evidence of a break as canonical JSON, signed with the installation's key. Raises OSError without one."""
    content = signing.plain(_content(row))
    manifest = {
        "format": FORMAT, "version": settings.VERSION, "made_at": clock.now().isoformat(), "made_by": actor,
        "break": str(row.pk), "break_version": row.version, "parts": digests(content), "content_sha256": signing.digest(content),
    }  # fmt: skip
    signer = signing.key(settings.EVIDENCE_KEY_FILE)
    signature = {
        "algorithm": "Ed25519", "over": "the canonical JSON of manifest", "public_key": signing.public_text(signer),
        "value": signer.sign(signing.canonical(manifest)).hex(),
    }  # fmt: skip
    return signing.canonical({"manifest": manifest, "content": content, "signature": signature}) + b"\n"


def public_key() -> str:
    """Return the public key with which bundles of this installation are checked."""
    return signing.public_text(signing.key(settings.EVIDENCE_KEY_FILE))


def newest_history(row: Break, most: int) -> list[BreakEvent]:
    """Return what happened to a break, the oldest first; of a long history the newest part."""
    return list(row.events.order_by("-at", "-id")[:most])[::-1]


def digests(content: dict[str, Any]) -> dict[str, Any]:
    """Return one digest per part, of a list one per row, so that a change can be named."""
    return {
        name: [signing.digest(each) for each in part] if isinstance(part, list) else signing.digest(part)
        for name, part in content.items()
    }


def first_difference(text: bytes, trusted: Iterable[str]) -> str | None:
    """Check a bundle against the public keys trusted; None when it is whole, else a sentence naming what is wrong first."""
    try:
        document = json.loads(text, object_pairs_hook=_once, parse_float=_no_float, parse_constant=_no_float)
    except (ValueError, RecursionError) as problem:
        return f"it is not the JSON of a bundle: {problem}"
    if not isinstance(document, dict) or {*document} != {"manifest", "content", "signature"}:
        return "it is not a bundle: it needs manifest, content and signature, and nothing else"
    manifest, content, signature = document["manifest"], document["content"], document["signature"]
    if not all(isinstance(each, dict) for each in (manifest, content, signature)):
        return "it is not a bundle: manifest, content and signature have to be objects"
    if manifest.get("format") != FORMAT:
        return f"its format is {manifest.get('format')!r}, not {FORMAT}"
    return (
        _changed_part(manifest.get("parts"), content)
        or _changed_audit(content)
        or _changed_whole(manifest, content)
        or _wrong_signature(manifest, signature, trusted)
        or (None if text == signing.canonical(document) + b"\n" else "it is not written in canonical form")
    )


def _content(row: Break) -> dict[str, Any]:
    history = newest_history(row, HISTORY_MAX)
    given = lines.of(row)
    approvals = list(Approval.objects.filter(subject=str(row.pk)).order_by("requested_at")[:APPROVALS_MAX])
    return {
        "break": {name: getattr(row, name) for name in _BREAK},
        "account": {"code": row.account_id, "venue": row.account.venue_id, "environment": row.account.venue.environment},
        "history": [{"at": each.at, "actor": each.actor, "kind": each.kind, "detail": each.detail} for each in history],
        "lines": [
            {name: getattr(each, name) for name in ("source", "reference", "asset", "amount", "note", "added_by", "added_at")}
            for each in given
        ],
        "history_in_all": row.events.count(),
        "remaining": lines.remaining(row, given),
        "rule": {"code": row.rule.code, "version": row.rule.version, "reason": row.rule.reason} if row.rule else None,
        "earlier": [
            {"id": each.pk, "resolution": each.resolution, "reason": each.resolution_reason, "resolved_at": each.resolved_at}
            for each in queue.earlier(row)
        ],
        "snapshots": [_snapshot(row, each) for each in _snapshots(row)],
        "statements": [_statement(each) for each in _findings(row)],
        "postings": _postings(row, history, given),
        "approvals": [_approval(each) for each in approvals],
        "audit": _audit(row, history, approvals),
    }  # fmt: skip


def _snapshots(row: Break) -> list[Snapshot]:
    named = {int(read["snapshot"]) for read in row.evidence.get("reads", []) if read.get("snapshot")}
    named |= {row.snapshot_id} if row.snapshot_id else set()
    return list(Snapshot.objects.filter(pk__in=named, account=row.account_id).order_by("pk")[:SNAPSHOTS_MAX])


def _snapshot(row: Break, each: Snapshot) -> dict[str, Any]:
    words = {row.asset, row.subject, *row.subject.split(" ")} - {""}
    words |= {row.order.venue_order_id} - {""} if row.order else set()
    about = [told for told in each.rows if words & {str(told.get(name)) for name in _NAMES if told.get(name)}]
    kept = {
        name: getattr(each, name)
        for name in (
            "id", "surface", "status", "requested_at", "taken_at", "window_from", "window_to", "event_sequence", "digest",
            "error", "reason",
        )
    }  # fmt: skip
    return {**kept, "rows_in_all": len(each.rows), "rows_concerned": len(about), "rows": about[:ROWS_MAX]}


def _findings(row: Break) -> list[StatementFinding]:
    found = StatementFinding.objects.filter(discrepancy=row).select_related("statement__mapping")
    return list(found.order_by("statement__imported_at")[:STATEMENTS_MAX])


def _statement(finding: StatementFinding) -> dict[str, Any]:
    each = finding.statement
    line = each.rows.filter(number=finding.line).first() if finding.line else None
    kept = {
        name: getattr(each, name)
        for name in ("id", "filename", "digest", "window_from", "window_to", "imported_by", "imported_at")
    }
    names = (
        "number",
        "symbol",
        "side",
        "venue_trade_id",
        "price",
        "quantity",
        "fee",
        "fee_asset",
        "executed_at",
        "venue_order_id",
    )
    told = {name: getattr(line, name) for name in names} if line else None
    return {
        **kept,
        "mapping": {"venue": each.mapping.venue_id, "version": each.mapping.version},
        "agrees": finding.agrees,
        "line": told,
    }


def _postings(row: Break, history: list[BreakEvent], given: list[Any]) -> list[dict[str, Any]]:
    entries = {
        entry for each in history for entry in [*each.detail.get("entries", []), each.detail.get("entry")] if entry
    }
    fills = {each.reference for each in given if each.source in ("fill", "fee") and len(each.reference) == 36}
    fills |= {str(row.fill_id)} if row.fill_id else set()
    found = Posting.objects.filter(Q(entry__in=entries) | Q(fill__in=fills), account=row.account_id)
    names = ("entry", "leg", "asset", "book", "amount", "cause", "fill_id", "reference", "memo", "posted_at")
    return [{name: getattr(each, name) for name in names} for each in found.order_by("entry", "leg")[:POSTINGS_MAX]]


def _approval(each: Approval) -> dict[str, Any]:
    return {field.attname: getattr(each, field.attname) for field in Approval._meta.concrete_fields}


def _audit(row: Break, history: list[BreakEvent], approvals: list[Approval]) -> list[dict[str, Any]]:
    numbers = [each.detail["audit"] for each in history if each.detail.get("audit")]
    about = Q(sequence__in=numbers)
    if approvals:
        about |= Q(subject__in=[str(each.pk) for each in approvals])
    names = ("sequence", "at", "actor", "action", "subject", "detail", "previous_hash", "hash")
    rows = AuditEntry.objects.filter(about).order_by("sequence")[:AUDIT_MAX]
    return [{name: getattr(each, name) for name in names} | _exact(each.detail) for each in rows]


def _exact(detail: dict[str, Any]) -> dict[str, str]:
    # The hash of an entry is over its own words: where those hold a float, they are kept as text as well.
    return {} if signing.plain(detail) == detail else {"detail_text": json.dumps(detail)}


def _changed_part(parts: Any, content: dict[str, Any]) -> str | None:
    if not isinstance(parts, dict) or {*parts} != {*content}:
        odd = sorted({*(parts if isinstance(parts, dict) else ())} ^ {*content})
        return f"the manifest does not name the parts there are: {', '.join(odd)}"
    now = digests(content)
    for name in content:
        if isinstance(parts[name], list) and isinstance(now[name], list):
            if len(parts[name]) != len(now[name]):
                return f"{name} has {len(now[name])} rows, it had {len(parts[name])}"
            for number, (was, here) in enumerate(zip(parts[name], now[name], strict=True)):
                if was != here:
                    return f"row {number} of {name} was changed after the bundle was signed"
        elif parts[name] != now[name]:
            return f"{name} was changed after the bundle was signed"
    return None


def _changed_audit(content: dict[str, Any]) -> str | None:
    for told in content.get("audit", []):
        try:
            values = {**told, "at": datetime.fromisoformat(told["at"])}
            if "detail_text" in values:
                values["detail"] = json.loads(values.pop("detail_text"))
            entry = AuditEntry(**values)
        except (TypeError, KeyError, ValueError):
            return "an entry of audit cannot be read"
        if entry.hash != audit.digest(entry):
            return f"audit entry {entry.sequence} does not have the hash it names"
    return None


def _changed_whole(manifest: dict[str, Any], content: dict[str, Any]) -> str | None:
    is_whole = manifest.get("content_sha256") == signing.digest(content)
    return None if is_whole else "the content does not have the SHA-256 that the manifest names"


def _wrong_signature(manifest: dict[str, Any], signature: dict[str, Any], trusted: Iterable[str]) -> str | None:
    public, value = str(signature.get("public_key")), str(signature.get("value"))
    if not signing.is_signed_by(public, value, signing.canonical(manifest)):
        return "the manifest was changed after it was signed, or the signature was: they do not belong together"
    if public not in set(trusted):
        return f"it is signed with the key {public}, which is not one that is trusted here"
    return None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise ValueError("a name stands twice in one object")
    return dict(pairs)


def _no_float(text: str) -> Any:
    raise ValueError(f"{text} is a floating-point number, and a bundle has none")

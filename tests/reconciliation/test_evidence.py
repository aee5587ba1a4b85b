"""The signed evidence of a break: canonical, whole, checked by a command that names the first thing that is wrong."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import LazySettings
from django.core.management import CommandError, call_command

from project.lib import audit, signing
from reconciliation import adjustments, evidence, lines, resolutions
from reconciliation.models import Break, BreakEvent
from tests.reconciliation.two_people import desk, drift

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def key_file(settings: LazySettings, tmp_path: Path) -> Path:
    settings.EVIDENCE_KEY_FILE = tmp_path / "secrets" / "evidence-key.pem"
    return tmp_path / "secrets" / "evidence-key.pem"


@pytest.fixture
def closed() -> Break:
    """Return a break that was explained in part and closed by a counter-entry."""
    row = drift(desk(price="1"))
    resolutions.assign(row, "anna", "anna")
    lines.add(row, "anna", amount="-0.2", reason="custody fee by letter")
    adjustments.adjust(row, "anna", "fee and rest", person="anna")
    return Break.objects.select_related("account__venue", "rule", "order").get(pk=row.pk)


def verify(path: Path, *options: str) -> tuple[int, str]:
    said = StringIO()
    try:
        call_command("verify_bundle", str(path), *options, stdout=said)
    except SystemExit as end:
        return int(str(end.code)), said.getvalue().strip()
    return 0, said.getvalue().strip()


def test_a_bundle_has_everything_and_no_float(closed: Break, tmp_path: Path, key_file: Path) -> None:
    text = evidence.bundle(closed, "rita")
    document = json.loads(text, parse_float=lambda number: pytest.fail(f"{number} is a float"))
    content, manifest = document["content"], document["manifest"]
    assert text == signing.canonical(document) + b"\n"
    assert content["break"]["delta"] == "-0.5" and content["remaining"] == "-0.3"
    assert [each["kind"] for each in content["history"]] == [
        "suspected",
        "opened",
        "assigned",
        "line_added",
        "adjusted",
    ]
    assert [each["amount"] for each in content["lines"]] == ["-0.2"]
    assert [each["action"] for each in content["audit"]] == ["break.assigned", "break.line_added", "break.adjusted"]
    assert sorted(each["amount"] for each in content["postings"]) == ["-0.2", "-0.3", "0.2", "0.3"]
    assert [(each["rows_concerned"], each["rows"][0]["total"], each["digest"]) for each in content["snapshots"]] == [
        (1, "1.5", "d")
    ] * 2
    assert (manifest["made_by"], manifest["content_sha256"]) == ("rita", signing.digest(content))
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    path = tmp_path / "bundle.json"
    path.write_bytes(text)
    assert verify(path) == (0, f"whole: signed with {evidence.public_key()}")


def changed_amount(document: dict[str, Any]) -> None:
    document["content"]["lines"][0]["amount"] = "-0.1"


def dropped_history(document: dict[str, Any]) -> None:
    document["content"]["history"].pop(2)


def changed_break(document: dict[str, Any]) -> None:
    document["content"]["break"]["ours"] = "1.5"


def added_part(document: dict[str, Any]) -> None:
    document["content"]["opinion"] = "all is well"


def forged_manifest(document: dict[str, Any]) -> None:
    changed_amount(document)
    parts = evidence.digests(document["content"])
    document["manifest"] |= {"parts": parts, "content_sha256": signing.digest(document["content"])}


def forged_audit(document: dict[str, Any]) -> None:
    document["content"]["audit"][0]["actor"] = "bert"
    document["manifest"]["parts"] = evidence.digests(document["content"])


def other_key(document: dict[str, Any]) -> None:
    signer = Ed25519PrivateKey.generate()
    manifest = signing.canonical(document["manifest"])
    document["signature"] |= {"public_key": signing.public_text(signer), "value": signer.sign(manifest).hex()}


def no_signature(document: dict[str, Any]) -> None:
    document["signature"]["value"] = "00"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (changed_amount, "row 0 of lines was changed after the bundle was signed"),
        (dropped_history, "history has 4 rows, it had 5"),
        (changed_break, "break was changed after the bundle was signed"),
        (added_part, "the manifest does not name the parts there are: opinion"),
        (forged_manifest, "the manifest was changed after it was signed"),
        (forged_audit, "does not have the hash it names"),
        (other_key, "not one that is trusted here"),
        (no_signature, "they do not belong together"),
    ],
)
def test_the_first_difference_is_named(
    closed: Break, tmp_path: Path, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    document = json.loads(evidence.bundle(closed, "rita"))
    change(document)
    path = tmp_path / "bundle.json"
    path.write_bytes(signing.canonical(document) + b"\n")
    code, found = verify(path)
    assert code == 1 and said in found, found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "not the JSON of a bundle"), (b"\xff", "not the JSON of a bundle"), (b"[]", "needs manifest"), (b"null", "needs manifest"),
        (b'{"manifest":1,"content":{},"signature":{}}', "have to be objects"),
        (b'{"manifest":{"format":1.5},"content":{},"signature":{}}', "1.5 is a floating-point number"),
        (b'{"manifest":{},"manifest":{},"content":{},"signature":{}}', "stands twice"),
        (b'{"manifest":{"format":"other"},"content":{},"signature":{}}', "its format is 'other'"),
        (b"[" * 100_000, "not the JSON of a bundle"),
    ],
)  # fmt: skip
def test_what_is_no_bundle_is_said(tmp_path: Path, text: bytes, said: str) -> None:
    path = tmp_path / "bundle.json"
    path.write_bytes(text)
    code, found = verify(path)
    assert code == 1 and said in found


def test_another_layout_of_the_same_words_is_not_the_bundle(closed: Break, tmp_path: Path) -> None:
    path = tmp_path / "bundle.json"
    path.write_text(json.dumps(json.loads(evidence.bundle(closed, "rita")), indent=1))
    assert verify(path) == (1, "it is not written in canonical form")


def test_another_installation_s_bundle_is_checked_by_its_public_key(
    closed: Break, tmp_path: Path, settings: LazySettings
) -> None:
    path = tmp_path / "bundle.json"
    path.write_bytes(evidence.bundle(closed, "rita"))
    theirs = evidence.public_key()
    settings.EVIDENCE_KEY_FILE = tmp_path / "elsewhere" / "key.pem"
    assert verify(path)[0] == 1 and verify(path, "--public-key", theirs)[0] == 0
    with pytest.raises(CommandError, match="Nothing was checked"):
        call_command("verify_bundle", str(tmp_path / "missing.json"))


def test_an_audit_entry_with_a_float_keeps_its_hash(closed: Break) -> None:
    entry = audit.record("anna", "break.measured", closed.pk, {"took": 0.1})
    BreakEvent.objects.create(discrepancy=closed, kind="measured", actor="anna", detail={"audit": entry.sequence})
    text = evidence.bundle(closed, "rita")
    assert json.loads(text)["content"]["audit"][-1]["detail"] == {"took": "0.1"}
    assert evidence.first_difference(text, [evidence.public_key()]) is None


def test_floats_become_exact_text_before_they_are_signed() -> None:
    told = signing.plain({"took": 0.1, 3: [1.5, None, True]})
    assert told == {"took": "0.1", "3": ["1.5", None, True]}
    with pytest.raises(ValueError, match="floating-point"):
        signing.canonical({"deep": [{"took": 0.1}]})

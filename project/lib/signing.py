"""Canonical JSON, its digest, and the Ed25519 key with which an installation signs what it hands out."""

from __future__ import annotations

import hashlib
import json
import os
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from project.lib import decimals


def plain(value: Any) -> Any:
    """Return a value as JSON may hold it here: decimals and floats as exact text, times as ISO 8601, keys as text."""
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, Decimal):
        return decimals.write(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return value if value is None or isinstance(value, str | int | bool) else str(value)


def canonical(value: Any) -> bytes:
    """Write plain JSON in its one form: keys sorted, no blanks, UTF-8. Raises ValueError for a float."""
    _refuse_floats(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(value: Any) -> str:
    """Return the SHA-256 over the canonical form, as hexadecimal text."""
    return hashlib.sha256(canonical(value)).hexdigest()


def key(path: Path) -> Ed25519PrivateKey:
    """Return the private key in a file, which is made on first use and readable by its owner alone. Raises OSError."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_once(path, Ed25519PrivateKey.generate())
    found = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(found, Ed25519PrivateKey):
        raise OSError(f"{path} holds no Ed25519 key; move it away and a new one is made")
    return found


def public_text(signer: Ed25519PrivateKey) -> str:
    """Return the public half as hexadecimal text: what somebody else needs to check a signature."""
    return signer.public_key().public_bytes_raw().hex()


def is_signed_by(public: str, signature: str, content: bytes) -> bool:
    """Say whether a signature over the content was made by the private half of a public key, both hexadecimal text."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(bytes.fromhex(signature), content)
    except (InvalidSignature, ValueError):
        return False
    return True


def _write_once(path: Path, made: Ed25519PrivateKey) -> None:
    # Written beside and linked into place: of two first uses at once one key counts, and never half a file.
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(made.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ))  # fmt: skip
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _refuse_floats(value: Any) -> None:
    if isinstance(value, float):
        raise ValueError(f"{value!r} is a floating-point number, which has no exact text")
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _refuse_floats(each)

"""The executors' key pair as files: written once, joined by a new pair when it is rotated, readable by its owner alone."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from venues import envelope

PRIVATE_MODE, PUBLIC_MODE = 0o600, 0o644


def generate_keypair(private_path: Path, public_path: Path) -> bool:
    """Write the executors' key pair where there is none yet; return whether it was written.

    The private file is readable by its owner only. A lost public file is written again from the private one.
    """
    private_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    public_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    is_new = not private_path.exists()
    if is_new:
        if public_path.exists():
            raise FileExistsError(
                f"{public_path} exists but its private half {private_path} does not; put it back or move it away"
            )
        _write(private_path, envelope.write_ring([X25519PrivateKey.generate()]), PRIVATE_MODE)
    if not public_path.exists():
        newest = list(envelope.read_ring(private_path.read_bytes()).values())[-1]
        _write(public_path, envelope.write_public(newest.public_key()), PUBLIC_MODE)
    return is_new


def add_pair(private_path: Path, next_public_path: Path) -> str:
    """Add a new private key to the ring and write its public half beside; return its id. The former keys stay."""
    ring = envelope.read_ring(private_path.read_bytes())
    added = X25519PrivateKey.generate()
    _replace(private_path, envelope.write_ring([*ring.values(), added]), PRIVATE_MODE)
    _replace(next_public_path, envelope.write_public(added.public_key()), PUBLIC_MODE)
    return envelope.key_id(added.public_key())


def keep_only(private_path: Path, key_ids: set[str]) -> list[str]:
    """Take every other private key out of the ring; return the ids of those taken out."""
    ring = envelope.read_ring(private_path.read_bytes())
    kept = [key for name, key in ring.items() if name in key_ids]
    if not kept:
        raise ValueError("that would leave no private key")
    if len(kept) < len(ring):
        _replace(private_path, envelope.write_ring(kept), PRIVATE_MODE)
    return [name for name in ring if name not in key_ids]


def _write(path: Path, content: bytes, mode: int) -> None:
    # Written beside and linked into place: two first starts at once end with one pair, never with half a file.
    temporary = _beside(path, content, mode)
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


def _replace(path: Path, content: bytes, mode: int) -> None:
    os.replace(_beside(path, content, mode), path)  # a reader finds the old file or the new one, never half of one


def _beside(path: Path, content: bytes, mode: int) -> Path:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return temporary

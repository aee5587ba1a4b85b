"""Which build of the product this process is: its version and a digest of its source."""

from __future__ import annotations

import functools
import hashlib
import os
from pathlib import Path

from django.conf import settings

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("project", "venues", "risk", "orders", "reconciliation")


@functools.cache
def fingerprint() -> str:
    """Return `version+digest`: equal exactly where the code that decides about orders is equal.

    A test build may name another one (GAPLESS_BUILD), to be the other build in a test of version skew.
    """
    named = os.environ.get("GAPLESS_BUILD", "")
    if named and os.environ.get("GAPLESS_TEST_BUILD") == "1":
        return named[:64]
    digest = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return f"{settings.VERSION}+{digest.hexdigest()[:12]}"

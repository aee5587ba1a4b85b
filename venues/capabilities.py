"""What each exchange can do and what is proved about it, as data; the default promises nothing."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from venues.facts import generated
from venues.facts.families import FAMILIES, SIBLINGS
from venues.facts.overrides import OVERRIDES
from venues.facts.shapes import Capabilities

__all__ = ["QUIRKS", "Capabilities", "for_exchange", "reread"]

# What a server that speaks an exchange's protocol may lack of it, by the name given to Venue.quirks.
QUIRKS: dict[str, dict[str, Any]] = {
    "no_validity_window": {"window": False},
    "no_client_id": {
        "client_ids": False, "client_id_lookup": "scan", "client_id_cancel": False, "client_ids_unique": "never",
    },
}  # fmt: skip


def for_exchange(exchange: str, quirks: Iterable[str] = ()) -> Capabilities:
    """Return the facts about an exchange, changed by the quirks of one venue. Raises KeyError for a quirk nobody knows.

    Where no family of ours is taught them, they follow from what ccxt declares and from what our requests carry.
    """
    plain = _plain(exchange)
    for quirk in quirks:
        plain = replace(plain, **QUIRKS[quirk])
    return plain


def reread() -> None:
    """Read the data files again; who writes them needs it."""
    for cached in (generated.declared, generated.captured, _plain):
        cached.cache_clear()


@functools.cache
def _plain(exchange: str) -> Capabilities:
    family = FAMILIES.get(SIBLINGS.get(exchange, exchange))
    if family is not None:
        return replace(family.capabilities, exchange=exchange)
    return replace(generated.base(exchange), **OVERRIDES.get(exchange, {}))

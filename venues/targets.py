"""Where a venue is and whether orders may go there: all the adapters need to know about a Venue row."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class VenueTarget:
    """One venue as an adapter reaches it. Without rest_url it is the real exchange (or its sandbox).

    quirks: names out of capabilities.QUIRKS, for a server that lacks something of the exchange it speaks like.
    limits: what a test server allows an address: (requests per second, how many at once).
    """

    code: str
    exchange: str
    rest_url: str = ""
    ws_url: str = ""
    sandbox: bool = False
    may_trade: bool = False
    quirks: tuple[str, ...] = ()
    limits: tuple[tuple[float, float], ...] = ()

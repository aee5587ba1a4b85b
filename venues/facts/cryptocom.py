"""Crypto.com."""

from __future__ import annotations

from dataclasses import replace

from venues.facts import generated
from venues.facts.shapes import Family

# ccxt drops the unified name of the client id here; the exchange's own goes out.
_CAPABILITIES = replace(
    generated.base("cryptocom"),
    client_id_key="client_oid",
    client_id_lookup="order",
    client_id_cancel=False,  # the request names an empty order id beside ours
)
FAMILY = Family(capabilities=_CAPABILITIES)

"""What is known of an exchange, fact by fact, and where each fact comes from. Pure.

declared: ccxt says so. captured: read off the request our adapter makes. overridden: we know better, in venues/facts.
proved: the conformance kit saw it hold at a venue; refuted: it saw the opposite. assumed: nobody says; the cautious default.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from venues.capabilities import for_exchange
from venues.exchanges import EXCHANGES
from venues.facts import generated
from venues.facts.shapes import Capabilities

Source = Literal["declared", "captured", "overridden", "proved", "refuted", "assumed"]
SOURCES: dict[Source, str] = {
    "declared": "ccxt declares it",
    "captured": "read off the request our adapter makes",
    "overridden": "we know better: venues/facts",
    "proved": "the conformance kit saw it hold",
    "refuted": "the conformance kit saw the opposite",
    "assumed": "nobody says: the cautious default",
}
FORMS = {
    "plain": "our 18 characters as they are",
    "t_prefix": "t- and our 18 characters",
    "hexadecimal": "0x and 32 hexadecimal digits made of ours",
    "uuid": "a UUID made of ours",
    "whole_number": "a whole number of 45 bits made of ours",
}
UNIQUE = {
    "forever": "for ever", "day": "within a day", "open": "among open orders only", "never": "nobody checks",
}  # fmt: skip


MARKET_TYPES = ("spot", "linear swap", "inverse swap", "linear future", "inverse future")
TIERS = (("", "All"), ("A", "Streams"), ("B", "Polling"), ("C", "Refused"))
# What the matrix shows of every exchange; the rest is on its own page. In the order of _ROWS.
COLUMNS = (
    "client_ids", "client_id_lookup", "client_id_cancel", "times_in_force", "post_only", "amend", "fills_page",
    "fills_span_hours", "cancelled_hours", "batch_max", "dead_man_switch", "nonce_exclusive", "fills_need_symbol",
    "open_orders_need_symbol", "client_ids_unique", "order_types", "streams_declared",
)  # fmt: skip


@dataclass(frozen=True)
class Proof:
    """What the conformance kit found about one fact: whether it held, when, at which venue."""

    holds: bool
    at: datetime
    venue: str
    detail: str = ""


@dataclass(frozen=True)
class Fact:
    """One fact in words, and where it comes from."""

    name: str
    label: str
    value: str
    source: Source
    proof: Proof | None = None

    @property
    def title(self) -> str:
        """Say where the fact comes from."""
        if self.proof is None:
            return SOURCES[self.source]
        detail = f": {self.proof.detail}" if self.proof.detail else ""
        return f"{SOURCES[self.source]} at {self.proof.venue}, {self.proof.at:%Y-%m-%d %H:%M} UTC{detail}"


@dataclass(frozen=True)
class Exchange:
    """All that is known of one exchange."""

    id: str
    name: str
    family: str
    has_adapter: bool
    capabilities: Capabilities
    facts: tuple[Fact, ...]
    markets: Mapping[str, Any]
    requests: Mapping[str, Any]

    @property
    def tier(self) -> str:
        """A: private streams. B: polling. C: refused for trading."""
        return self.capabilities.tier

    def fact(self, name: str) -> Fact:
        """Return one fact. Raises KeyError."""
        return self.picked((name,))[0]

    def picked(self, names: Iterable[str]) -> list[Fact]:
        """Return some facts, in the order of their names. Raises KeyError."""
        by_name = {fact.name: fact for fact in self.facts}
        return [by_name[name] for name in names]


Words = Callable[[Capabilities], str]


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _maybe(value: float | None, unit: str) -> str:
    return "not said" if value is None else f"{value:g} {unit}"


def _lookup(can: Capabilities) -> str:
    if not can.client_ids:
        return "by its shape"
    return {"order": "by client id", "open_and_closed": "lists by client id", "scan": "scan of lists"}[
        can.client_id_lookup
    ]


def _cancel(can: Capabilities) -> str:
    if not can.client_ids or not can.client_id_cancel:
        return "venue id only"
    return "client id in place of the venue's" if can.client_id_in_place else "by client id"


# name, label, what it says, the field it is read from, and who says it where we do not
_ROWS: tuple[tuple[str, str, Words, str, Source], ...] = (
    ("tier", "Tier", lambda can: can.tier, "tier", "captured"),
    ("refusal", "Why no order may go there", lambda can: can.refusal or "orders may go there", "refusal", "captured"),
    ("client_ids", "Client ids", lambda can: _yes(can.client_ids), "client_ids", "captured"),
    ("client_id_key", "Parameter for the client id", lambda can: can.client_id_key if can.client_ids else "none", "client_id_key", "declared"),
    ("client_id_form", "Form of the client id", lambda can: FORMS[can.client_id_form], "client_id_form", "assumed"),
    ("client_ids_unique", "Client ids are unique", lambda can: UNIQUE[can.client_ids_unique], "client_ids_unique", "assumed"),
    ("client_id_lookup", "Lookup", _lookup, "client_id_lookup", "captured"),
    ("client_id_cancel", "Cancel", _cancel, "client_id_cancel", "captured"),
    ("order_types", "Order types", lambda can: ", ".join(can.order_types), "order_types", "captured"),
    ("times_in_force", "Times in force", lambda can: ", ".join(can.times_in_force), "times_in_force", "captured"),
    ("post_only", "Post only", lambda can: _yes(can.post_only), "post_only", "captured"),
    ("reduce_only", "Reduce only", lambda can: _yes(can.reduce_only), "reduce_only", "assumed"),
    ("amend", "Amend", lambda can: can.amend.replace("_", " ") if can.amend != "none" else "cancel and new", "amend", "assumed"),
    ("batch_max", "Orders in one request", lambda can: str(can.batch_max), "batch_max", "declared"),
    ("stream", "Private stream read by us", lambda can: _yes(can.stream), "stream", "assumed"),
    ("dead_man_switch", "Dead-man switch", lambda can: _yes(can.dead_man_switch), "dead_man_switch", "declared"),
    ("window", "Validity window", lambda can: f"up to {can.window_max_ms} ms" if can.window else "none", "window", "assumed"),
    ("nonce_exclusive", "One signer per key", lambda can: _yes(can.nonce_exclusive), "nonce_exclusive", "captured"),
    ("fills_page", "Own trades per page", lambda can: str(can.fills_page), "fills_page", "declared"),
    ("fills_span_hours", "Own trades: longest span", lambda can: _maybe(can.fills_span_hours, "h"), "fills_span_hours", "declared"),
    ("fills_days_back", "Own trades reach back", lambda can: _maybe(can.fills_days_back, "days"), "fills_days_back", "declared"),
    ("orders_days_back", "Ended orders reach back", lambda can: _maybe(can.orders_days_back, "days"), "orders_days_back", "declared"),
    ("cancelled_hours", "Cancelled orders are kept", lambda can: _maybe(can.cancelled_hours, "h"), "cancelled_hours", "declared"),
    ("fills_need_symbol", "Own trades need a symbol", lambda can: _yes(can.fills_need_symbol), "fills_need_symbol", "captured"),
    ("open_orders_need_symbol", "Open orders need a symbol", lambda can: _yes(can.open_orders_need_symbol), "open_orders_need_symbol", "captured"),
    ("preflights", "Silenced by option", lambda can: ", ".join(sorted(can.options)) or "nothing", "options", "assumed"),
)  # fmt: skip


def exchange(exchange_id: str, proofs: Mapping[str, Proof] | None = None) -> Exchange:
    """Return all that is known of an exchange; `proofs` by the name of the fact. Raises KeyError for no exchange."""
    said, caught = generated.declared()[exchange_id], generated.captured().get(exchange_id, {})
    can, base = for_exchange(exchange_id), generated.base(exchange_id)
    facts = [_fact(row, can, base, bool(caught), (proofs or {}).get(row[0])) for row in _ROWS]
    return Exchange(
        id=exchange_id, name=said["name"], family=can.family, has_adapter=not caught, capabilities=can,
        facts=(*facts, *_claims(said, caught)), markets={name: said["markets"][name] for name in MARKET_TYPES if name in said["markets"]}, requests=caught,
    )  # fmt: skip


def exchanges(
    proofs: Mapping[str, Mapping[str, Proof]] | None = None, ids: Iterable[str] = EXCHANGES
) -> list[Exchange]:
    """Return all that is known of exchanges, in the order of their ids."""
    return [exchange(one, (proofs or {}).get(one)) for one in ids]


def terms_in_words(terms: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return ccxt's claims about one market type as labels and words."""
    flags = [name for name in ("post_only", "hedged", "market_by_cost", "market_needs_price") if name in terms]
    found = [
        ("Times in force", ", ".join(terms.get("times_in_force", ())) or "none"),
        ("Triggers", ", ".join(terms.get("triggers", ())) or "none"),
        ("Besides", ", ".join(flags).replace("_", " ") or "nothing"),
        ("Orders in one request", str(terms.get("batch_max", 1))),
    ]
    lists = {
        "my_trades": "Own trades",
        "open_orders": "Open orders",
        "closed_orders": "Ended orders",
        "order": "One order",
    }
    return found + [(label, _window_in_words(terms.get(name))) for name, label in lists.items()]


def requests_in_words(one: Exchange) -> list[tuple[str, str]]:
    """Return what our requests to an exchange carry, or why not; empty where an adapter of its own makes them."""
    if one.has_adapter:
        return []
    caught = one.requests
    sent, read = caught.get("client_id_key", ""), caught.get("client_id_read_key", "")
    unknown = "not known to the exchange, or not read back"
    return [
        ("Tried on", f"{caught['kind']} market"),
        ("An order is", caught.get("request") or "not made"),
        *((label.capitalize(), caught[name]) for name, label in generated.REQUESTS.items()),
        ("Client id", f"sent as {sent}, read back as {read}" if generated.is_named(caught) else unknown),
        ("Requests before an order", ", ".join(caught.get("preflights", ())) or "none"),
    ]


def _window_in_words(window: Mapping[str, Any] | None) -> str:
    if window is None:
        return "no bounds named"
    parts = [f"{window['limit']} a page"] if "limit" in window else []
    parts += [f"{window['span_days']:g} days at once"] if "span_days" in window else []
    parts += [f"{window['days_back']:g} days back"] if "days_back" in window else []
    parts += [f"cancelled ones {window['cancelled_hours']:g} h"] if "cancelled_hours" in window else []
    parts += ["by symbol"] if window.get("symbol_required") else []
    return ", ".join(parts) or "no bounds named"


def _fact(
    row: tuple[str, str, Words, str, Source],
    can: Capabilities,
    base: Capabilities,
    is_caught: bool,
    proof: Proof | None,
) -> Fact:
    name, label, words, field, said_by = row
    source = said_by
    if proof is not None:
        source = "proved" if proof.holds else "refuted"
    elif getattr(can, field) != getattr(base, field):
        source = "overridden"
    elif (said_by == "captured" and not is_caught) or getattr(base, field) is None:
        source = "assumed"
    return Fact(name, label, words(can), source, proof)


def _claims(said: Mapping[str, Any], caught: Mapping[str, Any]) -> list[Fact]:
    """Return what ccxt claims beside the facts anything decides by."""
    methods = said["methods"]
    streams = [
        name[5:] for name in ("watchOrders", "watchMyTrades", "watchBalance", "watchPositions") if name in methods
    ]
    edit = {True: "native", "emulated": "cancel and new"}.get(methods.get("editOrder", ""), "none")
    found = [
        ("kinds", "Market kinds", ", ".join(said.get("kinds", ())) or "not said"),
        ("streams_declared", "Private streams", ", ".join(streams) or "none"),
        ("edit_declared", "Amend by ccxt", edit),
        ("test_environment", "Test environment", _yes("sandbox" in methods)),
        ("credentials", "Parts of a key", ", ".join(said["credentials"]) or "not said"),
        ("rate_limit", "Pace by ccxt", f"{said['rate_limit_ms']:g} ms"),
    ]
    claims = [Fact(f"{name}", label, value, "declared") for name, label, value in found]
    hidden = ", ".join(caught.get("preflights", ()))
    return (
        [*claims, Fact("preflights_left", "Requests before an order", hidden or "none", "captured")]
        if caught
        else claims
    )

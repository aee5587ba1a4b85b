"""docs/venues.md, made of the facts about every exchange; `manage.py describe_venues` writes it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from venues import matrix
from venues.facts import generated

_HEAD = """# Exchanges

What Gapless knows of every exchange, and where each fact comes from. This page is written by `manage.py describe_venues` out of
`venues/facts/`; do not edit it. The same facts, with what has been proved since, are at `/exchanges/` in the console and
`GET /api/v1/capabilities/`.

- **Tier A**: an adapter of ours reads the private stream. **Tier B**: the account is polled. **Tier C**: no order may go there, because
  fills, open orders or the order itself could not be proved; reading the market is all.
- **Sources**: `declared` ccxt says so · `captured` read off the request our adapter makes · `overridden` we know better, in
  `venues/facts/` · `proved` or `refuted` by the conformance kit at a venue · `assumed` nobody says, so the cautious default holds.
- **Client ids**: *no* means that the exchange ignores or forgets our id. An order whose answer was lost is then looked for by its shape,
  and is never proved absent: it becomes a dead letter for a person.
"""
_REQUESTS = """## What our requests carry

For every exchange without an adapter of its own, the general adapter makes its requests against a transport that keeps them: an order to
buy 0.12345678 BTC at 20100.07, its cancel, the list of open orders, the list of own trades. *ok* means that symbol, side, exact amount and
price were on the wire and that no value was empty; else the cell says what is missing. *Client id* is the name our id travels under and
the name it is read back under; *IOC, FOK, post only* are listed where the request says them and ccxt declares them. A request that could
not be made, or that lacks something, refuses the exchange for trading (tier C).
"""


def text() -> str:
    """Return the whole page."""
    known = matrix.exchanges()
    count = Counter(one.tier for one in known)
    served = sum(one.has_adapter for one in known)
    figures = (
        f"{len(known)} exchanges: {count['A']} in tier A, {count['B']} in tier B, {count['C']} in tier C. "
        f"{served} have an adapter of their own; {len(known) - served} go the general way.\n"
    )
    return "\n".join(
        [
            _HEAD,
            figures,
            "## Facts\n",
            _facts(known),
            "",
            _REQUESTS,
            _requests(known),
            "",
            "## Refused\n",
            _refused(known),
            "",
        ]
    )


def _facts(known: Sequence[matrix.Exchange]) -> str:
    head = ("Exchange", "Tier", "Client ids", "Lookup", "Cancel", "Order types", "Times in force", "Post only", "Amend",
            "Own trades", "Cancelled kept", "Batch", "Dead-man")  # fmt: skip
    names = (
        "client_ids",
        "client_id_lookup",
        "client_id_cancel",
        "order_types",
        "times_in_force",
        "post_only",
        "amend",
    )
    rows = []
    for one in known:
        trades = f"{one.fact('fills_page').value} a page"
        if one.capabilities.fills_span_hours is not None:
            trades += f", {one.fact('fills_span_hours').value} at once"
        if one.capabilities.fills_need_symbol:
            trades += ", by symbol"
        rows.append((
            f"`{one.id}`", one.tier, *(one.fact(name).value for name in names), trades,
            one.fact("cancelled_hours").value, one.fact("batch_max").value, one.fact("dead_man_switch").value,
        ))  # fmt: skip
    return _table(head, rows)


def _requests(known: Sequence[matrix.Exchange]) -> str:
    head = (
        "Exchange",
        "Market",
        "Order",
        "Cancel",
        "Open orders",
        "Own trades",
        "Client id",
        "IOC, FOK, post only",
        "Market order",
    )
    rows = []
    for one in known:
        caught = one.requests
        if not caught:
            continue
        sent, read = caught.get("client_id_key", ""), caught.get("client_id_read_key", "")
        named = (
            f"`{sent}`, read as `{read}`"
            if generated.is_named(caught)
            else f"`{sent}` passed on, not known"
            if sent
            else "not sent"
        )
        can = one.capabilities
        terms = [*can.times_in_force[1:], *(["post only"] if can.post_only else [])]
        cells = [_cell(caught.get(name, "ok")) for name in generated.REQUESTS]
        rows.append((
            f"`{one.id}`", caught["kind"], *cells, named, ", ".join(terms) or "none",
            "ok" if "market" in can.order_types else "refused",
        ))  # fmt: skip
    return _table(head, rows)


def _refused(known: Sequence[matrix.Exchange]) -> str:
    return "\n".join(f"- `{one.id}`: {_cell(one.capabilities.refusal)}" for one in known if one.tier == "C")


def _cell(text: Any) -> str:
    return str(text).replace("|", "/").replace("\n", " ").replace("<", "‹").replace(">", "›")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines: list[Sequence[str]] = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

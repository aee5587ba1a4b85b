"""Judges what our general adapter would send to an exchange: is everything on the wire, exactly, and nothing empty."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from venues.adapters import unified
from venues.adapters.capture import CLIENT_ID, Bench, Caught, number, said
from venues.adapters.transport import HttpRecord
from venues.capabilities import Capabilities

VENUE_ORDER_ID = "998877"
_REASON_CHARACTERS_MAX = 140
_ALL_OF_AN_ORDER = ("symbol", "side", "exact amount", "exact price")
_NOTHING = frozenset(("None", "null", "undefined", "nan"))
_SIDES = {
    "buy": re.compile(r"(^|[^a-z])(buy|bid|long)|limitbid|marketbid|^b$", re.I),
    "sell": re.compile(r"(^|[^a-z])(sell|ask|offer|short)|limitoffer|limitask|^s$", re.I),
}
_MARKS = {
    "IOC": re.compile(r"^(ioc|limit_ioc|immediate[_ -]?or[_ -]?cancel|.*[_-]ioc)$", re.I),
    "FOK": re.compile(r"^(fok|limit_fok|fill[_ -]?or[_ -]?kill|.*[_-]fok)$", re.I),
    "post_only": re.compile(
        r"^(post[_ -]?only|limit_maker|maker[_-]?only|post|mo|po|poc|alo|gtx|.*maker.*|.*post.?only)$", re.I
    ),
}
_READ_KEYS = (
    "clientOrderId", "client_order_id", "clientOrderID", "clOrdId", "clOrdID", "clOrderID", "clientOid", "client_oid",
    "orderClientId", "origClientOrderId", "clientId", "client_id", "client-order-id", "cliOrdId", "cl_ord_id",
    "orderLinkId", "customID", "custom_id", "identifier", "label", "text", "cloid", "externalId", "customerID",
)  # fmt: skip


async def captured(exchange: str, kind: str, capabilities: Capabilities) -> dict[str, Any]:
    """Return what the requests to one exchange carry on a market of one kind; "ok" or what is missing, per request."""
    bench = Bench(exchange, kind, capabilities)
    try:
        return await _judged(bench)
    finally:
        bench.client.session = None


async def _judged(bench: Bench) -> dict[str, Any]:
    client_id = bench.adapter.wire_client_id(CLIENT_ID)
    created = await bench.submit()
    order = _telling(created, client_id)
    lacking = _lacks_of_create(bench, created, order, await bench.submit(side="sell"))
    by_id, by_client_id = await bench.revoke(VENUE_ORDER_ID), await bench.revoke(None)
    looked_up, looked_up_by_id = await bench.look_up(None), await bench.look_up(VENUE_ORDER_ID)
    facts: dict[str, Any] = {
        "request": _shape(order),
        "create": _verdict(created, lacking),
        "cancel": _verdict(by_id, _lacks(by_id, {"order id": VENUE_ORDER_ID})),
        **await _lists(bench),
    }
    key = _key_of(order, client_id)
    facts |= {
        "client_id_key": key,
        "client_id_read_key": _read_key(bench, key, client_id),
        "client_id_cancel": not _lacks(by_client_id, {"client id": client_id}) and not _is_blank(by_client_id, by_id),
        "client_id_lookup": not _lacks(looked_up, {"client id": client_id})
        and not _is_blank(looked_up, looked_up_by_id),
        "times_in_force": [
            name for name in ("IOC", "FOK") if _is_marked(order, await bench.submit(time_in_force=name), name)
        ],
        "post_only": _is_marked(order, await bench.submit(post_only=True), "post_only"),
        "market": await _has_market(bench),
        "nonce": any("nonce" in name.lower() for name, _ in _everything(created)),
        "preflights": [_shape(record) for record in created.records if record is not order],
    }
    return {name: value for name, value in facts.items() if value not in (False, [], "")}


async def _lists(bench: Bench) -> dict[str, Any]:
    """Judge the two lists every account is reconciled by; a list of all symbols is better than one of each."""
    facts: dict[str, Any] = {}
    for name, ask in (("open_orders", bench.open_orders), ("fills", bench.fills)):
        everywhere = await ask(by_symbol=False)
        single = await ask(by_symbol=True)
        caught = single if everywhere.records == () else everywhere
        facts[name] = _verdict(caught, _lacks(caught, {}))
        facts[f"{name}_need_symbol"] = everywhere.records == () and single.records != ()
    return facts


async def _has_market(bench: Bench) -> bool:
    for side in ("buy", "sell"):
        caught = await bench.submit(type="market", price=None, time_in_force="IOC", side=side)
        record = _telling(caught, bench.adapter.wire_client_id(CLIENT_ID))
        if (
            record is None
            or not _carries_number(record, bench.case.quantity * bench.case.scale)
            or _has_nothing(record)
        ):
            return False
    return True


def _lacks_of_create(bench: Bench, created: Caught, order: HttpRecord | None, sell: Caught) -> list[str]:
    if order is None:
        return ["the request"]
    lacking = _lacks(created, {})
    market = bench.market
    names = {str(market[name]).lower() for name in ("id", "lowercaseId", "numericId") if market.get(name)}
    names |= {str(bench.case.market.get("baseId", market["id"])).lower()}
    values = {value.lower() for _, value in said(order)}
    if not names & values and not {"btc", market["quote"].lower()} <= values and not _has_pair(order, market):
        lacking.append("symbol")
    if not _has_side(order, _telling(sell, bench.adapter.wire_client_id(CLIENT_ID))):
        lacking.append("side")
    lacking += [
        name for name, wanted in (("exact amount", bench.case.quantity), ("exact price", bench.case.price))
        if not _carries_number(order, wanted * bench.case.scale)
    ]  # fmt: skip
    return lacking


def _has_pair(record: HttpRecord, market: dict[str, Any]) -> bool:
    # some exchanges name a market by its assets: USDT-BTC, btc_usdt, BTCUSDT inside a path
    plain = [re.sub(r"[^a-z]", "", value.lower()) for _, value in said(record)]
    base, quote = market["baseId"].lower(), market["quoteId"].lower()
    return any(value in (base + quote, quote + base) for value in plain)


def _has_side(buy: HttpRecord, sell: HttpRecord | None) -> bool:
    """Say whether buying and selling differ by a word for each, by a flag, or by the sign of the amount."""
    if sell is None:
        return False
    bought, sold = said(buy), said(sell)
    for (name, mine), (other_name, theirs) in zip(bought, sold, strict=False):
        if name != other_name or mine == theirs:
            continue
        if _SIDES["buy"].search(mine) and _SIDES["sell"].search(theirs):
            return True
        if {mine, theirs} == {"true", "false"} or theirs == f"-{mine}":
            return True
        if "side" in name.lower() and {mine, theirs} in ({"0", "1"}, {"1", "2"}):
            return True
    return False


def _carries_number(record: HttpRecord, wanted: Decimal) -> bool:
    return any(number(value) == wanted for _, value in said(record))


def _lacks(caught: Caught, wanted: dict[str, str]) -> list[str]:
    record = _telling(caught, next(iter(wanted.values()), ""))
    if record is None:
        return ["the request"]
    lacking = [name for name, value in wanted.items() if value not in {text for _, text in said(record)}]
    return lacking + (["a value (None goes out)"] if _has_nothing(record) else [])


def _has_nothing(record: HttpRecord) -> bool:
    return any(value in _NOTHING for _, value in said(record))


def _is_blank(caught: Caught, usual: Caught) -> bool:
    """Say whether a request by our id alone has an empty value that the one by the venue's id has not."""
    # A class that does not know ours sends an empty id: at some exchanges that names every order.
    record, by_id = _telling(caught, ""), _telling(usual, "")
    return record is None or by_id is None or _blanks(record) > _blanks(by_id)


def _blanks(record: HttpRecord) -> int:
    return sum(value == "" for _, value in said(record))


def _telling(caught: Caught, marker: str) -> HttpRecord | None:
    """Return the request that is the action itself: the one that names the id, else the last."""
    if not caught.records:
        return None
    named = [record for record in caught.records if marker and record.carries(marker) and record.fault]
    last = caught.records[-1]
    return named[-1] if named else last if last.fault else None


def _key_of(record: HttpRecord | None, client_id: str) -> str:
    if record is None:
        return ""
    return next((name for name, value in said(record) if value == client_id), "")


def _read_key(bench: Bench, sent: str, client_id: str) -> str:
    """Return the name under which an order of theirs has our id, tried by handing rows to the adapter's reader."""
    for key in dict.fromkeys((sent, *_READ_KEYS)):
        row: dict[str, Any] = {key: client_id, "id": "1", "symbol": bench.market["id"], "status": "open", "side": "buy"}
        for shape in (row, {"order": row}, {"result": [1, 0, client_id, bench.market["id"], 0, 0, "1", "1"]}):
            try:
                read = bench.client.parse_order(shape, bench.market)
                text = unified.order({"id": "1", "symbol": "x", **_filled(read), "status": "open"}, bench.row_key)
            except Exception:
                continue  # a class may read other fields first, and stumble over those that are missing
            if text.venue_client_id == client_id:
                return key if "result" not in shape else sent
    return ""


def _filled(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("clientOrderId", "info") if row.get(name) is not None}


def _is_marked(plain: HttpRecord | None, caught: Caught, name: str) -> bool:
    """Say whether a term of an order changes its request by a word for it."""
    record = _telling(caught, "")
    if plain is None or record is None or _has_nothing(record):
        return False
    before = set(said(plain))
    for key, value in said(record):
        if (key, value) in before:
            continue
        is_switch = value in ("true", "True", "1") and _MARKS[name].match(key)
        if _MARKS[name].match(value) or is_switch:
            return True
    return False


def _everything(caught: Caught) -> list[tuple[str, str]]:
    headers = [pair for one in caught.headers for pair in one.items()]
    return headers + [pair for record in caught.records for pair in said(record)]


def _shape(record: HttpRecord | None) -> str:
    if record is None:
        return ""
    path = record.path
    for value, word in ((CLIENT_ID, "{client id}"), (VENUE_ORDER_ID, "{order id}")):
        path = path.replace(value, word)
    return path


def _verdict(caught: Caught, lacking: Sequence[str]) -> str:
    if not lacking:
        return "ok"
    if "the request" in lacking:
        return caught.problem[:_REASON_CHARACTERS_MAX].strip() or "no request was made"
    if len(lacking) == len(_ALL_OF_AN_ORDER):
        return f"not reached: {_shape(caught.records[-1])} comes first"
    return f"lacks {', '.join(lacking)}"

"""Answers made wrong on purpose: other people's rows, other ids, numbers too large, HTML instead of JSON."""

import re
from typing import Any

from venues.paper.faults import Rule

HTML_PAGE = "<html><head><title>Bad gateway</title></head><body><h1>The server is on its way</h1></body></html>"
HUGE_NUMBER = "1E999999999"
DECIMAL_TEXT = re.compile(r"-?\d+\.\d+")
CLIENT_ID_FIELDS = (
    "clientOrderId", "origClientOrderId", "cl_ord_id", "orderLinkId", "client_order_id", "c", "C", "clOrdId", "algoClOrdId",
    "label",
)  # fmt: skip
OTHER_CLIENT_ID = "z9notyourorder0001"
STRANGE_NUMBER = 900_000_000
STRANGE_IDS = (
    "orderId", "id", "ordertxid", "execId", "order_id", "trade_id", "clientOrderId", "cl_ord_id", "orderLinkId", "ordId",
    "tradeId", "clOrdId", "client_order_id", "label",
)  # fmt: skip
LISTS = ("list", "data", "orders", "fills", "trades", "logs")


def enlarged(body: Any) -> Any:
    """Return a body whose decimal texts and numbers are all a number nobody can hold."""
    if isinstance(body, dict):
        return {name: enlarged(value) for name, value in body.items()}
    if isinstance(body, list):
        return [enlarged(value) for value in body]
    is_number = isinstance(body, float) or (isinstance(body, str) and DECIMAL_TEXT.fullmatch(body))
    return HUGE_NUMBER if is_number else body


def with_other_client_id(body: Any, rule: Rule) -> Any:
    """Return a body that carries another client id wherever it carried one."""
    other = str(rule.params.get("client_order_id", OTHER_CLIENT_ID))
    return _renamed(body, other)


def carries_client_id(body: Any) -> bool:
    """Tell whether a body names a client id anywhere."""
    if isinstance(body, dict):
        return any(body.get(name) for name in CLIENT_ID_FIELDS) or any(map(carries_client_id, body.values()))
    return isinstance(body, list) and any(map(carries_client_id, body))


def with_foreign_row(body: Any, foreign: Any) -> Any:
    """Return a read's body with a row of another account in it, None when there is nothing to take one from.

    `foreign` is what the same read shows that account; without any, an own row under a strange id serves.
    """
    if isinstance(body, dict) and isinstance(body.get("result"), dict | list):
        wrapped = with_foreign_row(body["result"], foreign.get("result") if isinstance(foreign, dict) else None)
        return None if wrapped is None else body | {"result": wrapped}
    if isinstance(body, list):
        row = foreign[0] if isinstance(foreign, list) and foreign else _strange(body[0]) if body else None
        return None if row is None else [*body, row]
    if not isinstance(body, dict):
        return None
    for name in LISTS:
        if isinstance(body.get(name), list):
            listed = with_foreign_row(body[name], foreign.get(name) if isinstance(foreign, dict) else None)
            return None if listed is None else body | {name: listed}
    for name in ("open", "closed", "trades", "ledger"):
        if isinstance(body.get(name), dict):
            rows = _foreign_rows(body[name], foreign.get(name) if isinstance(foreign, dict) else None)
            return None if rows is None else body | {name: body[name] | rows}
    if isinstance(body.get("order"), dict):
        other = foreign.get("order") if isinstance(foreign, dict) else None
        return body | {"order": other or _strange(body["order"])}
    for name in ("orderId", "order_id"):
        if name in body:
            return foreign if isinstance(foreign, dict) and name in foreign else _strange(body)
    return _foreign_rows(body, foreign)


def _foreign_rows(own: dict[str, Any], foreign: Any) -> dict[str, Any] | None:
    if isinstance(foreign, dict) and foreign:
        name = next(iter(foreign))
        return {name: foreign[name]}
    if not own:
        return None
    name = next(iter(own))
    return {f"{name[:-6]}ZZZZZZ": _strange(own[name])}


def _strange(row: Any) -> Any:
    made = dict(row)
    for name in STRANGE_IDS:
        if made.get(name):
            made[name] = made[name] + STRANGE_NUMBER if isinstance(made[name], int) else OTHER_CLIENT_ID
    return made


def _renamed(body: Any, other: str) -> Any:
    if isinstance(body, dict):
        return {
            name: other if name in CLIENT_ID_FIELDS and isinstance(value, str) and value else _renamed(value, other)
            for name, value in body.items()
        }
    return [_renamed(value, other) for value in body] if isinstance(body, list) else body

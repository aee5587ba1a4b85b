"""Which order an algo order has placed: what the venue names by two ids is one order here, under the algo order's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

IDS_KEPT = 20_000
Value = TypeVar("Value", str, tuple[str, str])


class Algos:
    """The algo orders of one account as far as they were seen; an unknown one is learnt by the next read or lookup."""

    def __init__(self) -> None:
        self._child_of: dict[str, str] = {}
        self._parent_of: dict[str, tuple[str, str]] = {}
        self._by_client_id: dict[str, str] = {}

    def asked(self, client_id: str) -> None:
        """Note that an algo order with this client id is about to be asked for."""
        _keep(self._by_client_id, client_id, "")

    def learn(self, row: Mapping[str, Any]) -> None:
        """Note what a row says: of an algo order, of the order it placed, or of a plain one."""
        algo_id, order_id, client_id = (_text(row, name) for name in ("algoId", "ordId", "algoClOrdId"))
        if order_id:
            _keep(self._parent_of, order_id, (algo_id, client_id))
        if not algo_id:
            return
        _keep(self._child_of, algo_id, order_id or self._child_of.get(algo_id, ""))
        if client_id:
            _keep(self._by_client_id, client_id, algo_id)

    def parent_of(self, order_id: str) -> tuple[str, str] | None:
        """Return both ids of the algo order that placed an order: empty for a plain one, None where nobody knows."""
        return self._parent_of.get(order_id)

    def address(self, venue_order_id: str | None, client_id: str) -> tuple[dict[str, str], bool]:
        """Return the ids by which to reach an order, and whether it is an algo order that still waits."""
        algo_id = venue_order_id if venue_order_id in self._child_of else self._by_client_id.get(client_id)
        if algo_id is None:
            return ({"ordId": venue_order_id} if venue_order_id else {"clOrdId": client_id}), False
        child = self._child_of.get(algo_id, "")
        if child:
            return {"ordId": child}, False
        return ({"algoId": algo_id} if algo_id else {"algoClOrdId": client_id}), True


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return value if isinstance(value, str) else ""


def _keep(known: dict[str, Value], key: str, value: Value) -> None:
    known.pop(key, None)
    known[key] = value
    if len(known) > IDS_KEPT:
        del known[next(iter(known))]

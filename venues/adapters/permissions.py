"""How to ask an exchange what a key may do, for those of the general way; what is not said stays None."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from venues.adapters import rows
from venues.messages import Permissions

Reader = Callable[[Mapping[str, Any]], Permissions]


def _bybit(reply: Mapping[str, Any]) -> Permissions:
    result = _part(reply, "result")
    granted = _part(result, "permissions")
    ips = result.get("ips")
    return Permissions(
        can_read=True,
        can_trade=bool(granted.get("Spot")) and str(result.get("readOnly")) == "0",
        can_withdraw="Withdraw" in (granted.get("Wallet") or []),
        ip_restricted=isinstance(ips, list) and bool(ips) and "*" not in ips,
        source="GET /v5/user/query-api",
    )


def _okx(reply: Mapping[str, Any]) -> Permissions:
    found = reply.get("data")
    if not isinstance(found, list) or not found:
        raise rows.RowError("data is empty")
    granted = rows.text(found[0], "perm").split(",")
    return Permissions(
        can_read=True,
        can_trade="trade" in granted,
        can_withdraw="withdraw" in granted,
        ip_restricted=bool(found[0].get("ip")),
        source="GET /api/v5/account/config",
    )


def _coinbase(reply: Mapping[str, Any]) -> Permissions:
    return Permissions(
        can_read=reply.get("can_view"),
        can_trade=reply.get("can_trade"),
        can_withdraw=reply.get("can_transfer"),
        source="GET /api/v3/brokerage/key_permissions",
    )


def _kucoin(reply: Mapping[str, Any]) -> Permissions:
    data = _part(reply, "data")
    granted = {name.strip() for name in rows.text(data, "permission").split(",")}
    return Permissions(
        can_read="General" in granted,
        can_trade="Spot" in granted or "Trade" in granted,
        can_withdraw=bool(granted & {"Withdrawal", "Withdraw", "Transfer"}),
        ip_restricted=bool(data.get("ipWhitelist")),
        source="GET /api/v1/user/api-key",
    )


PROBES: dict[str, tuple[str, Reader]] = {
    "bybit": ("privateGetV5UserQueryApi", _bybit),
    "okx": ("privateGetAccountConfig", _okx),
    "coinbase": ("v3PrivateGetBrokerageKeyPermissions", _coinbase),
    "kucoin": ("privateGetUserApiKey", _kucoin),
}


async def probe(client: Any, exchange: str) -> Permissions:
    """Ask the exchange; every field is None where nobody has taught us to ask. Raises whatever goes wrong."""
    if exchange not in PROBES:
        return Permissions(source="this exchange offers no question we know")
    method, read = PROBES[exchange]
    reply = await getattr(client, method)({})
    if not isinstance(reply, Mapping):
        raise rows.RowError("the answer is not an object")
    return read(reply)


def _part(row: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = row.get(key)
    if not isinstance(found, Mapping):
        raise rows.RowError(f"{key} is not an object")
    return found

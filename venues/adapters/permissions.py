"""How to ask an exchange what a key may do; what it does not say stays None, and nobody guesses.

The right to move funds between accounts of one owner counts as the right to transfer: it takes them out of sight.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from project.lib import clock
from venues.adapters import rows
from venues.messages import Permissions

# Bitget's names of rights that move no money; any other name leaves the answer open.
_BITGET_HARMLESS = frozenset({"readonly", "trade", "stow", "smow", "coow", "cpow"})
_KUCOIN_TRANSFERS = frozenset({"Transfer", "InnerTransfer"})
_KUCOIN_WITHDRAWS = frozenset({"Withdrawal", "Withdraw"})


class Probe(NamedTuple):
    """A question (a method of the ccxt instance, called with `parameters`) and how to read its answer for a key."""

    method: str
    read: Callable[[Any, str], Permissions]
    preparation: str = ""


def _bybit(reply: Any, _: str) -> Permissions:
    result = _part(reply, "result")
    granted = _part(result, "permissions")
    wallet = granted.get("Wallet")
    is_said = isinstance(wallet, list)
    ips = result.get("ips")
    trades = any(granted.get(kind) for kind in ("Spot", "ContractTrade", "Derivatives"))
    return Permissions(
        can_read=True,
        can_trade=trades and str(result.get("readOnly")) == "0",
        # Every right over the wallet moves money out of the account: to an address, a sub-account or another wallet.
        can_withdraw="Withdraw" in wallet if is_said else None,
        can_transfer=bool(set(map(str, wallet)) - {"Withdraw"}) if is_said else None,
        ip_restricted=isinstance(ips, list) and bool(ips) and "*" not in ips,
        expires_at=_moment(result.get("expiredAt")),
        source="GET /v5/user/query-api",
    )


def _kucoin(reply: Any, _: str) -> Permissions:
    data = _part(reply, "data")
    granted = {name.strip() for name in rows.text(data, "permission").split(",")}
    return Permissions(
        can_read="General" in granted,
        can_trade=bool(granted & {"Spot", "Trade", "Futures"}),
        can_withdraw=bool(granted & _KUCOIN_WITHDRAWS),
        can_transfer=bool(granted & _KUCOIN_TRANSFERS),
        ip_restricted=bool(data.get("ipWhitelist")),
        expires_at=_moment(data.get("expiredAt")),
        source="GET /api/v1/user/api-key",
    )


def _binance(reply: Any, _: str) -> Permissions:
    transfers = (_flag(reply, "permitsUniversalTransfer"), _flag(reply, "enableInternalTransfer"))
    return Permissions(
        can_read=_flag(reply, "enableReading"),
        can_trade=_flag(reply, "enableSpotAndMarginTrading"),
        can_withdraw=_flag(reply, "enableWithdrawals"),
        can_transfer=_either(*transfers),
        ip_restricted=_flag(reply, "ipRestrict"),
        expires_at=_moment(reply.get("tradingAuthorityExpirationTime")),
        source="GET /sapi/v1/account/apiRestrictions",
    )


def _binance_futures(reply: Any, api_key: str) -> Permissions:
    return replace(_binance(reply, api_key), can_trade=_flag(reply, "enableFutures"))


def _bitfinex(reply: Any, _: str) -> Permissions:
    if not isinstance(reply, list):
        raise rows.RowError("a list was expected")
    granted = {str(row[0]): (row[1] == 1, row[2] == 1) for row in reply if isinstance(row, list) and len(row) >= 3}
    nothing = (None, None)
    return Permissions(
        can_read=granted.get("wallets", nothing)[0],
        can_trade=granted.get("orders", nothing)[1],
        can_withdraw=granted.get("withdraw", nothing)[1],
        can_transfer=granted.get("wallets", nothing)[1],
        source="POST /v2/auth/r/permissions",
    )


def _htx(reply: Any, api_key: str) -> Permissions:
    row = _own(reply.get("data"), "accessKey", api_key)
    granted = {name.strip() for name in rows.text(row, "permission").split(",")}
    days = row.get("validDays")
    return Permissions(
        can_read="readOnly" in granted,
        can_trade="trade" in granted,
        can_withdraw="withdraw" in granted,
        ip_restricted=bool(row.get("ipAddresses")),
        expires_at=clock.now() + timedelta(days=days) if isinstance(days, int) and days > 0 else None,
        source="GET /v2/user/api-key",
    )


def _deribit(reply: Any, api_key: str) -> Permissions:
    row = _own(reply.get("result"), "client_id", api_key)
    scope = dict(part.split(":", 1) for part in rows.text(row, "max_scope").split() if ":" in part)
    wallet = scope.get("wallet") == "read_write"
    allowed = row.get("ip_whitelist")
    return Permissions(
        can_read="account" in scope,
        can_trade=scope.get("trade") == "read_write",
        can_withdraw=wallet,
        can_transfer=wallet,
        ip_restricted=bool(allowed) if isinstance(allowed, list) else None,
        source="private/list_api_keys",
    )


def _bitget(reply: Any, _: str) -> Permissions:
    data = _part(reply, "data")
    granted = data.get("authorities")
    if not isinstance(granted, list):
        raise rows.RowError("authorities is not a list")
    names = {str(name) for name in granted}
    is_plain = all(name in _BITGET_HARMLESS or name.endswith("or") for name in names)
    return Permissions(
        can_read=True,
        can_trade=bool(names & {"trade", "stow"}),
        can_withdraw=True if "wwow" in names else False if is_plain else None,
        can_transfer=True if "wtow" in names else False if is_plain else None,
        ip_restricted=bool(data.get("ips")),
        source="GET /api/v2/spot/account/info",
    )


_BINANCE = Probe("sapiGetAccountApiRestrictions", _binance)
_FUTURES = Probe("sapiGetAccountApiRestrictions", _binance_futures)
_BYBIT = Probe("privateGetV5UserQueryApi", _bybit)
_KUCOIN = Probe("privateGetUserApiKey", _kucoin)
PROBES: dict[str, Probe] = {
    **dict.fromkeys(("binance", "binanceus"), _BINANCE),
    **dict.fromkeys(("binanceusdm", "binancecoinm"), _FUTURES),
    **dict.fromkeys(("bybit", "bybiteu", "bybitid"), _BYBIT),
    **dict.fromkeys(("kucoin", "kucoinfutures"), _KUCOIN),
    "bitfinex": Probe("privatePostAuthRPermissions", _bitfinex),
    "bitget": Probe("privateSpotGetV2SpotAccountInfo", _bitget),
    "deribit": Probe("privateGetListApiKeys", _deribit),
    "htx": Probe("spotPrivateGetV2UserApiKey", _htx, preparation="spotPrivateGetV2UserUid"),
    "bittrade": Probe("v2PrivateGetUserApiKey", _htx, preparation="v2PrivateGetUserUid"),
}


async def probe(client: Any, exchange: str) -> Permissions:
    """Ask the exchange; every field is None where nobody has taught us to ask. Raises whatever goes wrong."""
    known = PROBES.get(exchange)
    if known is None:
        return Permissions(source="this exchange offers no question we know")
    parameters: dict[str, Any] = {}
    if known.preparation:  # HTX answers about a user's keys by the user's number
        parameters = {"uid": _part(await getattr(client, known.preparation)({}), "data", of=object)}
    reply = await getattr(client, known.method)(parameters)
    if not isinstance(reply, Mapping | list):
        raise rows.RowError("the answer is not an object")
    return known.read(reply, client.apiKey)


def _part(row: Any, key: str, of: type = Mapping) -> Any:
    found = row.get(key) if isinstance(row, Mapping) else None
    if found is None or not isinstance(found, of):
        raise rows.RowError(f"{key} is not an object")
    return found


def _own(found: Any, key: str, api_key: str) -> Mapping[str, Any]:
    own = next((row for row in found or () if isinstance(row, Mapping) and row.get(key) == api_key), None)
    if own is None:
        raise rows.RowError("this key is not in the list of keys")
    return own


def _flag(reply: Any, key: str) -> bool | None:
    value = reply.get(key) if isinstance(reply, Mapping) else None
    return value if isinstance(value, bool) else None


def _either(*flags: bool | None) -> bool | None:
    return True if True in flags else False if False in flags else None


def _moment(value: Any) -> datetime | None:
    """Read the end of a key: milliseconds since 1970 or an ISO text; nothing and zero mean no end."""
    try:
        if isinstance(value, str) and not value.isdecimal():
            moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return datetime.fromtimestamp(int(value) / 1000, UTC) if int(value or 0) > 0 else None
    except (ValueError, TypeError, OverflowError, OSError):
        return None

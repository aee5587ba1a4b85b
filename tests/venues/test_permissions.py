"""What each exchange answers about a key is read as it is meant: the right to move money is never missed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import ccxt.async_support
import pytest

from venues.adapters import kraken_rows, permissions, rows
from venues.messages import Permissions
from venues.probes import judge

KEY = "own-key"
Answer = Callable[[bool, bool, bool, bool], Any]


def _binance(trade: bool, withdraw: bool, transfer: bool, bound: bool) -> Any:
    return {
        "ipRestrict": bound, "enableReading": True, "enableWithdrawals": withdraw, "enableInternalTransfer": False,
        "permitsUniversalTransfer": transfer, "enableSpotAndMarginTrading": trade, "enableFutures": trade,
        "tradingAuthorityExpirationTime": 1_800_000_000_000,
    }  # fmt: skip


def _bybit(trade: bool, withdraw: bool, transfer: bool, bound: bool) -> Any:
    wallet = ["Withdraw"] * withdraw + ["SubMemberTransfer"] * transfer
    granted = {"Spot": ["SpotTrade"] if trade else [], "Wallet": wallet, "ContractTrade": []}
    ips = ["10.0.0.1"] if bound else ["*"]
    return {"result": {"readOnly": 0, "permissions": granted, "ips": ips, "expiredAt": "2027-01-15T08:00:00Z"}}


def _kucoin(trade: bool, withdraw: bool, transfer: bool, bound: bool) -> Any:
    names = ["General"] + ["Spot"] * trade + ["Withdrawal"] * withdraw + ["InnerTransfer"] * transfer
    return {"data": {"permission": ",".join(names), "ipWhitelist": "10.0.0.1" if bound else ""}}


def _bitfinex(trade: bool, withdraw: bool, transfer: bool, bound: bool) -> Any:
    return [["orders", 1, int(trade)], ["wallets", 1, int(transfer)], ["withdraw", 0, int(withdraw)]]


def _htx(trade: bool, withdraw: bool, transfer: bool, bound: bool) -> Any:
    names = ["readOnly"] + ["trade"] * trade + ["withdraw"] * withdraw
    other = {"accessKey": "another", "permission": "readOnly,trade,withdraw", "ipAddresses": ""}
    own = {"accessKey": KEY, "permission": ",".join(names), "ipAddresses": "10.0.0.1" if bound else "", "validDays": -1}
    return {"data": [other, own]}


def _deribit(trade: bool, withdraw: bool, transfer: bool, bound: bool) -> Any:
    wallet = "read_write" if withdraw or transfer else "read"
    scope = f"account:read trade:{'read_write' if trade else 'read'} wallet:{wallet}"
    other = {"client_id": "another", "max_scope": "wallet:read_write trade:read_write"}
    return {"result": [other, {"client_id": KEY, "max_scope": scope, "ip_whitelist": ["10.0.0.1"] if bound else []}]}


def _bitget(trade: bool, withdraw: bool, transfer: bool, bound: bool) -> Any:
    names = ["stor"] + ["stow"] * trade + ["wwow"] * withdraw + ["wtow"] * transfer
    return {"data": {"authorities": names, "ips": "10.0.0.1" if bound else ""}}


ANSWERS: dict[str, Answer] = {
    **dict.fromkeys(("binance", "binanceus", "binanceusdm", "binancecoinm"), _binance),
    **dict.fromkeys(("bybit", "bybiteu", "bybitid"), _bybit),
    **dict.fromkeys(("kucoin", "kucoinfutures"), _kucoin), **dict.fromkeys(("htx", "bittrade"), _htx),
    "bitfinex": _bitfinex, "deribit": _deribit, "bitget": _bitget,
}  # fmt: skip
NO_TRANSFER_OF_ITS_OWN = {"htx", "bittrade"}
SAYS_NO_ADDRESSES = {"bitfinex"}


def read(exchange: str, *rights: bool) -> Permissions:
    return permissions.PROBES[exchange].read(ANSWERS[exchange](*rights), KEY)


def verdict(found: Permissions) -> str:
    return judge(found, waived_by="", was_ip_restricted=None)


def test_every_probe_is_asked_about() -> None:
    assert set(ANSWERS) == set(permissions.PROBES)


@pytest.mark.parametrize("exchange", permissions.PROBES)
def test_rights_are_read_and_judged(exchange: str) -> None:
    plain = read(exchange, True, False, False, True)
    assert (plain.can_read, plain.can_trade, plain.can_withdraw) == (True, True, False)
    assert plain.ip_restricted is (None if exchange in SAYS_NO_ADDRESSES else True)
    assert verdict(plain) == "trade without withdraw"
    assert verdict(read(exchange, True, True, False, True)) == "refused: this key may withdraw"
    assert verdict(read(exchange, False, False, False, True)) == "refused: this key may not trade"
    if exchange not in NO_TRANSFER_OF_ITS_OWN:
        assert verdict(read(exchange, True, False, True, True)).startswith("refused: this key may")
    assert not read(exchange, True, False, False, False).ip_restricted


@pytest.mark.parametrize("exchange", permissions.PROBES)
def test_the_question_exists_and_an_unreadable_answer_is_no_answer(exchange: str) -> None:
    probe = permissions.PROBES[exchange]
    client = getattr(ccxt.async_support, exchange)()
    assert callable(getattr(client, probe.method)) and (
        not probe.preparation or callable(getattr(client, probe.preparation))
    )
    unreadable: list[dict[str, Any]] = [{}, {"data": "?"}, {"result": []}, {"data": []}]
    for garbled in unreadable:
        try:
            found = probe.read(garbled, KEY)
        except rows.RowError:
            continue
        assert verdict(found) == "refused: the venue does not say what this key may do"


def test_a_right_nobody_knows_leaves_the_answer_open() -> None:
    found = permissions.PROBES["bitget"].read({"data": {"authorities": ["stow", "xxow"], "ips": ""}}, KEY)
    assert (found.can_withdraw, found.can_transfer) == (None, None)


def test_the_end_of_a_key_is_read() -> None:
    end = datetime(2027, 1, 15, 8, 0, tzinfo=UTC)
    assert read("binance", True, False, False, True).expires_at == end
    assert read("bybit", True, False, False, True).expires_at == end
    assert kraken_rows.permissions({"permissions": [], "validUntil": "1800000000"}).expires_at == end
    assert kraken_rows.permissions({"permissions": [], "validUntil": "0"}).expires_at is None

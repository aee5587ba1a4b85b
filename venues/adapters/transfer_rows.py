"""Venues' rows about money that moved without a trade, into our reports; pure and strict.

Each reader returns the movements of one row: none for a trade, which is read as a fill; two where a row settles both a
position and its funding. What it cannot place is `other`: it moved our total all the same, so it is booked and looked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

from project.lib import decimals
from venues.adapters import rows
from venues.messages import Malformed, TransferKind, TransferReport

ID_CHARACTERS_MAX = 100
Row = Mapping[str, Any]
AssetOf = Callable[[str], str]
Status = Literal["done", "pending", "failed"]
_TRADES = frozenset(("trade", "liquidation", "TRADE", "LIQUIDATION", "BLOCK_TRADE", "ADL", "advanced_trade_fill"))
_BINANCE_DEPOSITS: dict[str, Status] = {
    "0": "pending", "8": "pending", "1": "done", "6": "done", "2": "failed", "7": "failed",
}  # fmt: skip
_BINANCE_WITHDRAWALS: dict[str, Status] = {
    "0": "pending", "2": "pending", "4": "pending", "6": "done", "1": "failed", "3": "failed", "5": "failed",
}  # fmt: skip
_KRAKEN: dict[str, TransferKind] = {
    "deposit": "deposit", "withdrawal": "withdrawal", "transfer": "internal", "rollover": "fee", "settled": "settlement",
    "nft_rebate": "rebate", "invite bonus": "rebate",
}  # fmt: skip
_BYBIT: dict[str, TransferKind] = {
    "TRANSFER_IN": "internal", "TRANSFER_OUT": "internal", "SETTLEMENT": "funding", "DELIVERY": "settlement",
    "FEE_REFUND": "rebate", "INTEREST": "fee",
}  # fmt: skip
_OKX: dict[str, TransferKind] = {
    "1": "internal", "6": "internal", "12": "internal", "8": "funding", "3": "settlement", "7": "fee",
}  # fmt: skip
_OKX_TRADES = frozenset(("2", "5", "9", "14", "24"))
_COINBASE: dict[str, tuple[TransferKind, TransferKind]] = {  # by the sign of the amount: in, out
    "send": ("deposit", "withdrawal"),
    "fiat_deposit": ("deposit", "deposit"),
    "fiat_withdrawal": ("withdrawal", "withdrawal"),
    "exchange_deposit": ("internal", "internal"),
    "exchange_withdrawal": ("internal", "internal"),
    "pro_deposit": ("internal", "internal"),
    "pro_withdrawal": ("internal", "internal"),
    "transfer": ("internal", "internal"),
    "vault_withdrawal": ("internal", "internal"),
    "incentives_rewards_payout": ("rebate", "rebate"),
}
_COINBASE_FAILED = frozenset(("failed", "expired", "canceled", "cancelled"))
_DERIBIT: dict[str, TransferKind] = {
    "deposit": "deposit", "withdrawal": "withdrawal", "transfer": "internal", "reward": "rebate", "rebate": "rebate",
    "usdc_reward": "rebate", "negative_balance_fee": "fee", "fee": "fee",
}  # fmt: skip


def collect(found: Iterable[Any], read: Callable[[Row], Sequence[TransferReport]]) -> list[Any]:
    """Read every row; a movement told twice alike is one, and told twice with other figures is a contradiction: Malformed."""
    known: dict[tuple[str, str, str], TransferReport] = {}
    bad: list[Malformed] = []
    for row in found:
        parsed = rows.one("transfers", row, read)
        if isinstance(parsed, Malformed):
            bad.append(parsed)
            continue
        for report in parsed:
            key = (report.kind, report.venue_transfer_id, report.asset)
            if known.setdefault(key, report) != report:
                bad.append(rows.malformed("transfers", "the same id is told with two contents", str(row)))
    return [*known.values(), *bad]


def identity(row: Row, key: str, *content: object) -> str:
    """Return the venue's id of a movement; where it gives none, a SHA-256 of the content, the same for ever. Raises RowError."""
    given = rows.optional_text(row, key)
    if given is not None and len(given) <= ID_CHARACTERS_MAX:
        return given
    return hashlib.sha256("|".join(map(str, content if given is None else (given,))).encode()).hexdigest()


def binance_deposit(row: Row, asset_of: AssetOf) -> list[TransferReport]:
    """Read one row of deposit/hisrec; what went to another wallet than spot is none of ours."""
    if rows.optional_text(row, "walletType") not in (None, "0"):
        return []
    asset, amount, at = (
        asset_of(rows.text(row, "coin")),
        rows.positive(row, "amount"),
        rows.milliseconds(row, "insertTime"),
    )
    reference = rows.optional_text(row, "txId") or ""
    return [TransferReport(
        venue_transfer_id=identity(row, "id", "deposit", asset, amount, at, reference), kind="deposit", asset=asset,
        amount=amount, reference=reference, status=_status(row, "status", _BINANCE_DEPOSITS), occurred_at=at,
    )]  # fmt: skip


def binance_withdrawal(row: Row, asset_of: AssetOf) -> list[TransferReport]:
    """Read one row of withdraw/history: the fee is taken on top of the amount."""
    if rows.optional_text(row, "walletType") not in (None, "0"):
        return []
    asset, amount, at = asset_of(rows.text(row, "coin")), rows.positive(row, "amount"), _plain_time(row, "applyTime")
    fee = rows.optional_amount(row, "transactionFee") or decimals.ZERO
    reference = rows.optional_text(row, "txId") or rows.optional_text(row, "address") or ""
    return [TransferReport(
        venue_transfer_id=identity(row, "id", "withdrawal", asset, amount, at, reference), kind="withdrawal", asset=asset,
        amount=-rows.total(amount, fee), fee=fee, reference=reference,
        status=_status(row, "status", _BINANCE_WITHDRAWALS), occurred_at=at,
    )]  # fmt: skip


def kraken(key: str, row: Row, asset_of: AssetOf) -> list[TransferReport]:
    """Read one row of Ledgers: the fee is taken on top of the signed amount."""
    word = rows.text(row, "type")
    if word in _TRADES:
        return []
    at = rows.seconds(row, "time")
    if at is None:
        raise rows.RowError("time is missing")
    fee = rows.signed(row, "fee")
    return _moved(
        venue_transfer_id=identity({"id": key}, "id"), kind=_KRAKEN.get(word, "other"),
        asset=asset_of(rows.text(row, "asset")), amount=rows.total(rows.signed(row, "amount"), -fee), fee=fee,
        reference=rows.optional_text(row, "refid") or "", occurred_at=at,
    )  # fmt: skip


def bybit(row: Row, symbol_of: AssetOf, asset_of: AssetOf) -> list[TransferReport]:
    """Read one row of transaction-log: `change` is what it did to the cash balance, funding and fee included."""
    word = rows.text(row, "type")
    if word in _TRADES:
        return []
    kind = _BYBIT.get(word, "other")
    asset, amount = asset_of(rows.text(row, "currency")), rows.signed(row, "change")
    at, symbol = rows.milliseconds(row, "transactionTime"), rows.optional_text(row, "symbol")
    fee = rows.signed(row, "fee") if row.get("fee") not in (None, "") else decimals.ZERO
    return _moved(
        venue_transfer_id=identity(row, "id", kind, asset, amount, at), kind=kind, asset=asset, amount=amount, fee=fee,
        symbol=symbol_of(symbol) if symbol else "", reference=rows.optional_text(row, "transSubType") or "", occurred_at=at,
    )  # fmt: skip


def okx(row: Row, symbol_of: AssetOf) -> list[TransferReport]:
    """Read one bill: `balChg` is what it did to the balance; a fee is written as a negative number."""
    word = rows.text(row, "type")
    if word in _OKX_TRADES:
        return []
    kind = _OKX.get(word, "other")
    asset, amount, at = rows.text(row, "ccy"), rows.signed(row, "balChg"), rows.milliseconds(row, "ts")
    fee = -rows.signed(row, "fee") if row.get("fee") not in (None, "") else decimals.ZERO
    instrument = rows.optional_text(row, "instId")
    return _moved(
        venue_transfer_id=identity(row, "billId", kind, asset, amount, at), kind=kind, asset=asset, amount=amount, fee=fee,
        symbol=symbol_of(instrument) if instrument else "", reference=rows.optional_text(row, "notes") or "", occurred_at=at,
    )  # fmt: skip


def coinbase(row: Row, wallet: str) -> list[TransferReport]:
    """Read one transaction of a wallet; one that names another wallet's path is somebody else's. Raises RowError."""
    word = rows.text(row, "type")
    if word in _TRADES:
        return []
    path = rows.optional_text(row, "resource_path")
    if path is not None and f"/accounts/{wallet}/" not in path:
        raise rows.RowError("resource_path is of another wallet than was asked for")
    money, network = row.get("amount"), row.get("network") or {}
    if not isinstance(money, Mapping) or not isinstance(network, Mapping):
        raise rows.RowError("amount or network is not an object")
    amount, at = rows.signed(money, "amount"), rows.rfc3339(row, "created_at")
    if at is None:
        raise rows.RowError("created_at is missing")
    kind = _COINBASE.get(word, ("other", "other"))[amount < 0]
    asset, told = rows.text(money, "currency"), rows.text(row, "status")
    reference = rows.optional_text(network, "hash") or ""
    return _moved(
        venue_transfer_id=identity(row, "id", kind, asset, amount, at, reference), kind=kind, asset=asset, amount=amount,
        reference=reference, occurred_at=at,
        status="done" if told == "completed" else "failed" if told in _COINBASE_FAILED else "pending",
    )  # fmt: skip


def deribit(row: Row, symbol_of: AssetOf, user: str | None) -> list[TransferReport]:
    """Read one row of the transaction log; one of another user is somebody else's. Raises RowError.

    A settlement turns what the session has won and its funding into cash. What trades have won is booked with each of them,
    so what is left is the profit that was not realised; and the funding, of which nothing was the account's before.
    """
    if user is not None and rows.text(row, "user_id") != user:
        raise rows.RowError("user_id is of another account than the key's")
    word = rows.text(row, "type")
    if word in _TRADES:
        return []
    asset, change, at = rows.text(row, "currency"), rows.signed(row, "change"), rows.milliseconds(row, "timestamp")
    instrument, told = rows.optional_text(row, "instrument_name"), row.get("info")
    symbol = symbol_of(instrument) if instrument else ""
    if word in ("settlement", "delivery"):
        funding = rows.signed(row, "interest_pl") if row.get("interest_pl") not in (None, "") else decimals.ZERO
        rest = rows.total(change, -rows.signed(row, "session_rpl"))
        parts: tuple[tuple[TransferKind, Decimal], ...] = (("funding", funding), ("settlement", rest))
        return [
            report
            for kind, amount in parts
            for report in _moved(
                venue_transfer_id=identity(row, "id", kind, asset, amount, at, symbol), kind=kind, asset=asset,
                amount=amount, symbol=symbol, occurred_at=at,
            )
        ]  # fmt: skip
    kind = _DERIBIT.get(word, "other")
    reference = rows.optional_text(told, "transaction") if isinstance(told, Mapping) else None
    return _moved(
        venue_transfer_id=identity(row, "id", kind, asset, change, at, reference), kind=kind, asset=asset, amount=change,
        symbol=symbol, reference=reference or "", occurred_at=at,
    )  # fmt: skip


def _moved(**told: Any) -> list[TransferReport]:
    return [TransferReport(**told)] if told["amount"] else []


def _status(row: Row, key: str, table: Mapping[str, Status]) -> Status:
    found = table.get(rows.text(row, key))
    if found is None:
        raise rows.RowError(f"{key} is unknown")
    return found


def _plain_time(row: Row, key: str) -> datetime:
    """Return the time of a field such as `2019-10-12 11:12:02`, in UTC. Raises RowError."""
    try:
        return datetime.strptime(rows.text(row, key), "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        raise rows.RowError(f"{key} is not a time") from None

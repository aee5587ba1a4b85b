"""What streams told in one transaction, stored in one go with what it changes: raw frames, and the balances that moved. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from venues.messages import BalanceReport


@dataclass(frozen=True, slots=True)
class FrameRow:
    """A stream's words as received."""

    account: str
    received_at: datetime
    body: str


@dataclass(slots=True)
class ToldBalances:
    """The last word of a stream on each asset of one account, and when the newest was received."""

    received_at: datetime
    by_asset: dict[str, BalanceReport] = field(default_factory=dict)


@dataclass
class Told:
    """What the streams of all accounts in a transaction told."""

    frames: list[FrameRow] = field(default_factory=list)
    balances: dict[str, ToldBalances] = field(default_factory=dict)

    def note_balance(self, account: str, report: BalanceReport, received_at: datetime) -> None:
        """Take what was told of one asset; of what was told of it before, in this transaction, nothing is left."""
        told = self.balances.setdefault(account, ToldBalances(received_at))
        told.received_at, told.by_asset[report.asset] = received_at, report

    def note_frames(self, account: str, frames: Iterable[tuple[str, datetime]]) -> None:
        """Take raw frames: body, and when it was received."""
        self.frames += [FrameRow(account, received_at, body) for body, received_at in frames]

    def __bool__(self) -> bool:
        """Whether anything was told."""
        return bool(self.frames or self.balances)

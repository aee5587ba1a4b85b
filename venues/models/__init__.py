"""The rows of venues: accounts and their keys; how everything about them does."""

from __future__ import annotations

from venues.models.accounts import (
    EXPIRY_WARNING_DAYS,
    Account,
    AccountStatus,
    Credential,
    Instrument,
    KeyState,
    ProvedFact,
    RawFrame,
    Snapshot,
    SnapshotStatus,
    Surface,
    Venue,
)
from venues.models.standing import (
    BOOK_SEEN_WITHIN,
    BookHealth,
    BudgetShare,
    ChannelHealth,
    ErrorCase,
    ErrorDecision,
    HealthSample,
    MaintenanceWindow,
    Operation,
    RateStop,
    StreamSession,
)

__all__ = [
    "BOOK_SEEN_WITHIN",
    "EXPIRY_WARNING_DAYS",
    "Account",
    "AccountStatus",
    "BookHealth",
    "BudgetShare",
    "ChannelHealth",
    "Credential",
    "ErrorCase",
    "ErrorDecision",
    "HealthSample",
    "Instrument",
    "KeyState",
    "MaintenanceWindow",
    "Operation",
    "ProvedFact",
    "RateStop",
    "RawFrame",
    "Snapshot",
    "SnapshotStatus",
    "StreamSession",
    "Surface",
    "Venue",
]

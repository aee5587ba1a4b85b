"""The rows of the order core: what was asked and what happened (execution), and what it did to the books (ledger)."""

from __future__ import annotations

from orders.models.execution import (
    AccountLease,
    Anomaly,
    Attempt,
    DeadLetter,
    Fill,
    Intent,
    Order,
    OrderEvent,
    OrderGroup,
    money,
)
from orders.models.ledger import Balance, FillDigest, Position, Posting, ToldSpan, Transfer, VenueDigest

__all__ = [
    "AccountLease",
    "Anomaly",
    "Attempt",
    "Balance",
    "DeadLetter",
    "Fill",
    "FillDigest",
    "Intent",
    "Order",
    "OrderEvent",
    "OrderGroup",
    "Position",
    "Posting",
    "ToldSpan",
    "Transfer",
    "VenueDigest",
    "money",
]

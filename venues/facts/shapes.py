"""What the facts about a family of exchanges are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from venues.messages import Outcome

Tier = Literal["A", "B", "C"]
Priority = Literal["cancel", "order", "reconcile", "poll"]
ClientIdForm = Literal["plain", "t_prefix", "hexadecimal", "uuid", "whole_number"]
Category = Literal["", "rate_limited", "banned", "auth", "maintenance"]
Cause = Literal["parameter", "system"]
Basis = Literal["row", "class", "transport"]


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """The facts about one exchange that other parts decide by.

    window: the venue itself refuses an order that arrives after its validity window, so absence can be proved by time.
    cancel_window: it refuses a late cancel too.
    processing_bound_seconds: after the window, how long an order already taken may still need to show.
    read_lag_seconds: how far the venue's reads may lag behind its matching.
    window_parameter: a request field that bounds how late the venue may act, where it cannot be tied to our stamp.
    order_types, times_in_force: what the venue itself carries; anything else is emulated or refused before it gets here.
    amend: whether a live order is changed in place, replaced by a new one in one request, or neither.
    stream_fills: whether the private stream tells each trade; else what an order claims is fetched by REST.
    client_ids: whether an order can carry an id of ours at all, and is read back with it.
    client_id_form: how our 18 characters are written there; see venues/adapters/client_ids.py.
    client_id_in_place: a lookup or cancel takes the client id where the venue's own order id goes.
    client_id_row_key: where ccxt drops the client id of an order it reads, the field of the venue's row that has it.
    fills_days_back, orders_days_back, cancelled_hours: how far back its lists reach; None where nobody says.
    batch_max: how many orders one request may place. dead_man_switch: cancels all by itself unless told otherwise.
    refusal: why orders may not go there at all; only where the tier is C.
    positions: whether the positions of contracts can be read.
    transfers: whether money that moved without a trade can be read. transfers_overlap_hours: how far before the last good read
    it is read again; longer where a row keeps the time at which it was asked for and is done days later.
    kinds: the kinds of instruments whose trades we can book right; orders on any other are refused at intake.
    """

    exchange: str
    family: str
    tier: Tier = "B"
    window: bool = False
    cancel_window: bool = False
    window_min_ms: int = 0
    window_max_ms: int = 0
    window_default_ms: int = 10_000
    processing_bound_seconds: float = 10.0
    read_lag_seconds: float = 10.0
    clock_grain_ms: int = 50
    nonce_exclusive: bool = False
    order_types: tuple[str, ...] = ("limit", "market")
    times_in_force: tuple[str, ...] = ("GTC", "IOC", "FOK")
    post_only: bool = True
    reduce_only: bool = False
    amend: Literal["none", "in_place", "replace"] = "none"
    client_ids: bool = True
    window_parameter: str = ""
    client_id_key: str = "clientOrderId"
    client_id_lookup: Literal["order", "open_and_closed", "scan"] = "scan"
    client_id_cancel: bool = False
    client_ids_unique: Literal["forever", "day", "open", "never"] = "never"
    client_id_form: ClientIdForm = "plain"
    client_id_in_place: bool = False
    client_id_row_key: str = ""
    fills_need_symbol: bool = False
    open_orders_need_symbol: bool = False
    fills_page: int = 100
    fills_span_hours: int | None = None
    fills_days_back: float | None = None
    orders_days_back: float | None = None
    cancelled_hours: float | None = None
    batch_max: int = 1
    dead_man_switch: bool = False
    refusal: str = ""
    stream: bool = False
    positions: bool = False
    transfers: bool = False
    transfers_overlap_hours: float = 0.05
    kinds: tuple[str, ...] = ("spot",)
    stream_fills: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_tradable(self) -> bool:
        """Whether orders may go there at all: in tier C the order or its fills could not be proved; see refusal."""
        return self.tier != "C"


class Verdict(NamedTuple):
    """The conclusion: an outcome, our reason code, and whether trying again can help.

    category: what it says of the venue or the key beside this one order; the gateway acts on it, whatever the outcome.
    cause: whether the order's own parameters were refused, or the state of the account or the venue.
    basis: what it rests on: a row, ccxt's class alone (nobody has classified that answer), or the transport.
    """

    outcome: Outcome
    code: str
    transient: bool = False
    category: Category = ""
    cause: Cause = "system"
    basis: Basis = "row"


class Row(NamedTuple):
    """One line of a venue's table: its code (a trailing * matches a prefix), a fragment of its message, the verdict."""

    venue_code: str
    fragment: str
    verdict: Verdict
    server_error_too: bool = False


UNKNOWN = Verdict("unknown", "OUTCOME_UNKNOWN")
DUPLICATE = Verdict("unknown", "DUPLICATE_CLIENT_ID")
# Our reason codes that say something of the key or the venue, and not of the one order they are given for.
CATEGORIES: dict[str, Category] = {
    "RATE_LIMITED": "rate_limited", "KEY_REFUSED": "auth", "KEY_MAY_NOT_TRADE": "auth", "ACCOUNT_MAY_NOT_TRADE": "auth",
    "VENUE_MAINTENANCE": "maintenance",
}  # fmt: skip
_SYSTEM_CODES = {*CATEGORIES, "MARKET_CLOSED", "TOO_MANY_OPEN_ORDERS", "ORDER_UNKNOWN", "ORDER_CLOSED"}


def rejected(code: str) -> Verdict:
    """Return the verdict of a refusal by the venue that is final."""
    cause: Cause = "system" if code in _SYSTEM_CODES else "parameter"
    return Verdict("rejected", code, category=CATEGORIES.get(code, ""), cause=cause)


def not_executed(code: str, category: Category = "") -> Verdict:
    """Return the verdict that the venue did nothing and may be asked again."""
    return Verdict("not_sent", code, transient=True, category=category or CATEGORIES.get(code, ""))


class Decided(NamedTuple):
    """A row that a person added: for a family or one venue of it, and one action or `any`."""

    family: str
    venue: str
    action: str
    row: Row


@dataclass(frozen=True, kw_only=True)
class BucketRule:
    """One limit of a venue: capacity units per_seconds; what each priority costs in it.

    is_window: the venue counts what falls into a window, so a unit comes back when its window has passed and not before.
    Else its counter drains evenly.
    scope: whether the venue counts requests of a key or of an address, whatever keys they carry.
    per_ccxt_cost: how many units one unit of ccxt's own cost of an endpoint is, where the weight is the endpoint's; without
    it every request costs what its priority does. A priority that costs nothing is not counted here at all.
    used_header, left_header: headers of an answer that say how much is used, or left, in this bucket.
    """

    name: str
    capacity: float
    per_seconds: float
    costs: dict[Priority, float]
    is_window: bool = False
    scope: Literal["key", "address"] = "key"
    per_ccxt_cost: float = 0.0
    used_header: str = ""
    left_header: str = ""


@dataclass(frozen=True, kw_only=True)
class StreamRule:
    """How the streams of a family are kept alive, and when one counts as dead.

    ping_seconds: how often we ask for a sign of life; a ping of the WebSocket protocol unless the exchange has its own.
    silence_seconds_max: without a frame or an answered ping for so long, the connection is dead.
    frame_seconds_max: how far apart frames may be where the venue sends a heartbeat by itself; None where a quiet account
    hears nothing for hours.
    """

    ping_seconds: float = 5.0
    silence_seconds_max: float = 15.0
    frame_seconds_max: float | None = None
    subscribe_seconds_max: float = 10.0


@dataclass(frozen=True, kw_only=True)
class BookRule:
    """How a family tells a public book, and what proves that ours is the venue's.

    linked_by: how a change names the one before it. `span`: first and last number, the first is one above the last of the
    change before; `previous`: the number of the change before is named; `step`: numbers go up by one; `checksum`: no
    numbers, each change carries a checksum of the whole book that is kept.
    snapshot: by `rest` while changes are gathered, or as the first frame of the `stream`, again with every subscription.
    levels_max: levels kept on a side. is_window: the venue keeps these levels filled itself; else what lies beyond the
    worst level we know is unknown to us, and is asked for again when few are left.
    checksum: whose algorithm, where the venue sends one.
    quiet_proof: what proves that a book without changes still stands: `frames` (the venue's heartbeat or anything else on
    the connection) or `pongs` (the answer to our ping, which says that nothing is on its way).
    ping_text: the exchange's own ping, where that of the WebSocket protocol is not the one to send.
    quiet_seconds_max: a book without changes for so long is asked for again, whatever the connection says.
    """

    linked_by: Literal["span", "previous", "step", "checksum"]
    snapshot: Literal["rest", "stream"]
    levels_max: int
    is_window: bool = False
    checksum: Literal["", "kraken", "okx"] = ""
    quiet_proof: Literal["frames", "pongs"] = "pongs"
    ping_text: str = ""
    ping_seconds: float = 0.8
    fresh_seconds: float = 2.0
    quiet_seconds_max: float = 60.0


@dataclass(frozen=True, kw_only=True)
class Family:
    """All that is known of exchanges that share a protocol: what they can do, what their answers prove, their limits.

    The rows of submit serve cancel and amend too, after those of their own; an error is judged by the first that matches.
    """

    capabilities: Capabilities
    submit: tuple[Row, ...] = ()
    cancel: tuple[Row, ...] = ()
    amend: tuple[Row, ...] = ()
    budget: tuple[BucketRule, ...] = ()

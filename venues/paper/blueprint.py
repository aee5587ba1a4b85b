"""What a world is made from, and what it tells its public listeners."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An API key of a world's account."""

    api_key: str
    secret: str
    permissions: dict[str, bool]
    passphrase: str = ""
    whitelist: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Blueprint:
    """Everything a world is made from; kept beside its journal."""

    exchange: str
    world: str
    seed: int
    flow_steps_per_second: float
    markets: list[str] | None
    accounts: list[dict[str, Any]] = field(default_factory=list)
    personality: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PublicChange:
    """What happened in a market since the listeners were last told."""

    first_revision: int
    last_revision: int
    levels: dict[str, list[tuple[Decimal, Decimal]]]
    prints: list[Any]

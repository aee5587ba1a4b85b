"""The rig of the regressions: an account at a world of the paper venue, each step of its owner taken by the test."""

from __future__ import annotations

from tests.regressions.conftest import account, exchange, paper, rig, world

__all__ = ["account", "exchange", "paper", "rig", "world"]

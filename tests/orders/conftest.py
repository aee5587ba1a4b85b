"""The account most tests of the order core use."""

from __future__ import annotations

import pytest

from tests.orders import scene
from venues.models import Account


@pytest.fixture
def account(db: None) -> Account:
    """Return a ready account at a sandbox venue."""
    return scene.make_account()

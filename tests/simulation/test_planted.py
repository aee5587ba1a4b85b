"""Each planted bug breaks a promise within two hundred worlds; the checks that hold the product are themselves held."""

from __future__ import annotations

import pytest

from tests.simulation import run
from tests.simulation.planted import BUGS

SEEDS_MAX = 200


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_caught(bug: str) -> None:
    caught = run.find(range(SEEDS_MAX), BUGS[bug])
    assert caught is not None, f"nothing in {SEEDS_MAX} worlds noticed: {bug}"


def test_without_a_bug_the_same_worlds_keep_every_promise() -> None:
    assert len(BUGS) >= 25
    assert run.find(range(30)) is None

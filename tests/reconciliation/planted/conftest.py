"""One paper venue for all planted cases; the table of what was found, printed at the end."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.reconciliation.planted.tally import TALLY
from tests.venues.paper.process import PaperVenue, running_paper_venue


@pytest.fixture(scope="session")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PaperVenue]:
    """Return the running venue."""
    with running_paper_venue(tmp_path_factory.mktemp("planted")) as running:
        yield running


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table; write it into docs/evidence.md where that was asked for."""
    if TALLY.planted or TALLY.honest:
        terminalreporter.write_line(TALLY.text())
    if seeds := os.environ.get("PLANTED_RECORD"):
        TALLY.record(int(seeds))

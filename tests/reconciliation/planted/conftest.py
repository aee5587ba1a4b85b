"""One paper venue for all planted cases; the table of what was found, printed at the end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import pytest

from tests.venues.paper.process import PaperVenue, running_paper_venue

FOUND: dict[str, list[tuple[bool, float, str]]] = defaultdict(list)


@pytest.fixture(scope="session")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PaperVenue]:
    """Return the running venue."""
    with running_paper_venue(tmp_path_factory.mktemp("planted")) as running:
        yield running


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how often each kind was planted, found in time and in the right class, and the longest it took."""
    for name, results in FOUND.items():
        slowest = max(seconds for _, seconds, _ in results)
        good = sum(is_found for is_found, _, _ in results)
        places = ", ".join(sorted({place for _, _, place in results}))
        terminalreporter.write_line(f"{name}: {good} of {len(results)} found, slowest {slowest:g} s, at {places}")

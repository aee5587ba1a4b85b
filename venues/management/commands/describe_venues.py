"""Writes what is known of every exchange: ccxt's claims, what our requests carry, and the page docs/venues.md."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from venues import capabilities, handbook
from venues.adapters import declared, survey
from venues.facts import generated


class Command(BaseCommand):
    """Survey every exchange, without a byte to any of them, and write the files; --check compares them instead."""

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        """Take --check."""
        parser.add_argument("--check", action="store_true", help="Change nothing; fail when a file is not up to date.")

    def handle(self, *, check: bool, **_: Any) -> None:
        """Write the two data files, then the page that is made of them."""
        claims = survey.declared_everywhere()
        page = Path(settings.BASE_DIR) / "docs" / "venues.md"
        self._settle(generated.DECLARED, data_text(claims), check)
        capabilities.reread()
        self._settle(generated.CAPTURED, data_text(asyncio.run(survey.captured_everywhere(claims))), check)
        capabilities.reread()
        self._settle(page, handbook.text(), check)

    def _settle(self, path: Path, text: str, check: bool) -> None:
        if path.exists() and path.read_text() == text:
            return
        if check:
            raise CommandError(
                f"{path.name} is not up to date: run manage.py describe_venues and commit what it writes."
            )
        path.write_text(text)
        self.stdout.write(f"wrote {path.name}")


def data_text(exchanges: dict[str, dict[str, Any]]) -> str:
    """Return a data file: one line for each exchange, so that a change shows whose it is."""
    lines = [f"{json.dumps(name)}: {json.dumps(facts, sort_keys=True)}" for name, facts in sorted(exchanges.items())]
    return f'{{"ccxt": {json.dumps(declared.version())}, "exchanges": {{\n' + ",\n".join(lines) + "\n}}\n"

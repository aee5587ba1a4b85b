"""`manage.py backup [FILE]`: write everything needed to go on elsewhere to one file."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from project import backups, home
from project.binaries import EmbeddedError


class Command(BaseCommand):
    help = "Write the database, the keys and the paper venue's journal to one file. It may run while Gapless runs."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the file's name."""
        parser.add_argument("file", nargs="?", type=Path, help="default: backups/gapless-<time>.tar in the data folder")

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the backup and say what is in it."""
        place = home.locate(os.environ)
        name = f"gapless-{datetime.now(UTC):%Y%m%d-%H%M%S}.tar"
        target = (options["file"] or place.backups / name).absolute()
        try:
            with backups.database(place, alone=False):
                backups.write(place, os.environ["DATABASE_URL"], settings.VERSION, target)
        except (backups.BackupError, home.HomeError, EmbeddedError, OSError) as problem:
            raise CommandError(f"No backup was written. {problem}") from problem
        print(f"Wrote {target} ({target.stat().st_size / 1e6:.1f} MB, readable by you alone).")
        if place.private_key.exists():
            print("It contains the executors' private key, which opens every stored API key: keep it like a secret.")
        else:
            print(f"It contains no private key (there is none in {place.secrets}): keep the executors' key yourself.")

"""`manage.py restore FILE`: replace everything in the data folder and the database by a backup."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from project import backups, home
from project.binaries import EmbeddedError


class Command(BaseCommand):
    help = "Replace the database, the keys and the paper venue's journal by those of a backup. Gapless must be stopped."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the file's name and the answer to the one question."""
        parser.add_argument("file", type=Path)
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *args: Any, **options: Any) -> None:
        """Ask, restore, and say what was restored."""
        place, source = home.locate(os.environ), options["file"].absolute()
        try:
            written = backups.manifest(source)
            place.path.mkdir(parents=True, exist_ok=True)
            if not options["yes"]:
                print(f"This replaces everything recorded in {place.path} by the backup of {written['created_at']}.")
                if input("Type yes to replace: ").strip() != "yes":
                    print("Nothing was changed.")
                    return
            with backups.database(place, alone=True):
                backups.restore(place, os.environ["DATABASE_URL"], source)
        except (backups.BackupError, home.HomeError, EmbeddedError, OSError) as problem:
            raise CommandError(str(problem)) from problem
        print(f"Restored the backup of {written['created_at']}, written by Gapless {written['version']}. Now: make run")
        print("Orders sent after that moment are unknown to it: the start asks every venue before it trades again.")

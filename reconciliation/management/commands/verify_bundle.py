"""Check an evidence bundle."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from reconciliation import evidence


class Command(BaseCommand):
    """`manage.py verify_bundle FILE`."""

    help = "Exit 0 when an evidence bundle is whole and signed by a trusted key, 1 with the first thing that is wrong."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the file, and the public key of another installation."""
        parser.add_argument("file", type=Path)
        parser.add_argument("--public-key", default="", help="as hexadecimal text; default: this installation's own")

    def handle(self, *args: Any, **options: Any) -> None:
        """Say what was found."""
        try:
            text = options["file"].read_bytes()
            trusted = options["public_key"] or evidence.public_key()
        except OSError as problem:
            raise CommandError(f"Nothing was checked: {problem}") from problem
        difference = evidence.first_difference(text, [trusted])
        if difference:
            self.stdout.write(difference)
            sys.exit(1)
        self.stdout.write(f"whole: signed with {trusted}")

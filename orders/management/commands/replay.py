"""Refold all events and compare with the stored projections."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from orders import fold
from orders.models import Order, OrderEvent
from project.lib import moment


class Command(BaseCommand):
    help = "Refold the log; with --check exit 0 when every projection equals it, 1 with the first difference."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="stop at the first difference")

    def handle(self, *args: Any, **options: Any) -> None:
        with moment.one_moment():
            self._prove(**options)

    def _prove(self, **options: Any) -> None:
        found = False
        for difference in fold.differences():
            found = True
            self.stdout.write(difference)
            if options["check"]:
                break
        if found:
            sys.exit(1)
        self.stdout.write(
            f"whole: {OrderEvent.objects.count()} events fold to {Order.objects.count()} orders and their books"
        )

"""Verify the audit chain."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand

from project.lib import audit, moment
from project.lib.models import AuditEntry


class Command(BaseCommand):
    help = "Exit 0 when the audit chain is whole, 1 with the first entry that does not fit."

    def handle(self, *args: Any, **options: Any) -> None:
        with moment.one_moment():
            self._prove()

    def _prove(self) -> None:
        entries = AuditEntry.objects.order_by("sequence")
        difference = audit.first_difference(entries.iterator(2000))
        if difference:
            self.stdout.write(difference)
            sys.exit(1)
        self.stdout.write(
            f"whole: {entries.count()} entries chain to {entries.values_list('hash', flat=True).last() or audit.GENESIS}"
        )

"""Writes the executors' key pair once; web seals API keys to its public half."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from venues import key_files


class Command(BaseCommand):
    """`manage.py init_secrets`: safe to run at every start."""

    help = "Write the executors' key pair where there is none yet."
    requires_system_checks: list[str] = []

    def handle(self, *_: Any, **__: Any) -> None:
        """Generate the pair, or say that it is there."""
        private, public = Path(settings.EXECUTOR_PRIVATE_KEY_FILE), Path(settings.EXECUTOR_PUBLIC_KEY_FILE)
        is_new = key_files.generate_keypair(private, public)
        self.stdout.write(f"{'written' if is_new else 'already there'}: {public}")

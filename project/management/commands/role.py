"""`manage.py role NAME`: become one role, as its container does, on the embedded database unless DATABASE_URL is set."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from project.home import BASE_DIR


class Command(BaseCommand):
    help = "Become one role: the command that docker/entrypoint.sh names."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the role's name."""
        parser.add_argument("name")

    def handle(self, *args: Any, **options: Any) -> None:
        """Replace this process by the role's."""
        os.chdir(BASE_DIR)
        os.environ.setdefault("HOST", "127.0.0.1")  # a container listens on all its addresses, a machine on its own
        os.execv("/bin/sh", ["/bin/sh", str(BASE_DIR / "docker" / "entrypoint.sh"), options["name"]])

"""Role papervenue: simulated exchanges that speak real protocols."""

from argparse import ArgumentParser, Namespace
from typing import Any

from django.core.management.base import BaseCommand

from venues.paper.server import main, options


class Command(BaseCommand):
    """Serve the paper venue until stopped."""

    help = "Serve simulated exchanges with a journal and faults on demand."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the server's own options."""
        options(parser)

    def handle(self, *args: Any, **options_given: Any) -> None:
        """Start the server."""
        main(Namespace(**options_given))

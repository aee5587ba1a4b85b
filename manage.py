#!/usr/bin/env python
"""Django's command line, on the embedded database unless DATABASE_URL names another."""

import os
import sys

from project import binaries, embedded, home


def main() -> None:
    """Prepare the data folder, then run the command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    if "DATABASE_URL" not in os.environ:
        place = home.prepare(home.locate(os.environ))
        os.environ["GAPLESS_EMBEDDED"] = "1"
        os.environ["DATABASE_URL"] = embedded.url(place.path)
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    try:
        main()
    except (home.HomeError, binaries.EmbeddedError) as problem:
        sys.exit(str(problem))

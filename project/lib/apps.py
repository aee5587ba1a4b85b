"""App configuration of the lowest layer."""

from django.apps import AppConfig

from project.lib import failpoints


class LibConfig(AppConfig):
    name = "project.lib"
    label = "lib"

    def ready(self) -> None:
        """Refuse failpoints outside a test build, whichever role starts."""
        failpoints.verify()

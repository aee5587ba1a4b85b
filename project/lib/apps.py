"""App configuration of the lowest layer."""

from django.apps import AppConfig


class LibConfig(AppConfig):
    name = "project.lib"
    label = "lib"

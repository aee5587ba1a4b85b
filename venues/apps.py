"""App configuration of venues."""

from django.apps import AppConfig


class VenuesConfig(AppConfig):
    name = "venues"

"""App configuration of the wiring; its commands and checks belong to no single app."""

from django.apps import AppConfig


class ProjectConfig(AppConfig):
    name = "project"
    label = "project"

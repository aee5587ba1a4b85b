"""Deterministic simulation of the order core: one seed is one run, exactly repeatable."""

from __future__ import annotations

import os

import django
from django.apps import apps

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
if not apps.ready:
    django.setup()  # the writer is the product's own and imports its models; no query ever reaches a database

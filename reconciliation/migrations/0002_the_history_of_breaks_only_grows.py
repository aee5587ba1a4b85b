"""PostgreSQL itself refuses any change of what happened to a break."""

from __future__ import annotations

from django.db import migrations

from project.lib.guards import append_only


class Migration(migrations.Migration):
    dependencies = [("reconciliation", "0001_initial")]
    operations = [append_only("reconciliation_breakevent")]

"""PostgreSQL itself refuses any change of the audit log."""

from __future__ import annotations

from django.db import migrations

from project.lib.guards import append_only


class Migration(migrations.Migration):
    dependencies = [("lib", "0002_rules_revision")]
    operations = [append_only("lib_auditentry")]

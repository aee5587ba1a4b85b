"""A position may differ, too."""

from __future__ import annotations

from django.db import migrations, models

KINDS = (
    "order_missing_at_venue", "order_status", "external_order", "fill_missing_here", "fill_missing_at_venue",
    "fill_differs", "late_fill", "overfill", "balance", "position", "illegal_transition", "unreadable",
    "delayed_fill", "acknowledged_then_denied", "stream_differs", "throttled_in_move",
)  # fmt: skip


class Migration(migrations.Migration):
    dependencies = [("reconciliation", "0003_detected_breaks")]
    operations = [
        migrations.AlterField(
            model_name="break",
            name="kind",
            field=models.CharField(
                choices=[(kind, kind.replace("_", " ").title()) for kind in KINDS], max_length=32
            ),
        )
    ]

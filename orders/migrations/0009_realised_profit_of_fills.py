"""A trade of a contract realises profit or loss, in the venue's own figure."""

from __future__ import annotations

from decimal import Decimal

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("orders", "0008_detectors")]
    operations = [
        migrations.AddField(
            model_name="fill",
            name="realised_pnl",
            field=models.DecimalField(decimal_places=18, default=Decimal(0), max_digits=38),
        )
    ]

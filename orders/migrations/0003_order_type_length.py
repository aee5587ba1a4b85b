"""The longest type of order, take_profit_limit, has 17 letters."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("orders", "0002_order_groups_triggers_and_replacements")]

    operations = [
        migrations.AlterField(model_name="order", name="type", field=models.CharField(max_length=20)),
    ]

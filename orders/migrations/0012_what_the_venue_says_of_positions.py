"""The venue's own word of a contract's position stands beside ours: quantity, prices, P&L, margin, when it said so."""

from __future__ import annotations

from django.db import migrations, models


def number(name: str, **options: str) -> migrations.AddField:
    """Return the step that adds a number which may be unknown."""
    field: models.Field = models.DecimalField(decimal_places=18, max_digits=38, null=True, **options)
    return migrations.AddField(model_name="position", name=name, field=field)


class Migration(migrations.Migration):
    dependencies = [("orders", "0011_what_the_stream_said_of_balances")]
    operations = [
        number("venue_quantity"),
        number("venue_entry_price"),
        number("mark_price", help_text="At which the venue values it."),
        number("venue_unrealised_pnl"),
        number("margin", help_text="What the venue reserves for it, in the settlement asset."),
        migrations.AddField(
            model_name="position",
            name="as_of",
            field=models.DateTimeField(null=True, help_text="When the venue said so."),
        ),
    ]

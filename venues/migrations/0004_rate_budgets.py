"""Rate budgets shared between processes: shares of a limit, a venue's stops, and the limits a test server declares."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("venues", "0003_key_states")]

    operations = [
        migrations.CreateModel(
            name="BudgetShare",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("group", models.CharField(
                    max_length=600, help_text="Whom the venue counts together: an address, or a key.")),
                ("bucket", models.CharField(max_length=32)),
                ("holder", models.CharField(max_length=120)),
                ("account", models.CharField(
                    max_length=64, blank=True, default="", help_text="Empty for a limit of an address.")),
                ("capacity", models.FloatField()),
                ("per_seconds", models.FloatField()),
                ("is_shared", models.BooleanField(default=True)),
                ("granted", models.FloatField()),
                ("wanted", models.FloatField()),
                ("used", models.FloatField()),
                ("waiting", models.IntegerField(default=0)),
                ("waited_ms", models.FloatField(default=0)),
                ("renewed_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField(
                    help_text="Until then it is used; a window later it is somebody else's.")),
            ],
        ),
        migrations.CreateModel(
            name="RateStop",
            fields=[
                ("group", models.CharField(max_length=600, primary_key=True, serialize=False)),
                ("until_at", models.DateTimeField()),
                ("reason", models.CharField(max_length=200, blank=True, default="")),
                ("noted_at", models.DateTimeField()),
            ],
        ),
        migrations.AddConstraint("budgetshare", models.UniqueConstraint(
            fields=["group", "bucket", "holder"], name="budget_share_once")),
        migrations.AddIndex("budgetshare", models.Index(fields=["account"], name="budget_share_account")),
        migrations.AddField("venue", "limits", models.JSONField(
            blank=True, default=dict, help_text="What a test server allows an address: per_second, and burst at once.")),
    ]

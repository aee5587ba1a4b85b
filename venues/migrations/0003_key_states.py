"""API keys get a state (candidate, active, refused, retired) in the place of a flag, and what rotation and expiry need."""

from django.db import migrations, models
from django.db.models import Q

import venues.models


def flags_become_states(apps, schema_editor):
    """A key that was not active had been replaced."""
    apps.get_model("venues", "Credential").objects.filter(is_active=False).update(state="retired")


def states_become_flags(apps, schema_editor):
    """Only the active key has the flag."""
    apps.get_model("venues", "Credential").objects.exclude(state="active").update(is_active=False)


TEXT_150 = {"max_length": 150, "blank": True, "default": ""}


class Migration(migrations.Migration):
    dependencies = [("venues", "0002_venue_quirks")]

    operations = [
        migrations.AddField("credential", "state", models.CharField(
            max_length=16, choices=venues.models.KeyState.choices, default="active")),
        migrations.AddField("credential", "sealed_to", models.CharField(
            max_length=16, blank=True, default="", help_text="Id of the executors' public key.")),
        migrations.AddField("credential", "was_ip_restricted", models.BooleanField(
            null=True, help_text="What the venue said when the key was first proved.")),
        migrations.AddField("credential", "probe_error", models.CharField(
            max_length=200, blank=True, default="", help_text="Why the last probe had no answer.")),
        migrations.AddField("credential", "waived_by", models.CharField(
            help_text="The second person, of four eyes.", **TEXT_150)),
        migrations.AddField("credential", "person", models.CharField(help_text="Whose hands entered it.", **TEXT_150)),
        migrations.AddField("credential", "expires_at", models.DateTimeField(null=True)),
        migrations.AddField("credential", "last_used_at", models.DateTimeField(null=True)),
        migrations.RunPython(flags_become_states, states_become_flags),
        migrations.RemoveConstraint("credential", "credential_one_active"),
        migrations.RemoveField("credential", "is_active"),
        migrations.AddConstraint("credential", models.UniqueConstraint(
            fields=["account"], condition=Q(state="active"), name="credential_one_active")),
        migrations.AddConstraint("credential", models.UniqueConstraint(
            fields=["account"], condition=Q(state="candidate"), name="credential_one_candidate")),
    ]

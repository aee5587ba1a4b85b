"""Dry runs of rules; and PostgreSQL itself keeps a version of a rule as it was written."""

from __future__ import annotations

import django.db.models.deletion
import project.lib.clock
import project.lib.ids
from django.db import migrations, models

from project.lib.guards import append_only


STAYS = """
CREATE FUNCTION gapless_rule_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR (NEW.code, NEW.version, NEW.action, NEW.kinds, NEW.scope, NEW.asset, NEW.grace_seconds, NEW.reason,
            NEW.created_by, NEW.created_at)
        IS DISTINCT FROM (OLD.code, OLD.version, OLD.action, OLD.kinds, OLD.scope, OLD.asset, OLD.grace_seconds, OLD.reason,
            OLD.created_by, OLD.created_at)
        OR (NEW.absolute, NEW.basis_points, NEW.usd) IS DISTINCT FROM (OLD.absolute, OLD.basis_points, OLD.usd)
        OR (OLD.active_from IS NOT NULL AND NEW.active_from IS DISTINCT FROM OLD.active_from)
        OR (OLD.retired_at IS NOT NULL AND NEW.retired_at IS DISTINCT FROM OLD.retired_at) THEN
        RAISE EXCEPTION 'a version of a rule never changes: write a new one' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$
"""
ON_CHANGE = """
CREATE TRIGGER rule_stays BEFORE UPDATE OR DELETE ON reconciliation_rule
FOR EACH ROW EXECUTE FUNCTION gapless_rule_stays()
"""


class Migration(migrations.Migration):

    dependencies = [
        ('reconciliation', '0005_rules_statements_and_the_whole_queue'),
    ]

    operations = [
        migrations.CreateModel(
            name='DryRun',
            fields=[
                ('id', models.UUIDField(default=project.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('days', models.PositiveIntegerField()),
                ('result', models.JSONField(help_text='Counts, sums in USD and the breaks by what would have become of them.')),
                ('digest', models.CharField(help_text='SHA-256 of the rule and the result as canonical JSON.', max_length=64)),
                ('run_by', models.CharField(max_length=150)),
                ('run_at', models.DateTimeField(default=project.lib.clock.now)),
                ('rule', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='dry_runs', to='reconciliation.rule')),
            ],
            options={
                'indexes': [models.Index(fields=['rule', '-run_at'], name='dry_run_newest')],
            },
        ),
        migrations.RunSQL(
            [STAYS, ON_CHANGE],
            ["DROP TRIGGER rule_stays ON reconciliation_rule", "DROP FUNCTION gapless_rule_stays()"],
        ),
        append_only("reconciliation_dryrun"),
    ]

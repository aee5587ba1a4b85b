"""Statements as they are compared: the order of a line, fees that are not told, the breaks a statement speaks of."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

from project.lib.guards import append_only


class Migration(migrations.Migration):

    dependencies = [
        ('reconciliation', '0006_dry_runs_and_rules_that_stay'),
    ]

    operations = [
        migrations.AddField(
            model_name='statementmapping',
            name='label',
            field=models.CharField(blank=True, default='', help_text="Which of the venue's exports it reads.", max_length=100),
        ),
        migrations.AddField(
            model_name='statementline',
            name='venue_order_id',
            field=models.CharField(blank=True, default='', max_length=100),
        ),
        migrations.AlterField(
            model_name='statementline',
            name='fee',
            field=models.DecimalField(decimal_places=18, help_text='Null where the export tells none.', max_digits=38, null=True),
        ),
        migrations.AddIndex(
            model_name='statement',
            index=models.Index(fields=['-imported_at'], name='statement_newest'),
        ),
        migrations.AddConstraint(
            model_name='statementline',
            constraint=models.UniqueConstraint(fields=('statement', 'symbol', 'venue_trade_id', 'side'), name='statement_trade_once'),
        ),
        migrations.CreateModel(
            name='StatementFinding',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('line', models.PositiveIntegerField(null=True)),
                ('agrees', models.BooleanField(default=False, help_text='The statement says what our books say, against the break.')),
                ('discrepancy', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='findings', to='reconciliation.break')),
                ('statement', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='findings', to='reconciliation.statement')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('statement', 'discrepancy'), name='statement_finding_once')],
            },
        ),
        append_only('reconciliation_statementmapping'),
        append_only('reconciliation_statementfinding'),
    ]

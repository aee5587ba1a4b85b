"""PostgreSQL itself keeps the digests of fills: whoever books a trade, by whichever statement, cannot forget it.

A fill is hashed over its exact content: the first 64 bits of SHA-256 over seven texts with a separator that no venue
writes, numbers without trailing zeros. `reconciliation.digests` makes the same hash of what a venue tells; a fee asset
counts only where there is a fee, as in the comparison of rows. The sum does not depend on the order of booking.
"""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

HASH = r"""
CREATE FUNCTION gapless_fill_hash(
    venue_trade_id text, symbol text, side text, price numeric, quantity numeric, fee numeric, fee_asset text
) RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT ('x' || encode(substr(sha256(convert_to(
        venue_trade_id || E'\x1f' || symbol || E'\x1f' || side || E'\x1f' || trim_scale(price) || E'\x1f'
        || trim_scale(quantity) || E'\x1f' || trim_scale(fee) || E'\x1f' || CASE WHEN fee = 0 THEN '' ELSE fee_asset END,
        'UTF8')), 1, 8), 'hex'))::bit(64)::bigint
$$
"""
SUMS = """
SELECT account_id, date_bin('1 minute', executed_at, 'epoch'), {sign}count(*),
    {sign}sum(gapless_fill_hash(venue_trade_id, symbol, side, price, quantity, fee, fee_asset)) FROM {table} GROUP BY 1, 2 ORDER BY 1, 2
"""
KEEP = f"""
CREATE FUNCTION gapless_keep_fill_digests() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM orders_filldigest;
        RETURN NULL;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO orders_filldigest AS kept (account_id, minute, count, digest) {SUMS.format(sign="", table="added")}
        ON CONFLICT (account_id, minute)
        DO UPDATE SET count = kept.count + EXCLUDED.count, digest = kept.digest + EXCLUDED.digest;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO orders_filldigest AS kept (account_id, minute, count, digest) {SUMS.format(sign="-", table="removed")}
        ON CONFLICT (account_id, minute)
        DO UPDATE SET count = kept.count + EXCLUDED.count, digest = kept.digest + EXCLUDED.digest;
        DELETE FROM orders_filldigest WHERE count = 0 AND digest = 0;
    END IF;
    RETURN NULL;
END $$
"""
# First the triggers, which lock other writers out until the end of the migration; then what was booked before them.
# Changes are refused to everybody whom triggers bind; ALWAYS binds also who has switched them off for the session.
TRIGGERS = {
    "added_fill_digests": "INSERT ON orders_fill REFERENCING NEW TABLE AS added",
    "changed_fill_digests": "UPDATE ON orders_fill REFERENCING OLD TABLE AS removed NEW TABLE AS added",
    "removed_fill_digests": "DELETE ON orders_fill REFERENCING OLD TABLE AS removed",
    "truncated_fill_digests": "TRUNCATE ON orders_fill",
}
BACKFILL = f"INSERT INTO orders_filldigest (account_id, minute, count, digest) {SUMS.format(sign='', table='orders_fill')}"


class Migration(migrations.Migration):
    dependencies = [("orders", "0012_what_the_venue_says_of_positions"), ("venues", "0009_health_maintenance_draining")]
    operations = [
        migrations.CreateModel(
            name="VenueDigest",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("minute", models.DateTimeField()),
                ("count", models.IntegerField()),
                ("digest", models.DecimalField(decimal_places=0, help_text="Sum of 64-bit hashes of the trades.", max_digits=38)),
                ("snapshot_number", models.BigIntegerField(help_text="The read that told it so first; kept for a day.")),
                ("told_at", models.DateTimeField(help_text="When that read was asked for.")),
                (
                    "account",
                    models.ForeignKey(
                        db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT,
                        related_name="venue_digests", to="venues.account",
                    ),
                ),
            ],
            options={"constraints": [models.UniqueConstraint(fields=("account", "minute"), name="venue_digest_once")]},
        ),
        migrations.CreateModel(
            name="ToldSpan",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("begins_at", models.DateTimeField()),
                ("ends_at", models.DateTimeField(help_text="The first minute that is not in it.")),
                (
                    "account",
                    models.ForeignKey(
                        db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT,
                        related_name="told_spans", to="venues.account",
                    ),
                ),
            ],
            options={"constraints": [models.UniqueConstraint(fields=("account", "begins_at"), name="told_span_once")]},
        ),
        migrations.RunSQL(
            [
                HASH,
                KEEP,
                *(
                    f"CREATE TRIGGER {name} AFTER {event} FOR EACH STATEMENT EXECUTE FUNCTION gapless_keep_fill_digests()"
                    for name, event in TRIGGERS.items()
                ),
                *(f"ALTER TABLE orders_fill ENABLE ALWAYS TRIGGER {name}" for name in TRIGGERS),
                "DELETE FROM orders_filldigest",
                BACKFILL,
                "ALTER TABLE orders_filldigest SET (fillfactor = 70)",  # a minute's row changes with every trade in it
            ],
            [
                *(f"DROP TRIGGER {name} ON orders_fill" for name in TRIGGERS),
                "DROP FUNCTION gapless_keep_fill_digests()",
                "DROP FUNCTION gapless_fill_hash(text, text, text, numeric, numeric, numeric, text)",
                "DELETE FROM orders_filldigest",
            ],
        )
    ]

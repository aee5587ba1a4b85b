"""PostgreSQL itself refuses an entry that does not balance, and any change of what is only ever appended."""

from __future__ import annotations

from django.db import migrations

from project.lib.guards import append_only

# The legs of an entry come in one statement; the rows it added are looked at once, whatever their number.
BALANCES = """
CREATE FUNCTION gapless_entry_balances() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong record;
BEGIN
    SELECT entry, asset, sum(amount) AS rest INTO wrong FROM added GROUP BY entry, asset HAVING sum(amount) <> 0 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'entry % does not balance in %: off by %', wrong.entry, wrong.asset, wrong.rest
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$
"""
ON_INSERT = """
CREATE TRIGGER entry_balances AFTER INSERT ON orders_posting REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION gapless_entry_balances()
"""


class Migration(migrations.Migration):
    dependencies = [("orders", "0005_versions_count_submits")]
    operations = [
        migrations.RunSQL(
            [BALANCES, ON_INSERT],
            ["DROP TRIGGER entry_balances ON orders_posting", "DROP FUNCTION gapless_entry_balances()"],
        ),
        append_only("orders_posting"),
        append_only("orders_fill"),
        append_only("orders_orderevent"),
    ]

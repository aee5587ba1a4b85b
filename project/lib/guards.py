"""Promises the database itself keeps, whoever writes: tables that only grow. For migrations."""

from __future__ import annotations

from django.db.migrations import RunSQL

_REFUSE = """
CREATE OR REPLACE FUNCTION gapless_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% only grows: nothing in it is changed or deleted, a new row corrects an old one', TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$
"""


def append_only(table: str) -> RunSQL:
    """Return the step that makes PostgreSQL refuse every UPDATE and DELETE of a table's rows."""
    return RunSQL(
        [
            _REFUSE,
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION gapless_append_only()",
        ],
        f"DROP TRIGGER append_only ON {table}",
    )

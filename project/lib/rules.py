"""The revision of the rules that decide what may be sent: halts, limits, the live switch."""

from __future__ import annotations

from django.db import connection

from project.lib.models import RulesRevision


def revision() -> int:
    """Return the number of the rules in force."""
    return RulesRevision.objects.filter(pk=1).values_list("value", flat=True).first() or 0


def changed() -> None:
    """Count up, in the transaction of the change: an attempt checked by the rules before it can no longer commit."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO lib_rulesrevision (id, value) VALUES (1, 1) "
            "ON CONFLICT (id) DO UPDATE SET value = lib_rulesrevision.value + 1"
        )

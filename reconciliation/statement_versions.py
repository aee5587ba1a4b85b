"""The mappings of a venue's statements as versions: each is written once and never changed."""

from __future__ import annotations

from typing import Any

from django.db.models import Max, QuerySet

from project.lib import audit, feed
from reconciliation import statement_mapping as mappings
from reconciliation.models import StatementMapping
from venues.models import Venue


def write(venue: Venue, columns: Any, options: Any, label: str, actor: str) -> StatementMapping:
    """Write a new version. Raises statement_mapping.WrongMapping naming the part that is wrong."""
    found = mappings.layout(columns, options)
    with feed.transaction():
        list(Venue.objects.select_for_update(no_key=True).filter(pk=venue.pk))  # versions are counted one at a time
        newest = StatementMapping.objects.filter(venue=venue).aggregate(newest=Max("version"))["newest"] or 0
        row = StatementMapping.objects.create(
            venue=venue,
            version=newest + 1,
            label=label[:100],
            columns=dict(found.columns),
            options=found.options(),
            created_by=actor,
        )
        detail = {"version": row.version, "label": row.label, "columns": row.columns, "options": row.options}
        audit.record(actor, "statement_mapping.write", venue.pk, detail)
        feed.announce("statements", "statement_mapping.write", row.pk, data={"venue": venue.pk, "version": row.version})
    return row


def of(venue: str) -> QuerySet[StatementMapping]:
    """Return the versions of a venue, the newest first."""
    return StatementMapping.objects.filter(venue_id=venue).order_by("-version")

"""Maintenance of venues: windows that people plan, and those that a venue's own words open and end."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.db.models import Q, QuerySet

from project.lib import audit, clock, feed, rules
from venues.accounts import Invalid
from venues.models import MaintenanceWindow, Venue

ACTOR = "venue"
WINDOWS_SHOWN = 10
Source = MaintenanceWindow.Source
_NOT_OVER = Q(cancelled_at=None)


@feed.retried
def plan(*, venue: str, starts_at: datetime, ends_at: datetime, reason: str, actor: str) -> MaintenanceWindow:
    """Plan a window: orders in it are denied with its end, and silence is no alarm. Raises accounts.Invalid."""
    if not reason.strip():
        raise Invalid("reason", "REQUIRED", "Say what is announced: the next person has to know.")
    if ends_at <= starts_at:
        raise Invalid("ends_at", "INVALID", "A window ends after it starts.")
    if ends_at <= clock.now():
        raise Invalid("ends_at", "PAST", "That window is over already.")
    with feed.transaction():
        place = Venue.objects.select_for_update(no_key=True).filter(pk=venue).first()
        if place is None:
            raise Invalid("venue", "NOT_FOUND", f"There is no venue {venue[:80]!r}.")
        window = MaintenanceWindow.objects.create(
            venue=place, source=Source.PLANNED, starts_at=starts_at, ends_at=ends_at, reason=reason.strip()[:300],
            created_by=actor,
        )  # fmt: skip
        detail = {"from": starts_at.isoformat(), "to": ends_at.isoformat(), "reason": window.reason}
        audit.record(actor, "maintenance.plan", venue, detail)
        _changed(place, "maintenance.planned")
    return window


@feed.retried
def cancel(window: MaintenanceWindow, actor: str) -> MaintenanceWindow:
    """Call a window off, or end it now when it has begun. Raises accounts.Invalid when it is over."""
    with feed.transaction():
        place = Venue.objects.select_for_update(no_key=True).get(pk=window.venue_id)
        window = MaintenanceWindow.objects.get(pk=window.pk)
        now = clock.now()
        if window.cancelled_at or (window.ends_at and window.ends_at <= now):
            raise Invalid("id", "OVER", "That window is over already.")
        window.cancelled_at, window.cancelled_by = now, actor
        window.save(update_fields=["cancelled_at", "cancelled_by"])
        audit.record(actor, "maintenance.cancel", window.venue_id, {"window": str(window.pk)})
        _changed(place, "maintenance.cancelled")
    return window


def venue_says(venue: str, said: str) -> None:
    """Take a venue's own word that it is in maintenance; an empty text is its word that it is over.

    Call inside feed.transaction(). Every account there tells it, and each must see for itself that it is over.
    """
    place = Venue.objects.select_for_update(no_key=True).get(pk=venue)
    known = MaintenanceWindow.objects.filter(venue=place, source=Source.VENUE, ends_at=None, cancelled_at=None).first()
    now = clock.now()
    if said and known is None:
        MaintenanceWindow.objects.create(
            venue=place, source=Source.VENUE, starts_at=now, reason=said[:300], created_by=ACTOR
        )
        _changed(place, "maintenance.begun")
    elif not said and known is not None:
        known.ends_at = now
        known.save(update_fields=["ends_at"])
        _changed(place, "maintenance.ended")


def said(venue: str) -> str:
    """Return what a venue said of a maintenance whose end it has not told, or nothing."""
    known = MaintenanceWindow.objects.filter(venue=venue, source=Source.VENUE, ends_at=None, cancelled_at=None)
    return known.values_list("reason", flat=True).first() or ""


def current(now: datetime) -> Mapping[str, MaintenanceWindow]:
    """Return the window each venue is in now, by its code: of several the one that ends last."""
    return {window.venue_id: window for window in _open(now).order_by("starts_at")}


def window_of(venue: Venue, now: datetime) -> MaintenanceWindow | None:
    """Return the window a venue is in now, without a query when none has begun."""
    if venue.maintenance_from is None or venue.maintenance_from > now:
        return None
    return _open(now).filter(venue=venue).order_by("-ends_at").first()


def listed(venue: Venue) -> QuerySet[MaintenanceWindow]:
    """Return the venue's windows, the newest first."""
    return MaintenanceWindow.objects.filter(venue=venue).order_by("-starts_at", "id")[:WINDOWS_SHOWN]


def words(window: MaintenanceWindow) -> str:
    """Say what a window is, and until when."""
    if window.ends_at is None:
        return f"the venue says it is in maintenance, its end is not known ({window.reason})"
    return f"planned maintenance until {window.ends_at:%Y-%m-%d %H:%M} UTC ({window.reason})"


def _open(now: datetime) -> QuerySet[MaintenanceWindow]:
    return MaintenanceWindow.objects.filter(_NOT_OVER, starts_at__lte=now).filter(Q(ends_at=None) | Q(ends_at__gt=now))


def _changed(venue: Venue, kind: str) -> None:
    """Keep beside the venue when the next window begins, and tell everybody."""
    waiting = MaintenanceWindow.objects.filter(_NOT_OVER, venue=venue).filter(
        Q(ends_at=None) | Q(ends_at__gt=clock.now())
    )
    venue.maintenance_from = waiting.order_by("starts_at").values_list("starts_at", flat=True).first()
    venue.save(update_fields=["maintenance_from"])
    rules.changed()
    feed.announce("venues", kind, venue.code)
    for code in venue.accounts.values_list("code", flat=True):
        feed.wake(code)

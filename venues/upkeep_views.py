"""Maintenance windows and draining, from the pages of a venue and an account."""

from __future__ import annotations

import uuid

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from project.lib import access, pages
from venues import draining, maintenance
from venues.accounts import Invalid
from venues.forms import WindowForm
from venues.models import Account, MaintenanceWindow, Venue


@pages.command("maintenance")
def plan(request: HttpRequest, code: str) -> HttpResponse:
    get_object_or_404(Venue, pk=code)
    form, url = WindowForm(request.POST), f"/venues/{code}/#maintenance"
    if not form.is_valid():
        wrong = " ".join(f"{form.fields[name].label or name}: {errors[0]}" for name, errors in form.errors.items())
        return pages.refused(request, wrong, url)
    try:
        window = maintenance.plan(venue=code, **form.cleaned_data, actor=access.caller(request).actor)
    except Invalid as refusal:
        return pages.refused(request, refusal.message, url)
    return pages.done(request, f"Planned. {code}: orders in that time are denied; {maintenance.words(window)}.", url)


@pages.command("maintenance")
def cancel(request: HttpRequest, window_id: uuid.UUID) -> HttpResponse:
    window = get_object_or_404(MaintenanceWindow, pk=window_id)
    url = f"/venues/{window.venue_id}/#maintenance"
    try:
        maintenance.cancel(window, access.caller(request).actor)
    except Invalid as refusal:
        return pages.refused(request, refusal.message, url)
    return pages.done(request, "The window is called off; orders pass again unless another one covers them.", url)


@pages.command("venues")
def drain_venue(request: HttpRequest, code: str) -> HttpResponse:
    return _drain(request, Venue, code, f"/venues/{code}/#draining")


@pages.command("accounts")
def drain_account(request: HttpRequest, code: str) -> HttpResponse:
    return _drain(request, Account, code, f"/accounts/{code}/#draining")


def _drain(request: HttpRequest, kind: type[Account] | type[Venue], code: str, url: str) -> HttpResponse:
    get_object_or_404(kind, pk=code)
    actor = access.caller(request).actor
    try:
        if request.POST.get("drain") == "on":
            draining.begin(kind, code, request.POST.get("reason", ""), actor)
            text = f"{code} drains: no new orders; cancels, fills and what is open go on until nothing is left."
        else:
            draining.end(kind, code, actor)
            text = f"{code} takes new orders again."
    except Invalid as refusal:
        return pages.refused(request, refusal.message, url)
    return pages.done(request, text, url)

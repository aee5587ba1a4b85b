"""Venues and accounts: add, store a key, activate, switch to live."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from project.lib import access, pages
from venues import accounts, capabilities, credentials, queries
from venues.exchanges import EXCHANGES
from venues.forms import NewAccount, NewKey, NewVenue
from venues.models import Account, Venue


@pages.page(writes="venues")
def venues(request: HttpRequest) -> HttpResponse:
    form = NewVenue(request.POST or None, initial={"rest_url": ""})
    if request.method == "POST" and form.is_valid():
        try:
            venue = accounts.create_venue(**form.cleaned_data, actor=access.caller(request).actor)
            return pages.done(
                request, f"Venue {venue.code} is there. Add an account at it next.", f"/venues/{venue.code}/"
            )
        except accounts.Invalid as refusal:
            form.refuse(refusal)
    context = {
        "venues": queries.venues(),
        "accounts": queries.accounts(),
        "form": form,
        "exchanges": EXCHANGES,
        "paper_url": settings.PAPER_URL if settings.CUSTOM_URLS_ALLOWED else "",
        "custom_urls": settings.CUSTOM_URLS_ALLOWED,
    }
    return pages.render(
        request, "venues/list.html", context, {"venues": "venues/_venues.html"}, 422 if form.errors else 200
    )


@pages.page()
def venue(request: HttpRequest, code: str) -> HttpResponse:
    found = get_object_or_404(queries.venues(), pk=code)
    text = request.GET.get("symbol", "")
    context = {
        "venue": found,
        "facts": capabilities.for_exchange(found.exchange, found.quirks),
        "accounts": queries.accounts(found),
        "instruments": queries.instruments(found, text),
        "text": text,
        "instruments_max": queries.INSTRUMENTS_MAX,
        "live_allowed": settings.LIVE_ALLOWED,
    }
    parts = {"health": "venues/_health.html", "instruments": "venues/_instruments.html"}
    return pages.render(request, "venues/detail.html", context, parts)


@pages.command("live")
def live(request: HttpRequest, code: str) -> HttpResponse:
    found = get_object_or_404(Venue, pk=code)
    on, url = request.POST.get("live") == "on", f"/venues/{code}/"
    if on and request.POST.get("confirm") != code:
        return pages.refused(request, f"type {code} to confirm.", url)
    if on and not settings.LIVE_ALLOWED:
        return pages.refused(
            request, "this installation runs without GAPLESS_LIVE=1, so no order can reach a real exchange.", url
        )
    try:
        accounts.set_live(found, on, access.caller(request).actor)
    except accounts.Invalid as refusal:
        return pages.refused(request, refusal.message, url)
    return pages.done(
        request, f"Live trading at {code} is {'ON: orders reach the real exchange' if on else 'off'}.", url
    )


@pages.page(writes="accounts")
def account_list(request: HttpRequest) -> HttpResponse:
    form = NewAccount(request.POST or None, initial={"venue": request.GET.get("venue")})
    if request.method == "POST" and form.is_valid():
        try:
            account = accounts.create_account(**form.cleaned_data, actor=access.caller(request).actor)
            return pages.done(
                request, f"Account {account.code} is there. Store its API key next.", f"/accounts/{account.code}/"
            )
        except accounts.Invalid as refusal:
            form.refuse(refusal)
    context = {"accounts": queries.accounts(), "form": form, "has_venue": Venue.objects.exists()}
    return pages.render(
        request, "venues/accounts.html", context, {"accounts": "venues/_accounts.html"}, 422 if form.errors else 200
    )


@pages.command("keys")
def key(request: HttpRequest, code: str) -> HttpResponse:
    account = get_object_or_404(Account, pk=code)
    form, url = NewKey(request.POST), f"/accounts/{code}/"
    if not form.is_valid():
        wrong = " ".join(f"{form.fields[name].label or name}: {errors[0]}" for name, errors in form.errors.items())
        return pages.refused(request, f"{wrong} Type the key again.", url)
    try:
        sealed = credentials.seal(account, **form.parts(), created_by=access.caller(request).actor)
    except credentials.BadKey as refusal:
        return pages.refused(request, f"{refusal.field} {refusal}. Type the key again.", url)
    except FileNotFoundError:
        return pages.refused(
            request,
            "the executors' public key is missing, so the API key cannot be sealed. Run `manage.py init_secrets`.",
            url,
        )
    return pages.done(
        request,
        f"Key version {sealed.version} is sealed and active; it is never shown again. Activate the account next.",
        url,
    )


@pages.command("accounts")
def activation(request: HttpRequest, code: str) -> HttpResponse:
    account = get_object_or_404(Account, pk=code)
    url, waive = f"/accounts/{code}/", request.POST.get("waive_probe") == "on"
    caller = access.caller(request)
    if waive and not ("admin" in caller.roles and settings.CUSTOM_URLS_ALLOWED):
        return pages.refused(
            request, "only an administrator may waive the probe, where custom addresses are allowed.", url
        )
    accounts.request_activation(account, actor=caller.actor, waive_probe=waive)
    return pages.done(request, "Activation requested: probe, recovery and reconciliation follow by themselves.", url)

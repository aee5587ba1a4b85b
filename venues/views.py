"""Venues and accounts: add, store a key, activate, switch to live."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from project.lib import access, clock, pages
from venues import (
    accounts,
    capabilities,
    credentials,
    keys,
    maintenance,
    matrix,
    proofs,
    queries,
    sessions,
    standing,
)
from venues.exchanges import EXCHANGES
from venues.forms import NewAccount, NewKey, NewVenue
from venues.models import Account, Credential, KeyState, Venue

NEXT_FOR_KEY: dict[str, str] = {
    KeyState.ACTIVE: "Activate the account next.",
    KeyState.CANDIDATE: "The owner proves it while the key in use goes on serving, then puts it in its place.",
}


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
    stands = standing.standings()
    context = {
        "venues": [(one, stands.get(one.code)) for one in queries.venues()],
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
    listed = queries.accounts(found)
    shares = queries.budgets(found, [account.code for account in listed])
    context = {
        "venue": found,
        "budgets": shares,
        "stops": queries.stops(found, shares),
        "facts": capabilities.for_exchange(found.exchange, found.quirks),
        "accounts": listed,
        "books": queries.books(found),
        "streams": sessions.summaries(listed, clock.now()),
        "instruments": queries.instruments(found, text),
        "text": text,
        "instruments_max": queries.INSTRUMENTS_MAX,
        "live_allowed": settings.LIVE_ALLOWED,
        "standing": standing.standings([code]).get(code),
        "trend": standing.trend(found),
        "windows": maintenance.listed(found),
        "now": clock.now(),
    }
    names = ("health", "streams", "books", "budgets", "instruments", "score", "maintenance", "draining")
    parts = {name: f"venues/_{name}.html" for name in names}
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


@pages.page()
def exchanges(request: HttpRequest) -> HttpResponse:
    text, tier = request.GET.get("exchange", "").strip().lower(), request.GET.get("tier", "")
    known = matrix.exchanges(proofs.recorded())
    named = [one for one in known if text in one.id or text in one.name.lower()]
    context = {
        "exchanges": [(one, one.picked(matrix.COLUMNS)) for one in named if tier in ("", one.tier)],
        "heads": [fact.label for fact in known[0].picked(matrix.COLUMNS)],
        "tiers": [(name, label, sum(name in ("", one.tier) for one in named)) for name, label in matrix.TIERS],
        "venues": queries.venues_by_exchange(),
        "sources": matrix.SOURCES,
        "text": text,
        "tier": tier,
    }
    return pages.render(request, "exchanges/list.html", context)


@pages.page()
def exchange(request: HttpRequest, exchange_id: str) -> HttpResponse:
    if exchange_id not in EXCHANGES:
        raise Http404
    found = matrix.exchange(exchange_id, proofs.recorded([exchange_id]).get(exchange_id))
    context = {
        "exchange": found,
        "markets": [(name, matrix.terms_in_words(terms)) for name, terms in found.markets.items()],
        "requests": matrix.requests_in_words(found),
        "venues": queries.venues_by_exchange().get(exchange_id, ()),
        "sources": matrix.SOURCES,
    }
    return pages.render(request, "exchanges/detail.html", context)


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
        caller = access.caller(request)
        sealed = credentials.seal(account, **form.parts(), created_by=caller.actor, person=caller.person)
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
        f"Key version {sealed.version} is sealed; it is never shown again. {NEXT_FOR_KEY[sealed.state]}",
        url,
    )


@pages.command("waivers")
def waiver(request: HttpRequest, code: str, id: uuid.UUID) -> HttpResponse:
    key, caller, url = get_object_or_404(Credential, pk=id, account=code), access.caller(request), f"/accounts/{code}/"
    try:
        keys.waive(key, person=caller.person, actor=caller.actor, reason=request.POST.get("reason", ""))
    except keys.Refused as refusal:
        return pages.refused(request, refusal.message, url)
    return pages.done(request, f"Key version {key.version} is waived by you; the owner probes it again by itself.", url)


@pages.command("keys")
def withdrawal(request: HttpRequest, code: str, id: uuid.UUID) -> HttpResponse:
    key, url = get_object_or_404(Credential, pk=id, account=code), f"/accounts/{code}/"
    if request.POST.get("confirm") != f"v{key.version}":
        return pages.refused(request, f"type v{key.version} to confirm.", url)
    keys.withdraw(key, actor=access.caller(request).actor)
    return pages.done(request, f"Key version {key.version} is withdrawn and its secret destroyed.", url)


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

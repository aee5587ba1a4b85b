"""Trading state, halts and limits."""

from __future__ import annotations

import uuid

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from project.lib import access, pages
from risk import halts, limits, queries, reactions
from risk.forms import LimitForm, ReactionForm
from risk.models import Halt, Reaction
from venues.accounts import Invalid

URL = "/risk/"


@pages.page(writes="limits")
def overview(request: HttpRequest) -> HttpResponse:
    scopes = queries.scopes()
    form = LimitForm(request.POST or None, scopes=scopes)
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        try:
            limit = limits.put(values["scope"], values["name"], values["value"], access.caller(request).actor)
            return pages.done(request, f"Limit {limit.name} for {limit.scope} is set, version {limit.version}.", URL)
        except limits.Refused as error:
            form.add_error("value", str(error))
    in_force = halts.in_force()
    context = {
        "in_force": in_force,
        "state": halts.state_for("", "", in_force),
        "released": queries.released_halts(),
        "limits": queries.limits(),
        "scopes": scopes,
        "form": form,
        "reactions": reactions.in_force(),
        "firings": list(reactions.standing()),
        "reaction_form": ReactionForm(),
    }
    parts = {name: f"risk/_{name}.html" for name in ("halts", "limits", "reactions")}
    return pages.render(request, "risk/overview.html", context, parts, 422 if form.errors else 200)


@pages.command("halts")
def engage(request: HttpRequest) -> HttpResponse:
    scope, reason = request.POST.get("scope", ""), request.POST.get("reason", "")
    try:
        if scope not in queries.scopes():
            raise halts.Refused(f"there is no scope {scope[:80]!r}")
        halt = halts.engage(scope, reason, access.caller(request).actor, request.POST.get("state", "halted"))
    except halts.Refused as error:
        return pages.refused(request, str(error), URL)
    return pages.done(
        request, f"{halt.get_state_display()}: {halt.scope}. No new order passes from now on; cancels always pass.", URL
    )


@pages.command("halts")
def release(request: HttpRequest, halt_id: uuid.UUID) -> HttpResponse:
    halt = get_object_or_404(Halt, pk=halt_id)
    if halt.scope == "global" and request.POST.get("confirm") != "global":
        return pages.refused(request, "type global to confirm the release.", URL)
    try:
        halts.release(halt, request.POST.get("reason", ""), access.caller(request).actor)
    except halts.Refused as error:
        return pages.refused(request, str(error), URL)
    return pages.done(request, f"Released: {halt.scope}. Orders pass again unless another halt covers them.", URL)


@pages.command("reactions")
def react(request: HttpRequest) -> HttpResponse:
    form, url = ReactionForm(request.POST), f"{URL}#reactions"
    if not form.is_valid():
        wrong = " ".join(f"{form.fields[name].label or name}: {errors[0]}" for name, errors in form.errors.items())
        return pages.refused(request, wrong, url)
    try:
        made = reactions.make(**form.cleaned_data, actor=access.caller(request).actor)
    except Invalid as refusal:
        return pages.refused(request, refusal.message, url)
    return pages.done(request, f"Set: when {made.get_trigger_display()}, {made.get_action_display()}.", url)


@pages.command("reactions")
def end_reaction(request: HttpRequest, reaction_id: uuid.UUID) -> HttpResponse:
    reaction, url = get_object_or_404(Reaction, pk=reaction_id), f"{URL}#reactions"
    try:
        reactions.revoke(reaction, access.caller(request).actor)
    except Invalid as refusal:
        return pages.refused(request, refusal.message, url)
    return pages.done(request, "Ended. What it has halted stays halted until somebody releases it.", url)

"""Sign-in, the overview, the live frame."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from project import overview
from project.lib import audit, feed, pages
from risk import reactions


class SignIn(LoginView):
    """Sign a person in and write it down."""

    template_name = "registration/login.html"
    redirect_authenticated_user = True

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Record the sign-in."""
        with feed.transaction():
            audit.record(form.get_user().get_username(), "person.sign_in", form.get_user().get_username())
        return super().form_valid(form)


class SignOut(LogoutView):
    """Sign a person out and have the browser forget what it saw."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """End the session."""
        answer = super().post(request, *args, **kwargs)
        answer.headers["Clear-Site-Data"] = '"cache"'
        return answer


PARTS: dict[str, Any] = {
    "person": lambda: {"person": overview.needs_a_person(), "trading": overview.trading_now()},
    "alerts": lambda: {"firings": list(reactions.standing())},
    "venues": lambda: {"accounts": overview.accounts_and_venues()},
    "proof": lambda: {"coverage": overview.coverage_summary(), "runs": list(overview.last_runs())},
    "changes": lambda: {"changes": list(overview.recent_changes())},
    "steps": lambda: {"steps": overview.first_steps()},
}
FRAGMENTS = {name: f"overview/_{name}.html" for name in PARTS}


@pages.page()
def home(request: HttpRequest) -> HttpResponse:
    part = request.GET.get("fragment")
    wanted = [part] if part in PARTS else PARTS
    context: dict[str, Any] = {}
    for name in wanted:
        context |= PARTS[name]()
    return pages.render(request, "overview/home.html", context, FRAGMENTS)


@pages.page()
def frame(request: HttpRequest) -> HttpResponse:
    return render(request, "_frame.html")

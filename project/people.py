"""People, their roles and their API tokens; one's own password."""

from __future__ import annotations

import uuid

from django import forms
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm, SetPasswordForm
from django.contrib.auth.models import Group, User
from django.contrib.auth.password_validation import validate_password
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from project import tokens
from project.lib import access, audit, feed, pages
from project.lib.models import ApiToken
from venues.models import Account

PEOPLE, ME = "/settings/people/", "/settings/me/"
WHAT_A_ROLE_MAY = (
    ("admin", "everything, people and the live switch included"),
    ("operator", "venues, accounts, keys, reconciliation runs, orders"),
    ("risk", "halts, limits, dead letters, breaks"),
    ("approver", "approve or refuse what somebody else has requested"),
    ("trader", "orders"),
    ("viewer", "look at everything, change nothing"),
)
_NEW_PASSWORD = {"autocomplete": "new-password"}


class NewPerson(forms.Form):
    """Somebody who may sign in, with one role."""

    username = forms.RegexField(
        r"^[\w.@+-]{1,150}\Z",
        error_messages={"invalid": "Letters, digits and . @ + - _ only."},
        widget=forms.TextInput({"autocomplete": "off"}),
    )
    role = forms.ChoiceField(choices=[(name, name) for name in access.ROLES], initial="viewer")
    password = forms.CharField(
        strip=False, help_text="at least 12 characters", widget=forms.PasswordInput(_NEW_PASSWORD)
    )

    def clean_username(self) -> str:
        """Refuse a name that is taken."""
        name: str = self.cleaned_data["username"]
        if User.objects.filter(username__iexact=name).exists():
            raise forms.ValidationError("There is somebody of that name already.")
        return name

    def clean_password(self) -> str:
        """Hold the password to the rules."""
        password: str = self.cleaned_data["password"]
        validate_password(password, User(username=str(self.data.get("username", ""))))
        return password


class NewToken(forms.Form):
    """An API token."""

    label = forms.CharField(max_length=80, widget=forms.TextInput({"autocomplete": "off"}))
    accounts = forms.ModelMultipleChoiceField(
        Account.objects.order_by("code"), required=False, to_field_name="code", help_text="none chosen: all accounts"
    )
    is_read_only = forms.BooleanField(required=False, label="Read only")


@pages.page(writes="people")
def people(request: HttpRequest) -> HttpResponse:
    form = NewPerson(request.POST or None)
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        with feed.transaction():
            person = User.objects.create_user(values["username"], password=values["password"])
            person.groups.add(Group.objects.get_or_create(name=values["role"])[0])
            audit.record(access.caller(request).actor, "person.add", person.username, {"role": values["role"]})
        return pages.done(request, f"{person.username} may sign in now as {values['role']}.", PEOPLE)
    context = {
        "people": User.objects.prefetch_related("groups").order_by("-is_active", "username"),
        "tokens": ApiToken.objects.select_related("user")
        .filter(revoked_at=None)
        .order_by("user__username", "-created_at"),
        "roles": WHAT_A_ROLE_MAY,
        "form": form,
    }
    parts = {"people": "people/_people.html", "tokens": "people/_tokens.html"}
    return pages.render(request, "people/list.html", context, parts, 422 if form.errors else 200)


@pages.command("people")
def change(request: HttpRequest, person_id: int) -> HttpResponse:
    person = get_object_or_404(User, pk=person_id)
    actor, what = access.caller(request).actor, request.POST.get("what", "")
    if person == request.user:
        return pages.refused(
            request, "nobody changes their own role or switches themselves off; ask another administrator.", PEOPLE
        )
    with feed.transaction():
        if what in ("disable", "enable"):
            person.is_active = what == "enable"
            person.save(update_fields=["is_active"])
            said = (
                "may sign in again."
                if person.is_active
                else "may no longer sign in; open pages close within 30 seconds, tokens stop at once."
            )
        elif what == "role" and request.POST.get("role") in access.ROLES:
            person.groups.set([Group.objects.get_or_create(name=request.POST["role"])[0]])
            person.is_superuser = False
            person.save(update_fields=["is_superuser"])
            said = f"is {request.POST['role']} now."
        else:
            return pages.refused(request, "there is no such change.", PEOPLE)
        audit.record(actor, f"person.{what}", person.username, {"role": request.POST.get("role", "")})
    return pages.done(request, f"{person.username} {said}", PEOPLE)


@pages.page(writes="people")
def password(request: HttpRequest, person_id: int) -> HttpResponse:
    person = get_object_or_404(User, pk=person_id)
    form = SetPasswordForm(person, request.POST or None)
    if request.method == "POST" and form.is_valid():
        with feed.transaction():
            form.save()
            audit.record(access.caller(request).actor, "person.password_set", person.username)
        return pages.done(request, f"{person.username} has a new password; open sessions of theirs end.", PEOPLE)
    return pages.render(
        request, "people/password.html", {"person": person, "form": form}, status=422 if form.errors else 200
    )


@pages.page(writes="tokens")
def me(request: HttpRequest) -> HttpResponse:
    person = get_object_or_404(User, pk=request.user.pk)
    form = PasswordChangeForm(person, request.POST or None)
    if request.method == "POST" and form.is_valid():
        with feed.transaction():
            form.save()
            audit.record(person.username, "person.password_changed", person.username)
        update_session_auth_hash(request, person)
        return pages.done(request, "Your password is changed; your other sessions end.", ME)
    context = {
        "form": form,
        "token_form": NewToken(),
        "tokens": ApiToken.objects.filter(user=person).order_by("-created_at", "id"),
        "roles": sorted(access.caller(request).roles),
    }
    return pages.render(
        request, "people/me.html", context, {"tokens": "people/_my_tokens.html"}, 422 if form.errors else 200
    )


@pages.command("tokens")
def issue_token(request: HttpRequest) -> HttpResponse:
    form, person = NewToken(request.POST), get_object_or_404(User, pk=request.user.pk)
    if not form.is_valid():
        return pages.refused(request, " ".join(str(errors[0]) for errors in form.errors.values()), ME)
    values = form.cleaned_data
    codes = [account.code for account in values["accounts"]]
    token, key = tokens.issue(
        person, values["label"], codes, is_read_only=values["is_read_only"], actor=access.caller(request).actor
    )
    # Rendered, not redirected: the key exists in this one answer only.
    return pages.render(request, "people/token.html", {"token": token, "key": key})


@pages.command("tokens")
def revoke_token(request: HttpRequest, token_id: uuid.UUID) -> HttpResponse:
    token = get_object_or_404(ApiToken.objects.select_related("user"), pk=token_id)
    caller = access.caller(request)
    is_own = token.user_id == request.user.pk
    if not is_own and not caller.may("people", "POST"):
        return pages.refused(request, "only an administrator revokes somebody else's token.", ME)
    tokens.revoke(token, caller.actor)
    return pages.done(request, f"Token {token.label} is revoked; it is refused from now on.", ME if is_own else PEOPLE)

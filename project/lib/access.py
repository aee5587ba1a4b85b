"""Who may do what: roles as one table, accounts as one set; every page, endpoint and socket asks here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Q
from django.http import HttpRequest

from project.lib.models import ApiToken

ROLES = ("admin", "operator", "risk", "approver", "trader", "viewer")
READS = frozenset({"GET", "HEAD", "OPTIONS"})
EVERYBODY = frozenset(ROLES)

# Who may write a resource. Reading needs any role; an admin may write everything.
WRITERS: dict[str, frozenset[str]] = {
    "orders": frozenset({"trader", "operator"}),
    "venues": frozenset({"operator"}),
    "accounts": frozenset({"operator"}),
    "keys": frozenset({"operator"}),
    "waivers": frozenset({"risk"}),
    "reconciliations": frozenset({"operator"}),
    "halts": frozenset({"risk"}),
    "limits": frozenset({"risk"}),
    "breaks": frozenset({"risk"}),
    "rules": frozenset({"risk"}),
    "statements": frozenset({"operator", "risk"}),
    "approvals": frozenset({"approver"}),
    # Who may decide is judged where it is decided, so that an attempt is on record; anybody may withdraw their own.
    "decisions": EVERYBODY,
    "dead_letters": frozenset({"risk"}),
    "error_decisions": frozenset({"risk"}),
    "reactions": frozenset({"risk"}),
    "maintenance": frozenset({"operator", "risk"}),
    "tokens": EVERYBODY,
    "live": frozenset(),
}


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who is asking: the name for the audit log, the person behind it, the roles, the accounts (None means all)."""

    actor: str
    person: str
    roles: frozenset[str]
    accounts: frozenset[str] | None
    is_read_only: bool = False

    def may(self, resource: str, method: str) -> bool:
        """Say whether the caller's roles allow a method on a resource; nothing is allowed without a role."""
        if not self.roles:
            return False
        if method in READS:
            return True
        return not self.is_read_only and (
            "admin" in self.roles or bool(self.roles & WRITERS.get(resource, frozenset()))
        )

    def sees(self, account: str) -> bool:
        """Say whether an account is among the caller's."""
        return self.accounts is None or account in self.accounts


def roles_of(user: AbstractBaseUser | AnonymousUser, group_names: Iterable[str] | None = None) -> frozenset[str]:
    """Return a person's roles: their groups, and admin for a superuser. Reads the groups unless they are given."""
    if not user.is_authenticated or not getattr(user, "is_active", False):
        return frozenset()
    groups: Any = getattr(user, "groups")  # noqa: B009 - a custom user model may have none
    names = set(groups.values_list("name", flat=True) if group_names is None else group_names) & EVERYBODY
    return frozenset(names | {"admin"}) if getattr(user, "is_superuser", False) else frozenset(names)


def has_another(roles: Iterable[str], name: str) -> bool:
    """Say whether anybody but the person named may sign in or use tokens with one of these roles."""
    people = get_user_model()._default_manager.filter(is_active=True).exclude(username=name)
    found = Q(groups__name__in=list(roles))
    return people.filter(found | Q(is_superuser=True) if "admin" in roles else found).exists()


def caller(request: HttpRequest) -> Caller:
    """Return who is asking, worked out once per request. Takes a Django request or a REST framework one."""
    known: Caller | None = getattr(request, "gapless_caller", None)
    if known is None:
        known = _caller(request)
        request.gapless_caller = known  # type: ignore[attr-defined]
    return known


def _caller(request: HttpRequest) -> Caller:
    token = getattr(request, "auth", None)
    if not isinstance(token, ApiToken):
        name = request.user.get_username()
        return Caller(actor=name, person=name, roles=roles_of(request.user), accounts=None)
    return Caller(
        actor=f"token:{token.label}",
        person=token.user.get_username(),
        roles=roles_of(token.user, getattr(token, "group_names", None)),
        accounts=frozenset(token.accounts) or None,
        is_read_only=token.is_read_only,
    )

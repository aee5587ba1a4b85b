"""The password once more before a decision: whoever sits at somebody's open session cannot approve in their name."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest

from project.lib import audit, clock, feed

CONFIRMED_AT, WRONG = "password_confirmed_at", "passwords_wrong"
WRONG_MAX = 5


class NotConfirmed(Exception):
    """The password was not confirmed; the text says what to do."""


def is_needed(request: HttpRequest) -> bool:
    """Say whether the person has to confirm their password: they have one, and did not in the last minutes."""
    seconds = settings.APPROVAL_PASSWORD_SECONDS
    if not seconds or not request.user.is_authenticated or not request.user.has_usable_password():
        return False
    return not 0 <= clock.now().timestamp() - float(request.session.get(CONFIRMED_AT, 0)) < seconds


def confirm(request: HttpRequest, password: str) -> None:
    """Check the password where it is needed and remember that in the session.

    Raises NotConfirmed; after five wrong ones the session is over, and the audit says so.
    """
    if not is_needed(request):
        return
    if not password:
        raise NotConfirmed("confirm it with your password; it then holds for five minutes")
    if request.user.check_password(password):
        request.session[CONFIRMED_AT] = clock.now().timestamp()
        request.session.pop(WRONG, None)
        return
    wrong = int(request.session.get(WRONG, 0)) + 1
    request.session[WRONG] = wrong
    name = request.user.get_username()
    with feed.transaction():
        audit.record(name, "person.password_wrong", name, {"times": wrong})
    if wrong >= WRONG_MAX:
        logout(request)
        raise NotConfirmed(f"the password was wrong {wrong} times; you are signed out")
    raise NotConfirmed(f"the password is wrong; {WRONG_MAX - wrong} more tries before you are signed out")

"""A filled desk and signed-in people."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests import factories
from tests.console import world

SignIn = Callable[[str], Client]


@pytest.fixture
def sign_in(db: None) -> SignIn:
    """Return a maker of browsers: `sign_in("trader")` is signed in as somebody of that role."""

    def make(role: str) -> Client:
        person = User.objects.filter(username=role).first() or factories.UserFactory(username=role, role=role)
        client = Client(enforce_csrf_checks=False)
        client.force_login(person)
        return client

    return make


@pytest.fixture
def desk(db: None) -> None:
    """Fill the desk."""
    world.day()

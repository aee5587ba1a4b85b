"""Fixtures every part of the suite shares."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rest_framework.test import APIClient

from tests.factories import make_token

Client = Callable[..., APIClient]


@pytest.fixture
def client_for(db: None) -> Client:
    """Return a maker of API clients: `client_for("trader", accounts=["a"])` is signed in by a new token."""

    def make(role: str = "admin", **options: object) -> APIClient:
        _, key = make_token(role, **options)
        client = APIClient(raise_request_exception=False)
        client.credentials(HTTP_AUTHORIZATION=f"Token {key}")
        return client

    return make


@pytest.fixture
def api(client_for: Client) -> APIClient:
    """Return an API client with an admin's token."""
    return client_for("admin")

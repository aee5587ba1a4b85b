"""What a test server lacks of its exchange's protocol is said when the venue is made, and only there."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from project.lib.models import AuditEntry
from venues import capabilities
from venues.models import Venue

pytestmark = pytest.mark.django_db(transaction=True)
VENUES = "/api/v1/venues/"
OURS = {"code": "odd", "exchange": "kraken", "rest_url": "http://127.0.0.1:9001/kraken/odd"}


def post(api: APIClient, **changes: Any) -> Any:
    return api.post(VENUES, OURS | changes, format="json")


def test_quirks_are_kept_shown_and_audited(api: APIClient, settings: Any) -> None:
    settings.CUSTOM_URLS_ALLOWED = True
    made = post(api, quirks=["no_client_id", "no_validity_window", "no_client_id"])
    assert made.status_code == 201, made.content
    assert made.json()["quirks"] == ["no_client_id", "no_validity_window"]
    assert Venue.objects.get().quirks == ["no_client_id", "no_validity_window"]
    assert any("no_client_id" in str(entry.detail) for entry in AuditEntry.objects.all())
    assert post(api, code="plain").json()["quirks"] == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"quirks": ["no_client_ids"]}, "QUIRK_UNKNOWN"),
        ({"quirks": ["no_client_id"], "rest_url": ""}, "QUIRKS_NEED_REST_URL"),
        ({"quirks": "no_client_id"}, None),
        ({"quirks": [1]}, None),
        ({"quirks": ["no_client_id"] * 17}, None),
    ],
)
def test_what_is_no_quirk_is_refused_and_nothing_is_made(
    api: APIClient, settings: Any, changes: dict[str, Any], code: str | None
) -> None:
    settings.CUSTOM_URLS_ALLOWED = True
    refused = post(api, **changes)
    assert refused.status_code == 400
    (error,) = refused.json()["errors"]
    assert error["field"].startswith("quirks")
    assert code is None or error["code"] == code
    assert not Venue.objects.exists()


def test_where_addresses_are_not_free_quirks_are_not_either(api: APIClient, settings: Any) -> None:
    settings.CUSTOM_URLS_ALLOWED = False
    refused = post(api, quirks=["no_client_id"])
    assert refused.status_code == 400
    assert not Venue.objects.exists()


@pytest.mark.parametrize("quirk", capabilities.QUIRKS)
def test_every_quirk_takes_something_away(quirk: str) -> None:
    for exchange in ("binance", "kraken", "somewhere"):
        changed = capabilities.for_exchange(exchange, [quirk])
        assert all(getattr(changed, name) == value for name, value in capabilities.QUIRKS[quirk].items())

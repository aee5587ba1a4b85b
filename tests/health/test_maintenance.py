"""Maintenance planned and sudden, and draining: what is denied, what goes on, and how it is said."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from orders import draining as orders_draining
from orders import intake, submission, telemetry
from orders.models import Order
from orders.states import Status
from project.lib import clock, feed
from project.lib.models import AuditEntry
from tests import factories
from tests.orders import scene
from tests.regressions.rig import Rig
from venues import draining, maintenance, standing
from venues.accounts import Invalid
from venues.models import Account, MaintenanceWindow, Venue


def planned(venue: str, begins: float = -60, lasts: float = 600, **changes: Any) -> MaintenanceWindow:
    at = clock.now() + timedelta(seconds=begins)
    plain: dict[str, Any] = {
        "starts_at": at,
        "ends_at": at + timedelta(seconds=lasts),
        "reason": "matching engine",
        "actor": "ada",
    }
    return maintenance.plan(venue=venue, **(plain | changes))


def ordered(account: Account, **changes: Any) -> Order:
    return intake.accept(scene.ask(account, **changes), Account.objects.get(pk=account.pk), source="test").order


def test_a_window_denies_new_orders_with_its_end(account: Account) -> None:
    window = planned(account.venue_id)
    order = ordered(account)
    assert (order.status, order.reason_code) == ("denied", "VENUE_MAINTENANCE")
    assert f"until {window.ends_at:%Y-%m-%d %H:%M} UTC" in order.reason_message
    maintenance.cancel(window, "ada")
    assert ordered(account).status == "queued"
    with pytest.raises(Invalid, match="over already"):
        maintenance.cancel(window, "ada")
    assert set(AuditEntry.objects.values_list("action", flat=True)) >= {"maintenance.plan", "maintenance.cancel"}


def test_a_window_begins_and_ends_by_itself(account: Account) -> None:
    window = planned(account.venue_id, begins=600)
    assert ordered(account).status == "queued"
    MaintenanceWindow.objects.update(starts_at=clock.now() - timedelta(seconds=1))
    Venue.objects.update(maintenance_from=clock.now() - timedelta(seconds=1))
    assert ordered(account).status == "denied"
    MaintenanceWindow.objects.update(ends_at=clock.now())
    assert ordered(account).status == "queued"
    assert maintenance.current(clock.now()) == {}
    assert window.source == "planned"


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"reason": " "}, "reason"), ({"lasts": 0}, "ends_at"), ({"begins": -600, "lasts": 60}, "ends_at"), ({"venue": "no"}, "venue")],
)  # fmt: skip
def test_what_is_no_window(account: Account, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        planned(**({"venue": account.venue_id} | changes))
    assert refused.value.field == field


async def test_what_waits_when_a_window_begins_is_denied_at_the_gate(rig: Rig) -> None:
    order = await rig.queued()
    await rig.of(lambda: planned(rig.account.venue_id))
    await submission.submit(rig.service, order.pk)
    assert (await rig.fresh(order)).reason_code == "VENUE_MAINTENANCE"
    assert rig.placed() == 0


@pytest.mark.parametrize("exchange", ["binance", "kraken"])
async def test_a_venue_that_says_maintenance_is_in_one_until_its_status_is_well(rig: Rig) -> None:
    live = await rig.submitted()
    fault = rig.fault("maintenance", "create_order", seconds=600)
    told = await rig.submitted()
    assert told.status == "unknown"  # the words prove nothing of the order
    assert rig.service.gateway.maintenance
    assert (await rig.submitted()).status == "queued"  # the breaker is open at once
    await rig.service.gateway.check()
    said = await telemetry._tell_maintenance(rig.service, "")
    window = await rig.of(MaintenanceWindow.objects.get)
    assert (window.source, window.ends_at, window.reason) == ("venue", None, said)
    await rig.of(rig.account.refresh_from_db)
    denied = await rig.queued()
    assert (denied.status, denied.reason_code) == ("denied", "VENUE_MAINTENANCE")
    assert await rig.cancel(live)
    stands = await rig.of(standing.standings)
    assert all(one.score.state == "maintenance" for one in stands.values())

    rig.venue.remove_faults(fault)
    await rig.service.gateway.check()
    await telemetry._tell_maintenance(rig.service, said)
    assert (await rig.of(MaintenanceWindow.objects.get)).ends_at is not None
    await rig.of(rig.account.refresh_from_db)
    assert (await rig.queued()).status == "queued"


def told(account: Account, said: str) -> str:
    with feed.transaction():
        maintenance.venue_says(account.venue_id, said)
    return maintenance.said(account.venue_id)


def test_an_owner_after_another_goes_on_from_the_open_window(account: Account) -> None:
    assert maintenance.said(account.venue_id) == ""
    assert told(account, "its status endpoint says so") == "its status endpoint says so"
    assert told(account, "it says so again") == "its status endpoint says so"
    assert MaintenanceWindow.objects.count() == 1
    assert told(account, "") == ""
    assert told(account, "") == ""


@pytest.mark.parametrize("kind", [Account, Venue])
def test_draining_takes_no_new_orders_and_says_when_nothing_is_open(account: Account, kind: Any) -> None:
    before = scene.queued(account)
    code = account.code if kind is Account else account.venue_id
    draining.begin(kind, code, "moving away", "ada")
    with pytest.raises(Invalid, match="draining already"):
        draining.begin(kind, code, "moving away", "ada")
    refused = ordered(account)
    assert (refused.status, refused.reason_code) == ("denied", "DRAINING")
    assert orders_draining.settle() == 0
    assert kind.objects.get(pk=code).drained_at is None
    scene.moved(before, Status.CANCELLED)
    assert orders_draining.settle() == 1
    assert orders_draining.settle() == 0
    assert kind.objects.get(pk=code).drained_at is not None
    draining.end(kind, code, "ada")
    assert ordered(account).status == "queued"
    actions = list(AuditEntry.objects.order_by("sequence").values_list("action", flat=True))
    assert [name for name in actions if name.startswith("drain")] == ["drain.begin", "drain.done", "drain.end"]


async def test_an_order_that_was_there_before_goes_its_way_while_draining(rig: Rig) -> None:
    order = await rig.queued()
    await rig.of(lambda: draining.begin(Account, rig.account.code, "moving away", "ada"))
    assert await submission.submit(rig.service, order.pk)
    assert (await rig.fresh(order)).status == "open"
    assert await rig.cancel(order)


def test_the_pages_plan_and_drain(db: None) -> None:
    account = factories.AccountFactory()
    client = Client()
    client.force_login(factories.UserFactory(role="operator"))
    begins = clock.now() + timedelta(hours=1)
    form = {
        "starts_at": f"{begins:%Y-%m-%dT%H:%M}",
        "ends_at": f"{begins + timedelta(hours=2):%Y-%m-%dT%H:%M}",
        "reason": "announced",
    }
    assert client.post(f"/venues/{account.venue_id}/windows/", form).status_code == 303
    window = MaintenanceWindow.objects.get()
    assert "announced" in client.get(f"/venues/{account.venue_id}/").content.decode()
    client.post(f"/venues/windows/{window.pk}/cancellation/")
    window.refresh_from_db()
    assert window.cancelled_at is not None
    for url in (f"/venues/{account.venue_id}/draining/", f"/accounts/{account.code}/draining/"):
        client.post(url, {"drain": "on", "reason": "moving"})
    account.refresh_from_db()
    account.venue.refresh_from_db()
    assert account.draining_since is not None
    assert account.venue.draining_since is not None
    assert "Draining" in client.get(f"/accounts/{account.code}/").content.decode()
    client.post(f"/accounts/{account.code}/draining/", {"drain": "off"})
    account.refresh_from_db()
    assert account.draining_since is None

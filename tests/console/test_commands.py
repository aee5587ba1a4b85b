"""What people do in the console: each command does it once, says so, and is refused to those who may not."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.test import Client

from orders import group_intake, group_requests
from orders.models import DeadLetter, Intent, Order, Posting
from project.lib.models import ApiToken, AuditEntry
from reconciliation.models import Break, Run
from risk.models import Halt, Limit
from tests import factories
from tests.console.conftest import SignIn
from venues import key_files
from venues.models import Account, Credential, Venue

TICKET = {
    "account": "paper-main",
    "symbol": "BTC/USDT",
    "side": "buy",
    "type": "limit",
    "quantity": "0.5",
    "price": "64000",
    "client_order_id": "web-1",
}


@pytest.fixture
def account(db: None) -> Account:
    made = factories.AccountFactory(code="paper-main")
    factories.InstrumentFactory(venue=made.venue)
    return made


def flashed(client: Client, path: str = "/") -> str:
    return " ".join(re.findall(r'<div class="flash"[^>]*><p>(.*?)</p>', client.get(path).content.decode()))


def test_a_ticket_sent_twice_makes_one_order(account: Account, sign_in: SignIn) -> None:
    client = sign_in("trader")
    first, second = client.post("/orders/new/", TICKET), client.post("/orders/new/", TICKET)
    assert first.status_code == second.status_code == 303
    assert first.headers["Location"] == second.headers["Location"]
    order = Order.objects.get()
    assert (order.status, order.source, order.quantity) == ("queued", "trader", Decimal("0.5"))


def test_a_used_ticket_with_another_body_is_a_new_ticket(account: Account, sign_in: SignIn) -> None:
    client = sign_in("trader")
    client.post("/orders/new/", TICKET)
    answer = client.post("/orders/new/", {**TICKET, "quantity": "0.6"})
    assert answer.status_code == 422 and Order.objects.count() == 1
    fresh = re.search(r'name="client_order_id" value="(web-[0-9a-f]+)"', answer.content.decode())
    assert fresh and fresh[1] != "web-1"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"quantity": "0.123456"}, "Nearest valid: 0.12345"),
        ({"price": "64000.001"}, "Nearest valid: 64000"),
        ({"symbol": "BTC/USD"}, "Nearest valid: BTC/USDT"),
        ({"quantity": "1e400"}, "plain decimal"),
        ({"quantity": "NaN"}, "plain decimal"),
        ({"quantity": "0"}, "greater than zero"),
        ({"price": ""}, "required for a limit order"),
        ({"type": "market"}, "a market order has no price"),
        ({"time_in_force": "fok", "post_only": "on"}, "post-only needs"),
    ],
)
def test_the_ticket_names_the_field_and_the_nearest_value(
    account: Account, sign_in: SignIn, change: dict[str, str], said: str
) -> None:
    answer = sign_in("trader").post("/orders/new/", {**TICKET, **change})
    assert answer.status_code == 422 and said.lower() in answer.content.decode().lower()
    assert not Order.objects.exists()


@pytest.mark.parametrize(
    ("kind", "time_in_force", "shown"),
    [
        ("limit", "gtc", ["price", "time_in_force", "post_only"]), ("market", "gtc", []),
        ("limit", "gtd", ["price", "time_in_force", "expires_at", "post_only"]), ("limit", "fok", ["price", "time_in_force"]),
        ("stop", "gtc", ["trigger_price", "time_in_force"]),
        ("stop_limit", "gtd", ["price", "trigger_price", "time_in_force", "expires_at"]),
        ("trailing_stop", "gtc", ["trailing_offset", "time_in_force"]),
    ],
)  # fmt: skip
def test_the_ticket_asks_for_what_belongs_to_the_type(
    account: Account, sign_in: SignIn, kind: str, time_in_force: str, shown: list[str]
) -> None:
    answer = sign_in("trader").get(
        "/orders/new/fields/", {"type": kind, "time_in_force": time_in_force, "price": "123.5"}
    )
    text = answer.content.decode()
    assert re.findall(r'name="(\w+)"', text) == shown
    assert ('value="123.5"' in text) is ("price" in shown)


def test_a_conditional_order_from_the_ticket(account: Account, sign_in: SignIn) -> None:
    client = sign_in("trader")
    values = {
        **TICKET,
        "type": "stop_limit",
        "trigger_price": "65000",
        "price": "65100",
        "time_in_force": "gtd",
        "expires_at": "2050-01-31T12:00",
    }
    client.post("/orders/new/", values)
    order = Order.objects.get()
    assert (order.type, order.trigger_price, order.time_in_force) == ("stop_limit", Decimal(65000), "gtd")
    assert order.expires_at == datetime(2050, 1, 31, 12, tzinfo=UTC)
    trailing = {**TICKET, "client_order_id": "web-2", "type": "trailing_stop", "price": "", "trailing_offset": "150"}
    client.post("/orders/new/", trailing)
    page = client.get(f"/orders/{Order.objects.get(type='trailing_stop').id}/").content.decode()
    assert "armed: the owner watches the price" in page and "Trails by" in page


def test_a_change_asked_for_on_the_page(account: Account, sign_in: SignIn) -> None:
    client = sign_in("trader")
    client.post("/orders/new/", TICKET)
    order = Order.objects.get()
    url, page = f"/orders/{order.id}/amendment/", f"/orders/{order.id}/"
    same = {"quantity": "0.5", "price": client.get(page).context["form"].initial["price"]}
    client.post(url, same)
    assert not Intent.objects.exists() and "nothing was asked" in flashed(client)
    wrong = client.post(url, {**same, "price": "64000.001"})
    assert wrong.status_code == 422 and "Nearest valid: 64000" in wrong.content.decode()
    client.post(url, {**same, "quantity": "0.7"})
    assert Intent.objects.get().data == {"quantity": "0.7"}
    shown = client.get(page).content.decode()
    assert "waits for the owner" in shown and "Another change is under way" in shown
    client.post(url, {**same, "quantity": "0.9"})
    assert "under way" in flashed(client) and Intent.objects.count() == 1
    Intent.objects.update(done_at=order.created_at, result="amended")
    assert "amended" in client.get(page).content.decode()


def test_an_order_shows_its_group(account: Account, sign_in: SignIn) -> None:
    body = {"client_group_id": "desk-7", "account": account.code, "kind": "bracket", "symbol": "BTC/USDT", "side": "buy", "quantity": "0.5",
            "entry": {"type": "limit", "price": "64000"}, "take_profit": {"price": "66000"}, "stop": {"trigger_price": "63000"}}  # fmt: skip
    group_intake.accept(group_requests.parse(body), account, source="test")
    entry = Order.objects.get(group_role="entry")
    page = sign_in("viewer").get(f"/orders/{entry.id}/").content.decode()
    assert "Group: bracket" in page and page.count('id="sibling-') == 3 and page.count("dormant") >= 2


def test_cancel_from_the_row_answers_with_the_row(account: Account, sign_in: SignIn) -> None:
    client = sign_in("trader")
    client.post("/orders/new/", TICKET)
    order = Order.objects.get()
    answer = client.post(f"/orders/{order.id}/cancellation/", headers={"HX-Request": "true"})
    text = answer.content.decode()
    assert answer.status_code == 200 and text.startswith(f'<tr id="order-{order.id}"') and "cancel requested" in text
    assert client.post(f"/orders/{order.id}/cancellation/").status_code == 303
    assert Intent.objects.filter(order=order, action="cancel").count() == 1
    assert AuditEntry.objects.filter(action="order.cancel", actor="trader").count() == 1


def test_cancel_of_exactly_the_ticked_orders(account: Account, sign_in: SignIn) -> None:
    client = sign_in("trader")
    alive, other = factories.OrderFactory(account=account), factories.OrderFactory(account=account)
    ended = factories.OrderFactory(account=account, status="filled", client_order_id="ended-1")
    client.post("/orders/cancellations/", {"order": [str(alive.id), str(ended.id), "nonsense"]})
    assert list(Intent.objects.values_list("order_id", flat=True)) == [alive.id]
    assert "1 cancel requested" in (said := flashed(client)) and "ended-1" in said
    assert not Intent.objects.filter(order=other).exists()
    assert sign_in("viewer").post("/orders/cancellations/", {"order": str(other.id)}).status_code == 403


def test_every_change_needs_its_role_and_a_token(account: Account, sign_in: SignIn) -> None:
    order = factories.OrderFactory(account=account)
    letter, difference, halt = factories.DeadLetterFactory(), factories.BreakFactory(), factories.HaltFactory()
    rule = factories.RuleFactory()
    viewer, strict = sign_in("viewer"), Client(enforce_csrf_checks=True)
    strict.force_login(factories.UserFactory(role="admin"))
    for path in (
        "/orders/new/", f"/orders/{order.id}/cancellation/", f"/orders/{order.id}/amendment/", f"/dead-letters/{letter.id}/look/", f"/dead-letters/{letter.id}/binding/",
        f"/dead-letters/{letter.id}/absence/", f"/breaks/{difference.id}/explanation/", f"/breaks/{difference.id}/adjustment/",
        f"/breaks/{difference.id}/note/", "/reconciliation/runs/", "/venues/", "/accounts/", f"/accounts/{account.code}/key/",
        f"/accounts/{account.code}/activation/", f"/venues/{account.venue_id}/live/", "/risk/", "/risk/halts/",
        f"/risk/halts/{halt.id}/release/", "/settings/people/", "/reconciliation/rules/",
        *(f"/reconciliation/rules/{rule.id}/{what}/" for what in ("dry-runs", "activation", "retirement")),
    ):  # fmt: skip
        assert viewer.post(path, {"reason": "x"}).status_code == 403, f"a viewer may POST {path}"
        assert strict.post(path, {"reason": "x"}).status_code == 403, f"{path} takes a POST without a token"
    assert not Intent.objects.exists() and not AuditEntry.objects.exists()


def test_commands_are_not_done_by_looking(account: Account, sign_in: SignIn) -> None:
    client = sign_in("admin")
    order, halt = factories.OrderFactory(account=account), factories.HaltFactory()
    for path in (
        f"/orders/{order.id}/cancellation/",
        f"/orders/{order.id}/amendment/",
        f"/risk/halts/{halt.id}/release/",
        "/risk/halts/",
        "/reconciliation/runs/",
        "/settings/tokens/",
        "/logout/",
    ):
        assert client.get(path).status_code == 405, path


def test_dead_letter_decisions(sign_in: SignIn) -> None:
    letter, client = factories.DeadLetterFactory(), sign_in("risk")
    client.post(f"/dead-letters/{letter.id}/absence/", {"reason": " "})
    assert not Intent.objects.exists() and "reason" in flashed(client)
    client.post(f"/dead-letters/{letter.id}/look/")
    client.post(
        f"/dead-letters/{letter.id}/binding/", {"venue_order_id": "77", "reason": "seen in the venue's own page"}
    )
    assert list(Intent.objects.order_by("requested_at").values_list("action", flat=True)) == ["look_again", "bind"]
    DeadLetter.objects.update(status="resolved", resolved_by="executor", resolved_at=letter.created_at)
    client.post(f"/dead-letters/{letter.id}/absence/", {"reason": "it is not there"})
    assert "resolved already" in flashed(client)


def test_break_decisions(sign_in: SignIn) -> None:
    row, client = factories.BreakFactory(delta=Decimal("-20.05")), sign_in("risk")
    text = client.get(f"/breaks/{row.id}/").content.decode()
    assert "Post counter-entry" in text and text.count("20.05") > 4
    client.post(f"/breaks/{row.id}/assignment/", {"owner": "risk"})
    client.post(f"/breaks/{row.id}/adjustment/", {"reason": "fee the venue never reported"})
    row.refresh_from_db()
    assert (row.status, row.resolution, row.owner) == ("resolved", "adjusted", "risk")
    assert {(leg.book, leg.amount) for leg in Posting.objects.all()} == {
        ("venue", Decimal("-20.05")),
        ("adjustments", Decimal("20.05")),
    }
    client.post(f"/breaks/{row.id}/reopening/", {"reason": "wrong asset"})
    assert Break.objects.get().status == "investigating"


def test_first_day_of_a_new_desk(sign_in: SignIn, settings: LazySettings, tmp_path: Path) -> None:
    settings.CUSTOM_URLS_ALLOWED = True
    settings.EXECUTOR_PUBLIC_KEY_FILE = tmp_path / "public.pem"
    key_files.generate_keypair(tmp_path / "private.pem", tmp_path / "public.pem")
    client = sign_in("admin")
    assert client.post("/venues/", {"code": "Paper!", "exchange": "binanse"}).status_code == 422
    client.post("/venues/", {"code": "paper", "exchange": "binance", "rest_url": "http://127.0.0.1:8900/binance/main"})
    client.post("/accounts/", {"code": "main", "venue": "paper", "label": "first"})
    answer = client.post(
        "/accounts/main/key/", {"api_key": "a-very-public-key", "secret": "hush-hush-hush", "passphrase": ""}
    )
    assert answer.status_code == 303 and Venue.objects.get().environment == "PAPER"
    page = client.get("/accounts/main/").content.decode()
    assert "hush-hush-hush" not in page and "a-very-public-key" not in page and "-key v1" in page
    assert Credential.objects.get().is_active
    client.post("/accounts/main/activation/", {"waive_probe": "on"})
    account = Account.objects.get()
    assert account.activation_requested_at and account.probe_waived_by == "admin"
    client.post("/reconciliation/runs/", {"account": "main"})
    assert Run.objects.get().requested_by == "admin"


def test_live_takes_the_typed_name_and_both_switches(sign_in: SignIn, settings: LazySettings) -> None:
    factories.VenueFactory(code="real", rest_url="")
    client = sign_in("admin")
    client.post("/venues/real/live/", {"live": "on", "confirm": "rael"})
    assert "type real" in flashed(client) and not Venue.objects.get().is_live
    client.post("/venues/real/live/", {"live": "on", "confirm": "real"})
    assert "GAPLESS_LIVE" in flashed(client) and not Venue.objects.get().is_live
    settings.LIVE_ALLOWED = True
    client.post("/venues/real/live/", {"live": "on", "confirm": "real"})
    assert Venue.objects.get().is_live
    client.post("/venues/real/live/", {"live": "off"})
    assert not Venue.objects.get().is_live


def test_halt_and_release(account: Account, sign_in: SignIn) -> None:
    client = sign_in("risk")
    client.post("/risk/halts/", {"scope": "account:nobody", "reason": "x"})
    client.post("/risk/halts/", {"scope": "global", "reason": ""})
    assert not Halt.objects.exists()
    client.post("/risk/halts/", {"scope": "global", "reason": "two venues disagree"})
    assert "HALTED · global" in client.get("/orders/").content.decode()
    denied = sign_in("trader").post("/orders/new/", TICKET)
    assert denied.status_code == 303 and Order.objects.get().reason_code == "TRADING_HALTED"
    halt = Halt.objects.get()
    client.post(f"/risk/halts/{halt.id}/release/", {"reason": "settled", "confirm": "no"})
    assert Halt.objects.get().released_at is None
    client.post(f"/risk/halts/{halt.id}/release/", {"reason": "settled", "confirm": "global"})
    assert Halt.objects.get().released_by == "risk"
    client.post("/risk/", {"scope": "global", "name": "notional_max", "value": "1000"})
    assert Limit.objects.get().value == 1000
    assert client.post("/risk/", {"scope": "global", "name": "notional_max", "value": "-1"}).status_code == 422


def test_people_and_tokens(sign_in: SignIn) -> None:
    client = sign_in("admin")
    assert (
        client.post("/settings/people/", {"username": "ana", "role": "trader", "password": "short"}).status_code == 422
    )
    client.post("/settings/people/", {"username": "ana", "role": "trader", "password": "a long good phrase"})
    ana = User.objects.get(username="ana")
    assert ana.check_password("a long good phrase") and [group.name for group in ana.groups.all()] == ["trader"]
    page = client.post("/settings/tokens/", {"label": "desk"}).content.decode()
    key = re.search(r"gpl_[\w-]{40,}", page)
    assert key and key[0] not in client.get("/settings/me/").content.decode()
    authorised = {"Authorization": f"Token {key[0]}"}
    assert Client().get("/api/v1/orders/", headers=authorised).status_code == 200
    client.post(f"/settings/tokens/{ApiToken.objects.get().id}/revocation/")
    assert Client().get("/api/v1/orders/", headers=authorised).status_code == 401
    client.post(f"/settings/people/{ana.id}/", {"what": "disable"})
    assert not User.objects.get(username="ana").is_active
    me = User.objects.get(username="admin")
    client.post(f"/settings/people/{me.id}/", {"what": "disable"})
    assert User.objects.get(username="admin").is_active


def test_the_audit_chain_is_verified(sign_in: SignIn) -> None:
    client = sign_in("admin")
    client.post("/settings/tokens/", {"label": "one"})
    client.post("/settings/tokens/", {"label": "two"})
    client.post("/audit/")
    assert "whole: 2 entries" in flashed(client)
    with factories.unguarded():
        AuditEntry.objects.filter(sequence=1).update(actor="somebody else")
    client.post("/audit/")
    assert "entry 1 was changed" in flashed(client)


def test_sign_in_and_out(db: None) -> None:
    factories.UserFactory(username="ana", role="viewer")
    client = Client()
    client.post("/login/", {"username": "ana", "password": "wrong"})
    assert client.get("/").status_code == 302
    client.post(
        "/login/?next=https://evil.example/",
        {"username": "ana", "password": factories.PASSWORD, "next": "https://evil.example/"},
    )
    assert client.get("/").status_code == 200
    assert AuditEntry.objects.get().action == "person.sign_in"
    client.post("/logout/")
    assert client.get("/").status_code == 302


def test_a_command_never_redirects_elsewhere(account: Account, sign_in: SignIn) -> None:
    client = sign_in("trader")
    order = factories.OrderFactory(account=account)
    for place in ("https://evil.example/", "//evil.example/", "/\\evil.example"):
        answer = client.post(f"/orders/{order.id}/cancellation/", {"next": place})
        assert answer.headers["Location"] == f"/orders/{order.id}/", place


def test_a_key_is_waived_by_risk_and_withdrawn_by_its_typed_version(sign_in: SignIn) -> None:
    said = "refused: the venue does not say what this key may do"
    account = factories.AccountFactory()
    key = factories.CredentialFactory(account=account, state="active", person="operator", probe_result=said)
    url, page = f"/accounts/{account.code}/keys/{key.pk}/", f"/accounts/{account.code}/"
    risk = sign_in("risk")
    assert said in risk.get(page).content.decode()
    risk.post(f"{url}waiver/", {"reason": ""})
    assert "Say why" in flashed(risk)
    risk.post(f"{url}waiver/", {"reason": "asked the venue"})
    assert Credential.objects.get().waived_by == "risk"
    operator = sign_in("operator")
    operator.post(f"{url}withdrawal/", {"confirm": "yes"})
    assert f"type v{key.version}" in flashed(operator) and Credential.objects.get().is_active
    operator.post(f"{url}withdrawal/", {"confirm": f"v{key.version}"})
    assert Credential.objects.get().state == "retired"

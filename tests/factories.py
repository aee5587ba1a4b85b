"""Rows for tests, as they stand after the real code wrote them; a test overrides what it is about."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import factory
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, User
from django.db import connection

from orders.models import (
    AccountLease,
    Attempt,
    Balance,
    DeadLetter,
    Fill,
    Order,
    OrderEvent,
    Position,
    Posting,
    Transfer,
)
from project import tokens
from project.lib import clock
from project.lib.models import ApiToken
from reconciliation.models import Break, Coverage, CoverageChange, Rule, Run, Statement, StatementMapping
from risk import approvals
from risk.models import Approval, Halt
from venues.models import Account, BookHealth, ChannelHealth, Credential, Instrument, StreamSession, Venue

PASSWORD = "correct horse battery"
_hash = cache(make_password)  # the hash is slow on purpose: once per run is enough


@contextmanager
def unguarded() -> Iterator[None]:
    """Write past the database's own guards, as somebody with all its rights could."""
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        try:
            yield
        finally:
            cursor.execute("SET session_replication_role = origin")


class UserFactory(factory.django.DjangoModelFactory):
    """A person; `role` names the group they are in."""

    class Meta:
        model = User
        skip_postgeneration_save = True

    username = factory.Sequence(lambda n: f"person-{n}")
    password = factory.LazyFunction(lambda: _hash(PASSWORD))

    @factory.post_generation
    def role(self, create: bool, extracted: str | None, **kwargs: Any) -> None:
        if create and extracted:
            group, _ = Group.objects.get_or_create(name=extracted)
            self.groups.add(group)


def make_token(role: str = "admin", **options: Any) -> tuple[ApiToken, str]:
    """Return a new person's token and its key."""
    user = options.pop("user", None) or UserFactory(role=role)
    return tokens.issue(user, options.pop("label", f"{role}-key"), **options)


class VenueFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Venue

    code = factory.Sequence(lambda n: f"venue-{n}")
    exchange = "binance"
    rest_url = "http://127.0.0.1:9030/binance/main"


class AccountFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Account

    code = factory.Sequence(lambda n: f"account-{n}")
    venue = factory.SubFactory(VenueFactory)
    status = "ready"


class CredentialFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Credential

    account = factory.SubFactory(AccountFactory)
    version = factory.Sequence(lambda n: n + 1)
    fingerprint = "0123456789abcdef"
    key_suffix = "wxyz"
    sealed_data_key = nonce = ciphertext = b"sealed"
    state = "retired"


class ChannelHealthFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = ChannelHealth

    account = factory.SubFactory(AccountFactory)
    capability = "submit"


class BookHealthFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = BookHealth

    account = factory.SubFactory(AccountFactory)
    symbol = "BTC/USDT"
    is_fresh = True
    best_bid = Decimal("59999.5")
    best_ask = Decimal("60000.5")
    levels = 2000


class StreamSessionFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = StreamSession

    account = factory.SubFactory(AccountFactory)
    kind = "private"
    connected_at = seen_at = factory.LazyFunction(clock.now)


class InstrumentFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Instrument

    venue = factory.SubFactory(VenueFactory)
    symbol = "BTC/USDT"
    venue_symbol = factory.LazyAttribute(lambda row: row.symbol.replace("/", ""))
    base = factory.LazyAttribute(lambda row: row.symbol.split("/")[0])
    quote = factory.LazyAttribute(lambda row: row.symbol.split("/")[-1])
    price_step = Decimal("0.01")
    quantity_step = Decimal("0.00001")
    quantity_min = Decimal("0.00001")
    quantity_max = Decimal("9000")
    notional_min = Decimal("5")
    last_price = Decimal("60000")
    last_price_at = factory.LazyFunction(clock.now)


class OrderFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Order

    account = factory.SubFactory(AccountFactory)
    client_order_id = factory.Sequence(lambda n: f"order-{n}")
    body_digest = "0" * 64
    symbol = "BTC/USDT"
    side = "buy"
    type = "limit"
    quantity = Decimal("0.5")
    price = Decimal("60000")
    status = "open"


class OrderEventFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = OrderEvent

    order = factory.SubFactory(OrderFactory)
    account = factory.SelfAttribute("order.account")
    sequence = factory.Sequence(lambda n: n + 1_000_000)
    kind = "opened"
    source = "test"
    received_at = factory.LazyFunction(clock.now)


class AttemptFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Attempt

    order = factory.SubFactory(OrderFactory)
    account = factory.SelfAttribute("order.account")
    action = "submit"
    venue_client_id = factory.Sequence(lambda n: f"g{n:017d}")
    epoch = 1
    request_digest = "0" * 64
    window_ms = 5000
    sent_at = factory.LazyFunction(clock.now)


class FillFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Fill

    order = factory.SubFactory(OrderFactory)
    account = factory.SelfAttribute("order.account")
    symbol = factory.SelfAttribute("order.symbol")
    side = factory.SelfAttribute("order.side")
    price = Decimal("60000")
    quantity = Decimal("0.1")
    quote_quantity = factory.LazyAttribute(lambda row: row.price * row.quantity)
    fee = Decimal("0.0001")
    fee_asset = "BTC"
    liquidity = "maker"
    venue_trade_id = factory.Sequence(lambda n: f"trade-{n}")
    venue_order_id = "venue-order"
    source = "stream"
    executed_at = factory.LazyFunction(clock.now)


class DeadLetterFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = DeadLetter

    order = factory.SubFactory(OrderFactory, status="unknown")
    attempt = factory.SubFactory(AttemptFactory, order=factory.SelfAttribute("..order"), outcome="unknown")
    account = factory.SelfAttribute("order.account")
    cause = "SUBMIT_UNKNOWN"
    explanation = "Nobody knows whether the order reached the venue."
    money_at_risk = Decimal("30000")
    money_at_risk_asset = "USDT"


class LeaseFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = AccountLease

    account = factory.SubFactory(AccountFactory)
    holder = "executor-1"
    renewed_at = factory.LazyFunction(clock.now)


class PostingFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Posting

    entry = factory.LazyFunction(uuid.uuid4)
    leg = 1
    account = factory.SubFactory(AccountFactory)
    asset = "USDT"
    book = "venue"
    amount = Decimal("12.5")
    cause = "opening"

    @classmethod
    def _create(cls, model_class: type[Posting], *args: Any, **kwargs: Any) -> Posting:
        with unguarded():  # one leg alone: the database refuses it
            return super()._create(model_class, *args, **kwargs)


class TransferFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Transfer

    account = factory.SubFactory(AccountFactory)
    kind = "deposit"
    venue_transfer_id = factory.Sequence(lambda n: f"transfer-{n}")
    asset = "USDT"
    amount = Decimal("250.5")
    source = "rest"
    occurred_at = factory.LazyFunction(clock.now)


class BalanceFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Balance

    account = factory.SubFactory(AccountFactory)
    asset = factory.Sequence(lambda n: f"COIN{n}")
    total = Decimal("1000.000000000000000001")
    venue_total = Decimal("1000.000000000000000001")
    venue_free = Decimal("900")
    venue_held = Decimal("100")
    as_of = factory.LazyFunction(clock.now)


class PositionFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Position

    account = factory.SubFactory(AccountFactory)
    symbol = factory.Sequence(lambda n: f"C{n}/USDT")
    quantity = Decimal("0.5")
    entry_price = Decimal("60000")


class HaltFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Halt

    scope = "global"
    reason = "testing"
    created_by = "person"


class RunFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Run

    account = factory.SubFactory(AccountFactory)


class BreakFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Break

    account = factory.SubFactory(AccountFactory)
    kind = "balance"
    subject = "USDT"
    fingerprint = factory.Sequence(lambda n: f"fingerprint-{n}")
    status = "open"
    asset = "USDT"
    ours = "1"
    theirs = "2"
    delta = Decimal(1)
    opened_at = factory.LazyFunction(clock.now)


class ApprovalFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Approval

    account = factory.SubFactory(AccountFactory)
    action = "break.adjust"
    subject = factory.LazyAttribute(lambda row: str(BreakFactory(account=row.account).pk))
    summary = "Post one counter-entry that moves the account by 1 USDT"
    change = factory.LazyFunction(lambda: {"asset": "USDT", "entries": []})
    change_hash = factory.LazyAttribute(lambda row: approvals.digest(row.change))
    reason = "testing"
    requested_by = requested_by_person = "somebody"
    expires_at = factory.LazyFunction(lambda: clock.now() + timedelta(hours=24))


class CoverageChangeFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = CoverageChange

    account = factory.SubFactory(AccountFactory)
    surface = "balances"
    status = "failed"
    detail = "1 unresolved: BTC"


class RuleFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Rule

    code = factory.Sequence(lambda n: f"rule-{n}")
    version = 1
    action = "tolerate"
    usd = Decimal("1")
    reason = "rests of rounding"
    created_by = "rita"


class CoverageFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Coverage

    account = factory.SubFactory(AccountFactory)
    surface = "balances"
    status = "proved"
    proved_at = checked_at = factory.LazyFunction(clock.now)


class StatementMappingFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = StatementMapping

    venue = factory.SubFactory(VenueFactory)
    version = factory.Sequence(lambda n: n + 1)
    columns = factory.LazyFunction(
        lambda: {"symbol": "pair", "side": "side", "price": "price", "quantity": "quantity", "executed_at": "time"}
    )
    created_by = "rita"


class StatementFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Statement

    account = factory.SubFactory(AccountFactory)
    mapping = factory.SubFactory(StatementMappingFactory)
    filename = "june.csv"
    digest = factory.Sequence(lambda n: f"{n:064x}")
    status = "compared"
    lines = 3
    summary = factory.LazyFunction(lambda: {"agreed": 3, "different": 0})
    imported_by = "rita"

"""A desk in the middle of its day: two venues, three accounts, orders in every state, made by the product's own stages."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from django.contrib.auth.models import User

from orders import doubts, events, intake, ledger, requests, store, transfers
from orders.models import Attempt, Balance, Order, OrderEvent
from orders.rows import AttemptRow
from orders.states import Mutation, Status
from project import decisions, tokens
from project.lib import access, audit, clock, feed, ids
from reconciliation import adjustments
from reconciliation.models import Break, BreakEvent, BreakLine, Coverage, Run
from risk import halts, limits
from risk.models import Approval
from tests import factories
from tests.console import unwell
from venues import sessions
from venues.messages import FillReport, OrderReport, TransferReport
from venues.models import Account, Surface
from venues.streams import Session, StreamReason

PAPER, LIVE = "http://127.0.0.1:8900/binance/main", ""
SYMBOLS = {"BTC/USDT": "64012.1", "ETH/USDT": "3120.44", "SOL/USDT": "142.318", "XRP/USDT": "0.61234"}


def people() -> dict[str, User]:
    """Make one person per role; they all have the factories' password."""
    return {
        role: factories.UserFactory(username=role, role=role)
        for role in ("admin", "operator", "risk", "approver", "trader", "viewer")
    }


def desk() -> list[Account]:
    """Make venues, accounts with channels, leases, keys, instruments and opening balances."""
    paper = factories.VenueFactory(
        code="binance-paper", exchange="binance", rest_url=PAPER, markets_loaded_at=clock.now()
    )
    sandbox = factories.VenueFactory(
        code="kraken-demo",
        exchange="kraken",
        rest_url="https://demo.example.test/kraken",
        markets_loaded_at=clock.now(),
    )
    factories.VenueFactory(code="binance", exchange="binance", rest_url=LIVE)
    for venue in (paper, sandbox):
        for symbol, price in SYMBOLS.items():
            factories.InstrumentFactory(venue=venue, symbol=symbol, last_price=Decimal(price))
    wanted: list[tuple[str, Any, str, str]] = [
        ("paper-main", paper, "ready", ""),
        ("paper-hedge", paper, "recovering", "comparing balances after the owner changed"),
        ("kraken-demo", sandbox, "disabled", "the probe failed: the venue answered EAPI:Invalid key"),
    ]
    made: list[Any] = []
    for code, venue, status, reason in wanted:
        account = factories.AccountFactory(
            code=code, venue=venue, status=status, status_reason=reason, label=f"desk {code}"
        )
        factories.CredentialFactory(
            account=account,
            version=1,
            state="active",
            created_by="operator",
            permissions={"can_read": True, "can_trade": True},
        )
        made.append(account)
        if status == "disabled":
            continue
        factories.LeaseFactory(
            account=account, holder="executor-1@desk", epoch=7, expires_at=clock.now() + timedelta(hours=1)
        )
        for number, capability in enumerate(("submit", "cancel", "query", "stream")):
            factories.ChannelHealthFactory(
                account=account, capability=capability, requests=1200 + number, errors=number, latency_ms_p50=18.2 + number,
                latency_ms_p99=120.5, last_success_at=clock.now() - timedelta(seconds=2 + number), breaker="closed" if number < 3 else "half_open",
            )  # fmt: skip
        streams(account)
        with store.transaction() as books:
            ledger.post_opening(
                books,
                account.code,
                {"USDT": Decimal("250000"), "BTC": Decimal("4.25"), "ETH": Decimal("61.5"), "SOL": Decimal(900)},
            )
    return made


def streams(account: Account) -> None:
    """Give an account a stream that was lost once and stands, and two books, one of them stale."""
    now, second = clock.now(), timedelta(seconds=1)
    lost = Session(
        kind="private", connected_at=now - 9000 * second, live_at=now - 8999 * second, seen_at=now, frames=4210
    )
    lost.end(now - 3600 * second, StreamReason.CLOSED_BY_VENUE)
    stands = Session(
        kind="private", connected_at=now - 3599 * second, live_at=now - 3599 * second, seen_at=now, tries=2,
        reconnect_ms=412, healed_ms=655, frames=1873, last_message_at=now - second,
    )  # fmt: skip
    book = Session(kind="book", symbol="BTC/USDT", connected_at=now - 60 * second, live_at=now - 60 * second, seen_at=now,
                   frames=598, last_message_at=now)  # fmt: skip
    for session in (lost, stands, book):
        sessions.keep(account.code, session)
    factories.BookHealthFactory(account=account, changed_at=now, updates=598, snapshots=1)
    factories.BookHealthFactory(
        account=account, symbol="ETH/USDT", is_fresh=False, reason="BOOK_GAP", best_bid=None, best_ask=None, gaps=3, snapshots=4,
        changed_at=now - 4 * second,
    )  # fmt: skip


def order(account: Account, number: int, symbol: str = "BTC/USDT", side: str = "buy", kind: str = "limit") -> Order:
    """Accept one order as the API would."""
    price = Decimal(SYMBOLS[symbol]).quantize(Decimal("0.01"))
    payload: dict[str, object] = {
        "client_order_id": f"tw-{8800 + number}-{number % 7:02d}", "account": account.code, "symbol": symbol, "side": side, "type": kind,
        "quantity": str((Decimal("0.25") + Decimal(number % 9) / 8) * (1 if symbol == "BTC/USDT" else 100)),
    }  # fmt: skip
    if kind == "limit":
        payload["price"] = str(price)
    return intake.accept(requests.parse(payload), account, source="token:desk").order


def send(made: Order) -> Attempt:
    """Take an order to the wire: an attempt is recorded, the order is sending."""
    now, attempt_id = clock.now(), ids.new_id()
    attempt = AttemptRow(
        id=attempt_id, order=made.pk, account=made.account_id, action="submit", venue_client_id=ids.venue_client_id(attempt_id),
        epoch=7, request_digest="0" * 64, window_ms=5000, valid_until=now + timedelta(seconds=5), sent_at=now,
    )  # fmt: skip
    with store.transaction() as books:
        books.add_attempt(attempt)
        events.begin_submit(books, books.order(made.pk), attempt)
    return Attempt.objects.get(pk=attempt_id)


def acknowledge(made: Order, attempt: Attempt, venue_order_id: str) -> None:
    """The venue answers: open."""
    with store.transaction() as books:
        row = books.attempt(made.pk, attempt.pk)
        row.outcome, row.outcome_at = "accepted", clock.now()
        books.change_attempt(row)
        report = OrderReport(venue_order_id=venue_order_id, venue_client_id=attempt.venue_client_id, symbol=made.symbol, status="open",
                             occurred_at=clock.now())  # fmt: skip
        events.apply_report(books, books.order(made.pk), report, source="submit", received_at=clock.now())


def fill(made: Order, trade: str, part: Decimal) -> None:
    """The venue reports a trade of a part of the order."""
    current = Order.objects.get(pk=made.pk)
    quantity, price = current.quantity * part, current.price or Decimal(SYMBOLS[current.symbol])
    with store.transaction() as books:
        report = FillReport(
            venue_trade_id=trade, venue_order_id=current.venue_order_id, venue_client_id=None, symbol=current.symbol, side=current.side,  # type: ignore[arg-type]
            price=price, quantity=quantity, quote_quantity=price * quantity, fee=price * quantity / 1000, fee_asset="USDT",
            liquidity="taker", occurred_at=clock.now(),
        )  # fmt: skip
        events.apply_fill(books, books.order(made.pk), report, source="stream", received_at=clock.now())


def lose(made: Order, attempt: Attempt) -> None:
    """The answer is lost: outcome unknown."""
    with store.transaction() as books:
        row = books.attempt(made.pk, attempt.pk)
        row.outcome, row.code, row.message, row.lookups_absent = "unknown", "TIMEOUT", "no answer within 10 s", 1
        row.evidence = [
            {"source": "GET /api/v3/order", "at": clock.now().isoformat(), "answer": "absent", "detail": {"code": -2013}},
            {"source": "GET /api/v3/myTrades", "at": clock.now().isoformat(), "answer": "failed", "detail": {"status": 429}},
        ]  # fmt: skip
        books.change_attempt(row)
        events.record(books, books.order(made.pk), "unknown", source="executor", received_at=clock.now(), to=Status.UNKNOWN, code="TIMEOUT",
                      message="no answer within 10 s")  # fmt: skip


def letter(made: Order, attempt: Attempt) -> None:
    """The doubt goes to a person."""
    with store.transaction() as books:
        doubts.open_letter(
            books, books.attempt(made.pk, attempt.pk), "SUBMIT_OUTCOME_UNKNOWN",
            "The request left this machine and no answer came; two minutes of looking brought no proof either way.",
            money_at_risk=made.quantity * (made.price or Decimal(1)), asset="USDT",
        )  # fmt: skip


def difference(account: Account, status: str, asset: str, delta: str, **options: object) -> Break:
    """Make one break with its evidence and history."""
    ours, theirs = Decimal("1204118.22"), Decimal("1204118.22") + Decimal(delta)
    reads = [
        {
            "snapshot": n,
            "taken_at": clock.now().isoformat(),
            "requested_at": clock.now().isoformat(),
            "digest": "9c41e07ab2",
        }
        for n in (11, 12)
    ]
    row = factories.BreakFactory(
        account=account, kind="balance", subject=asset, asset=asset, ours=str(ours), theirs=str(theirs), delta=Decimal(delta), status=status, seen_count=3,
        evidence={"why": "No fill, transfer or unproven order touches this asset around the read, and the totals differ.", "severity": "high",
                  "ours": {"total": str(ours)}, "theirs": {"total": str(theirs), "free": str(theirs), "held": "0"}, "reads": reads}, **options,
    )  # fmt: skip
    BreakEvent.objects.create(discrepancy=row, actor="reconciliation", kind="suspected")
    BreakEvent.objects.create(discrepancy=row, actor="reconciliation", kind="opened")
    return row


def requests_of(account: Account) -> None:
    """Have somebody of risk request counter-entries above the threshold: one waits, one was refused."""
    refused, waits = difference(account, "open", "ETH", "-7"), difference(account, "open", "BTC", "-0.5", owner="risk")
    for source, reference, amount in (("fee", "F-20881", "-0.125"), ("transfer", "W-4471", "-0.3")):
        BreakLine.objects.create(
            discrepancy=waits, source=source, reference=reference, asset="BTC", amount=Decimal(amount), added_by="risk"
        )
    for row in (refused, waits):
        adjustments.adjust(row, "risk", "custody fee and a withdrawal that were never told", person="risk")
    second = access.Caller(actor="admin", person="admin", roles=frozenset({"admin"}), accounts=None)
    first = Approval.objects.get(subject=str(refused.id))
    decisions.decide(first, second, "refuse", first.change_hash, "the venue answers tomorrow")


def moves(account: Account) -> None:
    """Book a deposit, a withdrawal with its fee and what a perpetual paid, as their owner does."""
    told: list[dict[str, Any]] = [
        {"kind": "deposit", "asset": "USDT", "amount": Decimal("25000"), "reference": "0x4be1f0c2a97d61f7c0e5b2d1"},
        {
            "kind": "withdrawal",
            "asset": "BTC",
            "amount": Decimal("-0.5005"),
            "fee": Decimal("0.0005"),
            "reference": "bc1qpaper",
        },
        {"kind": "funding", "asset": "USDT", "amount": Decimal("-3.41"), "symbol": "BTC/USDT:USDT"},
    ]
    reports = [
        TransferReport(
            venue_transfer_id=f"70031844{number}", occurred_at=clock.now() - timedelta(minutes=7 * number), **row
        )
        for number, row in enumerate(told)
    ]
    service: Any = SimpleNamespace(account=account.code, transfers_before_opening=frozenset())
    with store.transaction() as books:
        booked = transfers.book(books, service, reports, source="rest")
    factories.BreakFactory(
        account=account, kind="transfer", subject=f"deposit USDT {booked[0].venue_transfer_id}", asset="USDT",
        ours="booked; nobody announced it", theirs="deposit 25000 USDT", delta=booked[0].amount, transfer_id=booked[0].id,
        economic_at=booked[0].occurred_at, evidence={"why": "The venue lists this movement of money.", "reads": []},
    )  # fmt: skip


def checks_of(main: Account, hedge: Account) -> None:
    """Make breaks, coverage and reconciliation runs in every state."""
    difference(main, "open", "USDT", "-20.05", owner="risk")
    difference(main, "suspected", "ETH", "0.5")
    difference(
        hedge,
        "resolved",
        "SOL",
        "1",
        resolution="explained",
        resolution_reason="airdrop of the venue",
        resolved_by="risk",
        resolved_at=clock.now(),
    )
    states = {
        "open_orders": "proved",
        "fills": "proved",
        "balances": "failed",
        "positions": "unsupported",
        "transfers": "never",
    }
    for surface in Surface.values:
        Coverage.objects.create(
            account=main,
            surface=surface,
            status=states[surface],
            proved_at=clock.now() if states[surface] in ("proved", "failed") else None,
        )
        Coverage.objects.create(
            account=hedge,
            surface=surface,
            status="stale" if surface == "fills" else states[surface],
            proved_at=clock.now() - timedelta(hours=1),
        )
    told = {
        "read": "good",
        "status": "proved",
        "agreed": 14,
        "different": 0,
        "skipped": 1,
        "explained": 0,
        "detail": "1 in motion and not judged",
    }
    for number in range(5):
        status = "partial" if number == 2 else "done"
        Run.objects.create(account=main, status=status, trigger="schedule", opened=number % 2, finished_at=clock.now(), summary={
            "surfaces": {"open_orders": told, "fills": told, "balances": {**told, "status": "failed", "different": 1, "detail": "1 unresolved: USDT"}},
            "missing": {"fills": "the read failed: 429"} if status == "partial" else {}})  # fmt: skip
    Run.objects.create(account=hedge, status="queued", trigger="person", requested_by="operator")


def day() -> dict[str, object]:
    """Fill the desk: orders in every state, doubts, breaks, runs, coverage, limits, one halt, people, tokens."""
    who = people()
    accounts = desk()
    main, hedge, _ = accounts
    with feed.transaction():
        limits.put("global", "notional_max", Decimal(250000), "risk")
        limits.put("account:paper-hedge", "open_orders_max", Decimal(20), "risk")
    symbols = list(SYMBOLS)
    for number in range(24):
        made = order(main, number, symbols[number % 4], "buy" if number % 3 else "sell")
        attempt = send(made)
        if number == 5 or number == 9:
            lose(made, attempt)
            if number == 9:
                letter(made, attempt)
            continue
        acknowledge(made, attempt, f"90001{number:04d}")
        if number % 2:
            fill(made, f"t{number}", Decimal("0.4"))
        if number % 4 == 1:
            fill(made, f"u{number}", Decimal("0.6"))
    big = requests.parse(
        {
            "client_order_id": "too-big-1",
            "account": main.code,
            "symbol": "BTC/USDT",
            "side": "buy",
            "type": "limit",
            "quantity": "8",
            "price": "64000",
        }
    )
    intake.accept(big, main, source="token:desk")
    asked = order(main, 40)
    acknowledge(asked, send(asked), "900019999")
    intake.request_cancellation(asked, actor="trader")
    order(hedge, 41, "ETH/USDT", "sell", "market")
    for balance in Balance.objects.all():
        off = Decimal("-20.05") if balance.asset == "USDT" and balance.account_id == main.code else Decimal(0)
        Balance.objects.filter(pk=balance.pk).update(venue_total=balance.total + off, venue_free=(balance.total + off) * Decimal("0.9"),
                                                     venue_held=(balance.total + off) * Decimal("0.1"), as_of=clock.now())  # fmt: skip
    moves(main)
    checks_of(main, hedge)
    requests_of(hedge)
    halts.engage("venue:kraken-demo", "two answers disagree about one fill", "risk")
    halts.release(halts.engage("account:paper-hedge", "drill", "risk"), "drill is over", "admin")
    tokens.issue(who["trader"], "desk", actor="trader")
    with feed.transaction():
        audit.record("admin", "person.add", "trader", {"role": "trader"})
    stuck = Order.objects.filter(status="open").first()
    if stuck:
        with store.transaction() as books:
            events.record(
                books,
                books.order(stuck.pk),
                "cancel_unknown",
                source="executor",
                received_at=clock.now(),
                mutation=Mutation.CANCEL_UNKNOWN,
            )
    unwell.unwell(main)
    return {"accounts": accounts, "people": who, "events": OrderEvent.objects.count()}

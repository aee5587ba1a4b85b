"""Taking an account: start-up and crash recovery are one path. Reconcile first, trade after. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from orders import doubts, events, ledger, sweeps
from orders.books import Books, Fenced
from orders.rows import AttemptRow
from orders.service import Service
from orders.states import Mutation, Status
from project.lib import clock
from venues.messages import MarketSpec

BRACKET_TRIES = 3
_UNKNOWN_OF = {Mutation.CANCEL_PENDING: Mutation.CANCEL_UNKNOWN, Mutation.AMEND_PENDING: Mutation.AMEND_UNKNOWN}
_ADVICE = {"refused: this key may withdraw": "Make a key without the withdraw right at the venue and enter that one."}


class NotYet(Exception):
    """The account cannot be opened now; the message goes on its page and the owner tries again."""


class Refused(Exception):
    """The account may not be opened; it is disabled with this message until a person acts."""


async def probe(service: Service) -> None:
    """Ask the venue what the key may do, and keep what was learnt."""
    permissions = await service.gateway.permissions()
    await service.writer.run_until_committed(
        lambda books: books.later(lambda: books.store.keep_probe(service.account, permissions))
    )


async def load_markets(service: Service) -> None:
    """Fetch and store the venue's instruments. Raises NotYet when the venue does not answer."""
    try:
        specs: list[MarketSpec] = await service.gateway.markets()
    except Exception as error:
        raise NotYet(f"the venue's instruments could not be read ({type(error).__name__})") from None
    if not specs:
        raise NotYet("the venue listed no instruments")
    await service.writer.run_until_committed(
        lambda books: books.later(lambda: books.store.store_instruments(service.venue, specs))
    )


async def recover(service: Service) -> None:
    """Make every unanswered attempt unknown, read the account whole, book what is new. Raises NotYet on a failed read."""
    await service.writer.run_until_committed(lambda books: take_over(books, service.account))
    account = await service.writer.run(lambda books: books.store.account(service.account))
    service.opened_at = account.opened_at
    if account.opened_at is None:
        await _open_books(service)
    else:
        service.trades_before_opening = await service.writer.run(
            lambda books: books.store.opening_trades(service.account)
        )
    reads = await sweeps.all_surfaces(service, reason="recovery")
    failed = [f"{surface}: {read.error or read.status}" for surface, read in reads.items() if read.status == "failed"]
    if failed:
        raise NotYet("could not read " + "; ".join(failed))


def take_over(books: Books, account: str) -> None:
    """Read anew what another owner may have written since, and call unknown what was left unanswered."""
    books.forget(account)
    mark_lost(books, account)


def mark_lost(books: Books, account: str, is_lost: Callable[[AttemptRow], bool] = lambda attempt: True) -> None:
    """Call unknown what was left unanswered: all of it when an account is taken, later what nobody waits for."""
    now = clock.now()
    touched = [attempt.order for attempt in doubts.mark_lost(books, account, now, is_lost)]
    for order_id in dict.fromkeys([*touched, *books.store.orders_in(account, status=Status.SENDING)]):
        order = books.order(order_id)
        lost = [attempt.action for attempt in books.attempts(order_id) if attempt.is_unresolved]
        if order.status == Status.SENDING and "submit" in lost:
            events.record(
                books, order, "unknown", source="recovery", received_at=now, to=Status.UNKNOWN, code="OWNER_LOST",
                message="the process that sent this ended before the venue's answer was recorded",
            )  # fmt: skip
        mutation = _UNKNOWN_OF.get(Mutation(order.mutation))
        if mutation is not None and ("cancel" in lost or "amend" in lost):
            events.record(books, order, mutation.value, source="recovery", received_at=now, mutation=mutation)


async def refuse_if_probe_failed(service: Service) -> None:
    """Raise Refused when the newest probe of the active key did not pass."""
    account = await service.writer.run(lambda books: books.store.account(service.account))
    if account.credential is None:
        raise Refused("no API key: add one on the account's page")
    result = account.credential.probe_result
    if result.startswith("refused"):
        advice = _ADVICE.get(result, "A person with the right may waive the probe at activation.")
        raise Refused(f"{result}. {advice}")


def deny_stale(books: Books, account: str, not_ready_seconds: float, why: str) -> int:
    """Deny queued orders that have waited too long for an account that is not ready. Returns how many."""
    stale = books.store.stale_queued(account, clock.now() - timedelta(seconds=not_ready_seconds))
    books.load(stale)
    for order_id in stale:
        message = f"The account was not ready for {not_ready_seconds:.0f} s: {why}. Nothing was sent."
        events.end_unsent(books, books.order(order_id), "denied", source="executor", received_at=clock.now(),
                          code="ACCOUNT_NOT_READY", message=message)  # fmt: skip
        for intent in books.store.wishes_about(order_id):
            books.finish(intent, "the order was denied")
    return len(stale)


async def _open_books(service: Service) -> None:
    """Post opening balances from a read with no trade just before and after it, so nothing is counted twice."""
    since = clock.now() - timedelta(seconds=service.timing.fills_overlap_seconds)
    symbols = await service.writer.run(
        lambda books: tuple(books.store.symbols(service.account, service.venue, sweeps.SYMBOLS_MAX))
    )
    for _ in range(BRACKET_TRIES):
        before = await service.gateway.read(sweeps.FILLS, since=since, symbols=symbols)
        money = await service.gateway.read(sweeps.BALANCES)
        after = await service.gateway.read(sweeps.FILLS, since=since, symbols=symbols)
        if {before.status, money.status, after.status} != {"good"}:  # a row left out now would be missing for ever
            why = before.error or money.error or after.error or "a row is unreadable"
            raise NotYet(f"the opening balances could not be read whole ({why})")
        trades = frozenset((row.symbol, row.venue_trade_id) for row in before.rows)
        if trades == frozenset((row.symbol, row.venue_trade_id) for row in after.rows):
            break
    else:
        raise NotYet("the account trades too fast elsewhere for a clean opening; trying again")

    def post(books: Books) -> None:
        if books.store.account(service.account).opened_at is not None:
            return
        books.gate(service.account, service.lease.epoch, None)  # two owners must not open them twice
        ledger.post_opening(books, service.account, {row.asset: row.total for row in money.rows})
        sequence = books.store.event_sequence(service.account)
        books.later(
            lambda: books.store.capture(
                service.account, sweeps.FILLS, before, epoch=service.lease.epoch, reason="opening",
                event_sequence=sequence, since=None,
            )
        )  # fmt: skip
        books.later(lambda: books.store.set_opened(service.account, money.requested_at))
        books.announce("accounts", "account.opened", service.account, account=service.account)

    try:
        await service.writer.run_until_committed(post)
    except Fenced:
        raise NotYet("the lease was lost while the books were being opened") from None
    service.opened_at, service.trades_before_opening = money.requested_at, trades

"""Taking an account: start-up and crash recovery are one path. Reconcile first, trade after. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from orders import doubts, events, ledger, sweeps, transfers
from orders.books import Books, Fenced
from orders.rows import AccountView, AttemptRow
from orders.service import Service
from orders.states import Mutation, Status
from project.lib import clock
from venues.messages import MarketSpec, Read

BRACKET_TRIES = 3
_UNKNOWN_OF = {Mutation.CANCEL_PENDING: Mutation.CANCEL_UNKNOWN, Mutation.AMEND_PENDING: Mutation.AMEND_UNKNOWN}
_ADVICE = {
    "refused: this key may withdraw": "Make a key without the withdraw right at the venue and enter that one.",
    "refused: this key may transfer funds": "Make a key without the transfer right at the venue and enter that one.",
    "refused: this key may not trade": "Give the key the right to trade at the venue, then activate again.",
}


class NotYet(Exception):
    """The account cannot be opened now; the message goes on its page and the owner tries again."""


class Refused(Exception):
    """The account may not be opened; it is disabled with this message until a person acts."""


async def probe(service: Service) -> None:
    """Ask the venue what the key may do, and keep what was learnt.

    A venue without an answer changes nothing about a key that has passed before. Raises NotYet for one that has not.
    """
    account = await service.writer.run(lambda books: books.store.account(service.account))
    try:
        permissions, problem = await service.gateway.permissions(), service.gateway.last_error
    except ConnectionError as error:
        if not (account.probe_waived_by or _has_passed(account)):
            raise NotYet(f"the venue did not say what the key may do ({error})") from None
        permissions, problem = None, str(error)
    await service.writer.run_until_committed(
        lambda books: books.later(lambda: books.store.keep_probe(service.account, permissions, problem))
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
        service.trades_before_opening, service.transfers_before_opening = await service.writer.run(
            lambda books: (books.store.opening_trades(service.account), books.store.opening_transfers(service.account))
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


async def refusal(service: Service) -> str:
    """Return why the newest probe of the active key forbids new orders; empty when it passed. Raises Refused without a key."""
    account = await service.writer.run(lambda books: books.store.account(service.account))
    if account.credential is None:
        raise Refused("no API key: add one on the account's page")
    result = account.credential.probe_result
    if not result.startswith("refused"):
        return ""
    return f"{result}. {_ADVICE.get(result, 'A second person with the right may waive the probe.')}"


def _has_passed(account: AccountView) -> bool:
    result = account.credential.probe_result if account.credential else ""
    return bool(result) and not result.startswith("refused")


def deny_stale(books: Books, account: str, not_ready_seconds: float, why: str) -> int:
    """Deny queued orders that have waited too long for an account that is not ready. Returns how many."""
    stale = books.store.stale_queued(account, clock.now() - timedelta(seconds=not_ready_seconds))
    books.load(stale)
    for order_id in stale:
        if books.order(order_id).status != Status.QUEUED:
            continue  # it is being sent
        message = f"The account was not ready for {not_ready_seconds:.0f} s: {why}. Nothing was sent."
        events.end_unsent(books, books.order(order_id), "denied", source="executor", received_at=clock.now(),
                          code="ACCOUNT_NOT_READY", message=message)  # fmt: skip
        for intent in books.store.wishes_about(order_id):
            books.finish(intent, "the order was denied")
    return len(stale)


@dataclass(frozen=True, kw_only=True)
class _Opening:
    """What was read when an account was opened: nothing traded or moved while its balances were."""

    fills: Read
    money: Read
    positions: Read | None
    transfers: Read | None


async def _open_books(service: Service) -> None:
    """Post opening balances from a read with no trade or transfer just before and after it, so nothing is counted twice."""
    read = await _quiet_reads(service)

    def post(books: Books) -> None:
        if books.store.account(service.account).opened_at is not None:
            return
        books.gate(service.account, service.lease.epoch, None)  # two owners must not open them twice
        ledger.post_opening(books, service.account, {row.asset: row.total for row in read.money.rows})
        sequence = books.store.event_sequence(service.account)
        kept = ((sweeps.FILLS, read.fills), (sweeps.POSITIONS, read.positions), (sweeps.TRANSFERS, read.transfers))
        for surface, found in kept:
            if found is None:
                continue
            books.later(partial(
                books.store.capture, service.account, surface, found, epoch=service.lease.epoch, reason="opening",
                event_sequence=sequence, since=None,
            ))  # fmt: skip
        books.later(lambda: books.store.set_opened(service.account, read.money.requested_at))
        books.announce("accounts", "account.opened", service.account, account=service.account)

    try:
        await service.writer.run_until_committed(post)
    except Fenced:
        raise NotYet("the lease was lost while the books were being opened") from None
    service.opened_at, service.trades_before_opening = read.money.requested_at, _trades(read.fills)
    service.transfers_before_opening = transfers.done(read.transfers) if read.transfers else None


async def _quiet_reads(service: Service) -> _Opening:
    """Read fills and transfers, balances, and both again, until neither list changed around the balances. Raises NotYet."""
    since = clock.now() - timedelta(seconds=service.timing.fills_overlap_seconds)
    moved_since = clock.now() - transfers.overlap_of(service)
    symbols = await service.writer.run(
        lambda books: tuple(books.store.symbols(service.account, service.venue, sweeps.SYMBOLS_MAX))
    )
    gateway = service.gateway
    for _ in range(BRACKET_TRIES):
        before = await gateway.read(sweeps.FILLS, since=since, symbols=symbols)
        moved_before = await _transfers(service, moved_since)
        money = await gateway.read(sweeps.BALANCES)
        held = await gateway.read(sweeps.POSITIONS) if gateway.capabilities.positions else None
        moved_after = await _transfers(service, moved_since)
        after = await gateway.read(sweeps.FILLS, since=since, symbols=symbols)
        reads = [read for read in (before, money, held, after) if read is not None]
        if {read.status for read in reads} != {"good"}:  # a row left out now would be missing for ever
            why = next((read.error for read in reads if read.error), "a row is unreadable")
            raise NotYet(f"the opening balances could not be read whole ({why})")
        # A server without transfers is opened all the same: the venue's clock then says what came before.
        is_told = moved_before is not None and moved_after is not None
        is_still = not is_told or transfers.done(moved_before) == transfers.done(moved_after)  # type: ignore[arg-type]
        if is_still and _trades(before) == _trades(after):
            return _Opening(fills=before, money=money, positions=held, transfers=moved_before if is_told else None)
    raise NotYet("the account trades too fast elsewhere for a clean opening; trying again")


async def _transfers(service: Service, since: datetime) -> Read | None:
    """Return a good read of transfers, or None where the venue has none or did not tell them whole."""
    if not service.gateway.capabilities.transfers:
        return None
    read = await service.gateway.read(sweeps.TRANSFERS, since=since)
    return read if read.status == "good" else None


def _trades(read: Read) -> frozenset[tuple[str, str]]:
    return frozenset((row.symbol, row.venue_trade_id) for row in read.rows)

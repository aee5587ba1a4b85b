"""Taking an account: start-up and crash recovery are one path. Reconcile first, trade after."""

from __future__ import annotations

from datetime import timedelta

from orders import doubts, events, ledger, sweeps
from orders.models import Intent, Order
from orders.service import Service
from orders.states import Mutation, Status
from project.lib import audit, clock, feed
from venues import accounts, instruments, snapshots
from venues.messages import MarketSpec, Permissions
from venues.models import Account, AccountStatus, Credential, Surface

BRACKET_TRIES = 3


class NotYet(Exception):
    """The account cannot be opened now; the message goes on its page and the owner tries again."""


class Refused(Exception):
    """The account may not be opened; it is disabled with this message until a person acts."""


async def probe(service: Service) -> None:
    """Ask the venue what the key may do. Raises Refused for a withdraw right, or an unknown one nobody waived."""
    permissions = await service.gateway.permissions()
    await service.writer.run_until_committed(lambda: _judge_permissions(service.account, permissions))


async def load_markets(service: Service) -> None:
    """Fetch and store the venue's instruments. Raises NotYet when the venue does not answer."""
    try:
        specs: list[MarketSpec] = await service.gateway.markets()
    except Exception as error:
        raise NotYet(f"the venue's instruments could not be read ({type(error).__name__})") from None
    if not specs:
        raise NotYet("the venue listed no instruments")
    venue = await service.writer.run(lambda: Account.objects.select_related("venue").get(pk=service.account).venue)
    await service.writer.run_until_committed(lambda: instruments.store(venue, specs))


async def recover(service: Service) -> None:
    """Make every unanswered attempt unknown, read the account whole, book what is new. Raises NotYet on a failed read."""
    await service.writer.run_until_committed(lambda: _mark_lost(service.account))
    account = await service.writer.run(lambda: Account.objects.get(pk=service.account))
    service.opened_at = account.opened_at
    if account.opened_at is None:
        await _open_books(service)
    else:
        service.trades_before_opening = await service.writer.run(lambda: _opening_trades(account))
    reads = await sweeps.all_surfaces(service, reason="recovery")
    failed = [f"{surface}: {read.error or read.status}" for surface, read in reads.items() if read.status == "failed"]
    if failed:
        raise NotYet("could not read " + "; ".join(failed))


async def _open_books(service: Service) -> None:
    """Post opening balances from a read with no trade just before and after it, so nothing is counted twice."""
    since = clock.now() - timedelta(seconds=service.timing.fills_overlap_seconds)
    symbols = await service.writer.run(lambda: sweeps.listed_symbols(service))
    for _ in range(BRACKET_TRIES):
        before = await service.gateway.read(Surface.FILLS, since=since, symbols=symbols)
        money = await service.gateway.read(Surface.BALANCES)
        after = await service.gateway.read(Surface.FILLS, since=since, symbols=symbols)
        if "failed" in {before.status, money.status, after.status}:
            raise NotYet(f"the opening balances could not be read ({before.error or money.error or after.error})")
        trades = frozenset((row.symbol, row.venue_trade_id) for row in before.rows)
        if trades == frozenset((row.symbol, row.venue_trade_id) for row in after.rows):
            break
    else:
        raise NotYet("the account trades too fast elsewhere for a clean opening; trying again")

    def post() -> None:
        account = Account.objects.select_for_update().get(pk=service.account)
        ledger.post_opening(account, {row.asset: row.total for row in money.rows})
        snapshots.capture(
            account,
            Surface.FILLS,
            before,
            epoch=service.lease.epoch,
            reason="opening",
            event_sequence=account.event_sequence,
        )
        account.opened_at = money.requested_at
        account.save(update_fields=["opened_at"])
        feed.announce("accounts", "account.opened", account.code, account=account.code)

    await service.writer.run_until_committed(post)
    service.opened_at, service.trades_before_opening = money.requested_at, trades


def _opening_trades(account: Account) -> frozenset[tuple[str, str]]:
    opening = account.snapshots.filter(surface=Surface.FILLS, reason="opening").order_by("taken_at").first()
    rows = opening.rows if opening else []
    return frozenset((row["symbol"], row["venue_trade_id"]) for row in rows)


def _mark_lost(account: str) -> None:
    now = clock.now()
    doubts.begin_recovery(account, now)
    for order in Order.objects.select_for_update().filter(account_id=account, status=Status.SENDING):
        events.record(order, "unknown", source="recovery", received_at=now, to=Status.UNKNOWN, code="OWNER_LOST",
                      message="the process that sent this ended before the venue's answer was recorded")  # fmt: skip
    for order in Order.objects.select_for_update().filter(account_id=account, mutation=Mutation.CANCEL_PENDING):
        if order.attempts.filter(action="cancel", outcome="unknown", resolved_at=None).exists():
            events.record(order, "cancel_unknown", source="recovery", received_at=now, mutation=Mutation.CANCEL_UNKNOWN)


def _judge_permissions(account_code: str, permissions: Permissions | None) -> None:
    account = Account.objects.select_for_update().get(pk=account_code)
    credential = Credential.objects.select_for_update().get(account=account, is_active=True)
    credential.probed_at = clock.now()
    can_withdraw = permissions.can_withdraw if permissions else None
    credential.permissions = dict(vars(permissions)) if permissions else {}
    if can_withdraw:
        credential.probe_result = "refused: this key may withdraw"
    elif permissions is not None and permissions.can_trade is False:
        credential.probe_result = "refused: this key may not trade"
    elif can_withdraw is None:
        waiver = account.probe_waived_by
        credential.probe_result = (
            f"unknown, waived by {waiver}" if waiver else "refused: the venue does not say what this key may do"
        )
    else:
        credential.probe_result = "trade without withdraw"
    credential.save(update_fields=["probed_at", "permissions", "probe_result"])
    audit.record(
        "executor", "key.probe", credential.fingerprint, {"account": account.code, "result": credential.probe_result}
    )
    feed.announce("accounts", "key.probed", account.code, account=account.code)


async def refuse_if_probe_failed(service: Service) -> None:
    """Raise Refused when the newest probe of the active key did not pass."""
    result = await service.writer.run(
        lambda: (
            Credential.objects.filter(account_id=service.account, is_active=True)
            .values_list("probe_result", flat=True)
            .first()
        )
    )
    if result is None:
        raise Refused("no API key: add one on the account's page")
    if result.startswith("refused"):
        advice = {
            "refused: this key may withdraw": "Make a key without the withdraw right at the venue and enter that one."
        }
        raise Refused(f"{result}. {advice.get(result, 'A person with the right may waive the probe at activation.')}")


def deny_stale(account: str, not_ready_seconds: float, why: str) -> int:
    """Deny queued orders that have waited too long for an account that is not ready. Returns how many."""
    before = clock.now() - timedelta(seconds=not_ready_seconds)
    orders = Order.objects.select_for_update().filter(account_id=account, status=Status.QUEUED, updated_at__lt=before)
    for order in orders:
        events.record(order, "denied", source="executor", received_at=clock.now(), to=Status.DENIED, code="ACCOUNT_NOT_READY",
                      message=f"The account was not ready for {not_ready_seconds:.0f} s: {why}. Nothing was sent.")  # fmt: skip
        Intent.objects.filter(order=order, done_at=None).update(done_at=clock.now(), result="the order was denied")
    return len(orders)


def set_status(account_code: str, status: AccountStatus, reason: str = "") -> None:
    """Move the account's status where it changed; readers see it by the feed."""
    account = Account.objects.get(pk=account_code)
    if (account.status, account.status_reason) != (status, reason[:300]):
        accounts.set_status(account, status, reason[:300])

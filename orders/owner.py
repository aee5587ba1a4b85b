"""The owner of one account: probe, recover, open the gate, then serve it until the lease or the venue is lost."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from functools import partial

from orders import cancellation, person, recovery, resolver, submission, sweeps, telemetry
from orders.leases import Lease
from orders.service import Service, Timing
from orders.stream import Stream
from orders.writer import Writer
from project.lib import clock
from venues import credentials
from venues.gateway import Gateway, SharedMarkets, VenueTarget
from venues.models import Account, AccountStatus, Credential

logger = logging.getLogger(__name__)
IN_FLIGHT_MAX = 64
RETRY_SECONDS = 3.0
REST_SECONDS = 1.0
SWEEP_SECONDS = 5.0
Idle = tuple[AccountStatus, str]


class Owner:
    """One asyncio task per account; the only code that makes its venue's connections."""

    def __init__(self, lease: Lease, writer: Writer, timing: Timing, shared: SharedMarkets) -> None:
        self.lease = lease
        self.service: Service | None = None
        self._writer, self._timing, self._shared = writer, timing, shared
        self._busy: dict[uuid.UUID, asyncio.Task[bool]] = {}
        self._changed = asyncio.Event()
        self._resting: dict[uuid.UUID, float] = {}
        self._slots = asyncio.Semaphore(IN_FLIGHT_MAX)
        self._served: tuple[object, ...] = ()
        self._noticed: object = None
        self._why_closed = "it is not activated"

    def nonce_floor(self) -> int:
        """Return the highest nonce used, to be kept in the lease row."""
        return self.service.gateway.nonce_floor() if self.service else self.lease.nonce_floor

    def offer(self, queued: Iterable[uuid.UUID], wishes: Iterable[tuple[uuid.UUID, str]]) -> None:
        """Take work found in the rows; what is in hand already is left alone."""
        service = self.service
        if service is None:
            return
        if service.is_open:
            for order_id in queued:
                self._take(order_id, partial(submission.submit, service, order_id))
        for intent_id, action in wishes:
            carry = cancellation.cancel if action == "cancel" else person.carry_out
            if service.is_open or action == "cancel":
                self._take(intent_id, partial(carry, service, intent_id))

    def notice(self, seen: object) -> None:
        """Take what the account's rows say now; a new activation request, key or address makes the owner start over."""
        if seen != self._noticed:
            self._noticed = seen
            self._changed.set()

    async def run(self) -> None:
        """Serve until cancelled; every failure closes the gate, says why on the account's page and is tried again."""
        while True:
            account, credential = await self._writer.run(self._load)
            idle = _idle_reason(account, credential)
            self._served = _fingerprint(account, credential)
            if idle is not None or credential is None:
                await self._rest(idle or (AccountStatus.NEW, "no API key yet"))
                continue
            try:
                await self._serve(account, credential)
            except recovery.Refused as refusal:
                await self._say(AccountStatus.DISABLED, str(refusal))
            except recovery.NotYet as reason:
                await self._say(AccountStatus.RECOVERING, f"{reason}; next try in {RETRY_SECONDS:.0f} s")
                await asyncio.sleep(RETRY_SECONDS)
            except Exception as error:
                logger.exception("account %s: %s; starting over", self.lease.account, type(error).__name__)
                await self._say(AccountStatus.RECOVERING, f"internal error {type(error).__name__}; starting over")
                await asyncio.sleep(RETRY_SECONDS)

    async def _serve(self, account: Account, credential: Credential) -> None:
        needs_probe = account.status in {AccountStatus.NEW, AccountStatus.PROBING, AccountStatus.DISABLED} or (
            credential.probed_at is None
            or (account.activation_requested_at is not None and account.activation_requested_at > credential.probed_at)
        )
        await self._say(AccountStatus.PROBING if needs_probe else AccountStatus.RECOVERING, "")
        service = Service(
            account=account.code, venue=account.venue_id, lease=self.lease, gateway=self._gateway(account, credential),
            writer=self._writer, timing=self._timing,
        )  # fmt: skip
        try:
            await _open(service)
            self.service = service
            await recovery.load_markets(service)
            if needs_probe:
                await recovery.probe(service)
            await recovery.refuse_if_probe_failed(service)
            await self._say(AccountStatus.RECOVERING, "reading orders, trades and balances")
            stream = Stream(service)
            async with asyncio.TaskGroup() as group:
                group.create_task(stream.run())
                await stream.first_state()
                await recovery.recover(service)
                await self._say(AccountStatus.READY, "")
                service.is_open = True
                group.create_task(
                    _every(service.timing.open_orders_seconds, lambda: sweeps.open_orders(service, reason="schedule"))
                )
                group.create_task(
                    _every(service.timing.balances_seconds, lambda: sweeps.balances(service, reason="schedule"))
                )
                group.create_task(self._sweep_fills(service))
                group.create_task(self._resolve(service))
                group.create_task(telemetry.run(service))
                group.create_task(self._until_changed())
        except* _Changed:
            logger.info("account %s: settings changed, starting over", account.code)
        except* (recovery.NotYet, recovery.Refused) as group_error:
            raise group_error.exceptions[0] from None
        finally:
            service.is_open, self.service = False, None
            await self._finish_busy()
            with contextlib.suppress(Exception):
                await service.gateway.close()

    async def _sweep_fills(self, service: Service) -> None:
        while True:
            # without a stream the sweeps are all there is: a venue of tier B, or a stream that is down
            seconds = (
                service.timing.fills_seconds if service.has_stream else min(SWEEP_SECONDS, service.timing.fills_seconds)
            )
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(service.sweep_wanted.wait(), seconds)
            service.sweep_wanted.clear()
            await sweeps.fills(service, reason="schedule")
            await sweeps.open_orders(service, reason="schedule")

    async def _resolve(self, service: Service) -> None:
        while True:
            left = await resolver.resolve(service)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(service.lookup_wanted.wait(), 1.0 if left else 2.0)
            service.lookup_wanted.clear()

    async def _until_changed(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            account, credential = await self._writer.run(self._load)
            if _fingerprint(account, credential) != self._served or credential is None:
                raise _Changed

    async def _rest(self, idle: Idle) -> None:
        await self._say(*idle)
        self._why_closed = idle[1]
        await self._changed.wait()
        self._changed.clear()

    async def deny_stale(self) -> None:
        """Deny orders that waited too long while the gate was shut."""
        if self.service is None or not self.service.is_open:
            seconds, why = self._timing.not_ready_seconds, self._why_closed
            await self._writer.run(lambda: recovery.deny_stale(self.lease.account, seconds, why))

    async def _say(self, status: AccountStatus, reason: str) -> None:
        self._why_closed = reason or f"it is {status.value}"
        await self._writer.run_until_committed(lambda: recovery.set_status(self.lease.account, status, reason))
        self._served = (*self._served[:1], status, *self._served[2:])

    def _take(self, key: uuid.UUID, work: Callable[[], Awaitable[bool]]) -> None:
        if key in self._busy or self._resting.get(key, 0.0) > clock.monotonic_seconds():
            return

        async def carry() -> bool:
            async with self._slots:
                return await work()

        task = asyncio.create_task(carry())
        self._busy[key] = task
        task.add_done_callback(lambda done: self._put_down(key, done))

    def _put_down(self, key: uuid.UUID, task: asyncio.Task[bool]) -> None:
        self._busy.pop(key, None)
        self._resting = {name: until for name, until in self._resting.items() if until > clock.monotonic_seconds()}
        if not task.cancelled() and task.exception() is None and not task.result():
            self._resting[key] = clock.monotonic_seconds() + REST_SECONDS  # it could not go now: not again at once
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error(
                "account %s: work on %s failed with %s", self.lease.account, key, type(error).__name__, exc_info=error
            )

    async def _finish_busy(self) -> None:
        if self._busy:
            await asyncio.wait(list(self._busy.values()), timeout=self._timing.request_timeout_seconds + 1)

    def _load(self) -> tuple[Account, Credential | None]:
        account = Account.objects.select_related("venue").get(pk=self.lease.account)
        return account, Credential.objects.filter(account=account, is_active=True).first()

    def _gateway(self, account: Account, credential: Credential) -> Gateway:
        venue = account.venue
        target = VenueTarget(
            code=venue.code, exchange=venue.exchange, rest_url=venue.rest_url, ws_url=venue.ws_url, sandbox=venue.sandbox,
            may_trade=venue.may_trade,
        )  # fmt: skip
        return Gateway(
            account.code, target, credentials.open_sealed(credential), timeout_seconds=self._timing.request_timeout_seconds,
            nonce_floor=self.lease.nonce_floor, shared=self._shared,
        )  # fmt: skip


class _Changed(Exception):
    """Activation, key or venue changed: serve the account anew."""


def _idle_reason(account: Account, credential: Credential | None) -> Idle | None:
    asked: datetime | None = account.activation_requested_at
    if account.status == AccountStatus.DISABLED and (asked is None or asked <= account.status_at):
        return AccountStatus.DISABLED, account.status_reason
    if asked is None:
        return (
            AccountStatus.NEW,
            "waiting for a key and its activation" if credential is None else "waiting for activation",
        )
    if credential is None:
        return AccountStatus.DISABLED, "no API key: add one, then activate again"
    return None


def _fingerprint(account: Account, credential: Credential | None) -> tuple[object, ...]:
    venue = account.venue
    return (
        account.activation_requested_at, account.status, credential.pk if credential else None, venue.rest_url, venue.ws_url,
        venue.may_trade, account.probe_waived_by,
    )  # fmt: skip


async def _open(service: Service) -> None:
    try:
        await service.gateway.open()
    except ConnectionError as error:
        raise recovery.NotYet(f"the venue cannot be reached: {error}") from None


async def _every(seconds: float, work: Callable[[], Awaitable[object]]) -> None:
    while True:
        started = clock.monotonic_seconds()
        await work()
        await asyncio.sleep(max(seconds - (clock.monotonic_seconds() - started), 0.1))

"""The owner of one account: probe, recover, open the gate, then serve it until the lease or the venue is lost. Pure."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

from orders import (
    amendment,
    cancellation,
    expiry,
    groups,
    person,
    recovery,
    resolver,
    rotation,
    submission,
    sweeps,
    telemetry,
    triggers,
)
from orders.books import Books, Fenced
from orders.ports import Gateways, Lease, Writing
from orders.rows import AccountView
from orders.service import Service, Timing, admission
from orders.stream import Stream
from project.lib import clock, failpoints

logger = logging.getLogger(__name__)
RETRY_SECONDS = 3.0
REST_SECONDS = 1.0
SWEEP_SECONDS = 5.0
SWEEP_SPACING_SECONDS = 0.25
KEY_ASKED_SECONDS = 30.0
Idle = tuple[str, str]
_CARRY = {"cancel": cancellation.cancel, "amend": amendment.amend}


class Owner:
    """One asyncio task per account; the only code that makes its venue's connections."""

    def __init__(
        self,
        lease: Lease,
        writer: Writing,
        timing: Timing,
        gateways: Gateways,
        admitted: asyncio.Semaphore | None = None,
    ) -> None:
        self.lease = lease
        self._admission = admitted or admission()
        self.service: Service | None = None
        self._writer, self._timing, self._gateways = writer, timing, gateways
        self._busy: dict[uuid.UUID, asyncio.Task[bool]] = {}
        self._changed, self._noted = asyncio.Event(), asyncio.Event()
        self._resting: dict[uuid.UUID, float] = {}
        self._served: tuple[object, ...] = ()
        self._noticed: object = None
        self._why_closed = "it is not activated"

    def nonce_floor(self) -> int:
        """Return the highest nonce used, to be kept in the lease row."""
        return self.service.gateway.nonce_floor() if self.service else self.lease.nonce_floor

    def offer(self, queued: Iterable[uuid.UUID], wishes: Iterable[tuple[uuid.UUID, str, uuid.UUID | None]]) -> None:
        """Take work found in the rows; what is in hand already is left alone, and a wish to cancel wins before a send."""
        service = self.service
        if service is None:
            return
        unwanted = set()
        for intent_id, action, order_id in wishes:
            unwanted.add(order_id if action == "cancel" else None)
            if service.is_open or action == "cancel":
                self._take(intent_id, partial(_carry, service, action, intent_id))
        if service.is_open:
            for order_id in queued:
                if order_id not in unwanted:
                    self._take(order_id, partial(submission.submit, service, order_id))

    def notice(self, seen: object) -> None:
        """Take what the account's rows say now; a new activation request, key or address makes the owner start over."""
        if seen != self._noticed:
            self._noticed = seen
            self._changed.set()
            self._noted.set()

    async def run(self) -> None:
        """Serve until cancelled; every failure closes the gate, says why on the account's page and is tried again."""
        while True:
            try:
                account = await self._writer.run(lambda books: books.store.account(self.lease.account))
                idle = _idle_reason(account)
                self._served = _fingerprint(account)
                if idle is not None:
                    await self._rest(idle)
                elif account.candidate is not None and account.status != "ready":
                    await rotation.prove(account, self.lease, self._gateways, self._writer)
                else:
                    await self._serve(account)
            except recovery.Refused as refusal:
                await self._say("disabled", str(refusal))
            except recovery.NotYet as reason:
                await self._say("recovering", f"{reason}; next try in {RETRY_SECONDS:.0f} s")
                await asyncio.sleep(RETRY_SECONDS)
            except Exception as error:
                logger.exception("account %s: %s; starting over", self.lease.account, type(error).__name__)
                await self._say("recovering", f"internal error {type(error).__name__}; starting over")
                await asyncio.sleep(RETRY_SECONDS)

    async def _serve(self, account: AccountView) -> None:
        needs_probe = _needs_probe(account, self._timing.probe_seconds)
        await self._say("probing" if needs_probe else "recovering", "")
        service = Service(
            account=account.code, venue=account.target.code, lease=self.lease, gateway=self._gateways(account, self.lease),
            writer=self._writer, timing=self._timing, admission=self._admission,
        )  # fmt: skip
        try:
            await _open(service)
            self.service = service
            await recovery.load_markets(service)
            if needs_probe:
                await recovery.probe(service)
            refusal = await recovery.refusal(service)
            if refusal and account.opened_at is None:
                raise recovery.Refused(refusal)
            await self._say("recovering", "reading orders, trades and balances")
            stream = Stream(service)
            async with asyncio.TaskGroup() as group:
                group.create_task(stream.run())
                await stream.first_state()
                gaps = stream.gaps
                await recovery.recover(service)
                await self._open_gate(service, refusal)
                stream.recovered(gaps)
                group.create_task(
                    _every(service.timing.open_orders_seconds, lambda: sweeps.open_orders(service, reason="schedule"))
                )
                group.create_task(
                    _every(
                        service.timing.balances_seconds, partial(sweeps.moved_and_balances, service, reason="schedule")
                    )
                )
                if service.gateway.capabilities.positions:
                    group.create_task(
                        _every(service.timing.balances_seconds, lambda: sweeps.positions(service, reason="schedule"))
                    )
                group.create_task(sweeps.follow_balances(service))
                group.create_task(self._sweep_fills(service))
                group.create_task(self._resolve(service))
                group.create_task(telemetry.run(service))
                group.create_task(triggers.run(service))
                group.create_task(_every(expiry.INTERVAL_SECONDS, partial(expiry.watch, service)))
                group.create_task(_every(groups.INTERVAL_SECONDS, partial(groups.tend, service)))
                group.create_task(self._probe(service))
                group.create_task(self._prove_new_keys(service))
                group.create_task(self._follow_pause(service))
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

    async def _open_gate(self, service: Service, refusal: str) -> None:
        """Let orders out, or only cancels where the key may not be used: what stands at the venue is not left alone."""
        service.is_open = False
        await self._say("halted" if refusal else "ready", refusal)
        service.is_open = not refusal

    async def _probe(self, service: Service) -> None:
        """Ask again and again what the key may do; stop new orders when that is no longer what it was entered for."""
        while service.is_open:
            await asyncio.sleep(self._timing.probe_seconds)
            await recovery.probe(service)
            if refusal := await recovery.refusal(service):
                await self._open_gate(service, refusal)

    async def _sweep_fills(self, service: Service) -> None:
        while True:
            # without a stream the sweeps are all there is: a venue of tier B, or a stream that is down
            seconds = (
                service.timing.fills_seconds if service.has_stream else min(SWEEP_SECONDS, service.timing.fills_seconds)
            )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await service.sweep_wanted.wait()
            service.sweep_wanted.clear()
            await sweeps.fills(service, reason="schedule")
            await sweeps.open_orders(service, reason="schedule")
            await asyncio.sleep(SWEEP_SPACING_SECONDS)  # whoever wants one meanwhile shares the next

    async def _resolve(self, service: Service) -> None:
        while True:
            left = await resolver.resolve(service)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0 if left else 2.0):
                    await service.lookup_wanted.wait()
            service.lookup_wanted.clear()

    async def _follow_pause(self, service: Service) -> None:
        """Say that orders wait because the venue refuses the key, and ask it now and then whether it still does."""
        said, asked_at = "", 0.0
        while True:
            why = service.gateway.paused
            if why != said:
                said, asked_at = why, clock.monotonic_seconds()
                await self._say("halted" if why else "ready", why)
            if why and clock.monotonic_seconds() - asked_at >= KEY_ASKED_SECONDS:
                asked_at = clock.monotonic_seconds()
                await service.gateway.permissions()
            await asyncio.sleep(1.0)

    async def _until_changed(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            account = await self._writer.run(lambda books: books.store.account(self.lease.account))
            if _fingerprint(account) != self._served or account.credential is None:
                raise _Changed

    async def _prove_new_keys(self, service: Service) -> None:
        """Prove a new key whenever one is entered; the one that serves goes on meanwhile."""
        while True:
            account = await self._writer.run(lambda books: books.store.account(self.lease.account))
            if account.candidate is not None:
                await rotation.prove(account, self.lease, self._gateways, self._writer, service.gateway)
                continue
            await self._noted.wait()
            self._noted.clear()

    async def _rest(self, idle: Idle) -> None:
        await self._say(*idle)
        self._why_closed = idle[1]
        await self._changed.wait()
        self._changed.clear()

    async def deny_stale(self) -> None:
        """Deny orders that waited too long while the gate was shut."""
        if self.service is None or not self.service.is_open or self.service.gateway.paused:
            seconds, why = self._timing.not_ready_seconds, self._why_closed
            await self._writer.run(lambda books: recovery.deny_stale(books, self.lease.account, seconds, why))

    async def _say(self, status: str, reason: str) -> None:
        self._why_closed = reason or f"it is {status}"
        code = self.lease.account

        def say(books: Books) -> None:
            books.gate(code, self.lease.epoch, None)  # who lost the lease has nothing to say about it
            books.later(lambda: books.store.set_status(code, status, reason))

        with contextlib.suppress(Fenced):
            await self._writer.run_until_committed(say)
        self._served = (*self._served[:1], status, *self._served[2:])

    def _take(self, key: uuid.UUID, work: Callable[[], Awaitable[bool]]) -> None:
        if key in self._busy or self._resting.get(key, 0.0) > clock.monotonic_seconds():
            return
        failpoints.reach("P2")
        task = asyncio.ensure_future(work())
        self._busy[key] = task
        task.add_done_callback(lambda done: self._put_down(key, done))

    def _put_down(self, key: uuid.UUID, task: asyncio.Task[bool]) -> None:
        self._busy.pop(key, None)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            logger.error(
                "account %s: work on %s failed with %s", self.lease.account, key, type(error).__name__, exc_info=error
            )
        if error is not None or not task.result():  # it could not go now: not again at once
            now = clock.monotonic_seconds()
            self._resting = {name: until for name, until in self._resting.items() if until > now}
            self._resting[key] = now + REST_SECONDS

    async def _finish_busy(self) -> None:
        if self._busy:
            await asyncio.wait(list(self._busy.values()), timeout=self._timing.request_timeout_seconds + 1)


async def _carry(service: Service, action: str, intent_id: uuid.UUID) -> bool:
    async with service.wish_slots:
        return await _CARRY.get(action, person.carry_out)(service, intent_id)


class _Changed(Exception):
    """Activation, key or venue changed: serve the account anew."""


def _idle_reason(account: AccountView) -> Idle | None:
    asked = account.activation_requested_at
    if account.status == "disabled" and (asked is None or asked <= account.status_at):
        return "disabled", account.status_reason
    if asked is None:
        has_key = account.credential is not None
        return "new", "waiting for activation" if has_key else "waiting for a key and its activation"
    if account.credential is None:
        return "disabled", "no API key: add one, then activate again"
    return None


def _needs_probe(account: AccountView, probe_seconds: float) -> bool:
    key, asked = account.credential, account.activation_requested_at
    if account.status in {"new", "probing", "disabled"} or key is None or key.probed_at is None:
        return True
    if (clock.now() - key.probed_at).total_seconds() > probe_seconds:
        return True
    return asked is not None and asked > key.probed_at


def _fingerprint(account: AccountView) -> tuple[object, ...]:
    key = account.credential
    return (
        account.activation_requested_at, account.status, key.id if key else None, account.target, account.probe_waived_by,
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

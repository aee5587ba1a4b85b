"""What people asked the owner for, other than cancels: fresh snapshots, another look, a binding, a declared absence."""

from __future__ import annotations

import uuid

from orders import resolver, sweeps
from orders.models import DeadLetter, Intent
from orders.service import Service
from project.lib import clock, feed


async def carry_out(service: Service, intent_id: uuid.UUID) -> bool:
    """Carry out one wish and keep its result in words. Returns True: it is settled either way."""
    intent = await service.writer.run(lambda: Intent.objects.get(pk=intent_id))
    if intent.done_at:
        return True
    if intent.action == "capture":
        reads = await sweeps.all_surfaces(service, reason="demand")
        result = ", ".join(f"{surface} {read.status}" for surface, read in reads.items())
    else:
        result = await _about_letter(service, intent)
    await service.writer.run_until_committed(lambda: _done(intent_id, result))
    return True


async def _about_letter(service: Service, intent: Intent) -> str:
    letter = await service.writer.run(lambda: DeadLetter.objects.get(pk=intent.data["dead_letter"]))
    if letter.status != DeadLetter.Status.OPEN:
        return f"resolved already by {letter.resolved_by}"
    if intent.action == "look_again":
        return await resolver.look_again(service, letter)
    reason = intent.data["reason"]
    if intent.action == "bind":
        return await resolver.bind(
            service, letter, intent.data["venue_order_id"], actor=intent.requested_by, reason=reason
        )
    return await service.writer.run_until_committed(
        lambda: resolver.declare_absent(letter, actor=intent.requested_by, reason=reason)
    )


def _done(intent_id: uuid.UUID, result: str) -> None:
    intent = Intent.objects.select_for_update().get(pk=intent_id)
    intent.done_at, intent.result = clock.now(), result[:200]
    intent.save(update_fields=["done_at", "result"])
    topic = "coverage" if intent.action == "capture" else "dead_letters"
    feed.announce(
        topic, f"intent.{intent.action}", intent.id, account=intent.account_id, data={"result": intent.result}
    )

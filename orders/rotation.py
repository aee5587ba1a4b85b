"""Proving a new API key beside the one that serves: it may trade and no more, it signs, and it is this account's. Pure."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from orders import sweeps
from orders.ports import Gateways, Lease, Writing
from orders.rows import AccountView
from venues.messages import Permissions

TRIES = 3
PAUSE_SECONDS = 5.0
BRACKET_TRIES = 3


async def prove(
    account: AccountView, lease: Lease, gateways: Gateways, writer: Writing, serving: Any | None = None
) -> None:
    """Take the account's candidate to a decision. The key that serves goes on serving until the new one is proved.

    serving: the gateway of the key in use, where it is open; then both keys must see the same balances.
    """
    candidate = account.candidate
    if candidate is None:
        return
    permissions, problem = await _asked(replace(account, credential=candidate), lease, gateways, serving)
    await writer.run_until_committed(
        lambda books: books.later(lambda: books.store.keep_candidate(account.code, candidate.id, permissions, problem))
    )


async def _asked(
    account: AccountView, lease: Lease, gateways: Gateways, serving: Any | None
) -> tuple[Permissions | None, str]:
    problem = ""
    for attempt in range(TRIES):
        if attempt:
            await asyncio.sleep(PAUSE_SECONDS)
        gateway: Any = None
        try:
            gateway = gateways(account, lease)
            await gateway.open()
            permissions = await gateway.permissions()
            problem = await _doubt(gateway, serving)
        except ConnectionError as error:
            problem = str(error)
        except Exception as error:  # whatever is wrong with the new key, the one in use goes on
            problem = f"the new key cannot be used ({type(error).__name__})"
        else:
            if not problem:
                return permissions, ""
        finally:
            if gateway is not None:
                await gateway.close()
    return None, problem


async def _doubt(gateway: Any, serving: Any | None) -> str:
    """Say what speaks against the new key: it reads nothing, or what it reads is another account's. Empty when nothing."""
    theirs = await gateway.read(sweeps.BALANCES)
    if theirs.status != "good":
        return f"the new key could not read the balances ({theirs.error or theirs.status})"
    if serving is None:
        return ""
    for _ in range(BRACKET_TRIES):  # compared only with a reading that stood still around the new key's own
        before = await serving.read(sweeps.BALANCES)
        theirs = await gateway.read(sweeps.BALANCES)
        after = await serving.read(sweeps.BALANCES)
        if "good" not in (before.status, after.status):
            return ""  # the key in use is dead: nothing to compare with, and all the more need of the new one
        if _totals(before) == _totals(after):
            is_same = theirs.status == "good" and _totals(theirs) == _totals(before)
            return "" if is_same else "the new key sees other balances: is it another account's?"
    return "the account trades too fast to compare what both keys see"


def _totals(read: Any) -> dict[str, Any]:
    return {row.asset: row.total for row in read.rows}

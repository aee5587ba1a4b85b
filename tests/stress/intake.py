"""Stores queued orders at a steady rate, as web does, many to a transaction, and keeps on disk what was stored.

`python -m tests.stress.intake RATE SECONDS FOLDER`
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from decimal import Decimal
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django.setup()

from orders import events, store  # noqa: E402 - models need Django set up
from orders.requests import OrderRequest  # noqa: E402
from orders.rows import OrderRow  # noqa: E402
from orders.states import Status  # noqa: E402
from project.lib import clock, ids  # noqa: E402
from venues.models import Account, Instrument  # noqa: E402

BATCH_SECONDS = 0.05
# Every order has a quantity of its own, by which the verdict knows it in the venue's journal; the storm's are smaller.
STEPS_FIRST = 10_000
PRICE = Decimal(48_000)  # the paper venue's markets begin at 60,000


def main(rate: float, seconds: float, folder: Path) -> int:
    """Store rate × seconds orders over the ready accounts, in turn; return how many were stored."""
    began, stored = time.monotonic(), 0
    accounts = itertools.cycle(_accounts())
    while (passed := time.monotonic() - began) < seconds:
        wanted = int(passed * rate) - stored
        if wanted > 0:
            rows = [_order(next(accounts), number) for number in range(stored, stored + wanted)]
            with store.transaction() as books:
                for row in rows:
                    events.open_order(books, row, verdict=Status.QUEUED)
                    books.wake(row.account)
            stored += wanted
            _keep(folder, rows)
        time.sleep(BATCH_SECONDS)
    return stored


def _accounts() -> list[tuple[str, str, Decimal, Decimal]]:
    """Return account, symbol, quantity and a price so far away that the order ends at once without a trade."""
    found = []
    for account in Account.objects.filter(status="ready").select_related("venue").order_by("code"):
        listed = Instrument.objects.filter(venue=account.venue, is_active=True, symbol__startswith="BTC/")
        chosen = listed.order_by("symbol")[0]
        found.append(
            (account.code, chosen.symbol, chosen.quantity_step, PRICE // chosen.price_step * chosen.price_step)
        )
    return found


def _keep(folder: Path, rows: list[OrderRow]) -> None:
    for row in rows:
        intent = {
            "client_order_id": row.client_order_id, "account": row.account, "symbol": row.symbol, "side": row.side,
            "quantity": f"{row.quantity:f}",
        }  # fmt: skip
        known = {"client_order_id": row.client_order_id, "id": str(row.id)}
        for name, line in (("attempted", intent), ("acknowledged", known)):
            with (folder / f"{name}-{row.account}.jsonl").open("a") as file:
                file.write(json.dumps(line) + "\n")


def _order(where: tuple[str, str, Decimal, Decimal], number: int) -> OrderRow:
    account, symbol, step, price = where
    request = OrderRequest(
        client_order_id=f"rate-{number}", account=account, symbol=symbol, side="buy", type="limit",
        quantity=step * (STEPS_FIRST + number), price=price, time_in_force="ioc", post_only=False, reduce_only=False,
    )  # fmt: skip
    now = clock.now()
    return OrderRow(id=ids.new_id(), body_digest=request.digest(), created_at=now, updated_at=now, **vars(request))


if __name__ == "__main__":
    sys.stdout.write(f"{main(float(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]))}\n")

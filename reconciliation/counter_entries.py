"""What a counter-entry would do, before anybody does it: its legs, what changes, what does not, what stands in its way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db.models import Count, Q, Sum
from django.template.defaultfilters import pluralize

from orders import ledger, states, valuation
from orders.models import Balance, DeadLetter, Order, Position, Posting
from project.lib import clock, decimals
from reconciliation.models import Break, BreakLine
from risk import halts
from risk.models import Limit
from venues.models import Account, AccountStatus

BOOKS = ledger.COUNTER_BOOKS
LINES_MAX = 200
PRICE_AGE_MAX = timedelta(hours=1)
SHOWN_MAX = 20
_BOOK_OF_LINE = {"fee": "fees", "transfer": "transfers"}
_SUMMED = ("adjustments", "funding", "transfers")  # fees grow with every trade: adding them up would read the history
_UNPROVEN = Q(status__in=[states.Status.SENDING, states.Status.UNKNOWN])


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One counter-entry: by how much our total moves, against which book, and why."""

    amount: Decimal
    book: str
    memo: str
    reverses: str = ""

    def change(self) -> dict[str, Any]:
        """Return the entry as a part of a change: every leg to the last digit."""
        legs = [{"book": "venue", "amount": self.amount}, {"book": self.book, "amount": -self.amount}]
        return {"memo": self.memo, "legs": legs, **({"reverses": self.reverses} if self.reverses else {})}


@dataclass(frozen=True, kw_only=True)
class Worth:
    """What a change is worth in USD (None where nobody knows), and whether it needs a second person."""

    usd: Decimal | None
    price: valuation.Price | None
    needs_approval: bool
    why: str


def entries_of(row: Break, book: str, reason: str) -> list[Entry]:
    """Return the entries that close a break: one per line that explains it, and one for what no line explains."""
    found = [
        Entry(amount=line.amount, book=_BOOK_OF_LINE.get(line.source, book), memo=_memo(line)) for line in lines(row)
    ]
    rest = (row.delta or decimals.ZERO) - sum((entry.amount for entry in found), decimals.ZERO)
    return [*found, Entry(amount=rest, book=book, memo=reason)] if rest else found


def lines(row: Break) -> list[BreakLine]:
    """Return what explains a break, oldest first."""
    return list(BreakLine.objects.filter(discrepancy=row).order_by("added_at", "id")[: LINES_MAX + 1])


def change_of(row: Break, action: str, entries: Sequence[Entry], **more: object) -> dict[str, Any]:
    """Return the whole change, as it is hashed, shown, and carried out."""
    return {
        "action": action, "break": row.id, "account": row.account_id, "asset": row.asset,
        "entries": [entry.change() for entry in entries], **more,
    }  # fmt: skip


def worth_of(asset: str, entries: Sequence[Entry]) -> Worth:
    """Value a change by the sum of what it moves, so that two large lines against each other are not a small change."""
    amount = sum((abs(entry.amount) for entry in entries), decimals.ZERO)
    price, limit = valuation.prices_usd([asset]).get(asset), settings.APPROVAL_USD
    if price is None:
        return Worth(usd=None, price=None, needs_approval=True, why=f"nobody here knows what {asset} is worth")
    if price.at is not None and price.at < clock.now() - PRICE_AGE_MAX:
        why = f"the price of {asset} is older than an hour, so its worth is not known"
        return Worth(usd=None, price=price, needs_approval=True, why=why)
    usd = decimals.quantise(amount * price.value)
    needs = usd > limit
    why = f"it moves {'more' if needs else 'no more'} than {limit:,f} USD"
    return Worth(usd=usd, price=price, needs_approval=needs, why=why)


def obstacle(row: Break) -> str:
    """Return why a break cannot be closed by a counter-entry now, or nothing."""
    if row.kind != Break.Kind.BALANCE:
        return f"only a balance can be adjusted by a counter-entry, and this is {row.kind}; explain it instead"
    if row.status == Break.Status.SUSPECTED:
        return "one read alone has shown this difference; wait for the second, or ask for a run"
    if not row.delta:
        return "there is no amount to post"
    given = lines(row)
    if len(given) > LINES_MAX:
        return f"more than {LINES_MAX} lines explain it; group them first"
    if other := next((line for line in given if line.asset != row.asset), None):
        return f"the line {other.reference} is in {other.asset}, the difference in {row.asset}; take the line out first"
    return unsettled(row.account)


def unsettled(account: Account) -> str:
    """Return why no counter-entry may be posted for an account now: what is not settled may itself be the difference."""
    alive = Order.objects.filter(account=account, status__in=states.ALIVE_WORDS)
    counted = alive.aggregate(alive=Count("id"), unproven=Count("id", filter=_UNPROVEN))
    letters = DeadLetter.objects.filter(account=account, status=DeadLetter.Status.OPEN).count()
    if counted["unproven"] or letters:
        return (
            f"the account has {counted['unproven']} order{pluralize(counted['unproven'])} without a proven outcome and "
            f"{letters} open dead letter{pluralize(letters)}; "
            "settle them first, for any of them may be the difference"
        )
    if counted["alive"] and (frozen := _frozen(account)):
        count = counted["alive"]
        return (
            f"{frozen} and {count} of its orders {'is' if count == 1 else 'are'} not settled: a fill may still change "
            "the balance while nobody trades; cancel or settle them first (cancels always pass), then correct"
        )
    return ""


def balances(row: Break, amount: Decimal) -> dict[str, Any]:
    """Return ours and the venue's total, and the difference between them, before and after a change by an amount."""
    balance = Balance.objects.filter(account=row.account_id, asset=row.asset).first()
    ours, theirs = (balance.total, balance.venue_total) if balance else (decimals.ZERO, None)
    return {
        "total_before": decimals.write(ours),
        "total_after": decimals.write(ours + amount),
        "venue_total": decimals.write(theirs),
        "venue_as_of": balance.as_of if balance else None,
        "difference_before": None if theirs is None else decimals.write(theirs - ours),
        "difference_after": None if theirs is None else decimals.write(theirs - ours - amount),
    }


def effect(row: Break, entries: Sequence[Entry]) -> dict[str, Any]:
    """Return everything a change would do: entries with debit and credit, books, balances, orders, positions, limits."""
    amount = sum((entry.amount for entry in entries), decimals.ZERO)
    worth, sides = worth_of(row.asset, entries), balances(row, amount)
    return {
        "asset": row.asset,
        "amount": decimals.write(amount),
        "entries": [journal(entry.change()) for entry in entries],
        "books": _books(row, entries),
        **sides,
        **_unchanged(row),
        "warning": _warning(sides, entries),
        "usd": None if worth.usd is None else worth.usd.quantize(valuation.CENT),
        "price_source": worth.price.source if worth.price else "",
        "price_at": worth.price.at if worth.price else None,
        "needs_approval": worth.needs_approval,
        "why": worth.why,
    }


def journal(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry of a change, made just now or stored, with debit and credit."""
    legs = [(leg["book"], Decimal(leg["amount"])) for leg in entry["legs"]]
    return {
        "memo": entry["memo"],
        "legs": [
            {
                "book": book,
                "debit": decimals.write(amount) if amount > 0 else "",
                "credit": decimals.write(-amount) if amount < 0 else "",
            }
            for book, amount in legs
        ],
    }


def touching(asset: str) -> Q:
    """Return the condition of a symbol that has an asset as its base or its quote."""
    return Q(symbol__startswith=f"{asset}/") | Q(symbol__endswith=f"/{asset}") | Q(symbol__contains=f"/{asset}:")


def _warning(sides: dict[str, Any], entries: Sequence[Entry]) -> str:
    left = sides["difference_after"]
    if left in (None, "0") or any(entry.reverses for entry in entries):
        return ""
    return (
        f"by the newest read the difference would be {left} afterwards, not 0: something moved since the break was compared; "
        "the next comparison tells what it is now"
    )


def _books(row: Break, entries: Sequence[Entry]) -> list[dict[str, Any]]:
    moved: dict[str, Decimal] = {"venue": decimals.ZERO}
    for entry in entries:
        moved["venue"] += entry.amount
        moved[entry.book] = moved.get(entry.book, decimals.ZERO) - entry.amount
    held = Balance.objects.filter(account=row.account_id, asset=row.asset).values_list("total", flat=True).first()
    before: dict[str, Decimal] = {name: decimals.ZERO for name in moved if name in _SUMMED}
    found = Posting.objects.filter(account=row.account_id, asset=row.asset, book__in=list(before))
    before |= dict(found.values_list("book").annotate(total=Sum("amount")))
    before["venue"] = held or decimals.ZERO
    return [
        {
            "book": name,
            "before": decimals.write(before.get(name)),
            "change": change,
            "after": decimals.write(before[name] + change) if name in before else None,
        }
        for name, change in moved.items()
    ]


def _unchanged(row: Break) -> dict[str, Any]:
    alive = Order.objects.filter(account=row.account_id, status__in=states.ALIVE_WORDS)
    scopes = ["global", f"venue:{row.account.venue_id}", f"account:{row.account_id}"]
    limits = Limit.objects.filter(scope__in=scopes).order_by("scope", "name")
    return {
        "orders_alive": alive.count(),
        "positions": [
            {"symbol": one.symbol, "quantity": decimals.write(one.quantity)}
            for one in Position.objects.filter(touching(row.asset), account=row.account_id).exclude(quantity=0)[
                :SHOWN_MAX
            ]
        ],
        "limits": [
            {"scope": one.scope, "name": one.name, "value": decimals.write(one.value)} for one in limits[:SHOWN_MAX]
        ],
    }


def _frozen(account: Account) -> str:
    if account.status in (AccountStatus.HALTED, AccountStatus.DISABLED):
        return f"the account is {account.status}"
    is_halted = halts.state_for(account.code, account.venue_id) == "halted"
    return "new orders of the account are halted" if is_halted else ""


def _memo(line: BreakLine) -> str:
    return f"{line.source} {line.reference}{f': {line.note}' if line.note else ''}"[:300]

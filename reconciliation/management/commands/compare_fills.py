"""Prove the fills of an account over a day or a month: by digests, by the rows of what differs, or beside a statement."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from project.lib import clock
from reconciliation import columnar, days, digests, facts, statement_compare
from reconciliation.models import Statement
from venues.models import Account

SHOWN_MAX = 100


def minute(text: str) -> datetime:
    """Read a day or a time as the minute it names, in UTC where no zone is given. Raises ValueError."""
    at = datetime.fromisoformat(text)
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    if digests.minute_of(at) != at:
        raise ValueError(f"{text} is not a whole minute")
    return at


class Command(BaseCommand):
    help = (
        "Exit 0 when every minute was told by the venue and holds the same here, 1 with each trade that differs, 2 when "
        "something could not be proved: minutes that no good read told whole, or rows that are not kept any more."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the account and the span."""
        parser.add_argument("account")
        parser.add_argument("--since", help="day or minute, UTC unless it says so; yesterday when left out")
        parser.add_argument("--until", help="day or minute that is not in it any more; one day later when left out")
        parser.add_argument(
            "--statement", type=UUID, help="compare with this statement, over its own span if none is given"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Compare and say what came of it."""
        account = Account.objects.filter(code=options["account"]).select_related("venue").first()
        if account is None:
            raise CommandError(f"No account is called {options['account']}. Nothing was compared.")
        try:
            if options["statement"] is not None:
                self._beside_statement(account, options["statement"], options["since"], options["until"])
            else:
                self._prove(account, *self._span(options["since"], options["until"]))
        except columnar.NotComparable as problem:
            self.stderr.write(str(problem))
            sys.exit(2)

    def _span(self, since: str | None, until: str | None) -> tuple[datetime, datetime]:
        midnight = clock.now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        try:
            start = minute(since) if since else midnight - timedelta(days=1)
            end = minute(until) if until else start + timedelta(days=1)
        except ValueError as problem:
            raise CommandError(f"{problem}. Write a day or a minute as 2026-05-31 or 2026-05-31T12:00.") from problem
        if end <= start:
            raise CommandError("The span ends before it begins. Nothing was compared.")
        return start, end

    def _prove(self, account: Account, start: datetime, end: datetime) -> None:
        proof = days.prove(account, start, end)
        beside = proof.beside
        self.stdout.write(
            f"{account.code}: {beside.told} of {beside.minutes} minutes were told whole, {beside.trades} trades in them; "
            f"{len(beside.differing)} minutes differ by digest"
        )
        self._tell(proof.differences)
        for each in proof.forgotten[:SHOWN_MAX]:
            self.stdout.write(f"{each.isoformat()}: differs, and the rows that the venue told are not kept any more")
        if proof.forgotten:
            self.stdout.write("Ask the venue for a statement of these minutes and compare with it: --statement")
        if beside.untold:
            self.stdout.write(
                f"{beside.untold} minutes were never told whole: nothing is known of them, neither good nor bad"
            )
        if proof.differences:
            sys.exit(1)
        if not proof.is_proved:
            sys.exit(2)
        self.stdout.write("proved")

    def _beside_statement(self, account: Account, number: UUID, since: str | None, until: str | None) -> None:
        statement = Statement.objects.filter(pk=number, account=account).first()
        if statement is None or statement.status != Statement.Status.COMPARED:
            raise CommandError(
                f"Account {account.code} has no statement {number} that was taken in. Nothing was compared."
            )
        if statement.summary.get("covers") == statement_compare.NAMED or not statement.summary.get(
            "fees_compared", True
        ):
            raise CommandError(
                f"Statement {number} tells of some markets only, or no fees: its page says what it agrees with and what it "
                "cannot say. Nothing was compared again."
            )
        if since or statement.window_from is None or statement.window_to is None:
            start, end = self._span(since, until)
        else:
            start, end = statement.window_from, statement.window_to
        found = days.against_statement(account, statement, start, end)
        self.stdout.write(f"{account.code}: {found.ours} fills beside {found.theirs} lines of statement {number}")
        self._tell(found.comparison.differences)
        if found.comparison.differences:
            sys.exit(1)
        self.stdout.write("proved")

    def _tell(self, differences: Sequence[facts.Difference]) -> None:
        for each in sorted(differences, key=lambda each: (each.kind, each.subject))[:SHOWN_MAX]:
            self.stdout.write(f"{each.kind} {each.subject}: ours {each.ours}; theirs {each.theirs}")
        if len(differences) > SHOWN_MAX:
            self.stdout.write(f"and {len(differences) - SHOWN_MAX} more")

"""`manage.py check_venue CODE`: hold a venue, a test server or an adapter of your own against the contract."""

from __future__ import annotations

import asyncio
import json
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from project import conformance
from venues import proofs
from venues.conformance.contract import CASES, Conclusion, Examination, Unusable
from venues.models import Venue

SIGNS = {"proved": "✓ proved", "refuted": "✗ REFUTED", "skipped": "– skipped"}


class Command(BaseCommand):
    help = f"Run {len(CASES)} cases against a venue: what it lists, how orders live there, and what becomes of lost answers."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the venue and what may be done there."""
        parser.add_argument("code", help="the venue's code in the product")
        parser.add_argument(
            "--account", default="", help="use this account's stored key; no executor may serve it meanwhile"
        )
        parser.add_argument(
            "--symbol", default="", help="the instrument to use; default: BTC against the venue's quote asset"
        )
        parser.add_argument("--only", default="", metavar="WORD", help="only the cases whose name holds this word")
        parser.add_argument("--read-only", action="store_true", help="place no orders")
        parser.add_argument(
            "--spend", action="store_true", help="away from the paper venue too, trade the smallest quantity"
        )
        parser.add_argument("--live", action="store_true", help="place orders at the real exchange")
        parser.add_argument("--json", action="store_true", help="print one JSON object a case instead of the table")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the cases; exit 1 when one was refuted."""
        venue = Venue.objects.filter(pk=options["code"]).first()
        if venue is None:
            known = ", ".join(Venue.objects.values_list("code", flat=True).order_by("code")) or "none yet"
            raise CommandError(f"There is no venue {options['code']}. There are: {known}.")
        orders = not options["read_only"]
        if orders and venue.environment == "LIVE" and not (options["live"] and venue.may_trade):
            raise CommandError(
                f"{venue.code} is the real exchange. Orders go there only with --live, and when live trading is on for the "
                "server and the venue; --read-only examines the rest. Nothing was sent."
            )
        try:
            with conformance.subject(venue, options["account"]) as subject:
                conclusions = asyncio.run(
                    self._run(subject, orders, options, spend=options["spend"] or venue.environment == "PAPER")
                )
        except (conformance.Refused, Unusable) as problem:
            raise CommandError(str(problem)) from None
        if not options["only"]:  # a part of the cases says too little of a fact
            proofs.keep(venue, findings(conclusions))
        count = Counter(conclusion.verdict for conclusion in conclusions)
        if count["refuted"]:
            raise CommandError(
                f"{venue.code} does not keep the contract: {count['refuted']} of {count.total()} cases refuted."
            )

    async def _run(
        self, subject: conformance.Subject, orders: bool, options: dict[str, Any], *, spend: bool
    ) -> list[Conclusion]:
        found: list[Conclusion] = []
        examination = Examination(
            subject.target, subject.secret, symbol=options["symbol"], nonce_floor=subject.nonce_floor
        )
        if not options["json"]:
            self.stdout.write(f"{subject.where}\n")
        async for conclusion in examination.run(only=options["only"], orders=orders, spend=spend):
            found.append(conclusion)
            self.stdout.write(_json(conclusion) if options["json"] else _row(conclusion))
        if not options["json"]:
            count = Counter(conclusion.verdict for conclusion in found)
            self.stdout.write(f"{count['proved']} proved, {count['refuted']} refuted, {count['skipped']} skipped")
        return found


def findings(conclusions: Iterable[Conclusion]) -> list[tuple[str, bool, str]]:
    """Return what the cases say of each fact: it holds when none of its cases was refuted and one was proved."""
    of_fact: dict[str, list[Conclusion]] = {}
    for conclusion in conclusions:
        if conclusion.case.fact and conclusion.verdict != "skipped":
            of_fact.setdefault(conclusion.case.fact, []).append(conclusion)
    found = []
    for fact, cases in of_fact.items():
        broken = next((one for one in cases if one.verdict == "refuted"), None)
        found.append((fact, broken is None, broken.detail if broken else ", ".join(one.case.name for one in cases)))
    return found


def _row(conclusion: Conclusion) -> str:
    case = conclusion.case
    return f"{SIGNS[conclusion.verdict]:10} {conclusion.seconds:6.2f} s  {case.promise}\n{'':22}{conclusion.detail}"


def _json(conclusion: Conclusion) -> str:
    case = conclusion.case
    return json.dumps({
        "case": case.name, "promise": case.promise, "fact": case.fact, "verdict": conclusion.verdict,
        "detail": conclusion.detail, "seconds": round(conclusion.seconds, 3),
    })  # fmt: skip

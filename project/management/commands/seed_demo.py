"""Make the first logins and tokens, and unless DEMO=0 the demo venues; prints one JSON object per line."""

from __future__ import annotations

import json
import os
from typing import Any

from django.core.management.base import BaseCommand

from project import seed


class Command(BaseCommand):
    help = "Make the first admin and token and, unless DEMO=0, the demo. Safe to run again."

    def handle(self, *args: Any, **options: Any) -> None:
        demo = os.environ.get("DEMO", "1").lower() not in {"0", "false", "no"}
        lines: list[dict[str, str]] = list(seed.first_people(demo=demo))
        if demo:
            seed.demo_venues()
            lines.append(
                {"strategy_token": seed.first_token("strategy-token.json", "demo strategy", "strategy", "trader")}
            )
        lines.append({"token": seed.first_token("api-token.json", "first token", "admin", "admin")})
        for line in lines:
            self.stdout.write(json.dumps(line))

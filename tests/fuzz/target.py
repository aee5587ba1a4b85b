"""One dialect under atheris: bytes in, the real path, and an end with the input shown when anything breaks."""

from __future__ import annotations

import json
import logging
import os
import random
import sys
import traceback

import atheris

with atheris.instrument_imports(include=["venues", "project.lib"], enable_loader_override=False):
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    django.setup()
    from tests.fuzz import examples, mutations
    from tests.fuzz.answering import Answered
    from tests.fuzz.exercise import exercise

STATUSES = (200, 200, 200, 200, 400, 401, 404, 429, 500, 503)
BYTES_MAX = 16_384


def run(dialect: str, arguments: list[str]) -> None:
    """Fuzz one dialect until libFuzzer's own limits end it; exit 1 with the input printed at the first thing broken."""
    logging.disable(logging.CRITICAL)
    answered = Answered(dialect)
    surfaces = examples.surfaces(dialect)

    def one(data: bytes) -> None:
        if len(data) < 2:
            return
        # Two characters, digits in the corpus, so that an input can be read: which surface, which HTTP status.
        surface, status = surfaces[data[0] % len(surfaces)], STATUSES[data[1] % len(STATUSES)]
        try:
            exercise(answered, surface, status, data[2:])
        except Exception:
            told = f"{dialect}: {surface} with HTTP {status} broke on\n{data[2:]!r}\n{traceback.format_exc()}"
            sys.stdout.write(f"\n{told}\ninput for the corpus: {data!r}\n")
            sys.stdout.flush()
            os._exit(1)

    def change(data: bytes, size_max: int, seed: int) -> bytes:
        dice = random.Random(seed)
        if len(data) > 2 and dice.random() < 0.5:
            try:
                tree = json.loads(data[2:])
            except (ValueError, RecursionError):
                return atheris.Mutate(data, size_max)
            return data[:2] + mutations.write(mutations.mutate(tree, dice)).encode()[: size_max - 2]
        return atheris.Mutate(data, size_max)

    atheris.Setup([sys.argv[0], f"-max_len={BYTES_MAX}", *arguments], one, custom_mutator=change)
    atheris.Fuzz()

"""Run seeds: `python -m tests.simulation.run --seeds 2000 [--start n] [--workers 2] [--trace SEED]`."""

from __future__ import annotations

import argparse
import gc
import logging
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from tests.simulation import swarm, world
from tests.simulation.trace import Violation

KEPT = Path(__file__).parent / "seeds.txt"
CHUNK = 20
Patch = Callable[[], AbstractContextManager[Any]]


def one(seed: int, patch: Patch = nullcontext) -> world.Outcome:
    """Run one seed, with a planted bug if one is given."""
    logging.getLogger("orders").setLevel(logging.CRITICAL)
    gc.disable()
    hook, sys.unraisablehook = sys.unraisablehook, lambda unraisable: None
    try:
        with patch():
            made = world.World(swarm.draw(seed))
            made.run()
            outcome = made.outcome()
            made.dispose()
            del made
    finally:
        gc.collect()
        sys.unraisablehook = hook
        gc.enable()
    return outcome

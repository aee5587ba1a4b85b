"""`make bench`: measure the order path beside raw ccxt, in one run on one machine."""

from __future__ import annotations

import argparse
import importlib

from bench import ground

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--quick", action="store_true", help="without growth, the API's way and memory")
arguments = parser.parse_args()
with ground.prepared() as prepared:
    importlib.import_module("bench.order_path").run(prepared, is_quick=arguments.quick)  # models need Django set up

"""`make bench`: measure the order path beside raw ccxt and reconciliation beside DuckDB and pandas, on one machine."""

from __future__ import annotations

import argparse
import importlib

from bench import ground

PARTS = ("order_path", "reconciliation")

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--quick", action="store_true", help="without growth, the API's way and memory")
parser.add_argument("--part", choices=PARTS, help="only this one")
parser.add_argument(
    "--history", type=int, default=0, help="of reconciliation: so many stored fills more, e.g. 10000000"
)
arguments = parser.parse_args()
with ground.prepared() as prepared:
    # models need Django set up
    if arguments.part in (None, "order_path"):
        importlib.import_module("bench.order_path").run(prepared, is_quick=arguments.quick)
    if arguments.part in (None, "reconciliation"):
        importlib.import_module("bench.reconciliation").run(
            prepared, is_quick=arguments.quick, history=arguments.history
        )

"""`make planted SEEDS=20`: plant every kind so often, and print what was found; exit 1 unless all of it was, and nothing else.

`make planted ARGS=--processes` does it against real processes that are killed meanwhile, and takes the options of that.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from tests.reconciliation.planted import processes

if "--processes" in sys.argv:
    sys.argv = [word for word in sys.argv if word != "--processes"]
    sys.exit(processes.run())

parser = argparse.ArgumentParser(prog="python -m tests.reconciliation.planted", description=__doc__)
parser.add_argument("--seeds", type=int, default=20, help="how often each kind is planted, at its exchanges in turn")
parser.add_argument("--record", action="store_true", help="write the table into docs/evidence.md")
parser.add_argument("-k", default="", help="only the kinds whose names match")
options = parser.parse_args()
folder = Path(__file__).parent
environment = {**os.environ, "PLANTED_SEEDS": str(options.seeds)}
if options.record:
    environment["PLANTED_RECORD"] = str(options.seeds)
command = [sys.executable, "-m", "pytest", "-q", "--no-header", str(folder / "test_planted.py")]
command += ["-k", options.k] if options.k else []
sys.exit(1 if subprocess.run(command, cwd=folder.parents[2], env=environment, check=False).returncode else 0)

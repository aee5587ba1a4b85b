"""`python -m tests.reconciliation.planted --seeds 20`: plant every kind so often, and print what was found; exit 1 unless all was."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seeds", type=int, default=20)
parser.add_argument("--quiet-minutes", type=float, default=0, help="then let real processes trade honestly for so long")
parser.add_argument("-k", default="", help="only the kinds whose names match")
options = parser.parse_args()
folder = Path(__file__).parent
environment = {**os.environ, "PLANTED_SEEDS": str(options.seeds), "QUIET_MINUTES": str(options.quiet_minutes)}
command = [sys.executable, "-m", "pytest", "-q", "--no-header", str(folder), *(["-k", options.k] if options.k else [])]
sys.exit(subprocess.run(command, cwd=folder.parents[2], env=environment, check=False).returncode)

"""Fuzz Deribit's frames, rows and answers: started by tests.fuzz.run, options are libFuzzer's."""

from __future__ import annotations

import sys

from tests.fuzz.target import run

if __name__ == "__main__":
    run("deribit", sys.argv[1:])

"""Fuzz the rows and answers of an exchange that goes the general way: started by tests.fuzz.run, options are libFuzzer's."""

from __future__ import annotations

import sys

from tests.fuzz.target import run

if __name__ == "__main__":
    run("unified", sys.argv[1:])

"""Fuzz the dialects one after the other: `python -m tests.fuzz.run --seconds 20 --dialect binance`; 1 when one broke."""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

DIALECTS = ("binance", "kraken", "bybit", "okx", "coinbase", "deribit", "unified")
CORPUS = Path(__file__).parent / "corpus"
ROOT = Path(__file__).resolve().parent.parent.parent
# One input takes a millisecond; one that takes this long would hold up every account of an executor.
INPUT_SECONDS_MAX = 5
MEMORY_MB_MAX = 2_048


def main() -> int:
    """Fuzz what the command line names; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=20, help="for each dialect")
    parser.add_argument("--dialect", choices=DIALECTS, action="append", help="all of them when left out")
    chosen = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        sys.exit("atheris is not installed: it has no package for this kind of machine (Linux on x86-64 has one)")
    broken = [dialect for dialect in chosen.dialect or DIALECTS if not fuzz(dialect, chosen.seconds)]
    return 1 if broken else 0


def fuzz(dialect: str, seconds: int) -> bool:
    """Fuzz one dialect for so long; print what it found. Return whether nothing broke."""
    with tempfile.TemporaryDirectory(prefix="gapless-fuzz-") as folder:
        found, words, home = (Path(folder) / name for name in ("found", "words", "home"))
        found.mkdir()
        words.write_text("\n".join(f'"{word}"' for word in _words(dialect)) + "\n")
        command = [
            sys.executable, "-m", f"tests.fuzz.fuzz_{dialect}", f"-max_total_time={seconds}", f"-timeout={INPUT_SECONDS_MAX}",
            f"-rss_limit_mb={MEMORY_MB_MAX}", f"-dict={words}", f"-artifact_prefix={folder}/broke-", "-print_final_stats=1",
            str(found), str(CORPUS / dialect),
        ]  # fmt: skip
        # Nothing here touches a database or a home folder; they are named so that no real one can be met.
        environment = os.environ | {"GAPLESS_HOME": str(home), "DATABASE_URL": "postgres://nobody@127.0.0.1:9/none"}
        done = subprocess.run(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
            timeout=seconds + 120, text=True, errors="replace",
        )  # fmt: skip
        runs = re.search(r"number_of_executed_units: (\d+)", done.stdout)
        covered = re.findall(r"cov: (\d+)", done.stdout)
        if done.returncode == 0 and runs:
            _say(
                f"{dialect}: {runs[1]} inputs in {seconds} s, {covered[-1] if covered else '?'} branches, nothing broke"
            )
            return True
        _say(f"{done.stdout[-6_000:]}\n{dialect}: broke with exit code {done.returncode}")
        for kept in sorted(Path(folder).glob("broke-*")):
            _say(f"{kept.name}: {kept.read_bytes()!r}")
        return False


def _words(dialect: str) -> list[str]:
    """Return the texts of the corpus, which a fuzzer would not guess."""
    texts = (path.read_bytes().decode(errors="replace") for path in sorted((CORPUS / dialect).iterdir()))
    return sorted({word for text in texts for word in re.findall(r'"([\w.:-]{1,40})"', text, re.ASCII)})


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

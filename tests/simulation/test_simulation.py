"""The order core keeps its promises in simulated worlds, and each world is the same every time it is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation import run
from tests.simulation.conventions import problems
from tests.simulation.loop import Deadlock, VirtualLoop

ROOT = Path(__file__).resolve().parents[2]
SEEDS = range(40)
GATE = (3, 11, 27)
PURE_ORDERS = (
    "states", "rows", "books", "cache", "ports", "events", "doubts", "ledger", "matching", "proof", "service",
    "submission", "cancellation", "resolver", "recovery", "sweeps", "stream", "person", "telemetry", "owner", "executor",
    "amendment", "legs", "trades",
)  # fmt: skip
LINTED = [
    *(ROOT / "orders" / f"{name}.py" for name in PURE_ORDERS),
    *(path for path in sorted((ROOT / "tests/simulation").glob("*.py")) if path.name not in {"run.py"}),
]


@pytest.mark.parametrize("seed", [*run.kept_seeds(), *SEEDS])
def test_no_promise_is_broken(seed: int) -> None:
    outcome = run.one(seed, keep_lines=False)
    assert not outcome.violations, outcome.violations[0].shown()


def test_faults_fire_and_calm_worlds_stay_calm() -> None:
    fired = [sum(run.one(seed, keep_lines=False).fired.values()) for seed in range(20)]
    assert sum(fired) > 200
    assert 0 in fired or min(fired) < 10


@pytest.mark.parametrize("seed", GATE)
def test_a_seed_gives_the_same_trace_again(seed: int) -> None:
    first = run.one(seed)
    again = run.one(seed)
    assert first.lines == again.lines
    assert run.digest_elsewhere(seed, "1") == run.digest_elsewhere(seed, "4242") == first.digest


def test_seeds_differ() -> None:
    assert len({run.one(seed, keep_lines=False).digest for seed in range(10)}) == 10


@pytest.mark.parametrize("path", LINTED, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_real_leaks_in(path: Path) -> None:
    found = list(problems(path.read_text()))
    assert not found, "\n".join(f"{path.name}:{line}" for line in found)


@pytest.mark.parametrize(
    "line",
    [
        "t = time.time()", "t = datetime.now(UTC)", "u = uuid.uuid4()", "r = random.random()", "r = random.Random()",
        "for x in {1, 2}: pass", "y = [x for x in set(z)]", "y = list(a | {1})" , "k = id(x)", "import threading",
        "m = Decimal(0.1)", "m = Decimal(float(x))", "d, p = await asyncio.wait(s)",
    ],
)  # fmt: skip
def test_the_lint_sees_what_it_is_for(line: str) -> None:
    text = f"async def f():\n    {line}\n"
    assert list(problems(text))
    assert not list(problems(text.replace(line, f"{line}  # dst-ok: a reason")))


def test_a_loop_with_nothing_left_to_do_names_who_waits() -> None:
    loop = VirtualLoop()

    async def wait_for_ever() -> None:
        await loop.create_future()

    with pytest.raises(Deadlock, match="waiting: root"):
        loop.run_root(wait_for_ever())
    assert loop.root is not None
    loop.root._log_destroy_pending = False  # type: ignore[attr-defined]

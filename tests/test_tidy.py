"""The shape of the code as a test: import direction, cycles, sizes, one writer of order state, roles everywhere."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ["project.lib", "venues", "risk", "orders", "reconciliation", "project"]
APPS = ["venues", "risk", "orders", "reconciliation"]
ROLES = ["web", "executor", "worker", "beat", "papervenue", "watchdog"]
FILE_LINES, FUNCTION_LINES, TEMPLATE_LINES = 400, 70, 100
PURE = {
    *(path.relative_to(ROOT).as_posix() for path in (ROOT / "venues/facts").glob("[a-z]*.py")),
    "venues/messages.py", "venues/errors.py", "venues/breaker.py", "venues/capabilities.py", "venues/matrix.py",
    "venues/exchanges.py", "venues/handbook.py", "venues/symbols.py",
    "risk/checks.py", "orders/states.py", "orders/requests.py", "orders/proof.py", "orders/cache.py", "orders/rows.py", "orders/told.py",
    "orders/group_requests.py", "orders/ladder.py", "orders/legs.py", "orders/trades.py",
    "orders/books.py", "orders/ports.py", "orders/events.py", "orders/doubts.py", "orders/ledger.py", "orders/matching.py",
    "orders/service.py", "orders/submission.py", "orders/cancellation.py", "orders/amendment.py", "orders/resolver.py",
    "orders/recovery.py", "orders/sweeps.py", "orders/transfers.py", "orders/stream.py", "orders/person.py", "orders/telemetry.py",
    "orders/owner.py", "orders/rotation.py", "orders/executor.py", "orders/expiry.py", "orders/groups.py", "orders/triggers.py",
    "reconciliation/compare.py", "reconciliation/facts.py", "reconciliation/transfers.py", "reconciliation/differences.py", "reconciliation/tolerance.py", "venues/ratelimit.py", "venues/budgets.py", "venues/targets.py",
    "venues/rulebook.py", "venues/scoring.py", "orders/detectors.py", "orders/detection.py", "venues/streams.py", "venues/books.py",
    "venues/checksums.py", "project/lib/failpoints.py",
    "project/lib/clock.py", "project/lib/decimals.py", "project/lib/symbols.py", "project/lib/ids.py", "project/lib/logs.py",
}  # fmt: skip
MAY_NAME_IMPURE = {("orders/service.py", "venues.gateway")}
IMPURE_PACKAGES = {"django", "rest_framework", "celery", "channels", "ccxt", "psycopg"}
INTERFACES = {
    "urls": 5,
    "views": 4,
    "api": 4,
    "consumers": 4,
    "tasks": 4,
    "management": 4,
    "forms": 3,
    "serializers": 3,
}
BASE = {"models": 0, "events": 1, "ledger": 1, "queries": 1}
STATE_FIELDS = {"status", "mutation", "filled_quantity", "filled_value", "venue_order_id"}


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders or ("project", *APPS):
        yield from (p for p in sorted((ROOT / folder).rglob("*.py")) if "migrations" not in p.parts)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def layer(module: str) -> int | None:
    matching = [index for index, name in enumerate(LAYERS) if module == name or module.startswith(name + ".")]
    return min(matching) if matching else None


def rank(module: str) -> int | None:
    parts = module.split(".")
    if len(parts) < 2 or parts[0] not in APPS:
        return None
    kind = parts[1].rpartition("_")[2]  # group_api is an interface as api is
    return INTERFACES.get(kind, BASE.get(parts[1], 2))


TREES = {path: ast.parse(path.read_text()) for path in sources()}
PYTHON = sorted([*sources(), *sources("tests"), *(sources("bench") if (ROOT / "bench").exists() else [])])


@pytest.mark.parametrize("path", TREES, ids=relative)
def test_imports_point_one_way(path: Path) -> None:
    own, own_rank = module_of(path), rank(module_of(path))
    wrong = []
    for line, name in imports(TREES[path]):
        target = layer(name)
        if target is not None and target > (layer(own) or 0):
            wrong.append(f"{relative(path)}:{line}: {own} may not import {name}, which lies above it")
        same_app = own.split(".")[0] == name.split(".")[0] and own.split(".")[0] in APPS
        if same_app and own_rank is not None and own_rank < 3 and (rank(name) or 0) >= 3 and ".management" not in own:
            wrong.append(f"{relative(path)}:{line}: a stage may not import the interface {name}")
        if re.search(r"(^|\.)tasks(\.|$)", name) and not name.startswith("celery"):
            wrong.append(f"{relative(path)}:{line}: nobody imports tasks.py; rows are the queue")
        if name.split(".")[0] == "ccxt" and not relative(path).startswith("venues/adapters/"):
            wrong.append(f"{relative(path)}:{line}: only venues/adapters imports ccxt")
        if name.startswith("venues.paper.") and "defaults" not in name and own.split(".")[0] != "venues":
            wrong.append(f"{relative(path)}:{line}: the product does not know the paper venue")
        if relative(path) in PURE and name.split(".")[0] in IMPURE_PACKAGES:
            wrong.append(f"{relative(path)}:{line}: a pure module imports {name}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", sorted(PURE))
def test_a_pure_module_stands_on_pure_modules(name: str) -> None:
    """A pure module that imports an impure one, were it for its types alone, drags Django into the simulation."""
    known = {module_of(path): relative(path) for path in TREES}
    wrong = [
        f"{name}:{line}: a pure module imports {target}, which is none"
        for line, target in imports(TREES[ROOT / name])
        if target in known and known[target] not in PURE and not known[target].endswith("__init__.py")
        and (name, target) not in MAY_NAME_IMPURE
    ]  # fmt: skip
    assert not wrong, "\n".join(wrong)


def test_no_import_cycles() -> None:
    graph: dict[str, set[str]] = {}
    known = {module_of(path) for path in TREES}
    for path, tree in TREES.items():
        graph[module_of(path)] = {name for _, name in imports(tree) if name in known and name != module_of(path)}
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, "import cycle: " + " -> ".join((*trail[trail.index(module) :], module))
        if module in done:
            return
        for target in sorted(graph[module]):
            visit(target, (*trail, module))
        done.add(module)

    for module in sorted(graph):
        visit(module, ())


@pytest.mark.parametrize("path", TREES, ids=relative)
def test_no_wait_swallows_a_cancellation(path: Path) -> None:
    """asyncio.wait_for may (before Python 3.12) when its event comes at the same moment; asyncio.timeout does not."""
    names = [node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)]
    assert "wait_for" not in names or path.is_relative_to(ROOT / "tests"), path


@pytest.mark.parametrize("path", TREES, ids=relative)
def test_no_imports_inside_functions(path: Path) -> None:
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inner = [n.lineno for n in ast.walk(node) if isinstance(n, ast.Import | ast.ImportFrom)]
            assert not inner, f"{relative(path)}:{inner}: imports belong at the top of the file"


@pytest.mark.parametrize("path", PYTHON, ids=relative)
def test_sizes_and_headers(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    assert len(text.splitlines()) <= FILE_LINES, f"{relative(path)} has more than {FILE_LINES} lines: split it"
    if text.strip():
        assert ast.get_docstring(tree), f"{relative(path)} has no first line that says what it is"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            assert lines <= FUNCTION_LINES, f"{relative(path)}:{node.lineno}: {node.name} has {lines} lines"
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{relative(path)}:{node.lineno}: relative import"


@pytest.mark.parametrize("path", sorted((ROOT / "templates").rglob("*.html")), ids=relative)
def test_templates_are_small_and_carry_no_inline_code(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= TEMPLATE_LINES, f"{relative(path)} has more than {TEMPLATE_LINES} lines"
    assert not re.search(r"\son[a-z]+=|\sstyle=|<style|<script(?![^>]*src=)|hx-on|hx-vals=['\"]js:", text), relative(
        path
    )


def test_order_state_has_one_writer() -> None:
    wrong = []
    for path, tree in TREES.items():
        if relative(path) == "orders/events.py" or path.parts[-2] == "paper":
            continue
        for node in ast.walk(tree):
            targets = node.targets if isinstance(node, ast.Assign) else []
            targets = [node.target] if isinstance(node, ast.AugAssign) else targets
            for target in targets:
                if isinstance(target, ast.Attribute) and target.attr in STATE_FIELDS:
                    owner = target.value.id if isinstance(target.value, ast.Name) else ""
                    if owner == "order" or owner.endswith("_order"):
                        wrong.append(
                            f"{relative(path)}:{target.lineno}: order state is written in orders/events.py only"
                        )
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("role", ROLES)
def test_every_role_is_present_everywhere(role: str) -> None:
    assert re.search(rf"^\s*{role}\)", (ROOT / "docker/entrypoint.sh").read_text(), re.M), f"entrypoint lacks {role}"
    assert re.search(rf"^  {role}:", (ROOT / "docker/compose.yml").read_text(), re.M), f"compose lacks {role}"
    assert re.search(rf"^{role}:|^{role} |[ ]{role}[ :]", (ROOT / "Makefile").read_text(), re.M), (
        f"Makefile lacks {role}"
    )


@pytest.mark.parametrize("path", sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md")), ids=relative)
def test_documents_name_no_machine(path: Path) -> None:
    text = path.read_text()
    found = re.search(r"/work/|/root/|/home/\w+/|pypi\.org|registry\.npmjs|files\.pythonhosted", text)
    assert not found, f"{relative(path)} names {found.group(0) if found else ''}"

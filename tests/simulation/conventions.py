"""What deterministic code must not do, found in its syntax; a line with `# dst-ok: reason` is let through."""

from __future__ import annotations

import ast
from collections.abc import Iterator

ESCAPE = "# dst-ok:"
_CALLS = {
    "time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns", "time.perf_counter", "time.sleep",
    "datetime.now", "datetime.utcnow", "datetime.today", "datetime.datetime.now", "date.today", "os.urandom",
    "uuid.uuid1", "uuid.uuid4", "uuid4", "asyncio.wait", "asyncio.as_completed", "asyncio.to_thread", "secrets.token_hex",
    "threading.Thread", "os.getpid",
}  # fmt: skip
_MODULES = {"threading", "secrets", "concurrent", "multiprocessing"}
_ORDERLESS = {"set", "frozenset"}


def problems(text: str) -> Iterator[str]:
    """Yield what in a module's text may differ from run to run, with its line."""
    lines, tree = text.splitlines(), ast.parse(text)
    waited = [
        node.value.value for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Await)
    ]
    for node in ast.walk(tree):
        if node in waited and _dotted(node.func) == "asyncio.wait":  # type: ignore[attr-defined]
            continue  # which of them were done is not looked at
        found = _problem(node)
        if found and ESCAPE not in lines[node.lineno - 1]:  # type: ignore[attr-defined]
            yield f"{node.lineno}: {found}"  # type: ignore[attr-defined]


def _problem(node: ast.AST) -> str:
    if isinstance(node, ast.Import | ast.ImportFrom):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        return next((f"imports {name}" for name in names if name.partition(".")[0] in _MODULES), "")
    if isinstance(node, ast.Call):
        return _call(node)
    if isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
        if isinstance(node, ast.comprehension):
            return ""  # judged with what it makes, below
        return "walks a set" if _is_set(node.iter) else ""
    if isinstance(node, ast.ListComp | ast.DictComp | ast.GeneratorExp):
        return "walks a set" if any(_is_set(part.iter) for part in node.generators) else ""
    return ""


def _call(node: ast.Call) -> str:
    name = _dotted(node.func)
    if name in _CALLS:
        return f"calls {name}"
    module, _, method = name.rpartition(".")
    if module == "random" and method != "Random":
        return f"draws from the module {name}"
    if name == "random.Random" and not node.args:
        return "seeds from the system"
    if name == "id":
        return "calls id()"
    if name == "hash":
        return "calls hash()"
    if name in {"list", "tuple", "iter", "next", "enumerate"} and node.args and _is_set(node.args[0]):
        return f"orders a set by {name}()"
    if name == "Decimal" and node.args and isinstance(node.args[0], ast.Constant | ast.Call):
        first = node.args[0]
        is_float = isinstance(first, ast.Constant) and isinstance(first.value, float)
        if is_float or (isinstance(first, ast.Call) and _dotted(first.func) == "float"):
            return "makes money of a float"
    return ""


def _is_set(node: ast.expr) -> bool:
    if isinstance(node, ast.Set | ast.SetComp):
        return True
    if isinstance(node, ast.Call):
        return _dotted(node.func) in _ORDERLESS
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr | ast.BitAnd | ast.Sub | ast.BitXor):
        return _is_set(node.left) or _is_set(node.right)
    return False


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inside = _dotted(node.value)
        return f"{inside}.{node.attr}" if inside else node.attr
    return ""

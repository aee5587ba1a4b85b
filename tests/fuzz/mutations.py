"""Ways to break a JSON message: the tree is changed where it hurts, then written as text, illegal text included."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

Path = tuple[Any, ...]


class Literal:
    """Text written as it stands where a value should be."""

    def __init__(self, text: str, *, is_poison: bool) -> None:
        self.text = text
        self.is_poison = is_poison


class Twice:
    """An object whose key appears twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        self.pairs = pairs


POISON = tuple(
    Literal(text, is_poison=True)
    for text in ("NaN", "Infinity", "-Infinity", "1E999999999", "-1e-999999999", "9" * 60, "0." + "1" * 60, '"\\u0000"', '"a\\ud800"',
                 "[" * 90 + "]" * 90, "'a'", "01", "+1", "1.", "\x00")
)  # fmt: skip
EXTREME: tuple[Any, ...] = (
    None, True, False, "", " ", "0", 0, -1, "-1", "-0", "NaN", "Infinity", "1E99999", "9" * 30, "1e19", "1e25", "1e-25",
    "99999999999999999999.9999999999999999999", "-5.5", "0.000000000000000000049", "²", "١٢", "0x10", "1_000", "buy", "SELL", "null",
    "FILLED", "closed", "x" * 201, "x" * 5_000, "9" * 5_000, "\n", "\u202e", "😀", "<html>", [], {}, [[]], [None], [1, 2], {"a": 1}, [{}], [[{}]],
    {"": ""}, "2024-11-19T07:06:40+05:00", "9999-12-31T23:59:59.999999999Z", "99999999999999", -62135596800001, "gother000000000002",
    "OTHER1-BW3P3-BUCMWZ", "7", Literal("99999999999999999999", is_poison=False), Literal("1.50", is_poison=False),
    Literal("1e-9", is_poison=False), Literal("1E19", is_poison=False), Literal("-0", is_poison=False),
)  # fmt: skip


def mutate(tree: Any, dice: random.Random, times: int = 1) -> Any:
    """Return a copy of the tree with that many places changed."""
    changed = _copy(tree)
    for _ in range(times):
        where = dice.choice(list(_paths(changed)))
        changed = _replaced(changed, where, dice, changed)
    return changed


def each(tree: Any) -> Iterator[Any]:
    """Return the tree once for every place and everything extreme put there, and once without each key."""
    for where in _paths(tree):
        for value in EXTREME:
            yield _put(tree, where, value)
        if where and isinstance(where[-1], str):
            above = _at(tree, where[:-1])
            yield _put(tree, where[:-1], {key: value for key, value in above.items() if key != where[-1]})


def write(tree: Any) -> str:
    """Write the tree as text."""
    if isinstance(tree, Literal):
        return tree.text
    if isinstance(tree, Twice):
        return "{" + ",".join(f"{json.dumps(key)}:{write(value)}" for key, value in tree.pairs) + "}"
    if isinstance(tree, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{write(value)}" for key, value in tree.items()) + "}"
    if isinstance(tree, list):
        return "[" + ",".join(write(value) for value in tree) + "]"
    return json.dumps(tree)


def is_poisoned(tree: Any) -> bool:
    """Say whether the text is one no venue may send, so that nothing at all may be read out of it."""
    if isinstance(tree, Literal):
        return tree.is_poison
    if isinstance(tree, Twice):
        return True
    if isinstance(tree, dict):
        return any(is_poisoned(value) for value in tree.values())
    return isinstance(tree, list) and any(is_poisoned(value) for value in tree)


def _replaced(tree: Any, where: Path, dice: random.Random, root: Any) -> Any:
    if where:
        head, rest = where[0], where[1:]
        if len(where) == 1 and isinstance(tree, dict):
            how = dice.choice(["value", "value", "value", "drop", "twice", "rename"])
            if how == "drop":
                return {key: value for key, value in tree.items() if key != head}
            if how == "twice":
                return Twice([*tree.items(), (head, dice.choice([tree[head], dice.choice(EXTREME)]))])
            if how == "rename":
                names = ("", "x" * 300, *map(str, tree))
                return {dice.choice(names) if key == head else key: value for key, value in tree.items()}
        if isinstance(tree, dict | list):
            grown = _shallow(tree)
            grown[head] = _replaced(tree[head], rest, dice, root)
            return grown
        return tree
    how = dice.choice(["extreme", "extreme", "extreme", "poison", "swap", "nest", "text", "many"])
    if how == "poison":
        return dice.choice(POISON)
    if how == "swap":
        return _at(root, dice.choice(list(_paths(root))))
    if how == "nest":
        return dice.choice([[tree], {"data": tree}, [tree, tree], [[[tree]]]])
    if how == "text":
        return write(tree)[:500]
    if how == "many" and isinstance(tree, list):
        return tree * 20
    return dice.choice(EXTREME)


def _paths(tree: Any, above: Path = ()) -> Iterator[Path]:
    yield above
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _paths(value, (*above, key))
    elif isinstance(tree, list):
        for index, value in enumerate(tree[:30]):
            yield from _paths(value, (*above, index))


def _put(tree: Any, where: Path, value: Any) -> Any:
    if not where:
        return value
    grown = _shallow(tree)
    grown[where[0]] = _put(tree[where[0]], where[1:], value)
    return grown


def _at(tree: Any, where: Path) -> Any:
    for key in where:
        tree = tree[key]
    return tree


def _shallow(tree: Any) -> Any:
    return dict(tree) if isinstance(tree, dict) else list(tree)


def _copy(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _copy(value) for key, value in tree.items()}
    return [_copy(value) for value in tree] if isinstance(tree, list) else tree

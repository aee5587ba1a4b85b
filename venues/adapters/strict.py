"""Strict JSON: what a venue sends is parsed once, exactly, or refused."""

from __future__ import annotations

import json
import re
from typing import Any

_NUMBER = re.compile(r"-?\d{1,40}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,2})?\Z", re.ASCII)
NESTING_MAX = 64


class NotStrict(ValueError):
    """The text is not JSON a venue may send; the message says why and never quotes it."""


def loads(text: str) -> Any:
    """Parse JSON with numbers kept as their exact text. Raises NotStrict for everything ambiguous.

    Refused: NaN, Infinity, duplicate keys, absurd numbers, nesting deeper than 64, anything that is not JSON.
    """
    try:
        value = _decoder.decode(text)
    except NotStrict:
        raise
    except RecursionError:
        raise NotStrict("nested too deeply") from None
    except ValueError:
        raise NotStrict("not JSON") from None
    if _is_deep(value):
        raise NotStrict("nested too deeply")
    return value


def _number(text: str) -> str:
    if not _NUMBER.match(text):
        raise NotStrict("a number no venue may send")
    return text


def _constant(_: str) -> Any:
    raise NotStrict("NaN or Infinity")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise NotStrict("a key appears twice")
    return value


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(NESTING_MAX + 1):
        level = [child for item in level for child in _children(item)]
        if not level:
            return False
    return True


def _children(item: Any) -> Any:
    if item.__class__ is dict:
        return item.values()
    return item if item.__class__ is list else ()


_decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_number, parse_int=_number, parse_constant=_constant)

"""Strict JSON: what a venue sends is parsed once, exactly, or refused."""

from __future__ import annotations

import json
import re
from typing import Any

_NUMBER = re.compile(r"-?\d{1,40}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,2})?\Z", re.ASCII)
_ESCAPED = re.compile(r"\\u(?:0000|[dD][89a-fA-F])", re.ASCII)
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
NESTING_MAX = 64


class NotStrict(ValueError):
    """The text is not JSON a venue may send; the message says why and never quotes it."""


def loads(text: str) -> Any:
    """Parse JSON with numbers kept as their exact text. Raises NotStrict for everything ambiguous.

    Refused: NaN, Infinity, duplicate keys, absurd numbers, nesting deeper than 64, NUL and half characters (which no
    database stores), anything that is not JSON.
    """
    try:
        value = _decoder.decode(text)
    except NotStrict:
        raise
    except RecursionError:
        raise NotStrict("nested too deeply") from None
    except ValueError:
        raise NotStrict("not JSON") from None
    if text.count("{") + text.count("[") > NESTING_MAX and _is_deep(value):
        raise NotStrict("nested too deeply")
    if "\\u" in text and _ESCAPED.search(text) and not _is_storable(value):
        raise NotStrict("a NUL or half a character")
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


def _is_storable(value: Any) -> bool:
    if value.__class__ is dict:
        return all(_is_storable(key) and _is_storable(item) for key, item in value.items())
    if value.__class__ is list:
        return all(_is_storable(item) for item in value)
    return value.__class__ is not str or not _UNSTORABLE.search(value)


def _children(item: Any) -> Any:
    if item.__class__ is dict:
        return item.values()
    return item if item.__class__ is list else ()


_decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_number, parse_int=_number, parse_constant=_constant)

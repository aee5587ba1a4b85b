"""Our client id in the form an exchange takes, and back: each form is a pure function of our 18 characters.

Ours is a letter and 17 digits of base 36: a number below 2**88. Every form but the whole number carries all of it, so an
id read from a venue says which attempt it is, after a restart too. A foreign id never turns into one of ours: the forms
with room for it carry a mark, and what comes back is made into the form again and compared.
"""

from __future__ import annotations

import hashlib
import string
import uuid
from collections.abc import Callable

from venues.facts.shapes import ClientIdForm

_DIGITS = string.digits + string.ascii_lowercase
_LENGTH = 18
_NUMBER_BITS = 88
_MARK = 0x6A17  # the upper bits of the 128-bit forms: "one of ours"
_WHOLE_NUMBER_BITS = 45  # what Bitfinex keeps of its cid


def to_wire(form: ClientIdForm, client_id: str) -> str:
    """Return our id as the exchange takes it. Raises ValueError for an id that is not of our form."""
    return _TO_WIRE[form](client_id)


def from_wire(form: ClientIdForm, wire_id: str) -> str | None:
    """Return our id out of what an exchange shows, the text itself where it is not one of ours.

    None for a whole number: it says less than our id has, and only who sent it knows what it stood for.
    """
    if form == "plain":
        return wire_id
    if form == "whole_number":
        return None
    found = _FROM_WIRE[form](wire_id)
    return found if found is not None and to_wire(form, found) == wire_id.lower() else wire_id


def _number(client_id: str) -> int:
    if len(client_id) != _LENGTH or client_id[0] != "g" or client_id.strip(_DIGITS):
        raise ValueError("not a client id of ours")
    return int(client_id[1:], 36)


def _text(number: int) -> str:
    characters = []
    while number:
        number, rest = divmod(number, 36)
        characters.append(_DIGITS[rest])
    return "g" + "".join(reversed(characters)).rjust(_LENGTH - 1, "0")


def _marked(client_id: str) -> int:
    return _MARK << _NUMBER_BITS | _number(client_id)


def _unmarked(number: int) -> str | None:
    return _text(number & (1 << _NUMBER_BITS) - 1) if number >> _NUMBER_BITS == _MARK else None


def _hexadecimal(client_id: str) -> str:
    return f"0x{_marked(client_id):032x}"


def _of_hexadecimal(wire_id: str) -> str | None:
    try:
        return _unmarked(int(wire_id, 16)) if wire_id[:2].lower() == "0x" else None
    except ValueError:
        return None


def _uuid(client_id: str) -> str:
    # Version 8 of RFC 9562 is for values of one's own, but checkers that know only 1 to 5 are about: it is dressed as 4.
    number = _number(client_id)
    high, middle, low = number >> 72, number >> 60 & 0xFFF, number & (1 << 60) - 1
    return str(uuid.UUID(int=_MARK << 112 | high << 80 | 4 << 76 | middle << 64 | 2 << 62 | low))


def _of_uuid(wire_id: str) -> str | None:
    try:
        whole = uuid.UUID(wire_id).int
    except ValueError:
        return None
    high, middle, low = whole >> 80 & 0xFFFF, whole >> 64 & 0xFFF, whole & (1 << 60) - 1
    return _text(high << 72 | middle << 60 | low) if whole >> 112 == _MARK else None


def _whole_number(client_id: str) -> str:
    digest = int.from_bytes(hashlib.sha256(client_id.encode()).digest()[:8], "big")
    return str(digest >> (64 - _WHOLE_NUMBER_BITS) or 1)


_TO_WIRE: dict[ClientIdForm, Callable[[str], str]] = {
    "plain": lambda client_id: client_id,
    "t_prefix": lambda client_id: f"t-{client_id}",
    "hexadecimal": _hexadecimal,
    "uuid": _uuid,
    "whole_number": _whole_number,
}
_FROM_WIRE: dict[ClientIdForm, Callable[[str], str | None]] = {
    "t_prefix": lambda wire_id: wire_id.removeprefix("t-") if wire_id.startswith("t-") else None,
    "hexadecimal": _of_hexadecimal,
    "uuid": _of_uuid,
}

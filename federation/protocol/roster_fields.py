"""Strict reading of the JSON that rosters and join requests are made of.

Text is printable ASCII, so that no two implementations can sort or escape it differently and no
name looks like another; there are no floats and no negative numbers; an object has exactly the
fields its format names, and any number whose name starts with ``x-``, which mean nothing here.

Source: docs/spec/roster.md.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from federation.errors import RosterMalformed
from federation.protocol.limits import INTEGER_MAX, ROSTER_DEPTH_MAX
from federation.protocol.texts import parse_base64

Json: TypeAlias = "bool | int | str | list[Json] | dict[str, Json] | None"

EXTENSION_PREFIX: Final = "x-"
SHOWN_CHARACTERS_MAX: Final = 40
"""So much of a foreign field name is repeated in an error message."""


def plain_json(value: object, depth_left: int = ROSTER_DEPTH_MAX) -> Json:
    """The same value, typed.

    Raises:
        RosterMalformed: a float, a negative or large integer, text that is not printable ASCII,
            or nesting deeper than ``ROSTER_DEPTH_MAX``.
    """
    if isinstance(value, str):
        return _printable(value)
    if value is None or isinstance(value, int):
        if value is not None and not 0 <= value <= INTEGER_MAX:
            raise RosterMalformed("an integer outside 0 to 2^53 - 1")
        return value
    if depth_left == 0:
        raise RosterMalformed(f"nested deeper than {ROSTER_DEPTH_MAX}")
    if isinstance(value, list):
        return [plain_json(part, depth_left - 1) for part in value]
    if isinstance(value, dict):
        return {_printable(key): plain_json(value[key], depth_left - 1) for key in value}
    raise RosterMalformed(f"a {type(value).__name__}, which a roster does not have")


def _printable(text: object) -> str:
    if not isinstance(text, str) or not (text.isascii() and text.isprintable()):
        raise RosterMalformed("text in a roster is printable ASCII")
    return text


def read_fields(
    value: Json, names: frozenset[str], what: str, *, is_extensible: bool = True
) -> dict[str, Json]:
    """An object that has all these fields and, extensions apart, no other.

    Args:
        value: what should be the object.
        names: the fields of the format.
        what: what the object is, for the message.
        is_extensible: whether there may be extensions.

    Raises:
        RosterMalformed: no object, or a field is missing or unknown.
    """
    if not isinstance(value, dict):
        raise RosterMalformed(f"{what} is an object")
    check_unknown(frozenset(value) - names, what, is_extensible=is_extensible)
    missing = sorted(names - value.keys())
    if missing:
        raise RosterMalformed(f"{what} lacks the field {missing[0]}")
    return value


def check_unknown(names: frozenset[str], what: str, *, is_extensible: bool = True) -> None:
    """Accept extensions only, or nothing, among fields that the format does not name.

    Raises:
        RosterMalformed: a name that does not start with ``x-``, or any.
    """
    unknown = sorted(
        name for name in names if not (is_extensible and name.startswith(EXTENSION_PREFIX))
    )
    if unknown:
        raise RosterMalformed(f"{what} has the unknown field {unknown[0][:SHOWN_CHARACTERS_MAX]!r}")


def read_text(value: Json, what: str) -> str:
    """Text. Raises: RosterMalformed: anything else."""
    if not isinstance(value, str):
        raise RosterMalformed(f"{what} is text")
    return value


def read_integer(value: Json, what: str, least: int, most: int) -> int:
    """An integer from ``least`` to ``most``. Raises: RosterMalformed: anything else."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise RosterMalformed(f"{what} is an integer from {least} to {most}")
    return value


def read_list(value: Json, what: str, most: int) -> list[Json]:
    """A list of at most ``most`` parts. Raises: RosterMalformed: anything else."""
    if not isinstance(value, list) or len(value) > most:
        raise RosterMalformed(f"{what} is a list of at most {most}")
    return value


def read_base64(value: Json, what: str) -> bytes:
    """Bytes, written in base64. Raises: RosterMalformed: anything else."""
    return parse_base64(read_text(value, what), RosterMalformed, what)

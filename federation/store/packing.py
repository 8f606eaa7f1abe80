"""Rows of a long step as one parameter: written by one statement of SQL, not by thousands.

Python hands rows to SQLite one by one, and takes its lock back after each: while another thread
judges the next step, that costs more than writing. A step of plain confirms is joined to one blob
and a list of lengths instead, which SQLite takes apart by itself, with no lock held.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from federation.protocol.bodies_plain import Mark
from federation.protocol.signals import identity_of
from federation.provenance.reading import plain_signals
from federation.provenance.verifier import VerifiedStatement
from federation.store.database import Row
from federation.store.late_rows import KeyRun, LateKeys, run_of
from federation.store.places import (
    COMMITMENT_KEPT_BODY_BYTES,
    hkeys_of,
    place_of,
    signal_digest,
    signal_hkey,
)

# Offset, header's length and body's length in one integer: 33, 13 and 17 bits of 63.
_BODY_BITS: Final = 17
_HEADER_BITS: Final = 13
_OFFSET_SHIFT: Final = _BODY_BITS + _HEADER_BITS
_OFFSET: Final = f"(value >> {_OFFSET_SHIFT})"
_HEADER: Final = f"((value >> {_BODY_BITS}) & {(1 << _HEADER_BITS) - 1})"
_BODY: Final = f"(value & {(1 << _BODY_BITS) - 1})"

INSERT_PACKED: Final = (
    "INSERT INTO statements (place, unread, header, salt, body)"  # noqa: S608 - constants
    f" SELECT ?1 + key, 0, substr(?2, {_OFFSET}, {_HEADER}),"
    f" substr(?2, {_OFFSET} + {_HEADER}, 16), substr(?2, {_OFFSET} + {_HEADER} + 16, {_BODY})"
    " FROM json_each(?3)"
)
"""Of parameters as :func:`pack` makes them."""


def pack(stem: int, statements: Sequence[VerifiedStatement]) -> tuple[Row, LateKeys] | None:
    """The rows of neighbouring statements that are all plain confirms with short bodies.

    Args:
        stem: of their branch.
        statements: in log order.

    Returns:
        The parameters of ``INSERT_PACKED``, and the keys of the statements and of their signals;
        None where one of them is anything else.
    """
    parts: list[bytes] = []
    spans: list[int] = []
    marks: list[tuple[Mark, ...]] = []
    offset = 1
    for verified in statements:
        opening = verified.statement.opening
        if opening is None or len(opening.body) >= COMMITMENT_KEPT_BODY_BYTES:
            return None
        plain = plain_signals(verified)
        if plain is None:
            return None
        marks.append(plain)
        header, salt, body = verified.statement.header_bytes, opening.salt, opening.body
        parts += (header, salt, body)
        spans.append(offset << _OFFSET_SHIFT | len(header) << _BODY_BITS | len(body))
        offset += len(header) + len(salt) + len(body)
    first = place_of(stem, statements[0].index)
    places = range(first, first + len(statements))
    ids = KeyRun(hkeys_of([each.id.entry for each in statements]), places)
    keys = LateKeys([ids], [_signals_run(marks, places)])
    return (first, b"".join(parts), json.dumps(spans)), keys


def _signals_run(marks: Sequence[tuple[Mark, ...]], places: range) -> KeyRun:
    if all(len(each) == 1 for each in marks):
        digests = [signal_digest(kind, identity_of(kind, value)) for ((kind, value),) in marks]
        return KeyRun(hkeys_of(digests), places)
    # A set: two signals of one statement may share an hkey.
    return run_of(
        [
            pair
            for each, place in zip(marks, places, strict=True)
            for pair in {
                (signal_hkey(kind, identity_of(kind, value)), place) for kind, value in each
            }
        ]
    )

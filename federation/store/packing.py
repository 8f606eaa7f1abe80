"""Rows of a long step as one parameter: written by one statement of SQL, not by thousands.

Python hands rows to SQLite one by one, and takes its lock back after each: while another thread
judges the next step, that costs more than writing. A step of plain confirms is joined to one blob
and a list of lengths instead, which SQLite takes apart by itself, with no lock held.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from federation.protocol.signals import identity_of
from federation.provenance.reading import plain_signals
from federation.provenance.verifier import VerifiedStatement
from federation.store.database import Row
from federation.store.places import COMMITMENT_KEPT_BODY_BYTES, id_hkey, place_of, signal_hkey

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


def pack(
    stem: int, statements: Sequence[VerifiedStatement]
) -> tuple[Row, list[Row], list[Row]] | None:
    """The rows of neighbouring statements that are all plain confirms with short bodies.

    Args:
        stem: of their branch.
        statements: in log order.

    Returns:
        The parameters of ``INSERT_PACKED``, then hkey and place of each statement and of each
        signal; None where one of them is anything else.
    """
    parts: list[bytes] = []
    spans: list[int] = []
    ids: list[Row] = []
    signals: list[Row] = []
    first = place = place_of(stem, statements[0].index)
    offset = 1
    for verified in statements:
        statement = verified.statement
        opening = statement.opening
        if opening is None or len(opening.body) >= COMMITMENT_KEPT_BODY_BYTES:
            return None
        marks = plain_signals(verified.header, opening.body)
        if marks is None:
            return None
        header, salt, body = statement.header_bytes, opening.salt, opening.body
        parts += (header, salt, body)
        spans.append(offset << _OFFSET_SHIFT | len(header) << _BODY_BITS | len(body))
        offset += len(header) + len(salt) + len(body)
        ids.append((id_hkey(statement.id), place))
        if len(marks) == 1:
            ((kind, value),) = marks
            signals.append((signal_hkey(kind, identity_of(kind, value)), place))
        else:
            signals += {
                (signal_hkey(kind, identity_of(kind, value)), place) for kind, value in marks
            }
        place += 1
    return (first, b"".join(parts), json.dumps(spans)), ids, signals

"""Putting more signatures under a note.

Source: docs/spec/notes.md; C2SP signed-note v1.0.0.
"""

from __future__ import annotations

from collections.abc import Iterable

from federation.errors import TooLarge
from federation.protocol.limits import NOTE_BYTES_MAX
from federation.protocol.notes import (
    NoteSignature,
    check_signers,
    format_signature_line,
    parse_note,
)


def add_signatures(raw: bytes, lines: Iterable[NoteSignature]) -> bytes:
    """Put more signature lines under a note, leaving every byte it has as it is.

    A line that the note has already is not added twice.

    Args:
        raw: the note, verbatim.
        lines: what to add, in order.

    Raises:
        NoteMalformed: not a note, or another signature by a key that signed already.
        TooLarge: over ``NOTE_BYTES_MAX`` bytes or ``NOTE_LINES_MAX`` lines.
    """
    held = parse_note(raw).signatures
    fresh = tuple(line for line in dict.fromkeys(lines) if line not in held)
    check_signers(held + fresh)
    longer = raw + "".join(format_signature_line(line) for line in fresh).encode()
    if len(longer) > NOTE_BYTES_MAX:
        raise TooLarge(f"a note has at most {NOTE_BYTES_MAX} bytes")
    return longer

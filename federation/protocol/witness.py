"""What a witness is sent: a log's new head, and the proof that it follows the last one it saw.

    old 20852163                          size of the last head that the witness signed
    CsUYapGGPo4dkMgIAUqom…                consistency proof, base64, up to 63 lines
                                          an empty line
    node-a.example/0123…/live             the signed checkpoint, verbatim
    …

The answer is a signature line of the witness, or a status: 409 carries the size that it did see
last, which is how an asker learns it. Reading a request proves nothing; the judge is
``provenance/witnessing.py``.

Source: docs/spec/witness.md; C2SP tlog-witness v1.0.0 and its changes until 2026-07.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from federation.errors import CheckpointMalformed, ProofMalformed, RequestMalformed, TooLarge
from federation.protocol.limits import NOTE_BYTES_MAX, PROOF_HASHES_MAX
from federation.protocol.merkle_growth import check_digest
from federation.protocol.notes import Note, parse_note
from federation.protocol.texts import SIZE_LIMIT, format_base64, parse_base64, parse_decimal

SIZE_MEDIA_TYPE: Final = "text/x.tlog.size"
"""Of the body of a 409: the size that the witness signed last, and a newline."""

ADD_CHECKPOINT_BYTES_MAX: Final = NOTE_BYTES_MAX + 64 * 64
"""A note, and 64 lines of at most 45 bytes before it."""

_OLD: Final = "old "
_LINES = re.compile(r"([^\n]+)\n([^\n]*)\n([^\n]*)\n\Z")


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A request to a witness, none of it judged.

    The root of size 0 may be wrong here: a witness refuses that as unproven, not as malformed.

    Attributes:
        old_size: of the head that the witness is thought to have signed last.
        proof: consistency hashes from there to the new head, 32 bytes each.
        note: the signed checkpoint, verbatim, read as a note.
        origin: the first line of its text.
        size: statements under it.
        root_hash: 32 bytes.
    """

    old_size: int
    proof: tuple[bytes, ...]
    note: Note
    origin: str
    size: int
    root_hash: bytes


def parse_add_checkpoint(body: bytes) -> AddCheckpoint:
    """Read a request.

    Raises:
        TooLarge: over ``ADD_CHECKPOINT_BYTES_MAX``, or a note over its own limits.
        RequestMalformed: no ``old`` line, or an old size above the new one.
        ProofMalformed: more than 63 hashes, or one that is not 32 bytes in canonical base64.
        NoteMalformed, CheckpointMalformed: what follows is no checkpoint; extension lines too.
    """
    if len(body) > ADD_CHECKPOINT_BYTES_MAX:
        raise TooLarge(f"a request to a witness has at most {ADD_CHECKPOINT_BYTES_MAX} bytes")
    head, empty_line, signed = body.partition(b"\n\n")
    if not empty_line:
        raise RequestMalformed("no empty line separates the proof from the checkpoint")
    try:
        first, *hashes = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise RequestMalformed("the old size and the proof are not ASCII") from None
    if not first.startswith(_OLD):
        raise RequestMalformed("the first line does not say the old size")
    old_size = parse_decimal(first[len(_OLD) :], RequestMalformed, "the old size")
    if len(hashes) > PROOF_HASHES_MAX:
        raise ProofMalformed(f"a consistency proof has at most {PROOF_HASHES_MAX} hashes")
    what = "a hash of the consistency proof"
    proof = tuple(parse_base64(line, ProofMalformed, what) for line in hashes)
    for digest in proof:
        check_digest(digest, what)
    note = parse_note(signed)
    origin, size, root_hash = _read_checkpoint(note.text)
    if old_size > size:
        raise RequestMalformed("the old size is above the new one")
    return AddCheckpoint(old_size, proof, note, origin, size, root_hash)


def format_add_checkpoint(old_size: int, proof: tuple[bytes, ...], note: bytes) -> bytes:
    """Write a request.

    Args:
        old_size: of the head that the witness signed last; 0 for none.
        proof: consistency hashes from there, 32 bytes each.
        note: the signed checkpoint, verbatim.
    """
    lines = [f"{_OLD}{old_size}", *(format_base64(digest) for digest in proof)]
    return "\n".join((*lines, "", "")).encode("ascii") + note


def parse_size(body: bytes) -> int:
    """Read the body of a witness's 409: the size that it signed last.

    Raises:
        RequestMalformed: anything but a decimal and a newline.
    """
    try:
        text = body.decode("ascii")
    except UnicodeDecodeError:
        raise RequestMalformed("a size is not ASCII") from None
    if not text.endswith("\n"):
        raise RequestMalformed("a size ends with a newline")
    return parse_decimal(text[:-1], RequestMalformed, "a witness's size")


def format_size(size: int) -> bytes:
    """Write the body of a 409.

    Raises:
        RequestMalformed: a size out of range.
    """
    if not 0 <= size < SIZE_LIMIT:
        raise RequestMalformed("a size is between 0 and 2^63 - 1")
    return f"{size}\n".encode("ascii")


def _read_checkpoint(text: str) -> tuple[str, int, bytes]:
    lines = _LINES.match(text)
    if lines is None:
        raise CheckpointMalformed("a checkpoint is three lines: origin, size and root hash")
    origin, size, root = lines.groups()
    root_hash = parse_base64(root, CheckpointMalformed, "the root hash")
    try:
        check_digest(root_hash, "the root hash")
    except ProofMalformed as wrong:
        raise CheckpointMalformed(wrong.message) from None
    return origin, parse_decimal(size, CheckpointMalformed, "the tree size"), root_hash

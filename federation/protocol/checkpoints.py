"""Checkpoints and cosignatures: what a log, and those who watch it, put their names to.

    node-a.example/0123…/live     origin: the log's permanent name
    3                             tree size
    z3Y6BByBzu8VeKYIP3XG…         root hash, base64

A log signs this text as a note (type 01) under its own origin as the key name. A cosigner adds a
timestamped line of type 04, with Ed25519; type 06 is read in ``checkpoints_foreign``. Extension
lines are refused: nobody could audit what they say.

``open_*`` functions are the only way from bytes to a believed value; each takes the key that must
have signed. They judge one signature each: who has to sign is the verifier's business.

Source: docs/spec/checkpoints.md; C2SP tlog-checkpoint v1.0.0, tlog-cosignature v1.1.0-rc.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from federation.errors import CheckpointMalformed, KeyMalformed, SignatureInvalid
from federation.protocol.keys import (
    ED25519_SIGNATURE_BYTES,
    KeyType,
    SignatureCheck,
    VerifierKey,
)
from federation.protocol.limits import ORIGIN_BYTES_MAX
from federation.protocol.merkle import DIGEST_BYTES, EMPTY_ROOT
from federation.protocol.notes import NoteSignature, parse_note
from federation.protocol.texts import (
    SIZE_LIMIT,
    check_characters,
    format_base64,
    parse_base64,
    parse_decimal,
)

TIMESTAMP_BYTES: Final = 8

_LINES = re.compile(r"([^\n]*)\n([^\n]*)\n([^\n]*)\n\Z")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's head: so many entries, with this root. Equal by these three, never by bytes.

    Attributes:
        origin: the log's name; 1 to 255 bytes of UTF-8 without a newline.
        size: entries in the log, below 2^63.
        root_hash: root of the Merkle tree at that size, 32 bytes.

    Raises:
        CheckpointMalformed: a part that a checkpoint cannot carry, or size 0 with a root other
            than the empty tree's.
    """

    origin: str
    size: int
    root_hash: bytes

    def __post_init__(self) -> None:
        check_characters(self.origin, CheckpointMalformed, "the origin")
        if "\n" in self.origin or not 0 < len(self.origin.encode()) <= ORIGIN_BYTES_MAX:
            raise CheckpointMalformed(f"an origin is one line of 1 to {ORIGIN_BYTES_MAX} bytes")
        if not 0 <= self.size < SIZE_LIMIT:
            raise CheckpointMalformed("a tree has between 0 and 2^63 - 1 entries")
        if len(self.root_hash) != DIGEST_BYTES:
            raise CheckpointMalformed(f"a root hash is {DIGEST_BYTES} bytes")
        if self.size == 0 and self.root_hash != EMPTY_ROOT:
            raise CheckpointMalformed("the root of an empty tree is SHA-256 of nothing")

    @property
    def text(self) -> str:
        """The note text: origin, size and root, a line each."""
        return f"{self.origin}\n{self.size}\n{format_base64(self.root_hash)}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """Read the text of a checkpoint note.

    Raises:
        CheckpointMalformed: not exactly three lines in the form that ``Checkpoint.text`` writes.
    """
    lines = _LINES.match(text)
    if lines is None:
        raise CheckpointMalformed("a checkpoint is three lines: origin, size and root hash")
    origin, size, root_hash = lines.groups()
    return Checkpoint(
        origin,
        parse_decimal(size, CheckpointMalformed, "the tree size"),
        parse_base64(root_hash, CheckpointMalformed, "the root hash"),
    )


# --- the log's own signature ----------------------------------------------------------------------


def open_checkpoint(raw: bytes, vkey: VerifierKey, check: SignatureCheck) -> Checkpoint:
    """Read a checkpoint note and judge its log's signature; other keys' lines are not looked at.

    Args:
        raw: the note, verbatim.
        vkey: the log's key, of type 01, named by the log's origin.
        check: the Ed25519 check.

    Raises:
        TooLarge: over the limits of a note.
        NoteMalformed: not a note.
        CheckpointMalformed: a note whose text is not a checkpoint.
        KeyMalformed: ``vkey`` is of another type.
        SignatureInvalid: another log's checkpoint, or no valid signature by this key.
    """
    check_type(vkey, KeyType.ED25519)
    note = parse_note(raw)
    checkpoint = parse_checkpoint(note.text)
    # A log's key that signs under another origin would speak for a log that is not its own.
    if checkpoint.origin != vkey.name:
        raise SignatureInvalid("the checkpoint is of another log")
    line = note.signature_by(vkey.name, vkey.key_id)
    if line is None:
        raise SignatureInvalid("the log did not sign the checkpoint")
    if not check(vkey.public, note.text.encode(), line.signature):
        raise SignatureInvalid("the log's signature on the checkpoint is wrong")
    return checkpoint


# --- cosignatures ---------------------------------------------------------------------------------


def open_cosignature(
    checkpoint_text: str, line: NoteSignature, vkey: VerifierKey, check: SignatureCheck
) -> int:
    """Judge a type 04 cosignature on the text of a note.

    Returns:
        When the cosigner says it signed, in POSIX seconds.

    Raises:
        KeyMalformed: ``vkey`` is of another type.
        SignatureInvalid: a line by another key, of the wrong length, with a time over 2^63 - 1,
            or with a wrong signature.
    """
    check_type(vkey, KeyType.COSIGNATURE_ED25519)
    at_seconds, signature = split_stamp(line, vkey, ED25519_SIGNATURE_BYTES)
    if not check(vkey.public, cosigned_message(checkpoint_text, at_seconds), signature):
        raise SignatureInvalid("the cosignature is wrong")
    return at_seconds


def cosigned_message(checkpoint_text: str, at_seconds: int) -> bytes:
    """What a type 04 cosigner signs."""
    return f"cosignature/v1\ntime {at_seconds}\n{checkpoint_text}".encode()


def split_stamp(line: NoteSignature, vkey: VerifierKey, length: int) -> tuple[int, bytes]:
    """Timestamp and signature of a line by that key.

    Raises:
        SignatureInvalid: another key's line, of another length, or with a time out of range.
    """
    if line.signer != (vkey.name, vkey.key_id):
        raise SignatureInvalid("the line is by another key")
    if len(line.signature) != TIMESTAMP_BYTES + length:
        raise SignatureInvalid("the line is not a cosignature of this type")
    at_seconds = int.from_bytes(line.signature[:TIMESTAMP_BYTES], "big")
    if at_seconds >= SIZE_LIMIT:
        raise SignatureInvalid("the cosignature's time is out of range")
    return at_seconds, line.signature[TIMESTAMP_BYTES:]


def check_type(vkey: VerifierKey, wanted: KeyType) -> None:
    """Accept a key of that type.

    Raises:
        KeyMalformed: it is of another.
    """
    if vkey.type is not wanted:
        raise KeyMalformed(f"a verifier key of type {wanted:02x} is needed")

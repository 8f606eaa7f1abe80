"""Checkpoints and cosignatures: what a log, and those who watch it, put their names to.

    node-a.example/0123…/live     origin: the log's permanent name
    3                             tree size
    z3Y6BByBzu8VeKYIP3XG…         root hash, base64

A log signs this text as a note (type 01) under its own origin as the key name. A cosigner adds a
timestamped line of type 04, with Ed25519, or 06, with ML-DSA-44, as a log may too. Extension
lines are refused: nobody could audit what they say. Who has to sign is the verifier's business.

Source: docs/spec/checkpoints.md; C2SP tlog-checkpoint v1.0.0, tlog-cosignature v1.1.0-rc.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from federation.errors import CheckpointMalformed, KeyMalformed, SignatureInvalid
from federation.protocol.keys import (
    ED25519_SIGNATURE_BYTES,
    MLDSA44_SIGNATURE_BYTES,
    KeyType,
    SignatureCheck,
    VerifierKey,
)
from federation.protocol.limits import ORIGIN_BYTES_MAX
from federation.protocol.merkle import DIGEST_BYTES, EMPTY_ROOT
from federation.protocol.notes import NoteSignature
from federation.protocol.texts import (
    SIZE_LIMIT,
    check_characters,
    format_base64,
    parse_base64,
    parse_decimal,
)

TIMESTAMP_BYTES: Final = 8
SUBTREE_LABEL: Final = b"subtree/v1\n\x00"

_LINES = re.compile(r"([^\n]*)\n([^\n]*)\n([^\n]*)\n\Z")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's head: so many entries, with this root. Equal by these three, never by bytes.

    Attributes:
        origin: the log's name; 1 to 255 bytes of UTF-8 without a newline.
        size: entries in the log, below 2^63.
        root_hash: root of the Merkle tree at that size, 32 bytes; at size 0 the empty tree's.

    Raises:
        CheckpointMalformed: a part that a checkpoint cannot carry.
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
    """Read a checkpoint note's text. Raises: CheckpointMalformed: not in its only form."""
    lines = _LINES.match(text)
    if lines is None:
        raise CheckpointMalformed("a checkpoint is three lines: origin, size and root hash")
    origin, size, root_hash = lines.groups()
    return Checkpoint(
        origin,
        parse_decimal(size, CheckpointMalformed, "the tree size"),
        parse_base64(root_hash, CheckpointMalformed, "the root hash"),
    )


def open_cosignature(
    checkpoint_text: str, line: NoteSignature, vkey: VerifierKey, check: SignatureCheck
) -> int:
    """Judge a type 04 cosignature on a note's text; gives the cosigner's time in POSIX seconds.

    Raises:
        KeyMalformed: ``vkey`` is of another type.
        SignatureInvalid: a line by another key, of another length, or with a wrong signature.
    """
    check_type(vkey, KeyType.COSIGNATURE_ED25519)
    at_seconds, signature = split_stamp(line, vkey, ED25519_SIGNATURE_BYTES)
    if not check(vkey.public, cosigned_message(checkpoint_text, at_seconds), signature):
        raise SignatureInvalid("the cosignature is wrong")
    return at_seconds


def cosigned_message(checkpoint_text: str, at_seconds: int) -> bytes:
    """What a type 04 cosigner signs."""
    return f"cosignature/v1\ntime {at_seconds}\n{checkpoint_text}".encode()


def open_mldsa_cosignature(
    checkpoint: Checkpoint, line: NoteSignature, vkey: VerifierKey, check: SignatureCheck
) -> int | None:
    """Judge a type 06 line on a checkpoint by the key, of type 06, that must have made it.

    Returns:
        When the signer says it signed, in POSIX seconds; None where it says nothing about time, nor
        that the tree was the largest.

    Raises:
        KeyMalformed: ``vkey`` is of another type.
        SignatureInvalid: as for ``open_cosignature``.
    """
    check_type(vkey, KeyType.COSIGNATURE_MLDSA44)
    at_seconds, signature = split_stamp(line, vkey, MLDSA44_SIGNATURE_BYTES)
    if not check(vkey.public, subtree_message(checkpoint, vkey.name, at_seconds), signature):
        raise SignatureInvalid("the cosignature is wrong")
    return at_seconds or None


def subtree_message(checkpoint: Checkpoint, cosigner_name: str, at_seconds: int) -> bytes:
    """What a type 06 signer signs for a whole tree; second 0 says nothing about time."""
    name, origin = cosigner_name.encode(), checkpoint.origin.encode()
    return b"".join(
        (
            SUBTREE_LABEL,
            bytes([len(name)]),
            name,
            at_seconds.to_bytes(TIMESTAMP_BYTES, "big"),
            bytes([len(origin)]),
            origin,
            bytes(8),  # start: a checkpoint's tree begins at its first leaf
            checkpoint.size.to_bytes(8, "big"),
            checkpoint.root_hash,
        )
    )


def split_stamp(line: NoteSignature, vkey: VerifierKey, length: int) -> tuple[int, bytes]:
    """Timestamp and signature of a line by that key. Raises: SignatureInvalid: it cannot be one."""
    if line.signer != (vkey.name, vkey.key_id):
        raise SignatureInvalid("the line is by another key")
    if len(line.signature) != TIMESTAMP_BYTES + length:
        raise SignatureInvalid("the line is not a cosignature of this type")
    at_seconds = int.from_bytes(line.signature[:TIMESTAMP_BYTES], "big")
    if at_seconds >= SIZE_LIMIT:
        raise SignatureInvalid("the cosignature's time is out of range")
    return at_seconds, line.signature[TIMESTAMP_BYTES:]


def check_type(vkey: VerifierKey, wanted: KeyType) -> None:
    """Accept a key of that type. Raises: KeyMalformed: it is of another."""
    if vkey.type is not wanted:
        raise KeyMalformed(f"a verifier key of type {wanted:02x} is needed")

"""Cosignatures of type 06, with ML-DSA-44: no member of a federation makes them, witnesses may.

Source: docs/spec/checkpoints.md; C2SP tlog-cosignature v1.1.0-rc.1.
"""

from __future__ import annotations

from typing import Final

from federation.errors import SignatureInvalid
from federation.protocol.checkpoints import TIMESTAMP_BYTES, Checkpoint, check_type, split_stamp
from federation.protocol.keys import MLDSA44_SIGNATURE_BYTES, KeyType, SignatureCheck, VerifierKey
from federation.protocol.notes import NoteSignature

SUBTREE_LABEL: Final = b"subtree/v1\n\x00"


def open_mldsa_cosignature(
    checkpoint: Checkpoint, line: NoteSignature, vkey: VerifierKey, check: SignatureCheck
) -> int | None:
    """Judge a type 06 cosignature of a checkpoint.

    Args:
        checkpoint: the checkpoint that was cosigned.
        line: the cosigner's line.
        vkey: the cosigner's key, of type 06.
        check: the ML-DSA-44 check.

    Returns:
        When the cosigner says it signed, in POSIX seconds; None where it only says that the tree
        is consistent with all it saw, and not that it was the largest or when that was.

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
    """What a type 06 cosigner signs for a whole tree (``cosigned_message`` of tlog-cosignature).

    Args:
        checkpoint: the checkpoint to cosign.
        cosigner_name: 1 to 255 bytes of UTF-8.
        at_seconds: POSIX time, or 0 to say nothing about time.
    """
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

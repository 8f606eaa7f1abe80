"""Putting one's name to a checkpoint: as its log, and as a cosigner.

Source: docs/spec/checkpoints.md; C2SP tlog-checkpoint v1.0.0, tlog-cosignature v1.1.0-rc.1.
"""

from __future__ import annotations

from federation.errors import CheckpointMalformed
from federation.protocol.checkpoints import (
    TIMESTAMP_BYTES,
    Checkpoint,
    cosigned_message,
    subtree_message,
)
from federation.protocol.keys import KeyType, VerifierKey, vkey_of
from federation.protocol.keys_signing import SigningKey
from federation.protocol.keys_signing_mldsa import MldsaSigningKey
from federation.protocol.notes import Note, NoteSignature, format_note
from federation.protocol.texts import SIZE_LIMIT


def sign_checkpoint(checkpoint: Checkpoint, key: SigningKey) -> bytes:
    """Sign a checkpoint as its log.

    Whoever calls this must have made sure that the log never signed another root of this size.

    Args:
        checkpoint: the log's new head.
        key: the log's key.

    Returns:
        The note, with one line of type 01 whose key name is the origin.

    Raises:
        KeyMalformed: the origin cannot be a key name (a space or a ``+``).
    """
    vkey = vkey_of(checkpoint.origin, KeyType.ED25519, key.public)
    signature = key.sign(checkpoint.text.encode())
    line = NoteSignature(vkey.name, vkey.key_id, signature)
    return format_note(Note(checkpoint.text, (line,)))


def cosign(checkpoint_text: str, name: str, key: SigningKey, at_seconds: int) -> NoteSignature:
    """Cosign a checkpoint with Ed25519 (type 04).

    The signed message does not hold the name, so a key serves one cosigner only.

    Args:
        checkpoint_text: the note's text, with its final newline.
        name: the cosigner's name.
        key: the cosigner's key.
        at_seconds: POSIX time now.

    Raises:
        KeyMalformed: a name that no key can have.
        CheckpointMalformed: a time out of range.
    """
    if not 0 <= at_seconds < SIZE_LIMIT:
        raise CheckpointMalformed("a cosignature's time is between 0 and 2^63 - 1 seconds")
    vkey = vkey_of(name, KeyType.COSIGNATURE_ED25519, key.public)
    signature = key.sign(cosigned_message(checkpoint_text, at_seconds))
    stamped = at_seconds.to_bytes(TIMESTAMP_BYTES, "big") + signature
    return NoteSignature(vkey.name, vkey.key_id, stamped)


def cosign_mldsa(
    checkpoint: Checkpoint, name: str, key: MldsaSigningKey, at_seconds: int
) -> NoteSignature:
    """Cosign a checkpoint with ML-DSA-44 (type 06): as a cosigner, or as its log.

    A log's own second line has its origin as the name.

    Args:
        checkpoint: what to sign.
        name: the cosigner's name, or the origin.
        key: the ML-DSA-44 key of that name.
        at_seconds: POSIX time now; never 0, which would say nothing about time.

    Raises:
        KeyMalformed: a name that no key can have.
        CheckpointMalformed: a time out of range.
    """
    if not 0 < at_seconds < SIZE_LIMIT:
        raise CheckpointMalformed("a cosignature's time is between 1 and 2^63 - 1 seconds")
    vkey = VerifierKey(name, KeyType.COSIGNATURE_MLDSA44, key.public)
    signature = key.sign(subtree_message(checkpoint, name, at_seconds))
    stamped = at_seconds.to_bytes(TIMESTAMP_BYTES, "big") + signature
    return NoteSignature(vkey.name, vkey.key_id, stamped)

"""Checkpoints of any log whose key is at hand, whoever's it is: judged without a roster.

Source: docs/spec/checkpoints.md; C2SP tlog-checkpoint v1.0.0.
"""

from __future__ import annotations

from federation.errors import SignatureInvalid
from federation.protocol.checkpoints import Checkpoint, check_type, parse_checkpoint
from federation.protocol.keys import KeyType, SignatureCheck, VerifierKey
from federation.protocol.notes import parse_note


def open_checkpoint(raw: bytes, vkey: VerifierKey, check: SignatureCheck) -> Checkpoint:
    """Read a checkpoint note and judge its log's signature; other keys' lines are not looked at.

    Args:
        raw: the note, verbatim.
        vkey: the log's key, of type 01, named by the log's origin.
        check: the Ed25519 check.

    Raises:
        TooLarge, NoteMalformed, CheckpointMalformed: not the note of a checkpoint.
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

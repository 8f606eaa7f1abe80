"""Making a status attestation: its only form, and the mirror key's signature under it.

Source: docs/spec/attestations.md.
"""

from __future__ import annotations

from federation.protocol.attestations import ATTESTATION_FORMAT, Attestation, parse_attestation
from federation.protocol.keys import KeyType, VerifierKey
from federation.protocol.keys_signing import SigningKey
from federation.protocol.notes import Note, NoteSignature, format_note
from federation.protocol.texts import format_base64


def format_attestation(attestation: Attestation) -> str:
    """The text that is signed; the inverse of ``parse_attestation``."""
    version, decision = attestation.roster
    lines = [
        ATTESTATION_FORMAT,
        f"roster {version} {decision}",
        f"at {attestation.at_ms}",
        f"about {attestation.about}",
    ]
    lines += [
        " ".join(map(str, ("statement", found.id, found.state, *found.by)))
        for found in attestation.findings
    ]
    lines += [
        f"head {head.origin} {head.size} {format_base64(head.root_hash)}"
        for head in attestation.heads
    ]
    return "\n".join((*lines, ""))


def sign_attestation(attestation: Attestation, name: str, mirror: SigningKey) -> bytes:
    """Sign an attestation.

    Args:
        attestation: what this node found.
        name: the mirror cosigner's name.
        mirror: its key.

    Returns:
        The note, verbatim as it travels.

    Raises:
        AttestationMalformed: nobody could read it.
        TooLarge: over the limit of a note.
    """
    text = format_attestation(attestation)
    parse_attestation(text)
    vkey = VerifierKey(name, KeyType.ED25519, mirror.public)
    line = NoteSignature(vkey.name, vkey.key_id, mirror.sign(text.encode()))
    return format_note(Note(text, (line,)))

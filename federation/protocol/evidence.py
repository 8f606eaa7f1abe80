"""Evidence: one file that proves, to anybody, that one key signed two histories of one log.

JSON with exactly these fields, in its only form (sorted keys, no spaces, one final newline), so
that no byte can change without it being noticed:

    first, second   two signed checkpoints of one log: each the note's text and one signature line
    format          "hash-federation/evidence/v1"
    prefix          null where both have one size; else {"hashes": [base64 …], "root": base64}:
                    what the second, larger one says the log was at the first one's size, and the
                    consistency proof of that

A file carries nothing that a judge does not check, and convicts nobody before a judge has done so
(:mod:`federation.provenance.convicting`). Source: docs/spec/evidence.md; the
idea that a report of a fork carries its own proof is Go's checksum database client's.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from federation.errors import CheckpointMalformed, NoteMalformed, ProofMalformed, TooLarge
from federation.local_errors.proofs import EvidenceMalformed
from federation.protocol.checkpoints import Checkpoint, parse_checkpoint
from federation.protocol.limits import PROOF_HASHES_MAX
from federation.protocol.limits_messages import EVIDENCE_BYTES_MAX
from federation.protocol.merkle import check_digests
from federation.protocol.notes import Note, NoteSignature, format_note, parse_note
from federation.protocol.texts import format_base64, parse_base64

FORMAT: Final = "hash-federation/evidence/v1"
_FIELDS: Final = frozenset({"first", "format", "prefix", "second"})
_SURROGATE = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Prefix:
    """What a head says its log was at an earlier size.

    Attributes:
        root_hash: root of the log's first statements, as the head commits to them, 32 bytes.
        hashes: the consistency proof from there to the head (RFC 6962), 32 bytes each.

    Raises:
        ProofMalformed: a hash of another length, or more than ``PROOF_HASHES_MAX``.
    """

    root_hash: bytes
    hashes: tuple[bytes, ...]

    def __post_init__(self) -> None:
        check_digests((self.root_hash, *self.hashes))
        if len(self.hashes) > PROOF_HASHES_MAX:
            raise ProofMalformed(f"a consistency proof has at most {PROOF_HASHES_MAX} hashes")


@dataclass(frozen=True, slots=True)
class SignedHead:
    """A checkpoint and one signature under it, not judged.

    Attributes:
        checkpoint: origin, size and root.
        line: the signature.
    """

    checkpoint: Checkpoint
    line: NoteSignature

    @property
    def note(self) -> bytes:
        """The signed note, as it was signed."""
        return format_note(Note(self.checkpoint.text, (self.line,)))


@dataclass(frozen=True, slots=True)
class Evidence:
    """Two signed heads of one log that may contradict each other; nothing of it is judged.

    Attributes:
        first: the one of the smaller size; of one size, the one of the smaller root.
        second: the other one.
        prefix: where the sizes differ, what the second says of the first one's size.

    Raises:
        EvidenceMalformed: heads of two logs or in another order, one head twice, the empty tree, or
            a prefix where none belongs or none where one does.
    """

    first: SignedHead
    second: SignedHead
    prefix: Prefix | None

    def __post_init__(self) -> None:
        one, other = self.first.checkpoint, self.second.checkpoint
        if one.origin != other.origin:
            raise EvidenceMalformed("the two checkpoints are of two logs")
        if not 0 < one.size <= other.size:
            raise EvidenceMalformed("the smaller log comes first, and the empty one never")
        if one.size == other.size and one.root_hash >= other.root_hash:
            raise EvidenceMalformed("of one size, the smaller root comes first, and no root twice")
        if (one.size == other.size) != (self.prefix is None):
            raise EvidenceMalformed("a prefix belongs to two sizes, and to them only")

    @property
    def origin(self) -> str:
        """The log's permanent name."""
        return self.first.checkpoint.origin


def evidence_id(encoded: bytes) -> bytes:
    """SHA-256 of the file: the name of a piece of evidence."""
    return sha256(encoded).digest()


def make_evidence(one: bytes, other: bytes, prefix: Prefix | None = None) -> Evidence:
    """Put two notes in order.

    Args:
        one: a signed checkpoint, with one line.
        other: another.
        prefix: where their sizes differ, what the larger one says of the smaller one's size.

    Raises:
        TooLarge, NoteMalformed, CheckpointMalformed: not such notes.
        EvidenceMalformed: notes that cannot be put together; see :class:`Evidence`.
    """
    first, second = sorted(
        (_head(one), _head(other)),
        key=lambda head: (head.checkpoint.size, head.checkpoint.root_hash),
    )
    return Evidence(first, second, prefix)


def encode_evidence(evidence: Evidence) -> bytes:
    """The evidence as a file; the inverse of :func:`decode_evidence`."""
    prefix = evidence.prefix
    fields = {
        "first": evidence.first.note.decode("utf-8"),
        "format": FORMAT,
        "prefix": None
        if prefix is None
        else {
            "hashes": [format_base64(each) for each in prefix.hashes],
            "root": format_base64(prefix.root_hash),
        },
        "second": evidence.second.note.decode("utf-8"),
    }
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8") + b"\n"


def decode_evidence(encoded: bytes) -> Evidence:
    """Read an evidence file.

    Raises:
        TooLarge: over ``EVIDENCE_BYTES_MAX``.
        EvidenceMalformed: not evidence in its only form.
    """
    if len(encoded) > EVIDENCE_BYTES_MAX:
        raise TooLarge(f"evidence has at most {EVIDENCE_BYTES_MAX} bytes")
    try:
        fields = json.loads(encoded.decode("utf-8"))
    except (ValueError, RecursionError):
        raise EvidenceMalformed("evidence is JSON in UTF-8") from None
    if not isinstance(fields, dict) or fields.keys() != _FIELDS:
        raise EvidenceMalformed("not the fields of evidence")
    if fields["format"] != FORMAT:
        raise EvidenceMalformed(f"the format of the evidence is not {FORMAT}")
    try:
        first, second = (_head(_text(fields[name]).encode()) for name in ("first", "second"))
        evidence = Evidence(first, second, _prefix(fields["prefix"]))
    except (NoteMalformed, CheckpointMalformed, ProofMalformed) as error:
        raise EvidenceMalformed(error.message) from None
    if encode_evidence(evidence) != encoded:
        raise EvidenceMalformed("the evidence is not in its only form")
    return evidence


def _head(raw: bytes) -> SignedHead:
    note = parse_note(raw)
    if len(note.signatures) != 1:
        raise EvidenceMalformed("a note in evidence has the line of the accused key and no other")
    return SignedHead(parse_checkpoint(note.text), note.signatures[0])


def _prefix(value: object) -> Prefix | None:
    if value is None:
        return None
    if not isinstance(value, dict) or value.keys() != {"hashes", "root"}:
        raise EvidenceMalformed("a prefix has the fields hashes and root")
    hashes = value["hashes"]
    if not isinstance(hashes, list) or len(hashes) > PROOF_HASHES_MAX:
        raise EvidenceMalformed(f"a consistency proof has at most {PROOF_HASHES_MAX} hashes")
    return Prefix(_base64(value["root"]), tuple(_base64(each) for each in hashes))


def _text(value: object) -> str:
    # JSON can spell half of a surrogate pair, which no UTF-8 can carry.
    if not isinstance(value, str) or _SURROGATE.search(value):
        raise EvidenceMalformed("a text field of the evidence is not text")
    return value


def _base64(value: object) -> bytes:
    return parse_base64(_text(value), EvidenceMalformed, "a hash of the evidence")

"""The text that proves one entry of a log: C2SP tlog-proof.

    c2sp.org/tlog-proof@v1
    extra c2FsdA==                 optional, means nothing to the log and is not authenticated
    index 2
    YKU+7Q3oepDI5ZQnxZxG…          sibling hashes from the leaf up, base64, a line each
                                   an empty line
    node-a.example/0123…/live …    the checkpoint note, verbatim, with its cosignatures

Reading one proves nothing: note and hashes are judged elsewhere, as is what a leaf is made of.

Source: docs/spec/proofs.md; C2SP tlog-proof@v1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from federation.errors import ProofMalformed, TooLarge
from federation.protocol import limits
from federation.protocol.merkle import check_digests
from federation.protocol.texts import SIZE_LIMIT, format_base64, parse_base64, parse_decimal

TLOG_PROOF_HEADER: Final = "c2sp.org/tlog-proof@v1"
_EXTRA: Final = "extra "
_INDEX: Final = "index "


@dataclass(frozen=True, slots=True)
class TlogProof:
    """An entry's place in a log and the way from it to a checkpoint, none of it judged.

    Attributes:
        index: zero-based index of the entry.
        hashes: sibling hashes from the leaf up, 32 bytes each.
        extra: opaque bytes that nobody signed, or None; never empty.
        checkpoint_note: the signed checkpoint, verbatim.

    Raises:
        ProofMalformed, TooLarge: a part that the text cannot carry.
    """

    index: int
    hashes: tuple[bytes, ...]
    extra: bytes | None
    checkpoint_note: bytes

    def __post_init__(self) -> None:
        if not 0 <= self.index < SIZE_LIMIT:
            raise ProofMalformed("an index is between 0 and 2^63 - 1")
        if len(self.hashes) > limits.PROOF_HASHES_MAX:
            raise ProofMalformed(f"an inclusion proof has at most {limits.PROOF_HASHES_MAX} hashes")
        check_digests(self.hashes)
        if self.extra is not None and not self.extra:
            raise ProofMalformed("an extra that is empty is left out")
        if self.extra is not None and len(self.extra) > limits.TLOG_PROOF_EXTRA_BYTES_MAX:
            raise TooLarge(f"an extra has at most {limits.TLOG_PROOF_EXTRA_BYTES_MAX} bytes")
        if not self.checkpoint_note:
            raise ProofMalformed("the proof has no checkpoint")
        if len(self.checkpoint_note) > limits.NOTE_BYTES_MAX:
            raise TooLarge(f"a note has at most {limits.NOTE_BYTES_MAX} bytes")


def parse_tlog_proof(raw: bytes) -> TlogProof:
    """Read a tlog-proof, but for what its note says. Raises: ProofMalformed, TooLarge."""
    if len(raw) > limits.TLOG_PROOF_BYTES_MAX:
        raise TooLarge(f"a tlog-proof has at most {limits.TLOG_PROOF_BYTES_MAX} bytes")
    head, empty_line, note = raw.partition(b"\n\n")
    if not empty_line:
        raise ProofMalformed("no empty line separates the proof from the checkpoint")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise ProofMalformed("the proof is not ASCII") from None
    if lines[0] != TLOG_PROOF_HEADER:
        raise ProofMalformed(f"the first line is not {TLOG_PROOF_HEADER}")
    rest = lines[1:]
    extra = None
    if rest and rest[0].startswith(_EXTRA):
        extra = parse_base64(rest.pop(0)[len(_EXTRA) :], ProofMalformed, "the extra")
    if not rest or not rest[0].startswith(_INDEX):
        raise ProofMalformed("the proof does not say its index")
    index = parse_decimal(rest[0][len(_INDEX) :], ProofMalformed, "the index")
    hashes = rest[1:]
    if len(hashes) > limits.PROOF_HASHES_MAX:
        raise ProofMalformed(f"an inclusion proof has at most {limits.PROOF_HASHES_MAX} hashes")
    what = "a hash of the inclusion proof"
    digests = tuple(parse_base64(line, ProofMalformed, what) for line in hashes)
    return TlogProof(index, digests, extra, note)


def format_tlog_proof(proof: TlogProof) -> bytes:
    """Write a tlog-proof."""
    lines = [TLOG_PROOF_HEADER]
    if proof.extra is not None:
        lines.append(_EXTRA + format_base64(proof.extra))
    lines.append(f"{_INDEX}{proof.index}")
    lines.extend(format_base64(digest) for digest in proof.hashes)
    return "\n".join((*lines, "", "")).encode("ascii") + proof.checkpoint_note

"""Convictions: one file that proves that a member attested what it knew to be untrue.

JSON with exactly these fields, in its only form (sorted keys, no spaces, one final newline):

    attestation   the note of a status attestation that says ``active``
    format        "hash-federation/conviction/v1"
    statement     {"commitment": base64, "header": base64}: what it was about
    withdrawal    {"body", "hashes": [base64 …], "header", "index", "origin", "salt"}: a withdraw or
                  erase of it, and its inclusion proof to the head of that log that was attested

A file carries nothing that a judge does not check. Source: docs/spec/convictions.md.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

from federation.errors import BodyMalformed, HeaderMalformed, ProofMalformed, TooLarge
from federation.local_errors.proofs import ConvictionMalformed
from federation.protocol.limits import LOG_SIZE_MAX, PROOF_HASHES_MAX
from federation.protocol.limits_messages import CONVICTION_BYTES_MAX
from federation.protocol.merkle import check_digests
from federation.protocol.statements import Statement, erased_statement, opened_statement
from federation.protocol.texts import format_base64, parse_base64

FORMAT: Final = "hash-federation/conviction/v1"
_FIELDS: Final = frozenset({"attestation", "format", "statement", "withdrawal"})
_STATEMENT: Final = frozenset({"commitment", "header"})
_WITHDRAWAL: Final = frozenset({"body", "hashes", "header", "index", "origin", "salt"})
_SURROGATE = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Conviction:
    """An attestation and what it left out; nothing of it is judged.

    Attributes:
        attestation: the note's text.
        statement: what it was about, header and C alone.
        withdrawal: the withdraw or erase, opened.
        origin: the log that holds it.
        index: its place there, from 0.
        hashes: its inclusion proof to the head that was attested, 32 bytes each.
    """

    attestation: str
    statement: Statement
    withdrawal: Statement
    origin: str
    index: int
    hashes: tuple[bytes, ...]


def encode_conviction(conviction: Conviction) -> bytes:
    """The conviction as a file; the inverse of :func:`decode_conviction`."""
    opening = conviction.withdrawal.opening
    fields = {
        "attestation": conviction.attestation,
        "format": FORMAT,
        "statement": {
            "commitment": format_base64(conviction.statement.commitment),
            "header": format_base64(conviction.statement.header_bytes),
        },
        "withdrawal": {
            "body": "" if opening is None else format_base64(opening.body),
            "hashes": [format_base64(each) for each in conviction.hashes],
            "header": format_base64(conviction.withdrawal.header_bytes),
            "index": conviction.index,
            "origin": conviction.origin,
            "salt": "" if opening is None else format_base64(opening.salt),
        },
    }
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8") + b"\n"


def decode_conviction(encoded: bytes) -> Conviction:
    """Read a conviction file.

    Raises:
        TooLarge: over ``CONVICTION_BYTES_MAX``.
        ConvictionMalformed: not a conviction in its only form.
    """
    if len(encoded) > CONVICTION_BYTES_MAX:
        raise TooLarge(f"a conviction has at most {CONVICTION_BYTES_MAX} bytes")
    try:
        fields = json.loads(encoded.decode("utf-8"))
    except (ValueError, RecursionError):
        raise ConvictionMalformed("a conviction is JSON in UTF-8") from None
    if not isinstance(fields, dict) or fields.keys() != _FIELDS or fields["format"] != FORMAT:
        raise ConvictionMalformed("not the fields of a conviction")
    said, taken = fields["statement"], fields["withdrawal"]
    if not isinstance(said, dict) or said.keys() != _STATEMENT:
        raise ConvictionMalformed("not the fields of a statement")
    if not isinstance(taken, dict) or taken.keys() != _WITHDRAWAL:
        raise ConvictionMalformed("not the fields of a withdrawal")
    index, hashes = taken["index"], taken["hashes"]
    if type(index) is not int or not 0 <= index < LOG_SIZE_MAX:
        raise ConvictionMalformed("an index is a number below the largest log's size")
    if not isinstance(hashes, list) or len(hashes) > PROOF_HASHES_MAX:
        raise ConvictionMalformed(f"an inclusion proof has at most {PROOF_HASHES_MAX} hashes")
    try:
        statement = erased_statement(_base64(said["header"]), _base64(said["commitment"]))
        salt, body = _base64(taken["salt"]), _base64(taken["body"])
        withdrawal = opened_statement(_base64(taken["header"]), salt, body)
        proof = tuple(_base64(each) for each in hashes)
        check_digests(proof)
    except (HeaderMalformed, BodyMalformed, ProofMalformed) as error:
        raise ConvictionMalformed(error.message) from None
    text, origin = _text(fields["attestation"]), _text(taken["origin"])
    conviction = Conviction(text, statement, withdrawal, origin, index, proof)
    if encode_conviction(conviction) != encoded:
        raise ConvictionMalformed("the conviction is not in its only form")
    return conviction


def _text(value: object) -> str:
    # JSON can spell half of a surrogate pair, which no UTF-8 can carry.
    if not isinstance(value, str) or _SURROGATE.search(value):
        raise ConvictionMalformed("a text field of the conviction is not text")
    return value


def _base64(value: object) -> bytes:
    return parse_base64(_text(value), ConvictionMalformed, "a field of the conviction")

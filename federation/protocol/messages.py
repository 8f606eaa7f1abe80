"""Messages: what one node's HTTP bodies say to another's.

All are deterministic MessagePack (docs/spec/encoding.md). A message is a claim by the peer at the
other end of the connection; everything in it that matters carries its own proof and goes to the
judge. Statements travel as they rest: ``[header, salt, body]``, or ``[header, C]`` where erased.

Source: docs/spec/messages.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from federation.errors import BodyMalformed, EncodingMalformed, HeaderMalformed
from federation.local_errors.proofs import MessageMalformed
from federation.protocol.encoding import Decoded, decode_map
from federation.protocol.encoding_rows import decode_rows, encode_rows
from federation.protocol.encoding_writing import Value, encode_ordered
from federation.protocol.limits import (
    LOG_SIZE_MAX,
    NOTE_BYTES_MAX,
    PROOF_HASHES_MAX,
    ROSTER_VERSIONS_MAX,
)
from federation.protocol.limits_messages import (
    ANNOUNCE_BYTES_MAX,
    DIGEST_BYTES_MAX,
    EVIDENCE_BYTES_MAX,
    EVIDENCE_IN_MESSAGE_MAX,
    INLINE_STATEMENT_BYTES_MAX,
    INLINE_STATEMENTS_MAX,
    LOGS_IN_MESSAGE_MAX,
    RANGE_ANSWER_BYTES_MAX,
    RANGE_STATEMENTS_MAX,
)
from federation.protocol.merkle import DIGEST_BYTES
from federation.protocol.statements import Statement, erased_statement, opened_statement

RECEIPT_CHARACTERS_MAX = 8 * 1024
"""One signature line; ML-DSA-44 makes 3.3 kB of base64."""
OPENED_PARTS, ERASED_PARTS = 3, 2


def _forms(*names: str, optional: tuple[str, ...] = ()) -> Mapping[tuple[str, ...], None]:
    """The keys that a map may have, in their order: with any of the optional ones; all, first."""
    chosen = (
        each for count in range(len(optional), -1, -1) for each in combinations(optional, count)
    )
    return {tuple(sorted((*names, *each))): None for each in chosen}


_ANNOUNCEMENT = _forms("heads", "roster", optional=("evidence",))
_ANNOUNCEMENT_ANSWER = _forms("held", "roster")
_COMPARISON = _forms("roster", "vector")
_COMPARISON_ANSWER = _forms("roster", optional=("evidence", "heads"))
_HEAD = _forms("note", optional=("inline", "receipt"))
_HELD = _forms("log", "size", optional=("receipt",))


@dataclass(frozen=True, slots=True)
class AnnouncedHead:
    """A head the sender fully holds.

    Attributes:
        note: the signed checkpoint, verbatim.
        inline: the newest statements under it, in log order, ending at its size; may be empty.
        receipt: the sender's own mirror cosignature line on it; None for the sender's own log.
    """

    note: bytes
    inline: tuple[Statement, ...] = ()
    receipt: str | None = None


@dataclass(frozen=True, slots=True)
class Announcement:
    """``POST /v1/announce``: what is new.

    Attributes:
        heads: newest head of each log that the receiver may lack.
        roster_version: the sender's newest roster version.
        evidence: files against logs that the receiver may not know to be forked.
    """

    heads: tuple[AnnouncedHead, ...]
    roster_version: int
    evidence: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class HeldLog:
    """One log as the sender durably holds it.

    Attributes:
        log_sha256: SHA-256 of the origin.
        size: statements held.
        receipt: the sender's mirror cosignature line on the head of that size, if it made one.
    """

    log_sha256: bytes
    size: int
    receipt: str | None = None


@dataclass(frozen=True, slots=True)
class AnnouncementAnswer:
    """The answer to an announcement: what the receiver now holds of the logs announced.

    Attributes:
        held: one for each announced log that the receiver knows.
        roster_version: the receiver's newest roster version.
    """

    held: tuple[HeldLog, ...]
    roster_version: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """``POST /v1/digest``: the sender's head vector, as one hash.

    Attributes:
        vector: 32 bytes over all (log, size, root) that the sender fully holds.
        roster_version: the sender's newest roster version.
    """

    vector: bytes
    roster_version: int


@dataclass(frozen=True, slots=True)
class ComparisonAnswer:
    """The answer to a comparison.

    Attributes:
        heads: every head fully held, perhaps none; None where the vectors are equal.
        roster_version: the sender's newest roster version.
        evidence: where they are not, a file against each forked log.
    """

    heads: tuple[AnnouncedHead, ...] | None
    roster_version: int
    evidence: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class StatementRange:
    """``GET /v1/logs/{sha256}/statements``: consecutive statements and their proof.

    Attributes:
        start: index of the first.
        statements: at least one, never more than asked.
        proof: consistency proof from ``start + len(statements)`` to the size asked for.
    """

    start: int
    statements: tuple[Statement, ...]
    proof: tuple[bytes, ...]


# --- encode -------------------------------------------------------------------------------------
# Each map is written in key order, and every part of a message is of a kind that its field says.


def encode_announcement(message: Announcement) -> bytes:
    """Encode; the inverse of :func:`decode_announcement`."""
    return encode_ordered(_head_message(message.heads, message.roster_version, message.evidence))


def encode_announcement_answer(message: AnnouncementAnswer) -> bytes:
    """Encode; the inverse of :func:`decode_announcement_answer`."""
    held: list[Value] = [
        {"log": log.log_sha256, "size": log.size}
        if log.receipt is None
        else {"log": log.log_sha256, "receipt": log.receipt, "size": log.size}
        for log in message.held
    ]
    return encode_ordered({"held": held, "roster": message.roster_version})


def encode_comparison(message: Comparison) -> bytes:
    """Encode; the inverse of :func:`decode_comparison`."""
    return encode_ordered({"roster": message.roster_version, "vector": message.vector})


def encode_comparison_answer(message: ComparisonAnswer) -> bytes:
    """Encode; the inverse of :func:`decode_comparison_answer`."""
    return encode_ordered(_head_message(message.heads, message.roster_version, message.evidence))


def encode_range(message: StatementRange) -> bytes:
    """Encode; the inverse of :func:`decode_range`."""
    parts = [_statement_parts(statement) for statement in message.statements]
    return encode_range_parts(message.start, parts, message.proof)


def encode_range_parts(
    start: int, statements: Sequence[Sequence[bytes]], proof: Sequence[bytes]
) -> bytes:
    """As :func:`encode_range`, of the parts of statements as they rest: judged once, never opened.

    Args:
        start: index of the first.
        statements: each ``[header, salt, body]``, or ``[header, C]`` where erased.
        proof: as in :class:`StatementRange`.
    """
    return encode_rows({"from": start, "proof": list(proof), "statements": statements})


def _head_message(
    heads: tuple[AnnouncedHead, ...] | None, roster_version: int, evidence: tuple[bytes, ...]
) -> dict[str, Value]:
    fields: dict[str, Value] = {"evidence": evidence} if evidence else {}
    if heads is not None:
        fields["heads"] = [_head_fields(head) for head in heads]
    fields["roster"] = roster_version
    return fields


def _head_fields(head: AnnouncedHead) -> dict[str, Value]:
    fields: dict[str, Value] = {}
    if head.inline:
        fields["inline"] = [_statement_parts(statement) for statement in head.inline]
    fields["note"] = head.note
    if head.receipt is not None:
        fields["receipt"] = head.receipt
    return fields


def _statement_parts(statement: Statement) -> list[bytes]:
    if statement.opening is None:
        return [statement.header_bytes, statement.commitment]
    return [statement.header_bytes, statement.opening.salt, statement.opening.body]


# --- decode -------------------------------------------------------------------------------------


def decode_announcement(encoded: bytes) -> Announcement:
    """Decode the body of ``POST /v1/announce``.

    Raises:
        TooLarge: over ``ANNOUNCE_BYTES_MAX``.
        MessageMalformed: anything else that is not an announcement.
    """
    fields = _fields(encoded, ANNOUNCE_BYTES_MAX, _ANNOUNCEMENT)
    return Announcement(_heads(fields["heads"]), _roster_version(fields), _evidence(fields))


def decode_announcement_answer(encoded: bytes) -> AnnouncementAnswer:
    """Decode the answer to an announcement.

    Raises:
        TooLarge: over ``DIGEST_BYTES_MAX``.
        MessageMalformed: anything else that is not such an answer.
    """
    fields = _fields(encoded, DIGEST_BYTES_MAX, _ANNOUNCEMENT_ANSWER)
    held = []
    for value in _list(fields["held"], LOGS_IN_MESSAGE_MAX):
        log = _named(value, _HELD)
        size = _integer(log["size"], LOG_SIZE_MAX)
        held.append(HeldLog(_digest(log["log"]), size, _receipt(log.get("receipt"))))
    return AnnouncementAnswer(tuple(held), _roster_version(fields))


def decode_comparison(encoded: bytes) -> Comparison:
    """Decode the body of ``POST /v1/digest``.

    Raises:
        TooLarge: over ``ANNOUNCE_BYTES_MAX``.
        MessageMalformed: anything else that is not a comparison.
    """
    fields = _fields(encoded, ANNOUNCE_BYTES_MAX, _COMPARISON)
    return Comparison(_digest(fields["vector"]), _roster_version(fields))


def decode_comparison_answer(encoded: bytes) -> ComparisonAnswer:
    """Decode the answer to a comparison.

    Raises:
        TooLarge: over ``DIGEST_BYTES_MAX``.
        MessageMalformed: anything else that is not such an answer.
    """
    fields = _fields(encoded, DIGEST_BYTES_MAX, _COMPARISON_ANSWER)
    heads = _heads(fields["heads"]) if "heads" in fields else None
    if heads is None and "evidence" in fields:
        raise MessageMalformed("evidence comes with heads")
    return ComparisonAnswer(heads, _roster_version(fields), _evidence(fields))


def decode_range(encoded: bytes) -> StatementRange:
    """Decode a range of statements.

    Raises:
        TooLarge: over ``RANGE_ANSWER_BYTES_MAX``.
        MessageMalformed: anything else that is not a range.
    """
    try:
        value = decode_rows(
            encoded, bytes_max=RANGE_ANSWER_BYTES_MAX, rows_max=RANGE_STATEMENTS_MAX
        )
    except EncodingMalformed as error:
        raise MessageMalformed(error.message) from None
    # Every part is asked for its exact type here, which is all that decode_rows left open.
    if not isinstance(value, dict) or list(value) != ["from", "proof", "statements"]:
        raise MessageMalformed("a map of the fields from, proof, statements")
    start, proof, rows = value.values()
    if not rows or type(rows) is not list:
        raise MessageMalformed("a range holds at least one statement")
    if type(start) is not int or start < 0:
        raise MessageMalformed("a range starts at an index")
    return StatementRange(
        start=_integer(start, LOG_SIZE_MAX),
        statements=tuple([_statement(row) for row in rows]),
        proof=tuple(_digest(each) for each in _list(proof, PROOF_HASHES_MAX)),
    )


def _fields(
    encoded: bytes, bytes_max: int, forms: Mapping[tuple[str, ...], None]
) -> dict[str, Decoded]:
    try:
        fields = decode_map(encoded, bytes_max=bytes_max)
    except EncodingMalformed as error:
        raise MessageMalformed(error.message) from None
    return _named(fields, forms)


def _named(value: Decoded, forms: Mapping[tuple[str, ...], None]) -> dict[str, Decoded]:
    if not isinstance(value, dict) or tuple(value) not in forms:
        raise MessageMalformed(f"a map of the fields {', '.join(next(iter(forms)))}")
    return value


def _heads(value: Decoded) -> tuple[AnnouncedHead, ...]:
    heads = []
    for part in _list(value, LOGS_IN_MESSAGE_MAX):
        head = _named(part, _HEAD)
        note = head["note"]
        if not isinstance(note, bytes) or len(note) > NOTE_BYTES_MAX:
            raise MessageMalformed("a note is bytes")
        inline = _inline(head["inline"]) if "inline" in head else ()
        heads.append(AnnouncedHead(note, inline, _receipt(head.get("receipt"))))
    return tuple(heads)


def _evidence(fields: dict[str, Decoded]) -> tuple[bytes, ...]:
    if "evidence" not in fields:
        return ()
    files = _list(fields["evidence"], EVIDENCE_IN_MESSAGE_MAX)
    kept = tuple(each for each in files if isinstance(each, bytes))
    if not files or len(kept) != len(files) or max(map(len, kept)) > EVIDENCE_BYTES_MAX:
        raise MessageMalformed(f"evidence is files of at most {EVIDENCE_BYTES_MAX} bytes, or none")
    return kept


def _inline(value: Decoded) -> tuple[Statement, ...]:
    statements = _statements(value, INLINE_STATEMENTS_MAX)
    if not statements:
        raise MessageMalformed("an inline that is empty is left out")
    if any(each.bytes_on_wire > INLINE_STATEMENT_BYTES_MAX for each in statements):
        raise MessageMalformed(f"a statement over {INLINE_STATEMENT_BYTES_MAX} bytes is pulled")
    return statements


def _statements(value: Decoded, count_max: int) -> tuple[Statement, ...]:
    return tuple(_statement(parts) for parts in _list(value, count_max))


def _statement(value: Decoded) -> Statement:
    try:
        if type(value) is list and len(value) == OPENED_PARTS:
            header, salt, body = value
            if type(header) is type(salt) is type(body) is bytes:
                return opened_statement(header, salt, body)
        elif type(value) is list and len(value) == ERASED_PARTS:
            header, commitment = value
            if type(header) is type(commitment) is bytes:
                return erased_statement(header, commitment)
    except (HeaderMalformed, BodyMalformed) as error:
        raise MessageMalformed(error.message) from None
    raise MessageMalformed("a statement is [header, salt, body] or [header, C]")


def _receipt(value: Decoded | None) -> str | None:
    if value is not None and not (isinstance(value, str) and len(value) <= RECEIPT_CHARACTERS_MAX):
        raise MessageMalformed("a receipt is one signature line")
    return value


def _roster_version(fields: dict[str, Decoded]) -> int:
    return _integer(fields["roster"], ROSTER_VERSIONS_MAX)


def _list(value: Decoded, count_max: int) -> Sequence[Decoded]:
    if not isinstance(value, list) or len(value) > count_max:
        raise MessageMalformed(f"a list of at most {count_max}")
    return value


def _integer(value: Decoded, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value > most:
        raise MessageMalformed(f"an integer of at most {most}")
    return value


def _digest(value: Decoded) -> bytes:
    if not isinstance(value, bytes) or len(value) != DIGEST_BYTES:
        raise MessageMalformed("a hash has 32 bytes")
    return value

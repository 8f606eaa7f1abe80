"""Headers and statement ids: the part of a statement that is never erased.

A header holds no signal and no free text: who says what kind of thing about which statements, in
which federation, and when by their own clock.

Source: docs/spec/headers.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from federation import errors
from federation.protocol import limits
from federation.protocol.encoding import Decoded, decode_map
from federation.protocol.origins import check_member_name

FEDERATION_ID_BYTES: Final = 16
_ID_TEXT = re.compile(r"st_[0-9a-f]{64}\Z")
_KIND = re.compile(r"[a-z][a-z0-9-]{0,31}\Z")


class StatementId(NamedTuple):  # looked up wherever a statement is: hashed without a call
    """A statement's id: its 32-byte entry, the same in every lane, epoch and branch."""

    entry: bytes

    def __str__(self) -> str:
        return f"st_{self.entry.hex()}"


def parse_statement_id(text: str) -> StatementId:
    """Read ``st_`` and 64 lower-case hex digits. Raises: RequestMalformed: anything else."""
    if not _ID_TEXT.match(text):
        raise errors.RequestMalformed("a statement id is st_ and 64 lower-case hex digits")
    return StatementId(bytes.fromhex(text[3:]))


@dataclass(frozen=True, slots=True)
class Header:
    """The part of a statement that is never erased.

    Attributes:
        federation_id: 32 hex digits; the judge refuses any other federation's.
        member: who says it; the judge refuses any but the log's own member.
        kind: a :class:`Kind`, or the name of one that a later release defines.
        references: the statements it is about.
        claimed_at_ms: the member's own clock, Unix milliseconds: a claim, never a proof.
        version: the format version it was written in.
    """

    federation_id: str
    member: str
    kind: str
    references: tuple[StatementId, ...] = ()
    claimed_at_ms: int = 0
    version: int = limits.FORMAT_VERSION


_HEADER_FIELDS: Final = frozenset({"at", "fed", "kind", "member", "refs", "v"})

# How a header that refers to nothing begins: five fields, the time first, in eight bytes.
_TIMED: Final = b"\x85\xa2at\xcf"
_TIME_END: Final = len(_TIMED) + 8
_TIME_OF_EIGHT_BYTES_MIN: Final = 2**32
_TIMED_BYTES_MAX: Final = 256


def decode_header(encoded: bytes) -> Header:
    """Read a header, of a higher version too, in its only encoding. Raises: HeaderMalformed."""
    if encoded[: len(_TIMED)] == _TIMED and _TIME_END < len(encoded) <= _TIMED_BYTES_MAX:
        return _decode_timed(encoded)
    return _decode_strictly(encoded)


@lru_cache(maxsize=256)  # what one import says at one time has one header
def _decode_timed(encoded: bytes) -> Header:
    at_ms = int.from_bytes(encoded[len(_TIMED) : _TIME_END], "big")
    if not _TIME_OF_EIGHT_BYTES_MIN <= at_ms <= limits.INTEGER_MAX:
        return _decode_strictly(encoded)
    said = _decode_after_time(encoded[_TIME_END:])
    return Header(said.federation_id, said.member, said.kind, (), at_ms, said.version)


@lru_cache(maxsize=1_024)
def _decode_after_time(rest: bytes) -> Header:
    """The header of those bytes after some time: a log's differ in nothing else.

    A time in eight bytes is read alike whatever follows it, and what follows is read alike whatever
    time stands before it, so one strict reading speaks for all; failures are not remembered.
    """
    return _decode_strictly(_TIMED + _TIME_OF_EIGHT_BYTES_MIN.to_bytes(8, "big") + rest)


def _decode_strictly(encoded: bytes) -> Header:
    try:
        return _read(decode_map(encoded, bytes_max=limits.HEADER_BYTES_MAX))
    except (errors.EncodingMalformed, errors.MemberNameMalformed, errors.TooLarge) as error:
        raise errors.HeaderMalformed(error.message) from None


def _read(fields: Mapping[str, Decoded]) -> Header:
    version = _integer(fields, "v")
    if version < 1:
        raise errors.HeaderMalformed("versions of the format start at 1")
    if version <= limits.FORMAT_VERSION and not fields.keys() <= _HEADER_FIELDS:
        raise errors.HeaderMalformed("an unknown field in the header")
    federation_id, kind, member = fields.get("fed"), fields.get("kind"), fields.get("member")
    if not isinstance(federation_id, bytes) or len(federation_id) != FEDERATION_ID_BYTES:
        raise errors.HeaderMalformed(f"the federation id has {FEDERATION_ID_BYTES} bytes")
    if not isinstance(kind, str) or not _KIND.match(kind):
        raise errors.HeaderMalformed("the kind is a short lower-case word")
    if not isinstance(member, str):
        raise errors.HeaderMalformed("the member is text")
    check_member_name(member)
    return Header(
        federation_id=federation_id.hex(),
        member=member,
        kind=kind,
        references=_references(fields.get("refs")),
        claimed_at_ms=_integer(fields, "at"),
        version=version,
    )


def _references(value: Decoded | None) -> tuple[StatementId, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not 1 <= len(value) <= limits.REFERENCES_MAX:
        raise errors.HeaderMalformed(
            f"a header refers to between 1 and {limits.REFERENCES_MAX} statements"
        )
    references = []
    for entry in value:
        if not isinstance(entry, bytes) or len(entry) != limits.STATEMENT_ID_BYTES:
            raise errors.HeaderMalformed("a reference is a statement id of 32 bytes")
        references.append(StatementId(entry))
    if len(set(references)) != len(references):
        raise errors.HeaderMalformed("a statement is referred to twice")
    return tuple(references)


def _integer(fields: Mapping[str, Decoded], name: str) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise errors.EncodingMalformed(f"{name} is an integer")
    return value

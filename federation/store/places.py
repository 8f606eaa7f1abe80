"""Places and keys: how the rows of all logs stand in one table, and how they are found again.

    place   stem * 2^40 + index; a stem is one branch of one log (:mod:`federation.store.stems`)
    hkey    the first 8 bytes of a hash, as the signed integer that SQLite stores in 8 bytes

Two statements may share an hkey: by accident hardly ever, on purpose at 2^32 hashes for a pair of
the maker's own. A row found by hkey is therefore compared by its whole value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from struct import Struct
from typing import Final

from federation.protocol.headers import StatementId
from federation.protocol.limits import LOG_SIZE_MAX
from federation.protocol.origins import LogId
from federation.protocol.signals import SignalType
from federation.protocol.statements import Opening, Statement, commitment_of
from federation.store.database import Row

INDEX_BITS: Final = LOG_SIZE_MAX.bit_length() - 1
_INDEX_MASK: Final = LOG_SIZE_MAX - 1
_HKEY: Final = Struct(">q24x")

COMMITMENT_KEPT_BODY_BYTES: Final = 1024
"""From this body length on a row keeps its commitment too. A proof reads up to 256 neighbours: they
need not hash 64 KiB each, and 32 bytes are at most 3 % of such a row."""

STATEMENT_COLUMNS: Final = "place, header, salt, commitment, body"
"""What :func:`statement_of` reads, in this order."""


@dataclass(frozen=True, slots=True)
class StoredStatement:
    """A statement as it was stored; the judge alone makes a verified one of it again.

    Attributes:
        log: the log it stands in.
        branch: which branch of it; 0 where the log never forked.
        index: its place there, from 0.
        statement: the bytes, verbatim.
    """

    log: LogId
    branch: int
    index: int
    statement: Statement


def place_of(stem: int, index: int) -> int:
    """The row number of a statement."""
    return stem << INDEX_BITS | index


def split_place(place: int) -> tuple[int, int]:
    """Stem and index of a row number."""
    return place >> INDEX_BITS, place & _INDEX_MASK


def hkey_of(digest: bytes) -> int:
    """The hkey of a 32-byte hash."""
    return int.from_bytes(digest[:8], "big", signed=True)


def hkeys_of(digests: Sequence[bytes]) -> list[int]:
    """The hkeys of hashes of 32 bytes each: as :func:`hkey_of`, at a third of the cost."""
    return [hkey for (hkey,) in _HKEY.iter_unpack(b"".join(digests))]


def id_hkey(statement_id: StatementId) -> int:
    """Where a statement id is found."""
    return hkey_of(statement_id.entry)


_TYPE_TAGS: Final = {kind: kind.encode() + b"\0" for kind in SignalType}


def signal_hkey(signal_type: SignalType, identity: bytes) -> int:
    """Where a signal is found; hashed, so that nobody chooses which signals are neighbours.

    A video has one row like any other signal, not one for each frame: frames are found in memory,
    and the store is asked for the video. So 1,500 frames cost 16 bytes here, not 24,000.

    Args:
        signal_type: its type.
        identity: its value, or what stands for it (``protocol.signals.identity_of``).
    """
    return hkey_of(signal_digest(signal_type, identity))


def signal_digest(signal_type: SignalType, identity: bytes) -> bytes:
    """The hash of a signal that its hkey begins; see :func:`signal_hkey`."""
    return sha256(_TYPE_TAGS[signal_type] + identity).digest()


def row_of(place: int, statement: Statement, *, unread: bool) -> Row:
    """A statement's row: place, unread, header, salt, commitment, body."""
    opening = statement.opening
    if opening is None:
        return (place, unread, statement.header_bytes, None, statement.commitment, None)
    is_long = len(opening.body) >= COMMITMENT_KEPT_BODY_BYTES
    return (
        place,
        unread,
        statement.header_bytes,
        opening.salt,
        statement.commitment if is_long else None,
        opening.body,
    )


def statement_of(row: Row) -> Statement:
    """The statement of a row of ``STATEMENT_COLUMNS``; its commitment is hashed, not believed."""
    _, header_bytes, salt, commitment, body = row
    if body is None:
        return Statement(header_bytes, commitment, None)
    opening = Opening(salt, body)
    return Statement(header_bytes, commitment_of(opening), opening)

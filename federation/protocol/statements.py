"""Statements: what a member says, as a header and a salted, erasable body.

    C      = SHA-256(commitment tag ‖ salt ‖ body)
    entry  = SHA-256(entry tag ‖ C ‖ header)         the log leaf's content and the statement id

Salt and body can be erased without breaking a proof: the entry needs only C. Bytes that were
signed are kept verbatim; headers and bodies are readings of them.

Source: docs/spec/statements.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256

from federation.errors import BodyMalformed, HeaderMalformed
from federation.protocol import limits
from federation.protocol.headers import StatementId


@dataclass(frozen=True, slots=True)
class Opening:
    """What opens a commitment: ``SALT_BYTES`` random bytes, and the encoded body, verbatim."""

    salt: bytes
    body: bytes

    def __repr__(self) -> str:
        """Without the body, which holds signals."""
        return f"Opening({len(self.body)} bytes)"


@dataclass(frozen=True)
class Statement:
    """One statement as it travels and rests: verbatim bytes.

    Attributes:
        header_bytes: the encoded header, verbatim.
        commitment: C, 32 bytes.
        opening: salt and body, or None where they were erased.
    """

    header_bytes: bytes
    commitment: bytes
    opening: Opening | None = field(repr=False, hash=False)  # C says which

    @property
    def id(self) -> StatementId:
        """The entry that commits to header and C."""
        known: StatementId | None = self.__dict__.get("_id")  # cached_property would take a lock
        if known is None:
            known = StatementId(
                sha256(limits.ENTRY_TAG + self.commitment + self.header_bytes).digest()
            )
            self.__dict__["_id"] = known
        return known

    @property
    def bytes_on_wire(self) -> int:
        """About how many bytes it takes in a message: for size limits, not for signing."""
        opened = (
            limits.SALT_BYTES + len(self.opening.body) if self.opening else len(self.commitment)
        )
        return len(self.header_bytes) + opened + 12


def commitment_of(opening: Opening) -> bytes:
    """C, 32 bytes: SHA-256 over tag, salt and body."""
    return sha256(limits.COMMITMENT_TAG + opening.salt + opening.body).digest()


def opened_statement(header_bytes: bytes, salt: bytes, body: bytes) -> Statement:
    """The statement of a header, salt and body. Raises: HeaderMalformed, BodyMalformed."""
    _check_header_size(header_bytes)
    opening = Opening(salt, body)
    check_opening_sizes(opening)
    return Statement(header_bytes, commitment_of(opening), opening)


def erased_statement(header_bytes: bytes, commitment: bytes) -> Statement:
    """The statement of a header and C alone. Raises: HeaderMalformed, BodyMalformed."""
    _check_header_size(header_bytes)
    if len(commitment) != limits.STATEMENT_ID_BYTES:
        raise BodyMalformed("a commitment has 32 bytes")
    return Statement(header_bytes, commitment, None)


def check_opening_sizes(opening: Opening) -> None:
    """Accept a salt and a body of sizes that they can have. Raises: BodyMalformed."""
    if len(opening.salt) != limits.SALT_BYTES:
        raise BodyMalformed(f"a salt has {limits.SALT_BYTES} bytes")
    if not 1 <= len(opening.body) <= limits.BODY_BYTES_MAX:
        raise BodyMalformed(f"a body has between 1 and {limits.BODY_BYTES_MAX} bytes")


def _check_header_size(header_bytes: bytes) -> None:
    if not 1 <= len(header_bytes) <= limits.HEADER_BYTES_MAX:
        raise HeaderMalformed(f"a header has between 1 and {limits.HEADER_BYTES_MAX} bytes")

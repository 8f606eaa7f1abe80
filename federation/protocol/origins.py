"""Names: members, federations, lanes, logs and cosigners.

    origin    <member>/<federation id>/<lane>[/<epoch>]      the name of a log, for ever
    cosigner  <member>/<federation id>/witness | mirror

A member's name is a lower-case DNS name, so it holds no ``/``, ``+``, space or look-alike letter.
Epoch 0 is the log a member starts with and is not written; a restart ordered by the roster opens
epoch 1. On the wire and in URLs a log is named by the SHA-256 of its origin.

Source: docs/spec/origins.md; C2SP tlog-checkpoint for what an origin is.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import Final, NamedTuple, Self

from federation.errors import MemberNameMalformed, OriginMalformed
from federation.protocol.limits import EPOCH_MAX, MEMBER_CHARACTERS_MAX, ORIGIN_BYTES_MAX

FEDERATION_ID_CHARACTERS: Final = 32
_DNS_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_MEMBER_NAME = re.compile(rf"{_DNS_LABEL}(?:\.{_DNS_LABEL})*\Z")
_FEDERATION_ID = re.compile(r"[0-9a-f]{32}\Z")
_EPOCH = re.compile(r"[1-9][0-9]{0,3}\Z")


class Lane(StrEnum):
    """The three logs of a member, most urgent first; no statement waits behind a lower lane."""

    CRISIS = "crisis"
    LIVE = "live"
    BULK = "bulk"


class Cosigner(StrEnum):
    """The two roles in which a member cosigns other members' checkpoints."""

    WITNESS = "witness"
    MIRROR = "mirror"


def check_member_name(name: str) -> None:
    """Accept a lower-case DNS name of at most ``MEMBER_CHARACTERS_MAX`` characters, without xn--.

    Raises:
        MemberNameMalformed: anything else; ``xn--`` shows as look-alike letters.
    """
    if (
        len(name) > MEMBER_CHARACTERS_MAX
        or not _MEMBER_NAME.match(name)
        or any(label.startswith("xn--") for label in name.split("."))
    ):
        raise MemberNameMalformed("a member is named by a lower-case DNS name without xn-- labels")


def check_federation_id(federation_id: str) -> None:
    """Accept 32 lower-case hex digits. Raises: OriginMalformed: anything else."""
    if not _FEDERATION_ID.match(federation_id):
        raise OriginMalformed("a federation id is 32 lower-case hex digits")


def federation_id_of(first_root: bytes) -> str:
    """The federation's id: the first 32 hex digits of SHA-256 of its ``1.root.json``."""
    return sha256(first_root).hexdigest()[:FEDERATION_ID_CHARACTERS]


class _Log(NamedTuple):  # all that is known of a log is looked up by it: hashed without a call
    member: str
    federation_id: str
    lane: Lane
    epoch: int


class LogId(_Log):
    """One log: a member's lane and epoch."""

    def __new__(cls, member: str, federation_id: str, lane: Lane, epoch: int = 0) -> Self:
        """Raises: MemberNameMalformed, OriginMalformed."""
        check_member_name(member)
        check_federation_id(federation_id)
        if not 0 <= epoch <= EPOCH_MAX:
            raise OriginMalformed(f"an epoch is between 0 and {EPOCH_MAX}")
        return super().__new__(cls, member, federation_id, lane, epoch)

    @cached_property
    def origin(self) -> str:
        """The log's permanent name, the first line of its checkpoints."""
        suffix = f"/{self.epoch}" if self.epoch else ""
        return f"{self.member}/{self.federation_id}/{self.lane}{suffix}"

    @cached_property
    def sha256(self) -> bytes:
        """SHA-256 of the origin, 32 bytes: how peers name the log."""
        return sha256(self.origin.encode("ascii")).digest()

    def __str__(self) -> str:
        return self.origin


@lru_cache(maxsize=4_096)  # each head that is heard names one; at 1 kB, of 1,000 members and some
def parse_origin(origin: str) -> LogId:
    """The log of that origin. Raises: OriginMalformed: not an origin of this protocol."""
    if len(origin) > ORIGIN_BYTES_MAX:
        raise OriginMalformed(f"an origin has at most {ORIGIN_BYTES_MAX} bytes")
    parts = origin.split("/")
    if len(parts) not in (3, 4):
        raise OriginMalformed("an origin is <member>/<federation id>/<lane>[/<epoch>]")
    epoch = 0
    if len(parts) == 4:  # noqa: PLR2004 - the optional fourth part
        if not _EPOCH.match(parts[3]):
            raise OriginMalformed("an epoch is a number from 1 without leading zeros")
        epoch = int(parts[3])
    try:
        return LogId(parts[0], parts[1], Lane(parts[2]), epoch)
    except (MemberNameMalformed, ValueError):
        raise OriginMalformed("an origin names a member, and one of crisis, live, bulk") from None


def cosigner_name(member: str, federation_id: str, cosigner: Cosigner) -> str:
    """The C2SP key name of a member's role. Raises: MemberNameMalformed, OriginMalformed."""
    check_member_name(member)
    check_federation_id(federation_id)
    return f"{member}/{federation_id}/{cosigner}"

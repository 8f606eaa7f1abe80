"""Roles: what a member of the roster may ask another member's node for.

One table, asked per request by the peer listener and by whoever decides whom to send bodies to.
Data proves itself, whoever passes it on; who may *read* is the roster's to say, and only while a
member is active.

Source: docs/spec/roster.md, "Roles".
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from federation.local_errors.askers import RoleNotEnough
from federation.protocol.roster_members import Member, MemberRole, MemberStatus


class Call(StrEnum):
    """What can be asked of a node by a member that has proven its name."""

    ANNOUNCE = "announce"
    """Say what is new: heads, statements inline, evidence; the answer may carry receipts."""

    HEADS = "heads"
    """Long-poll for the same, by a node that cannot be reached; it brings bodies."""

    DIGEST = "digest"
    """Compare head vectors: signed heads and receipts, no statement."""

    STATEMENTS = "statements"
    """Headers, salts and bodies."""

    CHECKPOINT = "checkpoint"
    """The newest head of a log at once, without the delay that the public has."""

    PREFIX = "prefix"
    """What a branch of a log was at an earlier size: hashes alone."""

    ROSTER = "roster"
    """A roster version."""

    ATTEST = "attest"
    """A signed answer about what is in force."""

    ADD_CHECKPOINT = "add-checkpoint"
    """A witness's cosignature on one's own log's head."""


_READS: Final = frozenset({Call.HEADS, Call.STATEMENTS})
_LOOKS: Final = frozenset({Call.CHECKPOINT, Call.DIGEST, Call.PREFIX, Call.ROSTER})

CALLS_OF: Final[Mapping[MemberRole, frozenset[Call]]] = MappingProxyType(
    {
        MemberRole.MEMBER: frozenset(Call),
        # It has nothing of its own to say, and passes on what others said.
        MemberRole.OBSERVER: _READS | _LOOKS | {Call.ANNOUNCE, Call.ATTEST},
        MemberRole.AUDITOR: _LOOKS | {Call.ATTEST},
        MemberRole.WITNESS: _LOOKS,
    }
)
"""What each role may ask for; a member with several roles may ask for all of theirs."""


def may(member: Member, call: Call) -> bool:
    """Whether a member may ask for that; nothing while it is suspended or after it departed."""
    return member.is_active and any(call in CALLS_OF[role] for role in member.roles)


def check_may(member: Member, call: Call) -> None:
    """Accept a member's request for what its roles allow.

    Raises:
        RoleNotEnough: it is not active, or none of its roles allows that.
    """
    if member.status is not MemberStatus.ACTIVE:
        raise RoleNotEnough(f"{member.name} is {member.status}")
    if not may(member, call):
        roles = " and ".join(sorted(member.roles))
        raise RoleNotEnough(f"{member.name} is {roles} here, which does not allow {call}")


def reads_bodies(member: Member) -> bool:
    """Whether statements may be shown to it: asked for, announced inline, or in an answer."""
    return may(member, Call.STATEMENTS)

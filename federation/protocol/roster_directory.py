"""Looking things up in a roster, as a node does that is spoken to and speaks.

An auditor needs none of it: whose key signed is asked of the roster itself.

Source: docs/spec/roster.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from federation.errors import LogUnknown
from federation.local_errors.proofs import RosterExpired
from federation.protocol.keys import KeyType, VerifierKey
from federation.protocol.origins import Cosigner, Lane, LogId, cosigner_name
from federation.protocol.roster import Roster


def active_logs(roster: Roster) -> tuple[LogId, ...]:
    """The logs of active members, pinned ones included, by member, lane and epoch."""
    return tuple(log for log in roster.logs if roster.members[log.member].is_active)


def newest_log(roster: Roster, member: str, lane: Lane) -> LogId:
    """The log that a member publishes a lane to: of the newest epoch; of the first for nobody."""
    found = roster.members.get(member)
    epochs = [log.epoch for log in found.logs if log.lane is lane] if found else []
    return LogId(member, roster.federation_id, lane, max(epochs, default=0))


def log_by_sha256(roster: Roster, origin_sha256: bytes) -> LogId:
    """The log whose origin has that SHA-256, as peers name logs.

    Raises:
        LogUnknown: the roster holds none.
    """
    found = _logs_by_sha256(roster).get(origin_sha256)
    if found is None:
        raise LogUnknown("the roster holds no log of that name")
    return found


# Two rosters: the one in force and, while it is being judged, the next.
@lru_cache(maxsize=2)
def _logs_by_sha256(roster: Roster) -> Mapping[bytes, LogId]:
    return {log.sha256: log for log in roster.logs}


def tls_identities(roster: Roster) -> dict[str, tuple[bytes, ...]]:
    """Name to pinned identities (DER) of every active member that has one.

    All of them, not the newest alone: while an identity is being rotated, the member's node may
    still run under the former, and stops being taken for it when governance takes that one out.
    """
    return {
        member.name: member.tls_identities
        for member in roster.members.values()
        if member.is_active and member.tls_identities
    }


def former_tls_identities(roster: Roster) -> dict[str, tuple[bytes, ...]]:
    """The same of members that are suspended or departed: nobody lets them in under these."""
    return {
        member.name: member.tls_identities
        for member in roster.members.values()
        if not member.is_active and member.tls_identities
    }


def check_unexpired(roster: Roster, now_ms: int) -> None:
    """Accept a roster that may still admit members and keys.

    Raises:
        RosterExpired: it is past its expiry.
    """
    if roster.is_expired(now_ms):
        raise RosterExpired(f"version {roster.version} of the roster has expired")


def log_mldsa44_vkey(roster: Roster, log: LogId) -> VerifierKey | None:
    """The ML-DSA-44 key of a log's second line; None where the roster holds none.

    It is of the lane's newest epoch: an ended one signs nothing more.
    """
    member = roster.members.get(log.member)
    public = dict(member.mldsa44_keys).get(log.lane) if member else None
    if (
        public is None
        or LogId(log.member, log.federation_id, log.lane, log.epoch + 1) in roster.logs
    ):
        return None
    return VerifierKey(log.origin, KeyType.COSIGNATURE_MLDSA44, public)


def cosigner_mldsa44_vkey(roster: Roster, member: str, cosigner: Cosigner) -> VerifierKey | None:
    """The ML-DSA-44 key of a cosigner's second line; None where the roster holds none."""
    found = roster.members.get(member)
    public = dict(found.mldsa44_keys).get(cosigner) if found else None
    if public is None:
        return None
    name = cosigner_name(member, roster.federation_id, cosigner)
    return VerifierKey(name, KeyType.COSIGNATURE_MLDSA44, public)

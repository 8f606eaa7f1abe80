"""The roster chain: every version from the first, each signed by those who governed before it.

Version N+1 counts when the threshold of N's governors and the threshold of its own have signed it.
Only the bytes of version 1 are trusted. A version in the middle may have expired, as TUF allows.
What TUF does not ask, and is asked here: nothing that a version said is unsaid by the next. A node
that joins in ten years has to judge statements made today.

Source: docs/spec/roster.md, where the steps are numbered; TUF specification 1.0.34, section 5.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from federation.errors import RosterUnproven
from federation.protocol.roster import Roster, parse_roster
from federation.protocol.roster_members import Member
from federation.protocol.roster_root import SignedRoot, count_signatures, format_signatures


@dataclass(frozen=True)
class RosterChain:
    """A proven chain; made by :meth:`trust` and :meth:`extend` only.

    Attributes:
        versions: ``1.root.json``, ``2.root.json`` and so on, verbatim.
        newest: the roster of the last of them.
        decisions: the decision digest of each version, 32 bytes.
    """

    versions: tuple[bytes, ...] = field(repr=False)
    newest: Roster
    _owners: Mapping[bytes, str] = field(repr=False, compare=False)
    decisions: tuple[bytes, ...] = field(default=(), repr=False, compare=False)

    @classmethod
    def trust(cls, first_root_bytes: bytes) -> RosterChain:
        """The chain of version 1 alone, whose bytes its holder trusts.

        Raises:
            ProtocolError: see :func:`~federation.protocol.roster.parse_roster`.
            RosterUnproven: another version, or too few of its own governors signed it (9).
        """
        roster = parse_roster(first_root_bytes)
        if roster.version != 1:
            raise RosterUnproven("the root of trust is version 1 of a roster")
        _check_signatures(roster.metadata, None)
        owners = {key: owner for owner, key in roster.owned()}
        return cls((first_root_bytes,), roster, MappingProxyType(owners), (roster.decision_sha256,))

    @property
    def federation_id(self) -> str:
        """32 hex digits, derived from version 1."""
        return self.newest.federation_id

    def extend(self, next_root_bytes: bytes) -> RosterChain:
        """The chain with one more version; this one stays as it is.

        Raises:
            ProtocolError: see :func:`~federation.protocol.roster.parse_roster`.
            RosterUnproven: see :meth:`follow`.
        """
        return self.follow(parse_roster(next_root_bytes))

    def follow(self, roster: Roster) -> RosterChain:
        """The same for a version that was read already.

        Raises:
            RosterUnproven: not the next version of this federation (9), too few signatures (10),
                or it unsays what an earlier version said (11).
        """
        # (9) Exactly the next version of this federation: no gap, and no version twice.
        if roster.federation_id != self.federation_id:
            raise RosterUnproven("the roster is another federation's")
        follows = self.newest.version + 1
        if roster.version != follows:
            raise RosterUnproven(f"version {roster.version} of the roster where {follows} follows")
        _check_signatures(roster.metadata, self.newest.metadata)
        self.check_continues(roster)
        owners = {**self._owners, **{key: owner for owner, key in roster.owned()}}
        versions = (*self.versions, roster.root_bytes)
        decisions = (*self.decisions, roster.decision_sha256)
        return RosterChain(versions, roster, MappingProxyType(owners), decisions)

    def check_continues(self, following: Roster) -> None:
        """Accept a roster that unsays nothing, whoever signed it (step 11).

        Raises:
            RosterUnproven: a key changes hands; a limit shrinks; a member, log, key of a log or
                governance decision disappears; or one governor alone would decide again.
        """
        before = self.newest
        for owner, key in following.owned():
            if self._owners.get(key, owner) != owner:
                raise RosterUnproven(f"a key of {self._owners[key]} would become one of {owner}")
        for name in ("log_size", "epochs", "body_bytes"):
            if getattr(following.limits, name) < getattr(before.limits, name):
                raise RosterUnproven(f"the limit {name} would shrink below what is already stored")
        if not (before.withdrawn <= following.withdrawn and before.erased <= following.erased):
            raise RosterUnproven("a statement that governance took back would come back")
        if following.is_laptop_federation and not before.is_laptop_federation:
            raise RosterUnproven("one governor alone would decide where several did")
        for member in before.members.values():
            _check_kept(member, following.members.get(member.name))


def _check_signatures(metadata: SignedRoot, before: SignedRoot | None) -> None:
    # (10) Enough governors on both sides, by TUF's rule, and no signature that counts for neither:
    # what nobody needs, anybody could have added.
    result = count_signatures(metadata, before)
    if not result.verified:
        signed, version = format_signatures(result, before), metadata.signed.version
        raise RosterUnproven(f"version {version} of the roster is signed by {signed}")
    if metadata.signatures.keys() - result.signed.keys():
        raise RosterUnproven("a signature on the roster is no governor's, or does not verify")


def _check_kept(before: Member, after: Member | None) -> None:
    if after is None:
        raise RosterUnproven(f"{before.name} would disappear; a member that leaves is departed")
    logs = {(log.lane, log.epoch): log for log in after.logs}
    for log in before.logs:
        kept = logs.get((log.lane, log.epoch))
        keys = [key.public for key in log.keys]
        if kept is None or [key.public for key in kept.keys[: len(keys)]] != keys:
            raise RosterUnproven(f"a {log.lane} log of {before.name} would lose its history")

"""What a person needs to decide when signing has stopped, and what follows from the decision.

Three sources say how far an own log goes: the guard's file, the database, and the peers. Where a
peer's head, signed by this node's own key, goes on from what the database holds, the statements
between can be taken back in (a restored backup). Where it does not, somebody signed another
history: that takes a new epoch from governance, and no button here.

Source: docs/guides/recover.md; docs/internals/store.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from federation.daemon.guard import Guard
from federation.daemon.histories import Histories
from federation.daemon.membership import Membership
from federation.daemon.publisher import LanePublisher
from federation.errors import FederationError, ProtocolError, VerificationError
from federation.local_errors.askers import NotFound, SigningStopped
from federation.local_errors.peers import PeerError
from federation.net.asking import PeerCalls
from federation.protocol.headers import decode_header
from federation.protocol.limits_messages import RANGE_STATEMENTS_MAX
from federation.protocol.merkle_growth import verify_consistency
from federation.protocol.messages import decode_range
from federation.protocol.origins import Lane, LogId
from federation.provenance.log_view import Advance, LogView
from federation.provenance.verifier import Head
from federation.store.stores import Stores

SUFFIX_SHOWN_MAX: Final = 64
"""Statements of a suffix that are shown; a person looks for what should not be there, from the
first on."""


class Relation(StrEnum):
    """How a peer's head of an own log stands to the database."""

    SAME = "same"
    BEHIND = "behind"
    AHEAD = "ahead"
    FORKED = "forked"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class PeerHead:
    """What one peer holds of an own log.

    Attributes:
        member: the peer.
        relation: to what the database holds.
        head: its newest; None where it said none.
        reason: why not, in words.
    """

    member: str
    relation: Relation
    head: Head | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """A statement that peers hold and the database does not: no signals, no bodies.

    Attributes:
        index: its place.
        id: its id.
        kind: as its header says.
        claimed_at_ms: as its header says.
        references: what it is about.
    """

    index: int
    id: str
    kind: str
    claimed_at_ms: int
    references: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OwnLog:
    """One own log, as the three sources have it.

    Attributes:
        log: which.
        held: statements in the database.
        signed: size and time of what was signed last; None where the guard says nothing.
        peers: what each peer holds.
        suffix: the first statements that peers hold beyond the database.
    """

    log: LogId
    held: int
    signed: tuple[int, int] | None
    peers: tuple[PeerHead, ...]
    suffix: tuple[Shown, ...]

    @property
    def ahead(self) -> PeerHead | None:
        """The peer whose head goes on furthest from the database."""
        further = [each for each in self.peers if each.relation is Relation.AHEAD and each.head]
        return max(further, key=lambda each: each.head.size if each.head else 0, default=None)

    @property
    def is_forked(self) -> bool:
        """Whether some peer holds another history."""
        return any(each.relation is Relation.FORKED for each in self.peers)


class Recovery:
    """Looks, and does what a person decided.

    Args:
        histories: the guard, and the evidence.
        stores: the database.
        membership: the roster in force.
        lanes: the publisher of each lane.
        way: how a peer is called.
        member: this node's member.
        told: takes in a durable step as the publisher's are taken in.
    """

    def __init__(
        self,
        histories: Histories,
        stores: Stores,
        membership: Membership,
        lanes: Mapping[Lane, LanePublisher],
        way: Callable[[str], PeerCalls | None],
        member: str,
        told: Callable[[Advance], Awaitable[None]],
    ) -> None:
        self._histories, self._stores, self._membership = histories, stores, membership
        self._lanes, self._way, self._member, self._told = lanes, way, member, told

    @property
    def guard(self) -> Guard:
        """What was signed last, and why nothing is."""
        return self._histories.guard

    async def report(self) -> list[OwnLog]:
        """Ask every peer about every own log that is in use."""
        return list(await asyncio.gather(*(self._look(lane.view) for lane in self._lanes.values())))

    async def adopt(self, log: LogId) -> int:
        """Take back in what peers hold of an own log beyond the database.

        Returns:
            How many statements.

        Raises:
            NotFound: no such own log is in use, or no peer holds more that follows.
            SigningStopped: signing has not stopped, or a peer holds another history of it.
            ProtocolError, VerificationError, PeerError: what the peer served is not it.
            StoreError: the disk.
        """
        if not self.guard.stops:
            raise SigningStopped("signing goes on: there is nothing to recover", hint="do nothing")
        lane = next((each for each in self._lanes.values() if each.view.log == log), None)
        if lane is None:
            raise NotFound(f"{log} is no log that this node signs now")
        found = await self._look(lane.view)
        self._check_one_history(found)
        source = found.ahead
        if source is None or source.head is None:
            raise NotFound(f"no reachable peer holds more of {log} than this node")
        count = 0
        while lane.view.size < source.head.size:
            step = await self._next(lane.view, source.member, source.head)
            await self._stores.logs.append(step)
            lane.move(log, step.view)
            await self._told(step)
            count += len(step.statements)
        return count

    async def go_on(self) -> None:
        """A person has looked, and nothing is missing any more: sign again.

        Raises:
            SigningStopped: a peer holds more, or another history; or more was signed than is held.
            StoreError: the disk.
        """
        for found in await self.report():
            self._check_one_history(found)
            if found.ahead is not None:
                raise SigningStopped(
                    f"{found.ahead.member} holds more of {found.log} than this node",
                    hint="federation recover adopt takes it back in",
                )
            if found.signed is not None and found.signed[0] > found.held:
                raise SigningStopped(
                    f"this node signed {found.signed[0]} statements of {found.log} and holds "
                    f"{found.held}; no reachable peer has the rest",
                    hint="wait for the peers that had it, or ask governance for a new epoch",
                )
        heads = {lane.view.log: lane.view.head for lane in self._lanes.values()}
        await self.guard.go_on(heads)

    def _check_one_history(self, found: OwnLog) -> None:
        if found.is_forked or found.log in self._stores.evidence.accused:
            raise SigningStopped(
                f"another history of {found.log} was signed with this node's key",
                hint="ask governance for a new epoch of the lane: see docs/guides/recover.md",
            )

    # --- looking --------------------------------------------------------------------------------

    async def _look(self, view: LogView) -> OwnLog:
        log, roster = view.log, self._membership.roster
        names = [
            each.name
            for each in roster.members.values()
            if each.name != self._member and each.is_active and each.urls
        ]
        peers = tuple(await asyncio.gather(*(self._ask(name, view) for name in sorted(names))))
        last = self.guard.last_of(log)
        signed = None if last is None else (last.size, last.at_seconds)
        found = OwnLog(log, view.size, signed, peers, ())
        return OwnLog(log, view.size, signed, peers, await self._suffix(view, found.ahead))

    async def _ask(self, name: str, view: LogView) -> PeerHead:
        link = self._way(name)
        if link is None:
            return PeerHead(name, Relation.SILENT, reason="it cannot be called")
        try:
            note = await link.checkpoint(view.log.sha256)
            head = self._membership.verifier.open_head(note)
            return PeerHead(name, await self._relate(name, view, head), head)
        except (ProtocolError, VerificationError, PeerError) as error:
            return PeerHead(name, Relation.SILENT, reason=error.message)

    async def _relate(self, name: str, view: LogView, head: Head) -> Relation:
        if head.size <= view.size:
            root_hash = await self._stores.trees.root_hash(view.log, head.size)
            if root_hash != head.root_hash:
                return Relation.FORKED
            return Relation.SAME if head.size == view.size else Relation.BEHIND
        if not view.size:
            return Relation.AHEAD
        prefix = await self._histories.brancher.prefix(name, head, view.size)
        verify_consistency(view.size, head.size, prefix.root_hash, head.root_hash, prefix.hashes)
        same = prefix.root_hash == view.held.root()
        return Relation.AHEAD if same else Relation.FORKED

    async def _suffix(self, view: LogView, ahead: PeerHead | None) -> tuple[Shown, ...]:
        if ahead is None or ahead.head is None:
            return ()
        try:
            step = await self._next(view, ahead.member, ahead.head)
        except FederationError:
            return ()
        return tuple(
            Shown(
                each.index,
                str(each.id),
                header.kind,
                header.claimed_at_ms,
                tuple(map(str, header.references)),
            )
            for each in step.statements[:SUFFIX_SHOWN_MAX]
            for header in (decode_header(each.statement.header_bytes),)
        )

    async def _next(self, view: LogView, name: str, head: Head) -> Advance:
        """The next range of an own log from a peer, judged like anybody's."""
        link = self._way(name)
        if link is None:
            raise PeerError(f"{name} cannot be called")
        end = min(head.size, view.size + RANGE_STATEMENTS_MAX)
        raw = await link.statements(view.log.sha256, view.size, end, head.size, root=head.root_hash)
        message = decode_range(raw)
        verifier = self._membership.verifier
        return view.advance(head, message.statements, message.proof, verifier)

"""Tracing: everything this node holds about one signal or statement, read and judged again.

Source: docs/guides/tracing.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from federation.daemon.membership import Membership
from federation.errors import TooLarge
from federation.local_errors.askers import StatementNotFound
from federation.protocol.headers import StatementId
from federation.protocol.origins import Cosigner
from federation.protocol.roster import parse_roster
from federation.protocol.roster_changes import describe_changes
from federation.protocol.signals import SignalType
from federation.provenance.taking_back import Rulings, rulings_of
from federation.provenance.trace import Holder, Traced
from federation.store.places import StoredStatement
from federation.store.stores import Stores

TRACED_MAX: Final = 1_024
"""Statements in one story: a signal that each of a federation's 250 members confirms, and what the
others say about that; more is no story that anybody reads."""

ROUNDS: Final = 4
"""What is about a statement, what is about that, and what a statement is about, each once more."""


@dataclass(frozen=True)
class RosterChange:
    """A version of the roster, and what it changed about the members of a story.

    Attributes:
        version: its number.
        changes: the facts that went (``- ``) and came (``+ ``).
    """

    version: int
    changes: tuple[str, ...]


@dataclass(frozen=True)
class Story:
    """What was found.

    Attributes:
        traced: the statements.
        rulings: what the roster decides about statements.
        roster: its versions that changed something for these members.
    """

    traced: tuple[Traced, ...]
    rulings: Rulings
    roster: tuple[RosterChange, ...]


class Tracer:
    """Collects stories.

    Args:
        stores: statements by id, signal and reference, and who vouches for them.
        membership: judges what the store gives back.
    """

    def __init__(self, stores: Stores, membership: Membership) -> None:
        self._stores, self._membership = stores, membership

    async def of_statement(self, statement_id: StatementId) -> Story:
        """The story that a statement is part of.

        Raises:
            StatementNotFound: it is not held here.
            TooLarge: it has more than ``TRACED_MAX`` statements.
        """
        stored = await self._stores.logs.statement(statement_id)
        if stored is None:
            raise StatementNotFound(f"this node holds no statement {statement_id}")
        return await self._story([stored])

    async def of_signal(self, signal_type: SignalType, identity: bytes) -> Story:
        """The story of a signal; empty where nobody said anything of it.

        An erased confirm is not in it: nothing here says any more what it carried.

        Raises:
            TooLarge: it has more than ``TRACED_MAX`` statements.
        """
        return await self._story(await self._stores.signals.carriers(signal_type, identity))

    async def _story(self, first: Iterable[StoredStatement]) -> Story:
        found = {each.statement.id: each for each in first}
        fresh = list(found.values())
        for _ in range(ROUNDS):
            about = await self._stores.signals.references_to(each.statement.id for each in fresh)
            targets = [
                stored
                for each in fresh
                for target in self._traced_header(each)
                if (stored := await self._stores.logs.statement(target)) is not None
            ]
            fresh = [each for each in (*about, *targets) if each.statement.id not in found]
            found |= {each.statement.id: each for each in fresh}
            if len(found) > TRACED_MAX:
                raise TooLarge(f"the story has more than {TRACED_MAX} statements")
            if not fresh:
                break
        traced = [await self._trace(each) for each in found.values()]
        members = {each.statement.header.member for each in traced}
        return Story(
            tuple(traced),
            rulings_of(self._membership.roster),
            self._roster_changes(members, {str(each) for each in found}),
        )

    def _traced_header(self, stored: StoredStatement) -> tuple[StatementId, ...]:
        verifier = self._membership.verifier
        return verifier.open_statement(stored.log, stored.index, stored.statement).header.references

    async def _trace(self, stored: StoredStatement) -> Traced:
        verified = self._membership.verifier.open_statement(
            stored.log, stored.index, stored.statement
        )
        holdings = await self._stores.public.holdings(stored.log, stored.index)
        holders = tuple(
            Holder(each.member, each.at_seconds)
            for each in holdings
            if each.cosigner is Cosigner.MIRROR and each.member != stored.log.member
        )
        counts = self._membership.cuts.counts(stored.log, stored.branch, stored.index)
        return Traced(verified, counts, holders)

    def _roster_changes(self, members: set[str], ids: set[str]) -> tuple[RosterChange, ...]:
        versions = self._membership.chain.versions
        named = [f"member {member}" for member in members]
        told = []
        before = parse_roster(versions[0])
        for root in versions[1:]:
            roster = parse_roster(root)
            changes = [
                line
                for line in describe_changes(before, roster)
                if line[2:].startswith(tuple(named)) or line.rpartition(" ")[2] in ids
            ]
            if changes:
                told.append(RosterChange(roster.version, tuple(changes)))
            before = roster
        return tuple(told)

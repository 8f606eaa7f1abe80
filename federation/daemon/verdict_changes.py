"""Which verdicts a durable step moved: from its statements to :class:`VerdictChanged`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from federation.daemon.changes import (
    Change,
    IssuersChanged,
    Mark,
    StatementsErased,
    VerdictChanged,
)
from federation.daemon.view_reader import ViewReader
from federation.protocol.bodies import Confirm, Dispute, Endorse, Erase, Withdraw
from federation.protocol.headers import StatementId
from federation.protocol.signals import SignalType, identity_of
from federation.provenance.reading import body_of
from federation.provenance.taking_back import erase_targets, must_go
from federation.provenance.verdict import Issuers
from federation.provenance.verifier import VerifiedStatement
from federation.store.log_store import LogStore
from federation.store.places import StoredStatement

MARKS_AT_ONCE: Final = 128
"""Signals whose verdicts are worked out at a time: some 10 ms of the event loop."""


@dataclass(slots=True)
class _Touched:
    """What the statements of a step are about."""

    marks: dict[Mark, set[StatementId]] = field(default_factory=dict)
    erased: set[StatementId] = field(default_factory=set)
    erases: set[StatementId] = field(default_factory=set)

    def add(self, marks: Iterable[Mark], cause: StatementId) -> None:
        for mark in marks:
            self.marks.setdefault(mark, set()).add(cause)


class VerdictChanges:
    """Finds out what moved.

    Args:
        reader: the merged view.
        logs: where statements that are spoken about are looked up.
    """

    def __init__(self, reader: ViewReader, logs: LogStore) -> None:
        self._reader, self._logs = reader, logs
        self._issuers = reader.issuers()

    async def derive(self, statements: Sequence[VerifiedStatement]) -> list[Change]:
        """What some durable statements changed, each signal once.

        Raises:
            StoreError: the disk.
        """
        touched = await self._touched_by(statements)
        changes: list[Change] = []
        if touched.erased:
            changes.append(StatementsErased(_in_order(touched.erased), _in_order(touched.erases)))
        return changes + await self._moved(touched, statements)

    async def counted(self, stored: Sequence[StoredStatement]) -> list[Change]:
        """The same of statements that were told when they came, and count only now.

        Raises:
            StoreError: the disk.
        """
        statements = self._reader.judge_all(stored)
        return await self._moved(await self._touched_by(statements), statements)

    async def _moved(
        self, touched: _Touched, statements: Sequence[VerifiedStatement]
    ) -> list[Change]:
        changes: list[Change] = []
        marks, ids = sorted(touched.marks), {each.id for each in statements}
        for at in range(0, len(marks), MARKS_AT_ONCE):
            moved = await self._reader.moved(marks[at : at + MARKS_AT_ONCE], ids)
            for mark, verdicts in moved.items():
                if verdicts.before != verdicts.after:
                    causes = _in_order(touched.marks[mark])
                    changes.append(
                        VerdictChanged(mark, verdicts.before.state, verdicts.after, causes)
                    )
            await asyncio.sleep(0)  # an import goes by in parts, and others have their turn
        return changes

    async def without(self, values: Sequence[tuple[SignalType, bytes]]) -> list[Change]:
        """What is said of signals whose statements were erased; before is no longer known.

        Args:
            values: types and values that erased statements carried.
        """
        marks = sorted({(kind, identity_of(kind, value)) for kind, value in values})
        verdicts = await self._reader.verdicts(marks)
        return [VerdictChanged(mark, None, verdict) for mark, verdict in verdicts.items()]

    def issuers_changed(self) -> list[Change]:
        """Whether members stand otherwise than when this was last asked."""
        before, self._issuers = self._issuers, self._reader.issuers()
        return [] if before == self._issuers else [_told(self._issuers)]

    def issuers_stand(self) -> Change:
        """How members stand now, whether or not that is as it was."""
        self._issuers = self._reader.issuers()
        return _told(self._issuers)

    async def _touched_by(self, statements: Sequence[VerifiedStatement]) -> _Touched:
        touched = _Touched()
        for statement in statements:
            body = body_of(statement)
            if isinstance(body, Confirm):
                touched.add([(each.type, each.identity) for each in body.signals], statement.id)
            elif isinstance(body, Endorse | Dispute | Withdraw | Erase):
                if gone := await self._erased_by(statement):
                    touched.erased |= gone
                    touched.erases.add(statement.id)
                for target in statement.header.references:
                    touched.add(await self._marks_of(target), statement.id)
        return touched

    async def _erased_by(self, erase: VerifiedStatement) -> set[StatementId]:
        """What an erase takes out here: what its member may, of what came here at all."""
        gone = set[StatementId]()
        for target in erase_targets(erase):
            stored = await self._logs.statement(target)
            if stored is not None:
                header = self._reader.judge(stored).header
                if must_go(target, header, [erase], self._reader.rulings()):
                    gone.add(target)
        return gone

    async def _marks_of(self, target: StatementId, *, is_review_read: bool = True) -> list[Mark]:
        """The signals of a confirm, or of the confirm that a review is about."""
        stored = await self._logs.statement(target)
        if stored is None:
            return []  # it waits, inert, for what it is about
        statement = self._reader.judge(stored)
        body = body_of(statement)
        if isinstance(body, Confirm):
            return [(each.type, each.identity) for each in body.signals]
        if isinstance(body, Endorse | Dispute) and is_review_read:
            return [
                mark
                for reviewed in statement.header.references
                for mark in await self._marks_of(reviewed, is_review_read=False)
            ]
        return []


def _in_order(ids: Iterable[StatementId]) -> tuple[StatementId, ...]:
    return tuple(sorted(ids, key=lambda each: each.entry))


def _told(issuers: Issuers) -> IssuersChanged:
    return IssuersChanged(tuple(sorted(issuers.suspended)), tuple(sorted(issuers.accused)))

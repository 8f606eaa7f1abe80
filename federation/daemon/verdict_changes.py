"""Which verdicts a durable step moved: from its statements to :class:`VerdictChanged`.

An erase moves none by its step: it does once it is carried out, and is told then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from federation.daemon.changes import (
    Change,
    HistoryCut,
    IssuersChanged,
    Mark,
    VerdictChanged,
)
from federation.daemon.matcher import Span
from federation.daemon.view_reader import ViewReader
from federation.errors import FederationError
from federation.local_errors.disk import StoreFull, StoreUnavailable
from federation.protocol.bodies import Confirm, Dispute, Endorse, Withdraw
from federation.protocol.headers import StatementId
from federation.provenance.reading import body_of
from federation.provenance.verdict import Issuers
from federation.provenance.verifier import VerifiedStatement
from federation.store.log_store import LogStore

log_lines = logging.getLogger(__name__)

MARKS_AT_ONCE: Final = 128
"""Signals whose verdicts are worked out at a time: some 10 ms of the event loop."""

RECOUNTED_MAX: Final = 1_024
"""Statements whose verdicts are told one by one when a roster moves them: one batch of a publisher.
A stolen key may have said a million; a snapshot is quicker for everybody then."""


class VerdictChanges:
    """Finds out what moved.

    Args:
        reader: the merged view.
        logs: where statements that are spoken about are looked up.
    """

    def __init__(self, reader: ViewReader, logs: LogStore) -> None:
        self._reader, self._logs = reader, logs
        self._issuers, self._rulings = reader.issuers(), reader.rulings()

    async def derive(self, statements: Sequence[VerifiedStatement]) -> list[Change]:
        """What some durable statements changed, each signal once.

        Raises:
            StoreError: the disk.
        """
        touched = await self._touched_by(statements)
        changes: list[Change] = []
        marks, ids = sorted(touched), {each.id for each in statements}
        for at in range(0, len(marks), MARKS_AT_ONCE):
            moved = await self._reader.moved(marks[at : at + MARKS_AT_ONCE], ids)
            for mark, verdicts in moved.items():
                if verdicts.before != verdicts.after:
                    causes = _in_order(touched[mark])
                    changes.append(
                        VerdictChanged(mark, verdicts.before.state, verdicts.after, causes)
                    )
            await asyncio.sleep(0)  # an import goes by in parts, and others have their turn
        return changes

    async def without(self, said: Sequence[VerifiedStatement]) -> list[Change]:
        """What is said of signals now that some statements are erased; before is no longer known.

        Args:
            said: those, with what they said.

        Raises:
            StoreError: the disk.
        """
        return await self._as_it_is(await self._touched_by(said))

    async def rulings_changed(self) -> list[Change]:
        """What the roster in force takes back, beside erasing, since this was last asked.

        That is what governance withdrew; and where another successor is named, any withdraw of his
        that had counted for nothing: whoever listens takes a snapshot then.

        Raises:
            StoreError: the disk; it is found once more then.
        """
        before, now = self._rulings, self._reader.rulings()
        changes: list[Change] = []
        if before.successors != now.successors:
            changes.append(HistoryCut())
        else:
            ids = before.withdrawn ^ now.withdrawn
            changes += await self._as_it_is(
                {mark for target in ids for mark in await self._marks_of(target)}
            )
        self._rulings = now
        return changes

    async def recounted(self, spans: Collection[Span]) -> list[Change]:
        """What is said of signals whose statements began or ceased to count.

        Of more than ``RECOUNTED_MAX`` statements nothing is told one by one, nor where one of them
        is damaged.

        Args:
            spans: (log, branch, from, to): those.

        Raises:
            StoreFull, StoreUnavailable: the disk.
        """
        if sum(until - first for _, _, first, until in spans) > RECOUNTED_MAX:
            return [HistoryCut()]
        try:
            return await self._as_it_is(await self._marks_among(spans))
        except (StoreFull, StoreUnavailable):
            raise
        except FederationError as error:
            log_lines.error("cannot tell one by one what a pin moved: %s", error)
            return [HistoryCut()]

    async def _marks_among(self, spans: Collection[Span]) -> Collection[Mark]:
        marks = set[Mark]()
        for span in spans:
            async for page in self._logs.pages(*span):
                marks.update(await self._touched_by(self._reader.judge_all(page)))
        return marks

    async def _as_it_is(self, marks: Collection[Mark]) -> list[Change]:
        ordered, changes = sorted(marks), list[Change]()
        for at in range(0, len(ordered), MARKS_AT_ONCE):
            verdicts = await self._reader.verdicts(ordered[at : at + MARKS_AT_ONCE])
            changes += [VerdictChanged(mark, None, each) for mark, each in verdicts.items()]
            await asyncio.sleep(0)
        return changes

    def issuers_changed(self) -> list[Change]:
        """Whether members stand otherwise than when this was last asked."""
        before, self._issuers = self._issuers, self._reader.issuers()
        return [] if before == self._issuers else [_told(self._issuers)]

    async def _touched_by(
        self, statements: Iterable[VerifiedStatement]
    ) -> dict[Mark, set[StatementId]]:
        """The signals that statements are about, each with those of them that are about it."""
        touched: dict[Mark, set[StatementId]] = {}
        for statement in statements:
            body = body_of(statement)
            marks: list[Mark] = []
            if isinstance(body, Confirm):
                marks = [(each.type, each.identity) for each in body.signals]
            elif isinstance(body, Endorse | Dispute | Withdraw):
                for target in statement.header.references:
                    marks += await self._marks_of(target)
            for mark in marks:
                touched.setdefault(mark, set()).add(statement.id)
        return touched

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

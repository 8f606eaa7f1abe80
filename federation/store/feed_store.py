"""The feed's history: entries numbered in the order of local commit, bounded by count and age.

A batch of entries is one transaction together with the step it came from, so a step that is told a
second time adds nothing. Erases blank what earlier entries told of the erased statements; their
numbers stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from federation.protocol.headers import StatementId
from federation.protocol.origins import Lane, LogId
from federation.store.database import Database, Row

ERASED: Final = "erased"
"""The kind of an entry that told of a statement which was erased since."""

_INSERT: Final = "INSERT INTO feed_entries (at_ms, kind, statements, content) VALUES (?, ?, ?, ?)"
_KEEP_STEP: Final = """
    INSERT INTO feed_steps (origin, size) VALUES (?, ?)
    ON CONFLICT (origin) DO UPDATE SET size = excluded.size WHERE excluded.size > size
    RETURNING 1"""
_BLANK: Final = """
    UPDATE feed_entries SET kind = ?, statements = x'', content = '{}'
    WHERE instr(statements, ?) > 0"""
_CUT: Final = "DELETE FROM feed_entries WHERE number <= ?"


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """One thing that changed, as it is told.

    Attributes:
        kind: of which kind, a word.
        content: what is told: JSON, an object. Holds signals, so no ``repr`` shows it.
        statements: the statements it tells of.
    """

    kind: str
    content: str = field(repr=False)
    statements: tuple[StatementId, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry in its place.

    Attributes:
        number: its place in the feed, from 1.
        at_ms: when it was kept, Unix milliseconds.
        kind: as in :class:`FeedEntry`, or ``ERASED``.
        content: as in :class:`FeedEntry`.
    """

    number: int
    at_ms: int
    kind: str
    content: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class FeedBounds:
    """Where a feed begins and ends.

    Attributes:
        feed_id: 16 hex digits, drawn when the database was made.
        cut: the last number that is no longer held; 0 while all are.
        newest: the last number that was given; ``cut`` where nothing is held.
    """

    feed_id: str
    cut: int
    newest: int


class FeedStore:
    """The feed of one node.

    Args:
        database: where it is kept.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def bounds(self) -> FeedBounds:
        """Where the feed begins and ends."""
        [(feed_id, cut, newest)] = await self._database.read(
            "SELECT feed_id, cut, (SELECT max(number) FROM feed_entries) FROM feed_meta"
        )
        return FeedBounds(feed_id, cut, cut if newest is None else newest)

    async def append(
        self, entries: Sequence[FeedEntry], at_ms: int, log: LogId | None = None, end: int = 0
    ) -> int:
        """Keep what a step changed, durably and once.

        Args:
            entries: in order.
            at_ms: now, Unix milliseconds.
            log: the step's log; None where it is no log's.
            end: the log's size after the step.

        Returns:
            How many entries were kept; 0 where the step is here already.

        Raises:
            StoreFull, StoreCorrupt, StoreUnavailable: the disk; nothing was written.
        """
        rows: list[Row] = [
            (at_ms, each.kind, b"".join(one.entry for one in each.statements), each.content)
            for each in entries
        ]
        if not rows and log is None:
            return 0
        async with self._database.write(log.lane if log else Lane.LIVE) as unit:
            if log is not None and not await unit.run(_KEEP_STEP, (log.origin, end)):
                return 0
            await unit.run_all([(_INSERT, rows)])
        return len(rows)

    async def entries(self, after: int, most: int) -> list[StoredEntry]:
        """The entries behind a number, in order, at most so many."""
        rows = await self._database.read(
            "SELECT number, at_ms, kind, content FROM feed_entries WHERE number > ?"
            " ORDER BY number LIMIT ?",
            (after, most),
        )
        return [StoredEntry(*row) for row in rows]

    async def entry(self, number: int) -> StoredEntry | None:
        """One entry, or None where it is no longer held."""
        found = await self.entries(number - 1, 1)
        return found[0] if found and found[0].number == number else None

    async def blank(self, erased: Iterable[StatementId]) -> None:
        """Take out of the history what it tells of erased statements.

        Raises:
            StoreFull, StoreCorrupt, StoreUnavailable: the disk; nothing was written.
        """
        async with self._database.write() as unit:
            await unit.run_all([(_BLANK, [(ERASED, each.entry) for each in erased])])

    async def cut(self, before_ms: int, entries_max: int) -> int:
        """Let go of the oldest entries.

        Args:
            before_ms: those kept before this moment, Unix milliseconds.
            entries_max: and whatever is over so many.

        Returns:
            The last number that is no longer held.

        Raises:
            StoreFull, StoreCorrupt, StoreUnavailable: the disk; nothing was written.
        """
        async with self._database.write() as unit:
            [(cut,)] = await unit.run(
                "SELECT max(cut,"
                " coalesce((SELECT max(number) FROM feed_entries WHERE at_ms < ?), 0),"
                " coalesce((SELECT max(number) FROM feed_entries), 0) - ?) FROM feed_meta",
                (before_ms, entries_max),
            )
            await unit.run(_CUT, (cut,))
            await unit.run("UPDATE feed_meta SET cut = ?", (cut,))
        return int(cut)

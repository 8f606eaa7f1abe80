"""The feed's history: entries numbered in the order of local commit, bounded by count and age.

A batch of entries is one transaction together with the step it came from, or the erasure, so what
is told a second time adds nothing. Erases blank what earlier entries told of the erased statements;
their numbers stay.
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

CUT_ENTRIES: Final = 1_024
"""Entries that go in one transaction, so that an urgent commit waits no longer than some 10 ms."""

_ID_BYTES: Final = 32
_MARK_BYTES: Final = 8

_NEWEST: Final = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'feed_entries'), 0)"
_INSERT: Final = (
    "INSERT INTO feed_entries (number, at_ms, kind, statements, content) VALUES (?, ?, ?, ?, ?)"
)
_MARK: Final = "INSERT INTO feed_statements (mark, number) VALUES (?, ?) ON CONFLICT DO NOTHING"
_UNMARK: Final = "DELETE FROM feed_statements WHERE mark = ? AND number = ?"
_KEEP_STEP: Final = """
    INSERT INTO feed_steps (origin, size) VALUES (?, ?)
    ON CONFLICT (origin) DO UPDATE SET size = excluded.size WHERE excluded.size > size
    RETURNING 1"""
_KEEP_ERASURE: Final = "UPDATE feed_meta SET erasures = ?1 WHERE erasures < ?1 RETURNING 1"
FIND: Final = """
    SELECT number, statements FROM feed_statements CROSS JOIN feed_entries USING (number)
    WHERE mark = ? AND instr(statements, ?) > 0"""
_BLANK: Final = (
    "UPDATE feed_entries SET kind = ?, statements = x'', content = '{}' WHERE number = ?"
)
# Entries come in the order of time: from the first one that may stay on, all may.
FIND_CUT: Final = """
    SELECT max(cut,
        coalesce(
            (SELECT number - 1 FROM feed_entries WHERE at_ms >= ? ORDER BY number LIMIT 1),
            (SELECT max(number) FROM feed_entries),
            0),
        coalesce((SELECT max(number) FROM feed_entries), 0) - ?)
    FROM feed_meta"""
_READ_OLDEST: Final = (
    "SELECT number, statements FROM feed_entries WHERE number <= ? ORDER BY number LIMIT ?"
)
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
        feed_id: 16 hex digits, drawn when the database was made or was found to be an older one.
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

    Attributes:
        scrub_due: whether what was blanked may still stand in the write-ahead log.
    """

    def __init__(self, database: Database) -> None:
        self.scrub_due = False
        self._database = database

    async def bounds(self) -> FeedBounds:
        """Where the feed begins and ends."""
        [(feed_id, cut, newest)] = await self._database.read(
            "SELECT feed_id, cut, (SELECT max(number) FROM feed_entries) FROM feed_meta"
        )
        return FeedBounds(feed_id, cut, cut if newest is None else newest)

    async def begin_anew(self) -> None:
        """Give the feed another id: the database is an older one, and its numbers are given again.

        Raises:
            StoreFull, StoreCorrupt, StoreUnavailable: the disk; nothing was written.
        """
        async with self._database.write() as unit:
            await unit.run("UPDATE feed_meta SET feed_id = lower(hex(randomblob(8)))")

    async def append(
        self,
        entries: Sequence[FeedEntry],
        at_ms: int,
        log: LogId | None = None,
        end: int = 0,
        erasure: int = 0,
    ) -> int:
        """Keep what a step changed, or what was erased, durably and once.

        Args:
            entries: in order.
            at_ms: now, Unix milliseconds.
            log: the step's log; None where it is no log's.
            end: the log's size after the step.
            erasure: the number of the erasure that they tell of; 0 where they tell of none.

        Returns:
            How many entries were kept; 0 where the step, or the erasure, is here already.

        Raises:
            StoreFull, StoreCorrupt, StoreUnavailable: the disk; nothing was written.
        """
        if not entries and log is None:
            return 0
        async with self._database.write(log.lane if log else Lane.LIVE) as unit:
            if log is not None and not await unit.run(_KEEP_STEP, (log.origin, end)):
                return 0
            if erasure and not await unit.run(_KEEP_ERASURE, (erasure,)):
                return 0
            [(newest,)] = await unit.run(_NEWEST)
            rows: list[Row] = []
            marks: list[Row] = []
            for number, each in enumerate(entries, start=newest + 1):
                ids = b"".join(one.entry for one in each.statements)
                rows.append((number, at_ms, each.kind, ids, each.content))
                marks += _marks(number, ids)
            await unit.run_all([(_INSERT, rows), (_MARK, marks)])
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
            found: dict[int, bytes] = {}
            for each in erased:
                found.update(await unit.run(FIND, (each.entry[:_MARK_BYTES], each.entry)))
            marks = [mark for number, ids in found.items() for mark in _marks(number, ids)]
            blanks = [(ERASED, number) for number in found]
            await unit.run_all([(_BLANK, blanks), (_UNMARK, marks)])
        self.scrub_due = self.scrub_due or bool(found)

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
        [(cut,)] = await self._database.read(FIND_CUT, (before_ms, entries_max))
        while oldest := await self._database.read(_READ_OLDEST, (cut, CUT_ENTRIES)):
            marks = [mark for number, ids in oldest for mark in _marks(number, ids)]
            last = oldest[-1][0]
            async with self._database.write() as unit:
                await unit.run_all([(_UNMARK, marks), (_CUT, [(last,)])])
                await unit.run("UPDATE feed_meta SET cut = max(cut, ?)", (last,))
        return int(cut)


def _marks(number: int, ids: bytes) -> list[Row]:
    """The rows by which an entry is found that tells of these statements."""
    return [(ids[at : at + _MARK_BYTES], number) for at in range(0, len(ids), _ID_BYTES)]

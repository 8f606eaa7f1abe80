"""Index rows that are written later, many at once.

A random key costs a page of its tree in every transaction, and a thousand statements have two
thousand: written with each step, that is 8 kB to the disk for 250 bytes of statement. So the rows
of long steps wait here, where lookups find them (``also``), until there are ``LATE_ROWS_MAX``; then
they go to their trees in the order of their keys, in short transactions, each of which touches its
own stretch of pages once. What waits is lost in a crash and made again from the statements, which
are not: ``late_rows`` says since where.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from heapq import merge
from itertools import islice
from typing import Final

from federation.errors import HeaderMalformed
from federation.local_errors.disk import StoreCorrupt, StoreError
from federation.protocol.headers import decode_header
from federation.protocol.signals import identity_of
from federation.store.database import Database, Row, Rows
from federation.store.places import (
    STATEMENT_COLUMNS,
    id_hkey,
    place_of,
    signal_hkey,
    split_place,
    statement_of,
)
from federation.store.readings import reading_of_opening

LATE_STATEMENTS_MIN: Final = 256
"""Steps of at least so many statements have their index rows written later: a whole bundle."""

LATE_ROWS_MAX: Final = 65_536
"""Statements whose rows wait: about 25 MB of memory, and a second of reading after a crash."""

ROWS_PER_TRANSACTION: Final = 2_048
"""About 10 ms of writing, so that an urgent commit waits no longer."""

SORTED_ROWS: Final = 8_192
"""Rows sorted in one go: about 3 ms."""

PAGE_ROWS: Final = 2_048
"""Statements read at a time after a crash."""

IDS: Final = "statement_ids"
SIGNALS: Final = "signal_places"

INSERT_LATE: Final = "INSERT INTO late_rows (stem, start) VALUES (?, ?) ON CONFLICT DO NOTHING"
# One statement for all rows: see ``packing``.
_INSERT: Final = {
    table: f"INSERT INTO {table} (hkey, place)"  # noqa: S608 - constants
    " SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)"
    " WHERE true ON CONFLICT DO NOTHING"
    for table in (IDS, SIGNALS)
}
_READ_PAGE: Final = (
    f"SELECT {STATEMENT_COLUMNS} FROM statements"  # noqa: S608 - constants
    " WHERE place BETWEEN ? AND ? ORDER BY place LIMIT ?"
)


class _Waiting:
    """Rows of both trees, and since which index of each stem there are any."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Row]] = {IDS: [], SIGNALS: []}
        self.since: dict[int, int] = {}
        self.count = 0
        self._found: dict[str, dict[int, list[int]]] = {IDS: {}, SIGNALS: {}}
        self._seen = {IDS: 0, SIGNALS: 0}

    def note(self, stem: int, start: int, count: int) -> None:
        self.since[stem] = min(start, self.since.get(stem, start))
        self.count += count

    def places(self, table: str, hkey: int) -> Sequence[int]:
        """The places under a key; what came since the last look is put in order first."""
        found, rows = self._found[table], self.rows[table]
        for at in range(self._seen[table], len(rows)):
            found.setdefault(rows[at][0], []).append(rows[at][1])
        self._seen[table] = len(rows)
        return found.get(hkey, ())

    def take_in(self, other: _Waiting) -> None:
        for table, rows in other.rows.items():
            self.rows[table] += rows
        for stem, start in other.since.items():
            self.note(stem, start, 0)
        self.count += other.count


class LateRows:
    """Rows of ``statement_ids`` and ``signal_places`` that are not there yet.

    Args:
        database: where they go.
        is_unsure: whether rows may be missing that this process did not add. A program beside the
            node says no: it would take what waits in the node for what a crash took.
    """

    def __init__(self, database: Database, *, is_unsure: bool = True) -> None:
        self._database = database
        self._waiting, self._going = _Waiting(), _Waiting()
        self._claims: dict[int, int] = {}
        self._unread: dict[int, int] = {}  # stem -> from where on statements are still to be read
        self._flushing = asyncio.Lock()
        self._is_unsure = is_unsure

    def also(self, table: str, hkeys: Iterable[int]) -> str:
        """The rows under some keys that wait here, as JSON ``[[hkey, place], …]`` for a query."""
        if not self._waiting.count and not self._going.count:
            return "[]"
        found = {
            (hkey, place)
            for part in (self._waiting, self._going)
            for hkey in hkeys
            for place in part.places(table, hkey)
        }
        return json.dumps(sorted(found))

    @contextmanager
    def claim(self, starts: Mapping[int, int]) -> Iterator[None]:
        """Around a transaction that has rows for here: its mark stays, whatever ends meanwhile.

        Args:
            starts: stem -> index of its first statement.
        """
        self._claims.update(starts)
        try:
            yield
        except asyncio.CancelledError:
            self._is_unsure = True  # cancelled while it commits, a task cannot know what is there
            raise
        finally:
            for stem in starts:
                self._claims.pop(stem, None)

    async def add(
        self, starts: Mapping[int, int], ids: Sequence[Row], signals: Sequence[Row]
    ) -> None:
        """Keep the rows of statements that are durable; writes them all when they are many.

        Args:
            starts: stem -> index of its first statement.
            ids: hkey and place of each statement.
            signals: hkey and place of each signal.
        """
        self._waiting.rows[IDS] += ids
        self._waiting.rows[SIGNALS] += signals
        for stem, start in starts.items():
            self._waiting.note(stem, start, 0)
        self._waiting.count += len(ids)
        if self._waiting.count >= LATE_ROWS_MAX:
            await self.flush()

    async def flush(self) -> None:
        """Write what waits, in short transactions; others may come between.

        Raises:
            StoreError: the disk; what was not written waits on.
        """
        async with self._flushing:
            await self._make_again()
            await self._write_waiting()

    async def _write_waiting(self) -> None:
        if not self._waiting.since:
            return
        self._going, self._waiting = self._waiting, _Waiting()
        try:
            for table, insert in _INSERT.items():
                merged = merge(*await _sorted_runs(self._going.rows[table]))
                while rows := list(islice(merged, ROWS_PER_TRANSACTION)):
                    await self._write([(insert, [(json.dumps(rows),)])])
            await self._move_marks(self._going.since)
        except BaseException:
            self._going.take_in(self._waiting)
            self._waiting = self._going
            raise
        finally:
            self._going = _Waiting()

    async def _write(self, steps: Sequence[tuple[str, Rows]]) -> None:
        async with self._database.write() as unit:
            await unit.run_all(steps)

    async def _move_marks(self, stems: Iterable[int]) -> None:
        """Say since where rows are still missing; asked while nobody else can be writing."""
        async with self._database.write() as unit:
            if self._is_unsure:
                return  # a task was cancelled while it committed: only the marks know of its rows
            parts = (self._waiting.since, self._claims, self._unread)
            since = {
                stem: min((part[stem] for part in parts if stem in part), default=None)
                for stem in stems
            }
            await unit.run_all(
                [
                    (
                        "UPDATE late_rows SET start = ? WHERE stem = ?",
                        [(start, stem) for stem, start in since.items() if start is not None],
                    ),
                    (
                        "DELETE FROM late_rows WHERE stem = ?",
                        [(stem,) for stem, start in since.items() if start is None],
                    ),
                ]
            )

    async def _make_again(self) -> None:
        """Read the statements whose rows a crash, or a cancelled task, may have taken away."""
        if self._is_unsure:
            self._is_unsure = False
            try:
                marks = await self._database.read("SELECT stem, start FROM late_rows")
            except BaseException:
                self._is_unsure = True
                raise
            self._unread.update((stem, start) for stem, start in marks)
        for stem in list(self._unread):
            await self._read_stem(stem)

    async def _read_stem(self, stem: int) -> None:
        last = place_of(stem + 1, 0) - 1
        while True:
            if self._waiting.count >= LATE_ROWS_MAX:
                await self._write_waiting()
            first = place_of(stem, self._unread[stem])
            rows = await self._database.read(_READ_PAGE, (first, last, PAGE_ROWS))
            if not rows:
                self._waiting.note(stem, self._unread.pop(stem), 0)  # its mark goes with the rest
                return
            ids: list[Row] = []
            signals: list[Row] = []
            for row in rows:
                statement = statement_of(row)
                try:
                    header = decode_header(statement.header_bytes)
                except HeaderMalformed:
                    raise StoreCorrupt("a stored statement has no readable header") from None
                ids.append((id_hkey(statement.id), row[0]))
                reading = reading_of_opening(header, statement.opening)
                signals += {
                    (signal_hkey(kind, identity_of(kind, value)), row[0])
                    for kind, value in reading.signals
                }
            self._waiting.rows[IDS] += ids
            self._waiting.rows[SIGNALS] += signals
            self._waiting.note(stem, split_place(rows[0][0])[1], len(rows))
            self._unread[stem] = split_place(rows[-1][0])[1] + 1


async def _sorted_runs(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows in runs that are each in order: sorting them all at once would hold up everybody."""
    runs = []
    for at in range(0, len(rows), SORTED_ROWS):
        runs.append(sorted(rows[at : at + SORTED_ROWS]))
        await asyncio.sleep(0)
    return runs


async def open_late_rows(database: Database, *, is_unsure: bool = True) -> LateRows:
    """The late rows of a database that was just opened: those of before a crash are written.

    Args:
        database: it.
        is_unsure: see :class:`LateRows`.

    Raises:
        StoreCorrupt: a statement is not what was written.
        StoreUnavailable: the database cannot be read.
    """
    late = LateRows(database, is_unsure=is_unsure)
    try:
        await late.flush()
    except StoreCorrupt:
        raise
    except StoreError:
        pass  # a full disk: they wait in memory, where lookups find them
    return late

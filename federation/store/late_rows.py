"""Index rows that are written later, many at once.

A random key costs a page of its tree in every transaction, and a thousand statements have two
thousand: written with each step, that is 8 kB to the disk for 250 bytes of statement. So the rows
of long steps wait until there are ``LATE_ROWS_MAX``: in tables in the writer's memory, which keep
them in the order of their keys, and here, where lookups find them (``also``). Then they go to their
trees in short transactions, each of which touches its own stretch of pages once; SQLite moves them
without a look by Python, whose lock the next step's judging needs. What waits is lost in a crash
and made again from the statements, which are not: ``late_rows`` says since where.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from federation.errors import HeaderMalformed
from federation.local_errors.disk import StoreCorrupt, StoreError, StoreFull
from federation.protocol.headers import decode_header
from federation.protocol.origins import Lane
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

log_lines = logging.getLogger(__name__)

LATE_STATEMENTS_MIN: Final = 256
"""Steps of at least so many statements have their index rows written later: a whole bundle."""

LATE_ROWS_MAX: Final = 65_536
"""Statements whose rows wait: about 15 MB of memory, and a second of reading after a crash."""

LATE_ROWS_MAX_URGENT: Final = 2 * LATE_ROWS_MAX
"""As many again may wait for the next step of bulk: others, whose receipts are waited for, write
them only beyond that. While they cannot be written, no step is taken that would add to so many."""

ROWS_PER_TRANSACTION: Final = 2_048
"""About 10 ms of writing, so that an urgent commit waits no longer; in the lane of bulk."""

PAGE_ROWS: Final = 2_048
"""Statements read at a time after a crash."""

IDS: Final = "statement_ids"
SIGNALS: Final = "signal_places"

INSERT_LATE: Final = "INSERT INTO late_rows (stem, start) VALUES (?, ?) ON CONFLICT DO NOTHING"
_READ_PAGE: Final = (
    f"SELECT {STATEMENT_COLUMNS} FROM statements"  # noqa: S608 - constants
    " WHERE place BETWEEN ? AND ? ORDER BY place LIMIT ?"
)

# Two of each tree: one is filled while the other goes to its tree.
_GENERATIONS: Final = (0, 1)
_MAKE: Final = (
    "CREATE TEMP TABLE IF NOT EXISTS {table}_{generation} (hkey INTEGER, place INTEGER,"
    " PRIMARY KEY (hkey, place)) WITHOUT ROWID"
)
# One statement for all rows: see ``packing``.
_FILL_NEIGHBOURS: Final = (
    "INSERT INTO temp.{table}_{generation} SELECT value, ? + key FROM json_each(?)"
    " WHERE true ON CONFLICT DO NOTHING"
)
_FILL: Final = (
    "INSERT INTO temp.{table}_{generation}"
    " SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)"
    " WHERE true ON CONFLICT DO NOTHING"
)
_LAST_OF_STRETCH: Final = (
    "SELECT hkey, place FROM (SELECT hkey, place FROM temp.{table}_{generation}"
    " ORDER BY hkey, place LIMIT ?) ORDER BY hkey DESC, place DESC LIMIT 1"
)
_MOVE: Final = (
    "INSERT INTO {table} (hkey, place) SELECT hkey, place FROM temp.{table}_{generation}"
    " WHERE (hkey, place) <= (?, ?) ORDER BY hkey, place ON CONFLICT DO NOTHING"
)
_FORGET: Final = "DELETE FROM temp.{table}_{generation} WHERE hkey = ? AND place = ?"
_MOVED: Final = "DELETE FROM temp.{table}_{generation} WHERE (hkey, place) <= (?, ?)"


@dataclass(frozen=True, slots=True)
class KeyRun:
    """Rows of one tree.

    Attributes:
        hkeys: their keys.
        places: where each leads; a ``range`` where the statements are neighbours.
    """

    hkeys: Sequence[int]
    places: Sequence[int]


@dataclass(slots=True)
class LateKeys:
    """Rows of both trees that a transaction leaves for later."""

    ids: list[KeyRun] = field(default_factory=list)
    signals: list[KeyRun] = field(default_factory=list)

    def runs(self) -> tuple[tuple[str, list[KeyRun]], tuple[str, list[KeyRun]]]:
        """The rows of each tree, by its name."""
        return (IDS, self.ids), (SIGNALS, self.signals)


class _Waiting:
    """Rows of both trees, and since which index of each stem there are any."""

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self.since: dict[int, int] = {}
        self.count = 0
        self._runs: dict[str, list[KeyRun]] = {IDS: [], SIGNALS: []}
        self._found: dict[str, dict[int, list[int]]] = {IDS: {}, SIGNALS: {}}

    def take(self, keys: LateKeys) -> None:
        self.count += sum(len(run.hkeys) for run in keys.ids)
        for table, runs in keys.runs():
            self._runs[table] += runs

    def note_since(self, stem: int, start: int) -> None:
        self.since[stem] = min(start, self.since.get(stem, start))

    def places(self, table: str, hkey: int) -> Sequence[int]:
        """The places under a key; what came since the last look is put in order first."""
        found = self._found[table]
        for run in self._runs[table]:
            for key, place in zip(run.hkeys, run.places, strict=True):
                found.setdefault(key, []).append(place)
        self._runs[table] = []
        return found.get(hkey, ())


async def _at_once() -> None:
    """Nobody else needs to go first."""


class LateRows:
    """Rows of ``statement_ids`` and ``signal_places`` that are not there yet.

    Args:
        database: where they go. :func:`open_late_rows` makes it ready.
        is_unsure: whether rows may be missing that this process did not add. A program beside the
            node says no: it would take what waits in the node for what a crash took.

    Attributes:
        give_way: awaited before each short transaction that nobody waits for.
    """

    def __init__(self, database: Database, *, is_unsure: bool = True) -> None:
        self._database = database
        self._waiting, self._going = _Waiting(0), _Waiting(1)
        self._claims: dict[int, int] = {}
        self._unread: dict[int, int] = {}  # stem -> from where on statements are still to be read
        self._flushing = asyncio.Lock()
        self._is_unsure = is_unsure
        self._is_failing = False  # the last time that what waits was to be written
        self.give_way: Callable[[], Awaitable[None]] = _at_once

    def also(self, table: str, hkeys: Iterable[int]) -> str:
        """The rows under some keys that wait here, as JSON ``[[hkey, place], …]`` for a query."""
        if not self.is_waiting:
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

    def steps(self, keys: LateKeys) -> list[tuple[str, Rows]]:
        """What to run in the transaction that the rows belong to; asked for within it."""
        return [
            _filling(table, self._waiting.generation, run)
            for table, runs in keys.runs()
            for run in runs
        ]

    async def make_room(self) -> None:
        """Before a step is committed: whether its rows may wait too.

        Raises:
            StoreCorrupt, StoreUnavailable: so many wait already, and they cannot be written. A full
                disk is no reason: a step that still fits is kept.
        """
        if self._is_failing and self._waiting.count >= LATE_ROWS_MAX_URGENT:
            with suppress(StoreFull):
                await self.flush()

    async def add(self, starts: Mapping[int, int], keys: LateKeys, lane: Lane = Lane.BULK) -> None:
        """Keep the rows of statements that are durable; writes them all when they are many.

        Nothing may be awaited between the end of the transaction and this.

        Args:
            starts: stem -> index of its first statement.
            keys: the rows that :meth:`steps` was asked for.
            lane: of the step; an urgent one does not wait for rows of others to be written.
        """
        for stem, start in starts.items():
            self._waiting.note_since(stem, start)
        self._waiting.take(keys)
        is_bulk = lane is Lane.BULK
        if self._waiting.count >= (LATE_ROWS_MAX if is_bulk else LATE_ROWS_MAX_URGENT):
            with suppress(StoreError):  # said already; the statements are durable, and found here
                await self.flush(self.give_way if is_bulk else _at_once)

    @property
    def is_waiting(self) -> bool:
        """Whether any row is not in its tree yet."""
        return bool(self._waiting.count or self._going.count)

    async def make_sure(self) -> None:
        """Have every row in its tree or here, where :meth:`also` finds it; nearly always it is so.

        Raises:
            StoreError: the disk.
        """
        if self._is_unsure or self._unread:
            await self.flush()

    async def flush(self, give_way: Callable[[], Awaitable[None]] = _at_once) -> None:
        """Write what waits, in short transactions; others may come between.

        Args:
            give_way: awaited before each.

        Raises:
            StoreError: the disk; what was not written waits on.
        """
        async with self._flushing:
            try:
                await self._make_again()
                await self._write_waiting(give_way)
            except StoreError as error:
                if not self._is_failing:  # once, and not with every step until it can be written
                    count = self._waiting.count + self._going.count
                    log_lines.error("cannot write %d index rows, which wait: %s", count, error)
                self._is_failing = True
                raise
            self._is_failing = False

    async def _write_waiting(self, give_way: Callable[[], Awaitable[None]] = _at_once) -> None:
        if self._going.since:  # the last time ended with an error
            await self._write_going(give_way)
        if self._waiting.since:
            async with self._database.write(Lane.BULK):  # nobody is filling a table now
                self._going, self._waiting = self._waiting, _Waiting(self._going.generation)
            await self._write_going(give_way)

    async def _write_going(self, give_way: Callable[[], Awaitable[None]]) -> None:
        for table in (IDS, SIGNALS):
            await give_way()
            while await self._write_stretch(table):
                await give_way()
        await self._move_marks(self._going.since)
        self._going = _Waiting(self._going.generation)

    async def _write_stretch(self, table: str) -> bool:
        """Move the rows with the lowest keys to their tree; False where none is left."""
        names = {"table": table, "generation": self._going.generation}
        async with self._database.write(Lane.BULK) as unit:
            last = await unit.run(_LAST_OF_STRETCH.format(**names), (ROWS_PER_TRANSACTION,))
            await unit.run_all([(_MOVE.format(**names), last), (_MOVED.format(**names), last)])
        return bool(last)

    async def _move_marks(self, stems: Iterable[int]) -> None:
        """Say since where rows are still missing; asked while nobody else can be writing."""
        async with self._database.write(Lane.BULK) as unit:
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
                # Its mark goes with the rest.
                self._waiting.note_since(stem, self._unread.pop(stem))
                return
            keys = _keys_of(rows)
            async with self._database.write(Lane.BULK) as unit:
                await unit.run_all(self.steps(keys))
            self._waiting.note_since(stem, split_place(rows[0][0])[1])
            self._waiting.take(keys)
            self._unread[stem] = split_place(rows[-1][0])[1] + 1


def _filling(table: str, generation: int, run: KeyRun) -> tuple[str, Rows]:
    """The statement that puts rows into the table where they wait, and its parameters."""
    names = {"table": table, "generation": generation}
    if isinstance(run.places, range):
        first = run.places.start
        return _FILL_NEIGHBOURS.format(**names), [(first, json.dumps(run.hkeys))]
    pairs = list(zip(run.hkeys, run.places, strict=True))
    return _FILL.format(**names), [(json.dumps(pairs),)]


def forget_late_signals(rows: Rows) -> list[tuple[str, Rows]]:
    """What takes rows of ``signal_places`` away that wait, in the transaction that erases them.

    Those in memory lead to a statement without a body from then on, which carries no signal.

    Args:
        rows: hkey and place of each.
    """
    return [
        (_FORGET.format(table=SIGNALS, generation=generation), rows) for generation in _GENERATIONS
    ]


def _keys_of(rows: Sequence[Row]) -> LateKeys:
    """The rows that statements have in both trees, of rows of ``STATEMENT_COLUMNS``."""
    ids: list[int] = []
    signals: list[tuple[int, int]] = []
    for row in rows:
        statement = statement_of(row)
        try:
            header = decode_header(statement.header_bytes)
        except HeaderMalformed:
            raise StoreCorrupt("a stored statement has no readable header") from None
        ids.append(id_hkey(statement.id))
        reading = reading_of_opening(header, statement.opening)
        signals += {
            (signal_hkey(kind, identity_of(kind, value)), row[0]) for kind, value in reading.signals
        }
    return LateKeys([KeyRun(ids, [row[0] for row in rows])], [run_of(signals)])


def run_of(pairs: Sequence[tuple[int, int]]) -> KeyRun:
    """The run of pairs of hkey and place."""
    return KeyRun([hkey for hkey, _ in pairs], [place for _, place in pairs])


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
    async with database.write(Lane.BULK) as unit:
        for table in (IDS, SIGNALS):
            for generation in _GENERATIONS:
                await unit.run(_MAKE.format(table=table, generation=generation))
    try:
        await late.flush()
    except StoreCorrupt:
        raise
    except StoreError:
        pass  # a full disk: they wait in memory, where lookups find them
    return late

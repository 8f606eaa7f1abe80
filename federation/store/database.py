"""One SQLite file: one writer, some readers, and a transaction that ends whatever happens.

WAL with ``synchronous=FULL``: when :meth:`Database.write` has ended without an error, what it wrote
survives a crash of the process and of the machine. There is one writing connection, lent to one
task at a time, the most urgent first; readers see the last committed state and wait for nobody.

Every call to the database is a hop to its thread and back (about 80 µs), so rooms make few: one
``run_all`` for all the rows of a unit of work, one query for a question.

aiosqlite logs the parameters of every statement, signals among them, when it is told to debug; the
level set here is its own, so no setting of a parent logger brings them out.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeAlias, cast

import aiosqlite

from federation.local_errors.disk import StoreConflict, StoreError, StoreUnavailable
from federation.protocol.origins import Lane
from federation.store.failures import store_errors
from federation.store.lane_gate import LaneGate
from federation.store.schema import migrate

logging.getLogger("aiosqlite").setLevel(logging.WARNING)

Row: TypeAlias = tuple[Any, ...]
Rows: TypeAlias = Sequence[Row]

READERS: Final = 3
"""Reading connections, each a thread: a match, a range for a peer and an audit side by side."""

BUSY_PAUSE_SECONDS: Final = 0.01
"""Between two tries of what SQLite itself does not wait for: about what the other one needs."""

BUSY_TIMEOUT_SECONDS: Final = 5.0
"""How long to wait for another program's lock: an operator's command beside the running node."""

WRITER_CACHE_KIB: Final = 64 * 1024
"""Page cache of the writer: random keys touch most pages of three trees in every transaction."""

READER_CACHE_KIB: Final = 16 * 1024

WAL_PAGES: Final = 4_000
"""Pages (16 MB) that the WAL grows to before its content moves: fewer rewrites of a hot page."""

WAL_BYTES_KEPT: Final = 64 * 1024 * 1024
"""What is left of the WAL after a large transaction; the rest is given back to the disk."""


class WriteUnit:
    """What may be done inside one transaction, in the order in which it is asked for."""

    def __init__(self, writer: aiosqlite.Connection) -> None:
        self._writer = writer

    async def run(self, sql: str, parameters: Iterable[Any] = ()) -> list[Row]:
        """Run one statement and return the rows it gives.

        Raises:
            StoreError: a leaf of it, by SQLite's result code.
        """
        with store_errors():
            return _tuples(await self._writer.execute_fetchall(sql, parameters))

    async def run_all(
        self, steps: Sequence[tuple[str, Rows]], *, swapped: int | None = None
    ) -> None:
        """Run several statements, each for all of its rows, in one go.

        All are queued before the first is waited for, so they cost one hop together. When one
        fails, those behind it still run; the transaction that holds them is rolled back.

        Args:
            steps: each a statement that changes rows, and its parameters row by row.
            swapped: where the first step is a compare-and-swap, how many rows it must change.

        Raises:
            StoreConflict: it changed another number.
            StoreError: the leaf for the first step that failed.
        """
        # SQLite itself rolls back when the disk is full. What is queued behind would then be on its
        # own, were it not that Python opens a transaction before each statement that changes rows
        # (isolation_level): nothing is ever written outside of one.
        ran = await asyncio.gather(
            *(self._writer.executemany(sql, rows) for sql, rows in steps if rows),
            return_exceptions=True,
        )
        for number, cursor in enumerate(ran):
            with store_errors():
                if isinstance(cursor, BaseException):
                    raise cursor
            # Asked before the steps behind it: they fail because this one found another state.
            if number == 0 and swapped not in {None, cursor.rowcount}:
                raise StoreConflict("the database is not in the state that the change was made for")


class Database:
    """An open database; see the module. Made by :meth:`open`, and an async context manager."""

    def __init__(
        self, writer: aiosqlite.Connection, readers: Sequence[aiosqlite.Connection]
    ) -> None:
        self._writer = writer
        self._readers = tuple(readers)
        self._writing = LaneGate()
        self._idle: asyncio.Queue[aiosqlite.Connection] = asyncio.Queue()
        for reader in readers:
            self._idle.put_nowait(reader)
        self._is_open = True

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        member: str,
        federation_id: str,
        migrations: str = "migrations",
        readers: int = READERS,
    ) -> Database:
        """Open the database of a node, or make it; readable by its owner only.

        Args:
            path: the file; its directory exists.
            member: whose node it is.
            federation_id: 32 hex digits.
            migrations: the folder of those that make its shape.
            readers: how many reading connections.

        Raises:
            DataDirectoryForeign: it is another member's, federation's or program's.
            StoreNewer: a newer release has written it.
            StoreCorrupt: it is damaged, or no database.
            StoreFull, StoreUnavailable: it cannot be opened or made.
        """
        _touch(path)
        connections: list[aiosqlite.Connection] = []
        try:
            with store_errors():
                writer = await _connect(path, _WRITER_PRAGMAS)
                connections.append(writer)
                await _check_wal(writer)
                await migrate(writer, member, federation_id, migrations)
                while len(connections) <= readers:
                    connections.append(await _connect(path, _READER_PRAGMAS))
        except BaseException:
            for connection in connections:
                await connection.close()
            raise
        return cls(connections[0], connections[1:])

    @asynccontextmanager
    async def write(self, lane: Lane = Lane.LIVE) -> AsyncIterator[WriteUnit]:
        """One transaction: durable when the block has ended, or as if it had never begun.

        It waits for the one under way, and for those of the same lane or a more urgent one that
        were asked for before.

        A task cancelled inside the block rolls back. One cancelled while the commit is under way
        waits for it and is cancelled then: what it wrote may be there, so whoever is cancelled asks
        again what is held.

        Args:
            lane: how urgent it is; bulk is what nobody waits for.

        Raises:
            StoreError: a leaf of it, by SQLite's result code; nothing was written.
        """
        async with self._writing.through(lane):
            self._check_open()
            if self._writer.in_transaction:  # the last rollback failed, with the disk for example
                await self._end(self._writer.rollback())
            try:
                yield WriteUnit(self._writer)
                await self._end(self._writer.commit())
            except BaseException:
                # Queued behind whatever the block left unfinished; no effect after a commit.
                with suppress(StoreError):
                    await self._end(self._writer.rollback())
                raise

    async def read(self, sql: str, parameters: Iterable[Any] = ()) -> list[Row]:
        """All rows of one query over the last committed state.

        Raises:
            StoreError: a leaf of it, by SQLite's result code.
        """
        self._check_open()
        reader = await self._idle.get()
        try:
            self._check_open()
            with store_errors():
                return _tuples(await reader.execute_fetchall(sql, parameters))
        finally:
            # A cancelled query may still run; the next one queues behind it in the same thread.
            self._idle.put_nowait(reader)

    async def empty_wal(self) -> bool:
        """Move what the write-ahead log holds into the database, and cut the log to nothing.

        Returns:
            False where a reader or another program stood in the way.

        Raises:
            StoreError: a leaf of it, by SQLite's result code.
        """
        async with self._writing.through(Lane.BULK):
            self._check_open()
            with store_errors():
                rows = _tuples(
                    await self._writer.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
                )
        return bool(rows[0][0] == 0)

    async def close(self) -> None:
        """Wait for the transaction under way, and close."""
        async with self._writing.through(Lane.BULK):
            if not self._is_open:
                return
            self._is_open = False
            with store_errors():
                for connection in (*self._readers, self._writer):
                    await connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _end(self, ending: Awaitable[None]) -> None:
        """Wait for a commit or rollback to its end, cancelled or not."""
        with store_errors():
            await _to_its_end(ending)

    def _check_open(self) -> None:
        if not self._is_open:
            raise StoreUnavailable("the database is closed")


def _tuples(rows: Iterable[sqlite3.Row]) -> list[Row]:
    # aiosqlite's types promise sqlite3.Row, but without a row factory each is a plain tuple.
    return cast("list[Row]", rows)


async def _to_its_end(ending: Awaitable[None]) -> None:
    task = asyncio.ensure_future(ending)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as asked:
            cancelled = asked
    task.result()
    if cancelled is not None:
        raise cancelled


# --- opening --------------------------------------------------------------------------------------

_WRITER_PRAGMAS: Final = {
    "journal_mode": "WAL",
    "synchronous": "FULL",
    "foreign_keys": "ON",
    "secure_delete": "ON",
    "cache_size": f"-{WRITER_CACHE_KIB}",
    "wal_autocheckpoint": str(WAL_PAGES),
    "journal_size_limit": str(WAL_BYTES_KEPT),
    "temp_store": "MEMORY",
    "trusted_schema": "OFF",
}
_READER_PRAGMAS: Final = {
    "query_only": "ON",
    "cache_size": f"-{READER_CACHE_KIB}",
    "trusted_schema": "OFF",
}


def _touch(path: Path) -> None:
    # SQLite gives the files beside it the permissions of this one.
    try:
        path.touch(mode=0o600)
    except OSError as error:
        raise StoreUnavailable(f"cannot make or open {path}: {error.strerror}") from None


async def _connect(path: Path, pragmas: dict[str, str]) -> aiosqlite.Connection:
    connection = await aiosqlite.connect(
        path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level="IMMEDIATE"
    )
    try:
        await _set_up(connection, pragmas)
    except BaseException:
        await connection.close()
        raise
    return connection


async def _set_up(connection: aiosqlite.Connection, pragmas: dict[str, str]) -> None:
    script = "".join(f"PRAGMA {name} = {value};" for name, value in pragmas.items())
    loop = asyncio.get_running_loop()
    until = loop.time() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            await connection.executescript(script)
        except sqlite3.OperationalError as error:
            # Two programs that turn one new file to WAL would wait for each other: SQLite answers
            # busy at once there, whatever timeout is set.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or loop.time() >= until:
                raise
            await asyncio.sleep(BUSY_PAUSE_SECONDS)
        else:
            return


async def _check_wal(writer: aiosqlite.Connection) -> None:
    [[mode]] = await writer.execute_fetchall("PRAGMA journal_mode")
    if mode != "wal":
        raise StoreUnavailable(
            "the file system cannot share memory between connections (no WAL)",
            hint="put the data directory on a local disk",
        )

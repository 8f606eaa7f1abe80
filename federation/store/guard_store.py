"""The guard's file: what this node signed last, apart from everything that a backup may bring back.

A row is only ever moved forward, by a compare-and-swap on size and root. Everybody who signs waits
for that before anything leaves, so writes that wait for the disk at one time share its one fsync.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from federation.local_errors.disk import StoreConflict, StoreError
from federation.protocol.origins import LogId
from federation.store.database import Database
from federation.store.stems import stored_log

GUARD_FILE: Final = "last-signed.sqlite3"

_OLDER_DATABASE: Final = frozenset({"rolled-back", "own-head-unknown"})
"""What a restored backup looks like: the feed's numbers, too, mean something else from here on."""

# Forward, or the same head again. A row that is not there yet is made whatever was expected.
_ADVANCE: Final = """
    INSERT INTO signed (role, origin, size, root_hash, note, line, at_seconds)
    VALUES (:role, :origin, :size, :root_hash, :note, :line, :at_seconds)
    ON CONFLICT (role, origin) DO UPDATE SET size = excluded.size, root_hash = excluded.root_hash,
        note = excluded.note, line = excluded.line, at_seconds = excluded.at_seconds
    WHERE (excluded.size > signed.size
        OR (excluded.size = signed.size AND excluded.root_hash = signed.root_hash))
    AND (:old_size IS NULL OR (signed.size = :old_size AND signed.root_hash = :old_root)
        OR (signed.size = excluded.size AND signed.root_hash = excluded.root_hash))
    RETURNING 1"""
_STOP: Final = (
    "INSERT INTO stops (origin, code, text, peer, note, at_seconds, is_feed_due)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT DO NOTHING"
)


class SignedAs(StrEnum):
    """In which role something was signed."""

    LOG = "log"
    WITNESS = "witness"
    MIRROR = "mirror"


@dataclass(frozen=True, slots=True)
class Signed:
    """What was signed last of a log, in one role.

    Attributes:
        role: as the log itself, or as a cosigner.
        log: which log.
        size: statements under the head.
        root_hash: 32 bytes.
        note: the checkpoint with its log's line, verbatim.
        line: the cosigner's line or lines, without the last newline; empty for the log itself.
        at_seconds: when, POSIX seconds.
    """

    role: SignedAs
    log: LogId
    size: int
    root_hash: bytes
    note: bytes
    line: str
    at_seconds: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Why nothing of an own log is signed.

    Attributes:
        log: which.
        code: ``own-head-unknown``, ``rolled-back``, ``guard-conflict``, ``guard-lost``,
            ``second-copy`` or ``fork``.
        text: in words.
        peer: who holds the head that is not known here; empty where nobody is named.
        note: that head, verbatim; empty where there is none.
        at_seconds: since when, POSIX seconds.
    """

    log: LogId
    code: str
    text: str
    peer: str
    note: bytes
    at_seconds: int


@dataclass(slots=True)
class _Order:
    signed: Signed
    before: tuple[int, bytes] | None
    done: asyncio.Future[None]


class GuardStore:
    """The guard's file. Made by :meth:`open`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[_Order] = []
        self._flushing: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, path: Path, *, member: str, federation_id: str) -> GuardStore:
        """Open the guard of a node, or make it.

        Args:
            path: the file; its directory exists.
            member: whose node it is.
            federation_id: 32 hex digits.

        Raises:
            DataDirectoryForeign: it is another member's, federation's or program's.
            StoreNewer: a newer release has written it.
            StoreCorrupt, StoreFull, StoreUnavailable: it cannot be opened or made.
        """
        database = await Database.open(
            path,
            member=member,
            federation_id=federation_id,
            migrations="guard_migrations",
            readers=1,
        )
        return cls(database)

    async def all(self) -> list[Signed]:
        """What was signed last of every log, in every role.

        Raises:
            StoreError: the disk.
        """
        rows = await self._database.read(
            "SELECT role, origin, size, root_hash, note, line, at_seconds FROM signed"
        )
        return [Signed(SignedAs(role), stored_log(origin), *rest) for role, origin, *rest in rows]

    async def advance(self, signed: Signed, before: tuple[int, bytes] | None = None) -> None:
        """Move one row forward, durably.

        Args:
            signed: what was signed.
            before: size and root that must have been signed last; None: any that it may follow.

        Raises:
            StoreConflict: something else was signed last, and this does not follow it.
            StoreError: it could not be made durable; nothing that was signed may leave.
        """
        order = _Order(signed, before, asyncio.get_running_loop().create_future())
        self._waiting.append(order)
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())
        await asyncio.shield(order.done)

    async def _flush(self) -> None:
        """Write whatever waits, together, until nothing does."""
        while self._waiting:
            orders, self._waiting = self._waiting, []
            refused: set[int] = set()
            try:
                async with self._database.write() as unit:
                    for number, order in enumerate(orders):
                        if not await unit.run(_ADVANCE, _row(order)):
                            refused.add(number)
            except StoreError as error:
                for order in orders:
                    _end(order, error)
                continue
            for number, order in enumerate(orders):
                conflict = StoreConflict(f"something else of {order.signed.log} was signed last")
                _end(order, conflict if number in refused else None)

    async def stops(self) -> list[Stop]:
        """Why nothing is signed, by origin.

        Raises:
            StoreError: the disk.
        """
        rows = await self._database.read(
            "SELECT origin, code, text, peer, note, at_seconds FROM stops ORDER BY origin"
        )
        return [Stop(stored_log(origin), *rest) for origin, *rest in rows]

    async def stop(self, stop: Stop) -> None:
        """Keep a reason to sign nothing; of one log the first stays.

        Raises:
            StoreError: the disk.
        """
        row = (stop.log.origin, stop.code, stop.text, stop.peer, stop.note, stop.at_seconds)
        async with self._database.write() as unit:
            await unit.run(_STOP, (*row, stop.code in _OLDER_DATABASE))

    async def is_feed_due(self) -> bool:
        """Whether the feed is still to begin anew, for any of the reasons kept.

        Raises:
            StoreError: the disk.
        """
        return bool(await self._database.read("SELECT 1 FROM stops WHERE is_feed_due LIMIT 1"))

    async def feed_begun(self) -> None:
        """The feed has begun anew, durably.

        Raises:
            StoreError: the disk; it begins anew once more.
        """
        async with self._database.write() as unit:
            await unit.run("UPDATE stops SET is_feed_due = 0")

    async def lift(self, logs: Iterable[LogId]) -> None:
        """A person has decided: there is no reason any more.

        Raises:
            StoreError: the disk.
        """
        rows = [(log.origin,) for log in logs]
        async with self._database.write() as unit:
            await unit.run_all([("DELETE FROM stops WHERE origin = ?", rows)])

    async def close(self) -> None:
        """Wait for what is being written, and close."""
        if self._flushing is not None:
            await self._flushing
        await self._database.close()


def _row(order: _Order) -> dict[str, object]:
    signed, before = order.signed, order.before
    return {
        "role": str(signed.role),
        "origin": signed.log.origin,
        "size": signed.size,
        "root_hash": signed.root_hash,
        "note": signed.note,
        "line": signed.line,
        "at_seconds": signed.at_seconds,
        "old_size": None if before is None else before[0],
        "old_root": None if before is None else before[1],
    }


def _end(order: _Order, error: StoreError | None) -> None:
    if order.done.done():
        return
    if error is None:
        order.done.set_result(None)
    else:
        order.done.set_exception(error)

"""Logs as they are held: appended to by judged steps only, served as the bytes that were signed.

:meth:`LogStore.append` is the one way in. It takes an :class:`Advance`, which the log view made of
statements that the verifier judged, and commits it on the very state that it was judged from.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Container, Sequence
from dataclasses import dataclass
from typing import Final

from federation.errors import ProofMalformed
from federation.local_errors.askers import RangeNotHeld
from federation.local_errors.disk import StoreCorrupt
from federation.protocol.headers import StatementId
from federation.protocol.merkle import DIGEST_BYTES
from federation.protocol.merkle_growth import CompactRange
from federation.protocol.origins import Lane, LogId
from federation.protocol.statements import Statement
from federation.provenance.log_view import Advance
from federation.provenance.verifier import Receipt
from federation.store.appending import append_steps
from federation.store.database import Database, Row, Rows
from federation.store.lane_gate import most_urgent
from federation.store.late_rows import IDS, LATE_STATEMENTS_MIN, LateKeys, LateRows
from federation.store.places import (
    STATEMENT_COLUMNS,
    StoredStatement,
    id_hkey,
    place_of,
    split_place,
    statement_of,
)
from federation.store.stems import Stems, stored_log

_WIRE_BYTES: Final = (
    "length(header) + coalesce(length(salt) + length(body), length(commitment)) + 12"
)
"""As ``Statement.bytes_on_wire``; SQLite knows the lengths without reading what is that long."""

_READ_RANGE: Final = f"""
    SELECT {STATEMENT_COLUMNS} FROM statements WHERE place BETWEEN :first AND (
        SELECT max(place) FROM (
            SELECT place, sum({_WIRE_BYTES}) OVER (ORDER BY place) AS total
            FROM statements WHERE place BETWEEN :first AND :last
        ) WHERE place = :first OR total <= :bytes_max
    ) ORDER BY place"""  # noqa: S608 - constants

_READ_BY_ID: Final = (
    f"SELECT {STATEMENT_COLUMNS} FROM statements WHERE place IN ("  # noqa: S608 - constants
    "SELECT place FROM statement_ids WHERE hkey = ?"
    " UNION SELECT json_extract(value, '$[1]') FROM json_each(?)) ORDER BY place"
)


@dataclass(frozen=True, slots=True)
class StoredLog:
    """One branch of a log as it is held; the judge opens the note again.

    Attributes:
        log: which log.
        branch: 0 where the log never forked.
        held: size and right edge of the statements held.
        head_note: the newest signed head accepted, of at least that size.
        whole_size: the size of the newest head accepted under which everything is held; 0 where
            there is none.
        whole_note: that head; empty where there is none.
        base: the branch that it begins with, and how many statements are common; those stand once.
    """

    log: LogId
    branch: int
    held: CompactRange
    head_note: bytes
    whole_size: int = 0
    whole_note: bytes = b""
    base: tuple[int, int] | None = None


PAGE_STATEMENTS: Final = 1_024
PAGE_BYTES_MAX: Final = 1 << 20
"""Of consecutive statements read at a time: tens of milliseconds, then others have their turn."""

_LOGS: Final = """
    SELECT held.origin, held.branch, held.size, held.edge, held.head_note,
        whole.size, whole.note, base.branch, held.base_size
    FROM branches AS held
    LEFT JOIN branches AS base ON base.stem = held.base_stem
    LEFT JOIN checkpoints AS whole ON whole.stem = held.stem AND whole.size = (
        SELECT max(size) FROM checkpoints WHERE stem = held.stem AND size <= held.size)
    WHERE held.size > 0{of_one} ORDER BY held.stem"""


class LogStore:
    """The statements of all logs.

    Args:
        database: where they are.
        stems: which branch has which stem.
        late: index rows that are written later.
    """

    def __init__(self, database: Database, stems: Stems, late: LateRows) -> None:
        self._database = database
        self._stems, self._late = stems, late

    async def load_logs(self, log: LogId | None = None) -> list[StoredLog]:
        """Every branch that holds a statement, in the order of first mention.

        Args:
            log: of this log alone.

        Raises:
            StoreCorrupt: an edge or origin that nobody wrote.
        """
        of_one, args = ("", ()) if log is None else (" AND held.origin = ?", (log.origin,))
        return [
            StoredLog(
                stored_log(origin),
                branch,
                _stored_edge(size, edge),
                head_note,
                whole_size or 0,
                whole_note or b"",
                None if base is None else (base, base_size),
            )
            for origin, branch, size, edge, head_note, whole_size, whole_note, base, base_size in (
                await self._database.read(_LOGS.format(of_one=of_one), args)
            )
        ]

    async def size(self, log: LogId, *, branch: int = 0) -> int:
        """How many statements are held of a log.

        Raises:
            LogNotFound: nothing of it was ever held.
        """
        stem = await self._stems.find(log, branch)
        [[size]] = await self._database.read("SELECT size FROM branches WHERE stem = ?", (stem,))
        return int(size)

    async def append(
        self,
        move: Advance,
        receipts: Sequence[Receipt] = (),
        *,
        branch: int = 0,
        erased: Container[StatementId] = (),
        aside: bool = False,
    ) -> float:
        """Commit one judged step; see :meth:`append_many`.

        Raises:
            StoreConflict: the log is not where the step was judged from.
            StoreFull, StoreCorrupt, StoreUnavailable: the disk; nothing was stored.
        """
        return await self.append_many([move], receipts, branch=branch, erased=erased, aside=aside)

    async def append_many(
        self,
        moves: Sequence[Advance],
        receipts: Sequence[Receipt] = (),
        *,
        branch: int = 0,
        erased: Container[StatementId] = (),
        aside: bool = False,
    ) -> float:
        """Commit judged steps in one transaction, durable on return: all of them or none.

        A task that is cancelled here cannot know whether they were: it loads the logs again.

        Args:
            moves: steps of one log or several; steps of one log follow each other.
            receipts: cosignatures on the steps' own heads, such as this node's as a mirror.
            branch: which branch of the logs.
            erased: the statements without an opening that are under a valid erase; others are
                marked as missing.
            aside: the rows of many statements are made in a thread, and the loop is there for
                others; a node that catches up is faster without.

        Returns:
            For how many seconds they had the writer, without the wait for it.

        Raises:
            StoreConflict: a log is not where its step was judged from.
            StoreFull, StoreCorrupt, StoreUnavailable: the disk; nothing was stored.
        """
        for move in moves:
            _check_move(move)
        logs = [move.view.log for move in moves]
        stems = await self._stems.ensure(logs, branch)
        stem_of = dict(zip(logs, stems, strict=True))
        complete = {move.view.head for move in moves if move.view.is_complete}
        if any(receipt.head not in complete for receipt in receipts):
            raise ValueError("a receipt comes with the statements that it is for")
        signed = [(stem_of[receipt.head.log], receipt) for receipt in receipts]
        pairs = list(zip(stems, moves, strict=True))
        lane = most_urgent(logs)
        if sum(len(move.statements) for move in moves) < LATE_STATEMENTS_MIN:
            return await self._commit(lane, append_steps(pairs, signed, erased), len(moves))
        await self._late.make_room()
        keys = LateKeys()
        if aside:
            steps = await asyncio.to_thread(append_steps, pairs, signed, erased, keys)
        else:
            steps = append_steps(pairs, signed, erased, keys)
        starts = {stem: move.before.size for stem, move in reversed(pairs)}
        with self._late.claim(starts):
            seconds = await self._commit(lane, steps, len(moves), keys)
        await self._late.add(starts, keys, lane)
        return seconds

    async def _commit(
        self,
        lane: Lane,
        steps: Sequence[tuple[str, Rows]],
        swapped: int,
        late: LateKeys | None = None,
    ) -> float:
        clock = asyncio.get_running_loop().time
        async with self._database.write(lane) as unit:
            began = clock()
            late_steps = self._late.steps(late) if late is not None else []
            await unit.run_all([*steps, *late_steps], swapped=swapped)
        return clock() - began

    async def pages(
        self, log: LogId, branch: int, first: int, until: int
    ) -> AsyncIterator[list[StoredStatement]]:
        """Consecutive statements, so many of them at a time that others have their turn.

        Args:
            log: which log.
            branch: which branch of it.
            first: the index of the first one.
            until: the index of the one behind the last.

        Raises:
            LogNotFound: nothing of it was ever held.
            StoreError: the disk.
        """
        while first < until:
            end = min(until, first + PAGE_STATEMENTS)
            page = await self.statements(log, first, end, PAGE_BYTES_MAX, branch=branch)
            yield [StoredStatement(log, branch, first + at, each) for at, each in enumerate(page)]
            first += len(page)

    async def statement(self, statement_id: StatementId) -> StoredStatement | None:
        """The statement of that id, at the first place where it stands; None where there is none.

        Raises:
            StoreCorrupt: the row is not what was written.
        """
        places = await self.places(statement_id)
        return places[0] if places else None

    async def places(self, statement_id: StatementId) -> list[StoredStatement]:
        """The same statement at every place where it stands: in other lanes, epochs, branches.

        Raises:
            StoreCorrupt: a row is not what was written.
        """
        hkey = id_hkey(statement_id)
        found = []
        late = self._late.also(IDS, (hkey,))
        for row in await self._database.read(_READ_BY_ID, (hkey, late)):
            statement = statement_of(row)
            if id_hkey(statement.id) != hkey:
                raise StoreCorrupt("a statement is not the one that was written")
            if statement.id == statement_id:
                stem, index = split_place(row[0])
                found.append(StoredStatement(*await self._stems.branch(stem), index, statement))
        return found

    async def statements(
        self, log: LogId, start: int, end: int, bytes_max: int, *, branch: int = 0
    ) -> list[Statement]:
        """Consecutive statements, as many as are held and fit, and never less than one.

        Args:
            log: which log.
            start: index of the first.
            end: index after the last one wanted.
            bytes_max: how many bytes they may take on the wire; the first comes in any case.
            branch: which branch of it.

        Raises:
            LogNotFound: nothing of the log is held.
            RangeNotHeld: the first is not held, or nothing is asked for.
            StoreCorrupt: one in the middle is missing.
        """
        return [statement_of(row) for row in await self._range(log, start, end, bytes_max, branch)]

    async def statement_parts(
        self, log: LogId, start: int, end: int, bytes_max: int, *, branch: int = 0
    ) -> list[tuple[bytes, ...]]:
        """As :meth:`statements`, in the parts that travel: nothing is hashed to hand them on.

        Returns:
            Header, salt and body of each; header and C where it was erased.

        Raises:
            LogNotFound, RangeNotHeld, StoreCorrupt: as there.
        """
        rows = await self._range(log, start, end, bytes_max, branch)
        return [
            (header, salt, body) if body is not None else (header, commitment)
            for _, header, salt, commitment, body in rows
        ]

    async def _range(
        self, log: LogId, start: int, end: int, bytes_max: int, branch: int
    ) -> list[Row]:
        stem = await self._stems.find(log, branch)
        if not 0 <= start < end:
            raise RangeNotHeld("no statement is asked for")
        stem, until = await self._stems.home(stem, start)
        end = end if until is None else min(end, until)
        first = place_of(stem, start)
        rows = await self._database.read(
            _READ_RANGE,
            {"first": first, "last": first + end - start - 1, "bytes_max": bytes_max},
        )
        if [row[0] for row in rows] != list(range(first, first + len(rows))):
            raise StoreCorrupt(f"a statement of {log} is missing")
        if not rows:
            raise RangeNotHeld(f"this node holds less than {start + 1} statements of {log}")
        return rows


def _stored_edge(size: int, edge: bytes) -> CompactRange:
    try:
        hashes = (edge[at : at + DIGEST_BYTES] for at in range(0, len(edge), DIGEST_BYTES))
        return CompactRange(size, tuple(hashes))
    except ProofMalformed:
        raise StoreCorrupt("a stored right edge does not fit its size") from None


def _check_move(move: Advance) -> None:
    """Programming errors: an Advance is made by :meth:`LogView.advance` and nobody else."""
    indexes = [verified.index for verified in move.statements]
    if (
        not indexes
        or indexes != list(range(move.before.size, move.view.size))
        or any(verified.log != move.view.log for verified in move.statements)
        or move.before.log != move.view.log
    ):
        raise ValueError("not a step from one view of a log to the next")

"""Salt and body of single statements: taken out for good, found missing, and put back.

The store does not decide what must go: it finds candidates, and carries out what the judge decided
(:mod:`federation.provenance.taking_back`). Header and commitment stay, so every proof stays.

What is taken out is overwritten in the database file (``secure_delete``) with the commit, and gone
from the write-ahead log once :meth:`ErasureStore.scrub` has emptied it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from federation.protocol.headers import StatementId
from federation.protocol.origins import Lane, LogId
from federation.protocol.signals import identity_of
from federation.provenance.verifier import Receipt, VerifiedStatement
from federation.store.appending import (
    INSERT_CHECKPOINT,
    NOTE_ERASED,
    IndexRows,
    note_erased,
    receipt_steps,
)
from federation.store.database import Database, Row, Rows
from federation.store.late_rows import IDS, LateRows, forget_late_signals
from federation.store.places import (
    STATEMENT_COLUMNS,
    StoredStatement,
    id_hkey,
    place_of,
    signal_hkey,
    split_place,
    statement_of,
)
from federation.store.readings import reading_of_opening
from federation.store.stems import Stems

ERASES_PER_LOG_MAX: Final = 256
"""Erases of one log that refer to one statement: its oldest ones; one that is valid is enough."""

MISSING_READ_MAX: Final = 1_024
"""Missing statements in one answer: what is asked of a peer at a time."""

PAGE_ROWS: Final = 256
"""Statements that are erased in one transaction; each may have a body of 64 KiB."""

_COLUMNS: Final = ", ".join(f"said.{name}" for name in STATEMENT_COLUMNS.split(", "))

_READ_ERASES: Final = f"""
    SELECT {STATEMENT_COLUMNS} FROM (
        SELECT place, row_number() OVER (PARTITION BY hkey, place >> 40 ORDER BY place) AS nth
        FROM erase_places WHERE hkey IN (SELECT value FROM json_each(?))
    ) JOIN statements USING (place) WHERE nth <= ? ORDER BY place"""  # noqa: S608 - constants

_READ_ASKED_KEYS: Final = "SELECT DISTINCT hkey FROM erase_places WHERE place BETWEEN ? AND ?"
# CROSS JOIN says the order: left to choose, SQLite begins with every statement there is.
_READ_ASKED_FOR: Final = f"""
    SELECT {_COLUMNS} FROM (
        SELECT found.place AS place FROM erase_places AS asked
        CROSS JOIN statement_ids AS found USING (hkey) WHERE asked.place BETWEEN ? AND ?
        UNION SELECT json_extract(value, '$[1]') FROM json_each(?)
    ) CROSS JOIN statements AS said USING (place)
    WHERE said.place > ? AND (said.body IS NOT NULL
        OR said.place IN (SELECT place FROM missing_openings))
    ORDER BY said.place LIMIT ?"""  # noqa: S608 - constants

_BLANK: Final = (
    "UPDATE statements SET salt = NULL, body = NULL, commitment = ?, unread = 0 WHERE place = ?"
)
_REOPEN: Final = (
    "UPDATE statements SET salt = ?, body = ?, commitment = ?, unread = ? WHERE place = ?"
)
_AMONG_MISSING: Final = (
    "SELECT place FROM missing_openings WHERE place IN (SELECT value FROM json_each(?))"
)
_FORGET_SIGNAL: Final = "DELETE FROM signal_places WHERE hkey = ? AND place = ?"
_FORGET_MISSING: Final = "DELETE FROM missing_openings WHERE place = ?"
_READ_UNTOLD: Final = "SELECT number, places FROM untold_erasures ORDER BY number LIMIT 1"
_READ_PLACES: Final = (
    f"SELECT {STATEMENT_COLUMNS} FROM statements"  # noqa: S608 - constants
    " WHERE place IN (SELECT value FROM json_each(?)) ORDER BY place"
)


@dataclass(frozen=True, slots=True)
class Untold:
    """What is gone since one transaction, and those who listen do not know it.

    Attributes:
        number: which transaction; later ones have greater numbers.
        statements: header and commitment of each, in the order of places.
    """

    number: int
    statements: list[StoredStatement]


class ErasureStore:
    """Openings that must go, and openings that are missing.

    Args:
        database: where they are.
        stems: which branch has which stem.
        late: index rows that are written later.
    """

    def __init__(self, database: Database, stems: Stems, late: LateRows) -> None:
        self._database = database
        self._stems, self._late = stems, late

    async def erases_of(self, ids: Iterable[StatementId]) -> list[StoredStatement]:
        """The erases that refer to any of some statements; whether they are valid is not judged.

        Raises:
            StoreCorrupt: a row is not what was written.
        """
        hkeys = json.dumps([id_hkey(each) for each in set(ids)])
        rows = await self._database.read(_READ_ERASES, (hkeys, ERASES_PER_LOG_MAX))
        return [await self._stored(row) for row in rows]

    async def has_erases(self) -> bool:
        """Whether there is any erase at all: in most federations, most of the time, none."""
        return bool(await self._database.read("SELECT 1 FROM erase_places LIMIT 1"))

    async def asked_for_page(
        self, after_place: int, first: int, last: int
    ) -> tuple[list[StoredStatement], int | None]:
        """Statements that some erase refers to and that are opened or missing, a page of them.

        Args:
            after_place: where the last page ended; -1 for the first.
            first: of the erases that stand from this place on.
            last: to this one.

        Returns:
            The statements, and where the page ended; None after the last one.
        """
        await self._late.make_sure()  # whatever an erase refers to is found by its id
        late = "[]"
        if self._late.is_waiting:
            asked = await self._database.read(_READ_ASKED_KEYS, (first, last))
            late = self._late.also(IDS, [hkey for (hkey,) in asked])
        wanted = (first, last, late, after_place, PAGE_ROWS)
        rows = await self._database.read(_READ_ASKED_FOR, wanted)
        ended = rows[-1][0] if len(rows) == PAGE_ROWS else None
        return [await self._stored(row) for row in rows], ended

    async def erase(self, statements: Sequence[tuple[StoredStatement, VerifiedStatement]]) -> None:
        """Take out salt and body, and every row that the body was found by; durable on return.

        That it is to be told goes into the same transaction: :meth:`untold`.

        Args:
            statements: each as stored and as judged, with what is still there of it.

        Raises:
            StoreFull, StoreCorrupt, StoreUnavailable: the disk; nothing was changed.
        """
        await self._late.make_sure()  # or a row of what is gone would be made afterwards
        blanks: list[Row] = []
        signals: set[Row] = set()
        for stored, verified in statements:
            place = place_of(await self._stems.find(stored.log, stored.branch), stored.index)
            blanks.append((verified.statement.commitment, place))
            reading = reading_of_opening(verified.header, verified.statement.opening)
            signals |= {
                (signal_hkey(kind, identity_of(kind, value)), place)
                for kind, value in reading.signals
            }
        places = [(place,) for _, place in blanks]
        noted = [(place, each) for (_, each), (_, place) in zip(statements, blanks, strict=True)]
        steps: list[tuple[str, Rows]] = [
            (NOTE_ERASED, note_erased(noted)),
            (_BLANK, blanks),
            (_FORGET_SIGNAL, sorted(signals)),
            *forget_late_signals(sorted(signals)),
            (_FORGET_MISSING, places),
        ]
        async with self._database.write() as unit:
            await unit.run_all(steps)

    async def untold(self) -> Untold | None:
        """What went in the oldest transaction that was not told yet; None where all was.

        Raises:
            StoreCorrupt: a row is not what was written.
        """
        oldest = await self._database.read(_READ_UNTOLD)
        if not oldest:
            return None
        [(number, places)] = oldest
        rows = await self._database.read(_READ_PLACES, (places,))
        return Untold(number, [await self._stored(row) for row in rows])

    async def told(self, number: int) -> None:
        """Everybody was told of that transaction, and of those before it.

        Raises:
            StoreFull, StoreCorrupt, StoreUnavailable: the disk; nothing was changed.
        """
        async with self._database.write(Lane.BULK) as unit:
            await unit.run("DELETE FROM untold_erasures WHERE number <= ?", (number,))

    async def places_of(
        self, log: LogId, start: int, end: int, *, branch: int = 0
    ) -> tuple[int, int]:
        """The places of the statements from ``start`` up to and without ``end`` of a branch."""
        stem = await self._stems.find(log, branch)
        return place_of(stem, start), place_of(stem, end - 1)

    async def missing(self, log: LogId, *, branch: int = 0) -> list[StoredStatement]:
        """The first missing statements of a log, at most ``MISSING_READ_MAX``."""
        stem = await self._stems.find(log, branch)
        rows = await self._database.read(
            f"SELECT {STATEMENT_COLUMNS} FROM missing_openings JOIN statements USING (place)"  # noqa: S608
            " WHERE place BETWEEN ? AND ? ORDER BY place LIMIT ?",
            (place_of(stem, 0), place_of(stem + 1, 0) - 1, MISSING_READ_MAX),
        )
        return [await self._stored(row) for row in rows]

    async def is_missing(self, log: LogId, index: int) -> bool:
        """Whether that statement has no opening, and no valid erase was at hand when it came."""
        place = place_of(await self._stems.find(log), index)
        rows = await self._database.read("SELECT 1 FROM missing_openings WHERE place = ?", (place,))
        return bool(rows)

    async def missing_counts(self) -> dict[LogId, int]:
        """How many statements of each log are missing; logs that lack none are left out."""
        rows = await self._database.read(
            "SELECT place >> 40, count(*) FROM missing_openings GROUP BY place >> 40"
        )
        counts: dict[LogId, int] = {}
        for stem, count in rows:
            log, _ = await self._stems.branch(stem)
            counts[log] = counts.get(log, 0) + count
        return counts

    async def reopen(
        self,
        statements: Sequence[VerifiedStatement],
        receipts: Sequence[Receipt] = (),
        *,
        branch: int = 0,
    ) -> None:
        """Put salts and bodies back that are missing, and what they are found by.

        What was erased since it was asked for is missing no more, and stays as it is.

        Args:
            statements: opened, each of the id that stands at its place.
            receipts: on complete heads of the same log, true once these are durable.
            branch: which branch of their logs they stand in.

        Raises:
            StoreFull, StoreCorrupt, StoreUnavailable: the disk; nothing was changed.
        """
        by_place = {}
        for verified in statements:
            place = place_of(await self._stems.find(verified.log, branch), verified.index)
            by_place[place] = verified
        stems = [await self._stems.find(receipt.head.log) for receipt in receipts]
        signed = list(zip(stems, receipts, strict=True))
        notes = [(stem, receipt.head.size, receipt.head.note) for stem, receipt in signed]
        async with self._database.write() as unit:
            missing = await unit.run(_AMONG_MISSING, (json.dumps(list(by_place)),))
            await unit.run_all(
                [
                    *_reopen_steps({place: by_place[place] for (place,) in missing}),
                    (INSERT_CHECKPOINT, notes),
                    *receipt_steps(signed),
                ]
            )

    async def scrub(self) -> bool:
        """Empty the write-ahead log; False where a reader stood in the way, and to be asked again.

        Raises:
            StoreFull, StoreCorrupt, StoreUnavailable: the disk.
        """
        return await self._database.empty_wal()

    async def _stored(self, row: Row) -> StoredStatement:
        stem, index = split_place(row[0])
        return StoredStatement(*await self._stems.branch(stem), index, statement_of(row))


def _reopen_steps(statements: Mapping[int, VerifiedStatement]) -> list[tuple[str, Rows]]:
    """What to run for opened statements, by the places where their openings are missing."""
    rows: list[Row] = []
    index = IndexRows()
    for place, verified in statements.items():
        opening = verified.statement.opening
        if opening is None:
            raise ValueError("only an opened statement can be put back")
        reading = reading_of_opening(verified.header, verified.statement.opening)
        said = (opening.salt, opening.body, verified.statement.commitment)
        rows.append((*said, not reading.is_whole, place))
        index.add(place, reading)
    return [(_REOPEN, rows), *index.steps(), (_FORGET_MISSING, [(row[-1],) for row in rows])]

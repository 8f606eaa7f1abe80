"""Statements by the signals they carry and the statements they refer to.

What is read here are statements that are stored, so verified once; whoever needs them as verified
values asks the judge again. Answers are bounded for each log: a member who says one thing ten
thousand times makes nobody read it ten thousand times.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Final, TypeAlias

from federation.errors import HeaderMalformed
from federation.local_errors.disk import StoreCorrupt
from federation.protocol.headers import StatementId, decode_header
from federation.protocol.signals import VALUE_BYTES, SignalType, identity_of
from federation.protocol.statements import Statement
from federation.store.appending import IndexRows
from federation.store.database import Database, Row
from federation.store.late_rows import SIGNALS, LateRows
from federation.store.places import (
    STATEMENT_COLUMNS,
    StoredStatement,
    id_hkey,
    signal_hkey,
    split_place,
    statement_of,
)
from federation.store.readings import READER_VERSION, Reading, reading_of_opening
from federation.store.stems import Stems

SignalKey: TypeAlias = tuple[SignalType, bytes]
"""A signal's type and identity (``protocol.signals.identity_of``): its value, but for long ones."""

CARRIERS_PER_LOG_MAX: Final = 256
"""Statements of one log that carry one signal: its newest ones, which say what the member means
now. Logs are equal everywhere, so all nodes leave out the same."""

REFERENCES_PER_LOG_MAX: Final = 256
"""Statements of one log that refer to one statement: its oldest ones, so that a withdraw that
counted once counts for ever, whatever its member says later."""

PAGE_ROWS: Final = 2_048
"""Rows decoded at a time: about 40 ms of work, after which other tasks get their turn."""

_READ_KEYED: Final = """
    SELECT hkey, {columns} FROM (
        SELECT hkey, place, row_number() OVER (
            PARTITION BY hkey, place >> 40 ORDER BY place {order}
        ) AS nth
        FROM (
            SELECT hkey, place FROM {table} WHERE hkey IN (SELECT value FROM json_each(?))
            UNION SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]')
            FROM json_each(?)
        )
    ) JOIN statements USING (place) WHERE nth <= ? ORDER BY place"""
_READ_CARRIERS: Final = _READ_KEYED.format(
    columns=STATEMENT_COLUMNS, table="signal_places", order="DESC"
)
_READ_REFERRING: Final = _READ_KEYED.format(
    columns=STATEMENT_COLUMNS, table="reference_places", order="ASC"
)
_READ_PLACES: Final = """
    SELECT place FROM signal_places
    WHERE hkey IN (SELECT value FROM json_each(?))
        AND place >> 40 IN (SELECT value FROM json_each(?))
    UNION SELECT json_extract(value, '$[1]') FROM json_each(?)
    WHERE json_extract(value, '$[1]') >> 40 IN (SELECT value FROM json_each(?))"""
_READ_AT: Final = (
    f"SELECT {STATEMENT_COLUMNS} FROM statements"  # noqa: S608 - constants
    " WHERE place IN (SELECT value FROM json_each(?))"
)
_READ_PAGE: Final = (
    f"SELECT {STATEMENT_COLUMNS} FROM statements"  # noqa: S608 - constants
    " WHERE place > ? AND body IS NOT NULL ORDER BY place LIMIT ?"
)
_READ_UNREAD: Final = (
    f"SELECT {STATEMENT_COLUMNS} FROM statements"  # noqa: S608 - constants
    " WHERE unread = 1 AND place > ? ORDER BY place LIMIT ?"
)


class SignalStore:
    """Statements by signal and by reference.

    Args:
        database: where they are.
        stems: which branch has which stem.
        late: index rows that are written later.
    """

    def __init__(self, database: Database, stems: Stems, late: LateRows) -> None:
        self._database = database
        self._stems, self._late = stems, late

    async def carriers(self, signal_type: SignalType, identity: bytes) -> list[StoredStatement]:
        """The statements that carry a signal; see :meth:`carriers_many`.

        Raises:
            StoreCorrupt: a row is not what was written.
        """
        key = (signal_type, identity)
        return (await self.carriers_many([key]))[key]

    async def carriers_many(
        self, signals: Iterable[SignalKey]
    ) -> dict[SignalKey, list[StoredStatement]]:
        """The statements that carry each of some signals, in one read.

        Of one log, the newest ``CARRIERS_PER_LOG_MAX`` for a signal. A statement that stands at
        several places comes once for each.

        Returns:
            For each signal asked for, its statements by log and index.

        Raises:
            StoreCorrupt: a row is not what was written.
        """
        found: dict[SignalKey, list[StoredStatement]] = {key: [] for key in signals}
        asked: dict[int, list[SignalKey]] = {}
        for key in found:
            asked.setdefault(signal_hkey(*key), []).append(key)
        rows = await self._database.read(
            _READ_CARRIERS,
            (json.dumps(list(asked)), self._late.also(SIGNALS, asked), CARRIERS_PER_LOG_MAX),
        )
        for hkey, *columns in rows:
            statement = statement_of(tuple(columns))
            carried = [key for key in asked[hkey] if _holds(statement, key)]
            for key in carried:
                found[key].append(await self._stored(columns[0], statement))
            if not carried and statement.opening is not None:
                self._check_kept_under(hkey, statement)
        return found

    async def said_with(
        self, member: str, signals: Iterable[SignalKey], page_rows: int = PAGE_ROWS
    ) -> AsyncIterator[Statement]:
        """Every statement of one member's logs that carries any of some signals, old ones too.

        A signal whose hkey is another's brings that one's statements too.

        Args:
            member: whose logs.
            signals: by type and identity.
            page_rows: statements read at a time.

        Raises:
            StoreCorrupt: a row is not what was written.
        """
        hkeys = [signal_hkey(*key) for key in signals]
        asked, stems = json.dumps(hkeys), json.dumps(await self._stems.of_member(member))
        rows = await self._database.read(
            _READ_PLACES, (asked, stems, self._late.also(SIGNALS, hkeys), stems)
        )
        places = [place for (place,) in rows]
        for at in range(0, len(places), page_rows):
            page = json.dumps(places[at : at + page_rows])
            for row in await self._database.read(_READ_AT, (page,)):
                yield statement_of(row)

    async def references_to(self, ids: Iterable[StatementId]) -> list[StoredStatement]:
        """The statements whose headers refer to any of some statements: withdraws and others.

        Of one log, the oldest ``REFERENCES_PER_LOG_MAX`` for each id.

        Raises:
            StoreCorrupt: a row is not what was written.
        """
        asked: dict[int, list[StatementId]] = {}
        for statement_id in set(ids):
            asked.setdefault(id_hkey(statement_id), []).append(statement_id)
        rows = await self._database.read(
            _READ_REFERRING, (json.dumps(list(asked)), "[]", REFERENCES_PER_LOG_MAX)
        )
        found: dict[int, StoredStatement] = {}
        for hkey, *columns in rows:
            statement = statement_of(tuple(columns))
            if any(each.entry in statement.header_bytes for each in asked[hkey]):
                found[columns[0]] = await self._stored(columns[0], statement)
            else:
                self._check_kept_under(hkey, statement)
        return list(found.values())

    async def signals_pages(
        self, page_rows: int = PAGE_ROWS
    ) -> AsyncIterator[list[tuple[SignalType, bytes]]]:
        """Type and value of every signal of every stored confirm, some many times: for an index.

        Statements stored while this runs may be in it or not.

        Raises:
            StoreCorrupt: a row is not what was written.
        """
        place = -1
        while rows := await self._database.read(_READ_PAGE, (place, page_rows)):
            place = rows[-1][0]
            yield [key for row in rows for key in _read(statement_of(row)).signals]

    async def signals_after(
        self, place: int, rows_max: int
    ) -> tuple[list[tuple[StatementId, SignalType, bytes]], int | None]:
        """One page of :meth:`signals_pages`, with the statement that carries each signal.

        Args:
            place: where the page before ended; -1 for the first.
            rows_max: statements looked at.

        Returns:
            Statement, type and value of each signal; and where the page ended, None at the end.

        Raises:
            StoreCorrupt: a row is not what was written.
        """
        rows = await self._database.read(_READ_PAGE, (place, rows_max))
        page = []
        for row in rows:
            statement = statement_of(row)
            page += [(statement.id, kind, value) for kind, value in _read(statement).signals]
        return page, rows[-1][0] if len(rows) == rows_max else None

    async def read_again(self, page_rows: int = PAGE_ROWS) -> int:
        """After an upgrade, read what an earlier release could not, and add its index rows.

        Does nothing where this release's readers have been over it already. To be run before an
        index is built. What is interrupted goes on where it was.

        Returns:
            How many statements could be read whole that could not before.

        Raises:
            StoreFull, StoreCorrupt, StoreUnavailable: the disk; what was done stays done.
        """
        [[read_by]] = await self._database.read("SELECT reader_version FROM meta")
        if read_by >= READER_VERSION:
            return 0
        place, count = -1, 0
        while rows := await self._database.read(_READ_UNREAD, (place, page_rows)):
            place = rows[-1][0]
            count += await self._index_again(rows)
        async with self._database.write() as unit:
            await unit.run("UPDATE meta SET reader_version = ?", (READER_VERSION,))
        return count

    async def _index_again(self, rows: Sequence[Row]) -> int:
        index = IndexRows()
        whole: list[Row] = []
        for row in rows:
            reading = _read(statement_of(row))
            index.add(row[0], reading)
            if reading.is_whole:
                whole.append((row[0],))
        async with self._database.write() as unit:
            await unit.run_all(
                [*index.steps(), ("UPDATE statements SET unread = 0 WHERE place = ?", whole)]
            )
        return len(whole)

    def _check_kept_under(self, hkey: int, statement: Statement) -> None:
        """Tell a damaged row from another value of the same hkey, which its maker searched for."""
        reading = _read(statement)
        keys = {signal_hkey(kind, identity_of(kind, value)) for kind, value in reading.signals}
        if hkey not in keys.union(map(id_hkey, reading.references)):
            raise StoreCorrupt("a statement lacks what it is kept under")

    async def _stored(self, place: int, statement: Statement) -> StoredStatement:
        stem, index = split_place(place)
        return StoredStatement(*await self._stems.branch(stem), index, statement)


def _holds(statement: Statement, key: SignalKey) -> bool:
    """Whether the body holds the signal: its row says of which type, in all but 2^-64."""
    signal_type, identity = key
    if statement.opening is None:
        return False
    if signal_type in VALUE_BYTES:  # the value stands in the body as it is
        return identity in statement.opening.body
    return any(
        kind is signal_type and identity_of(kind, value) == identity
        for kind, value in _read(statement).signals
    )


def _read(statement: Statement) -> Reading:
    try:
        header = decode_header(statement.header_bytes)
    except HeaderMalformed:
        raise StoreCorrupt("a stored statement has no readable header") from None
    return reading_of_opening(header, statement.opening)

"""The check that what is stored is still what was written: a log is recomputed from its rows.

Reading compares what it can at no cost; this reads everything. Statements, kept commitments, tiles,
the right edge, the head's root, and every row that the statements are found by are held against
each other, so that one flipped bit in any of them is noticed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Final

from federation.errors import CheckpointMalformed, HeaderMalformed, NoteMalformed, TooLarge
from federation.local_errors.disk import StoreCorrupt
from federation.protocol.checkpoints import parse_checkpoint
from federation.protocol.headers import decode_header
from federation.protocol.limits import TILE_WIDTH
from federation.protocol.merkle import DIGEST_BYTES, leaf_hash
from federation.protocol.merkle_growth import CompactRange, NodeRun
from federation.protocol.notes import parse_note
from federation.protocol.origins import LogId
from federation.protocol.statements import Statement
from federation.store.appending import IndexRows
from federation.store.database import Database, Row
from federation.store.places import STATEMENT_COLUMNS, id_hkey, place_of, split_place, statement_of
from federation.store.readings import reading_of_opening
from federation.store.stems import Stems
from federation.store.tree_store import TreeStore

PAGE_STATEMENTS: Final = 4 * TILE_WIDTH
"""Statements read at a time: about 30 ms of work, after which other tasks get their turn."""

_READ_PAGE: Final = (
    f"SELECT {STATEMENT_COLUMNS}, unread FROM statements"  # noqa: S608 - constants
    " WHERE place BETWEEN ? AND ? ORDER BY place"
)
_READ_KEYS: Final = (
    "SELECT hkey, place FROM {table} WHERE hkey IN (SELECT value FROM json_each(?))"
    " AND place BETWEEN ? AND ?"
)
_LAST_PLACE: Final = "SELECT max(place) FROM statements WHERE place BETWEEN :first AND :last"


async def check_log(database: Database, stems: Stems, log: LogId, branch: int = 0) -> int:
    """Recompute one branch of a log from its rows; it may grow meanwhile.

    Returns:
        How many statements were checked.

    Raises:
        LogNotFound: nothing of it is held.
        StoreCorrupt: something is not what was written; the message says where, as far as that can
            be told.
    """
    stem = await stems.find(log, branch)
    [[size, edge, head_size, head_note, base, last_place]] = await database.read(
        f"SELECT size, edge, head_size, head_note, base_size, ({_LAST_PLACE})"  # noqa: S608
        " FROM branches WHERE stem = :stem",
        {"stem": stem, "first": place_of(stem, 0), "last": place_of(stem + 1, 0) - 1},
    )
    if last_place != (place_of(stem, size - 1) if size > base else None):
        raise StoreCorrupt(f"the rows of {log} do not end where the log does")
    check = _Check(database, stem, log)
    # What a branch begins with is another one's, and is checked there.
    held = await TreeStore(database, stems).edge(log, base, branch=branch)
    while held.size < size:
        held = await check.page(held, min(held.size + PAGE_STATEMENTS, size))
    if b"".join(held.hashes) != edge:
        bundle = size // TILE_WIDTH * TILE_WIDTH
        raise StoreCorrupt(f"{log} is not what was written, in statements {bundle} and later")
    if head_size == size and size and _root_of(head_note) != held.root():
        raise StoreCorrupt(f"the head of {log} is not the one that was written")
    return held.size


class _Check:
    """One pass over the rows of a stem."""

    def __init__(self, database: Database, stem: int, log: LogId) -> None:
        self._database = database
        self._stem = stem
        self._log = log

    async def page(self, held: CompactRange, until: int) -> CompactRange:
        """Check the statements from what is held so far, and hold them."""
        first, last = place_of(self._stem, held.size), place_of(self._stem, until - 1)
        rows = await self._database.read(_READ_PAGE, (first, last))
        if [row[0] for row in rows] != list(range(first, last + 1)):
            raise StoreCorrupt(f"statements of {self._log} are missing before {until}")
        statements = [self._statement(row) for row in rows]
        longer, runs = held.extend_with_runs(
            [leaf_hash(statement.id.entry) for statement in statements]
        )
        for run in runs:
            if run.tile_level > 0:
                await self._check_tiles(run)
        await self._check_keys(rows, statements)
        return longer

    def _statement(self, row: Row) -> Statement:
        statement = statement_of(row[:-1])
        kept = row[3]
        if kept is not None and kept != statement.commitment:
            raise StoreCorrupt(f"{self._where(row)} is not what was written")
        return statement

    async def _check_tiles(self, run: NodeRun) -> None:
        begin, end = run.start, run.start + len(run.hashes)
        first_tile = begin // TILE_WIDTH
        tiles = await self._database.read(
            "SELECT hashes FROM tiles WHERE stem = ? AND level = ? AND tile BETWEEN ? AND ?"
            " ORDER BY tile",
            (self._stem, run.tile_level, first_tile, (end - 1) // TILE_WIDTH),
        )
        joined = b"".join(hashes for (hashes,) in tiles)
        for number, digest in enumerate(run.hashes, start=begin):
            at = (number - first_tile * TILE_WIDTH) * DIGEST_BYTES
            if joined[at : at + DIGEST_BYTES] != digest:
                span = TILE_WIDTH**run.tile_level
                raise StoreCorrupt(
                    f"{self._log} is not what was written, in statements {number * span} to"
                    f" {(number + 1) * span - 1} or the tiles over them"
                )

    async def _check_keys(self, rows: Sequence[Row], statements: Sequence[Statement]) -> None:
        """Whether every statement can be found by what it should be found by."""
        index = IndexRows()
        for row, statement in zip(rows, statements, strict=True):
            if row[-1] or statement.opening is None:
                continue
            try:
                header = decode_header(statement.header_bytes)
            except HeaderMalformed:
                raise StoreCorrupt(f"{self._where(row)} is not what was written") from None
            reading = reading_of_opening(header, statement.opening)
            if not reading.is_whole:
                raise StoreCorrupt(f"{self._where(row)} is not what was written")
            index.add(row[0], reading)
        ids = [
            (id_hkey(statement.id), row[0]) for row, statement in zip(rows, statements, strict=True)
        ]
        for table, keys in (
            ("statement_ids", ids),
            ("signal_places", index.signals),
            ("reference_places", index.references),
            ("erase_places", index.erases),
        ):
            await self._check_table(table, keys, rows[0][0], rows[-1][0])

    async def _check_table(self, table: str, keys: Iterable[Row], first: int, last: int) -> None:
        expected = set(keys)
        hkeys = json.dumps(sorted({hkey for hkey, _ in expected}))
        found = await self._database.read(_READ_KEYS.format(table=table), (hkeys, first, last))
        missing = expected.difference(found)
        if missing:
            _, place = min(missing, key=lambda key: int(key[1]))
            index = split_place(place)[1]
            raise StoreCorrupt(f"statement {index} of {self._log} is missing in {table}")

    def _where(self, row: Row) -> str:
        return f"statement {split_place(row[0])[1]} of {self._log}"


def _root_of(note: bytes) -> bytes | None:
    try:
        return parse_checkpoint(parse_note(note).text).root_hash
    except (NoteMalformed, CheckpointMalformed, TooLarge):
        return None

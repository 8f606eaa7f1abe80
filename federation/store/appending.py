"""The rows of an append: what judged steps and receipts become, table by table.

Pure: the store decides when they are written. Rows of the trees keyed by hkey come sorted, which
makes SQLite touch each page once in a transaction instead of once in a row.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from federation.protocol.headers import StatementId
from federation.protocol.limits import TILE_WIDTH
from federation.protocol.merkle_growth import NodeRun
from federation.protocol.signals import identity_of
from federation.provenance.log_view import Advance
from federation.provenance.verifier import Receipt, VerifiedStatement
from federation.store.database import Row, Rows
from federation.store.late_rows import INSERT_LATE, LateKeys, run_of
from federation.store.packing import INSERT_PACKED, pack
from federation.store.places import id_hkey, place_of, row_of, signal_hkey
from federation.store.readings import Reading, reading_of_opening

ADVANCE_BRANCH: Final = (
    "UPDATE branches SET size = ?, edge = ?, head_size = ?, head_note = ?"
    " WHERE stem = ? AND size = ? AND edge = ? AND head_size <= ?"
)
INSERT_STATEMENT: Final = (
    "INSERT INTO statements (place, unread, header, salt, commitment, body)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)
INSERT_ID: Final = "INSERT INTO statement_ids (hkey, place) VALUES (?, ?)"
# A statement read again has some of its rows already.
INSERT_SIGNAL: Final = (
    "INSERT INTO signal_places (hkey, place) VALUES (?, ?) ON CONFLICT DO NOTHING"
)
INSERT_REFERENCE: Final = (
    "INSERT INTO reference_places (hkey, place) VALUES (?, ?) ON CONFLICT DO NOTHING"
)
INSERT_ERASE: Final = "INSERT INTO erase_places (hkey, place) VALUES (?, ?) ON CONFLICT DO NOTHING"
INSERT_INCIDENT: Final = "INSERT INTO incident_places (place) VALUES (?) ON CONFLICT DO NOTHING"
INSERT_MISSING: Final = "INSERT INTO missing_openings (place) VALUES (?)"
# Before the rows that it is about. Who stands in another branch, or here, and is gone already was
# noted then.
NOTE_ERASED: Final = """
    INSERT INTO untold_erasures (places) SELECT json_group_array(place) FROM (
        SELECT json_extract(value, '$[0]') AS place, json_extract(value, '$[1]') AS hkey,
            json_extract(value, '$[2]') AS commitment FROM json_each(?)
    ) AS going WHERE NOT EXISTS (
        SELECT 1 FROM statements AS said WHERE said.body IS NULL
        AND said.place IN (
            SELECT going.place UNION ALL SELECT place FROM statement_ids WHERE hkey = going.hkey
        )
        AND hex(said.commitment) = going.commitment
        AND said.place NOT IN (SELECT place FROM missing_openings)
    ) HAVING count(*) > 0"""
# SQLite makes text of what it joins, byte for byte.
EXTEND_TILE: Final = (
    "INSERT INTO tiles (stem, level, tile, hashes) VALUES (?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET hashes = CAST(hashes || excluded.hashes AS BLOB)"
)
# The database's own clock, in the transaction that makes it durable: milliseconds since 1970, from
# Julian days. The public sees a checkpoint so much later (docs/internals/public_log.md).
INSERT_CHECKPOINT: Final = (
    "INSERT INTO checkpoints (stem, size, note, kept_at_ms)"
    " VALUES (?, ?, ?, CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER))"
    " ON CONFLICT DO NOTHING"
)
# The earliest word of a cosigner on a head proves the most about when it existed.
INSERT_COSIGNATURE: Final = (
    "INSERT INTO cosignatures (stem, size, member, cosigner, at_seconds, line)"
    " VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET at_seconds = excluded.at_seconds, line = excluded.line"
    " WHERE excluded.at_seconds < at_seconds"
)
ADVANCE_COSIGNER: Final = (
    "INSERT INTO newest_cosignatures (stem, size, member, cosigner, at_seconds)"
    " VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET size = excluded.size, at_seconds = excluded.at_seconds"
    " WHERE excluded.size > size"
)
COUNT_COSIGNERS: Final = (
    "UPDATE checkpoints SET cosigners = (SELECT count(*) FROM cosignatures AS lines"
    " WHERE lines.stem = checkpoints.stem AND lines.size = checkpoints.size)"
    " WHERE stem = ? AND size = ?"
)


@dataclass(slots=True)
class IndexRows:
    """Rows of the trees that statements are found by."""

    signals: list[Row] = field(default_factory=list)
    references: list[Row] = field(default_factory=list)
    erases: list[Row] = field(default_factory=list)
    incidents: list[Row] = field(default_factory=list)

    def add(self, place: int, reading: Reading) -> None:
        """The rows of one statement."""
        # A set: two signals of one statement may share an hkey.
        self.signals += {
            (signal_hkey(signal_type, identity_of(signal_type, value)), place)
            for signal_type, value in reading.signals
        }
        if reading.is_incident:
            self.incidents.append((place,))
        if not reading.references:
            return
        references = {(id_hkey(reference), place) for reference in reading.references}
        self.references += references
        if reading.is_erase:
            self.erases += references

    def steps(self) -> list[tuple[str, Rows]]:
        """What to run, for :meth:`federation.store.database.WriteUnit.run_all`."""
        return [
            (INSERT_SIGNAL, sorted(self.signals)),
            (INSERT_REFERENCE, sorted(self.references)),
            (INSERT_ERASE, sorted(self.erases)),
            (INSERT_INCIDENT, self.incidents),
        ]


def append_steps(
    moves: Sequence[tuple[int, Advance]],
    receipts: Iterable[tuple[int, Receipt]],
    erased: Container[StatementId] = (),
    late: LateKeys | None = None,
) -> list[tuple[str, Rows]]:
    """What to run for judged steps, the compare-and-swap of their branches first.

    Args:
        moves: each step with the stem of its branch.
        receipts: each with the stem of the branch whose head it is on, which is complete.
        erased: the statements without an opening that are under a valid erase; others are missing.
        late: takes the rows of ids and of signals, where they are to be written later.
    """
    missing: list[Row] = []
    gone: list[tuple[int, VerifiedStatement]] = []
    statements: list[Row] = []
    packed: list[Row] = []
    ids: list[Row] = []
    index = IndexRows()
    for stem, move in moves:
        rows = None if late is None else pack(stem, move.statements)
        if late is not None and rows is not None:
            packed.append(rows[0])
            late.ids += rows[1].ids
            late.signals += rows[1].signals
            continue
        for verified in move.statements:
            place = place_of(stem, verified.index)
            reading = reading_of_opening(verified.header, verified.statement.opening)
            statements.append(row_of(place, verified.statement, unread=not reading.is_whole))
            ids.append((id_hkey(verified.id), place))
            if verified.statement.opening is None:
                if verified.id in erased:
                    gone.append((place, verified))
                else:
                    missing.append((place,))
            index.add(place, reading)
    marks: list[Row] = []
    if late is not None:
        late.ids.append(run_of(ids))
        late.signals.append(run_of(index.signals))
        ids, index.signals = [], []
        marks = [(stem, move.before.size) for stem, move in moves]
    return [
        (ADVANCE_BRANCH, [_branch_row(stem, move) for stem, move in moves]),
        (INSERT_LATE, marks),
        (NOTE_ERASED, note_erased(gone)),
        (INSERT_PACKED, packed),
        (INSERT_STATEMENT, statements),
        (INSERT_ID, sorted(ids)),
        (INSERT_MISSING, missing),
        *index.steps(),
        (EXTEND_TILE, [row for stem, move in moves for row in _tile_rows(stem, move.runs)]),
        (INSERT_CHECKPOINT, [row for stem, move in moves for row in _checkpoint_rows(stem, move)]),
        *receipt_steps(receipts),
    ]


def note_erased(gone: Iterable[tuple[int, VerifiedStatement]]) -> list[Row]:
    """The parameters of ``NOTE_ERASED`` for statements that are gone after a transaction.

    Args:
        gone: each with its place.
    """
    asked = [
        (place, id_hkey(each.id), each.statement.commitment.hex().upper()) for place, each in gone
    ]
    return [(json.dumps(asked),)] if asked else []


def receipt_steps(receipts: Iterable[tuple[int, Receipt]]) -> list[tuple[str, Rows]]:
    """What to run for receipts on checkpoints that are there, each with its branch's stem."""
    lines: list[Row] = []
    newest: list[Row] = []
    for stem, receipt in receipts:
        signed = (stem, receipt.head.size, receipt.member, str(receipt.cosigner))
        lines.append((*signed, receipt.at_seconds, receipt.line))
        newest.append((*signed, receipt.at_seconds))
    return [
        (INSERT_COSIGNATURE, lines),
        (ADVANCE_COSIGNER, newest),
        (COUNT_COSIGNERS, sorted({line[:2] for line in lines})),
    ]


def _branch_row(stem: int, move: Advance) -> Row:
    held, before, head = move.view.held, move.before.held, move.view.head
    if head is None:
        raise ValueError("an advanced view has a head")
    return (
        held.size,
        b"".join(held.hashes),
        head.size,
        head.note,
        stem,
        before.size,
        b"".join(before.hashes),
        head.size,
    )


def _checkpoint_rows(stem: int, move: Advance) -> Iterator[Row]:
    if move.view.head is not None and move.view.is_complete:
        yield (stem, move.view.head.size, move.view.head.note)


def _tile_rows(stem: int, runs: Iterable[NodeRun]) -> Iterator[Row]:
    """What each tile of level 1 and up gains, for a statement that joins it to what is there."""
    for run in runs:
        if run.tile_level == 0:
            continue
        begin, end = run.start, run.start + len(run.hashes)
        while begin < end:
            tile, offset = divmod(begin, TILE_WIDTH)
            until = min(end, begin + TILE_WIDTH - offset)
            hashes = run.hashes[begin - run.start : until - run.start]
            yield (stem, run.tile_level, tile, b"".join(hashes))
            begin = until

"""What outsiders may see of a log, and who holds it since when.

A checkpoint is public once it has been here for as long as the roster says, by the clock of the
transaction that kept it; where the operator asked for a quorum, once so many others signed it too.
Tiles need no delay of their own: they are served as far as the public checkpoint reaches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from federation.protocol.limits import TILE_WIDTH
from federation.protocol.origins import Cosigner, LogId
from federation.store.database import Database
from federation.store.places import place_of
from federation.store.receipt_store import StoredCheckpoint
from federation.store.stems import Stems
from federation.store.tree_store import READ_LEAVES, entry_of

# `cosigners` counts lines, and a member may give two: it only narrows the search.
_PUBLIC_HEAD: Final = """
    SELECT size, note FROM checkpoints AS head
    WHERE stem = :stem AND kept_at_ms <= :kept_before_ms AND cosigners >= :members AND (
        :members = 0 OR (
            SELECT count(DISTINCT member) FROM cosignatures AS line
            WHERE line.stem = head.stem AND line.size = head.size AND member <> :own
        ) >= :members
    ) ORDER BY size DESC LIMIT 1"""

_LINES: Final = """
    SELECT line FROM (
        SELECT at_seconds, member, cosigner, line FROM cosignatures
        WHERE stem = :stem AND size = :size
        UNION ALL
        SELECT at_seconds, witness, '', line FROM foreign_cosignatures
        WHERE stem = :stem AND size = :size
    ) ORDER BY at_seconds, member, cosigner"""

# A cosigner signs newest heads, so the smallest head over a statement is also its earliest word.
_FIRST_RECEIPTS: Final = """
    SELECT newest.member, newest.cosigner, line.size, line.at_seconds, newest.size
    FROM newest_cosignatures AS newest JOIN cosignatures AS line
    ON line.stem = newest.stem AND line.member = newest.member
    AND line.cosigner = newest.cosigner AND line.size = (
        SELECT size FROM cosignatures AS first
        WHERE first.stem = newest.stem AND first.member = newest.member
        AND first.cosigner = newest.cosigner AND first.size > :index
        ORDER BY first.size LIMIT 1
    )
    WHERE newest.stem = :stem ORDER BY line.at_seconds, newest.member, newest.cosigner"""

# How far the word of enough others reaches: the k-th largest of their newest heads.
_REACHED: Final = """
    SELECT reach FROM (
        SELECT max(size) AS reach FROM newest_cosignatures
        WHERE stem = :stem AND member <> :own GROUP BY member
    ) ORDER BY reach DESC LIMIT 1 OFFSET :members - 1"""


@dataclass(frozen=True, slots=True)
class Holding:
    """That a member vouches for a statement, and since when.

    Attributes:
        member: who.
        cosigner: as mirror it durably holds the statement; as witness it saw its head.
        size: of the smallest head over the statement that it signed.
        at_seconds: when it signed that, by its clock, POSIX seconds.
        newest_size: of the largest head of the log that it signed.
    """

    member: str
    cosigner: Cosigner
    size: int
    at_seconds: int
    newest_size: int


@dataclass(frozen=True, slots=True)
class HeldHead:
    """How far a log is held, and the newest head accepted of it.

    Attributes:
        held: statements held.
        head_size: of the newest head, at least ``held``.
        head_note: its note, verbatim.
    """

    held: int
    head_size: int
    head_note: bytes


class PublicStore:
    """Checkpoints as outsiders see them.

    Args:
        database: where they are.
        stems: which branch has which stem.
    """

    def __init__(self, database: Database, stems: Stems) -> None:
        self._database = database
        self._stems = stems

    async def public_head(
        self, log: LogId, kept_before_ms: int, *, members_min: int = 0, own: str = ""
    ) -> StoredCheckpoint | None:
        """The largest checkpoint kept until a time, with every line under it; None without one.

        Args:
            log: which log.
            kept_before_ms: Unix milliseconds.
            members_min: how many members other than ``own`` must have cosigned it.
            own: whose lines do not count.

        Raises:
            LogNotFound: nothing of the log is held.
        """
        stem = await self._stems.find(log)
        asked = {
            "stem": stem,
            "kept_before_ms": kept_before_ms,
            "members": members_min,
            "own": own,
        }
        rows = await self._database.read(_PUBLIC_HEAD, asked)
        if not rows:
            return None
        [(size, note)] = rows
        lines = await self._database.read(_LINES, {"stem": stem, "size": size})
        return StoredCheckpoint(size, note, tuple(line for (line,) in lines))

    async def entries(self, log: LogId, index: int, width: int = TILE_WIDTH) -> list[bytes]:
        """The entries of one bundle, 32 bytes each: what the leaves of the log are made of.

        Args:
            log: which log.
            index: the bundle's index.
            width: how many, 1 to 256; fewer come where fewer are held.

        Raises:
            LogNotFound: nothing of the log is held.
        """
        first = place_of(await self._stems.find(log), index * TILE_WIDTH)
        rows = await self._database.read(READ_LEAVES, (first, first + width - 1))
        return [entry_of(row) for row in rows]

    async def keep_foreign(
        self, log: LogId, size: int, witness: str, at_seconds: int, line: str
    ) -> None:
        """Keep a foreign witness's line on a checkpoint that is kept here; the earliest stays.

        Raises:
            LogNotFound: nothing of the log is held.
            StoreError: it could not be made durable.
        """
        stem = await self._stems.find(log)
        async with self._database.write() as unit:
            await unit.run(
                "INSERT INTO foreign_cosignatures (stem, size, witness, at_seconds, line)"
                " SELECT stem, size, ?, ?, ? FROM checkpoints WHERE stem = ? AND size = ?"
                " ON CONFLICT DO NOTHING",
                (witness, at_seconds, line, stem, size),
            )

    async def holdings(self, log: LogId, index: int) -> list[Holding]:
        """Who vouches for a statement of the log since when, earliest first.

        Raises:
            LogNotFound: nothing of the log is held.
        """
        stem = await self._stems.find(log)
        rows = await self._database.read(_FIRST_RECEIPTS, {"stem": stem, "index": index})
        return [
            Holding(member, Cosigner(cosigner), size, at_seconds, newest)
            for member, cosigner, size, at_seconds, newest in rows
        ]

    async def overdue_size(
        self, log: LogId, kept_before_ms: int, *, members_min: int, own: str
    ) -> int | None:
        """The largest checkpoint kept until a time that too few others vouch for; None: all well.

        A word on a later head counts for the earlier ones.

        Raises:
            LogNotFound: nothing of the log is held.
        """
        stem = await self._stems.find(log)
        reached = await self._database.read(
            _REACHED, {"stem": stem, "own": own, "members": members_min}
        )
        rows = await self._database.read(
            "SELECT max(size) FROM checkpoints WHERE stem = ? AND size > ? AND kept_at_ms <= ?",
            (stem, reached[0][0] if reached else 0, kept_before_ms),
        )
        return None if rows[0][0] is None else int(rows[0][0])

    async def held_head(self, log: LogId) -> HeldHead | None:
        """How far a log is held and under which head; None where nothing is."""
        rows = await self._database.read(
            "SELECT size, head_size, head_note FROM branches"
            " WHERE origin = ? AND branch = 0 AND head_note IS NOT NULL",
            (log.origin,),
        )
        return HeldHead(*rows[0]) if rows else None

    async def logs(self) -> list[LogId]:
        """Every log of which a checkpoint is kept, by origin."""
        rows = await self._database.read(
            "SELECT DISTINCT stem FROM checkpoints JOIN branches USING (stem) WHERE branch = 0"
        )
        logs = [(await self._stems.branch(stem))[0] for (stem,) in rows]
        return sorted(logs, key=lambda log: log.origin)

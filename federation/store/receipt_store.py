"""Checkpoints that are proofs here, and who cosigned them.

A checkpoint is kept when its root is the root of the rows held at its size. A cosignature is kept
beside its checkpoint; the judge has proven both before they come here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from federation.errors import CheckpointMalformed, NoteMalformed, TooLarge
from federation.local_errors.askers import ProofNotAvailable, RangeNotHeld
from federation.local_errors.disk import StoreConflict, StoreCorrupt
from federation.protocol.checkpoints import parse_checkpoint
from federation.protocol.notes import parse_note
from federation.protocol.origins import Cosigner, LogId
from federation.provenance.verifier import Head, Receipt
from federation.store.appending import INSERT_CHECKPOINT, receipt_steps
from federation.store.database import Database
from federation.store.lane_gate import most_urgent
from federation.store.stems import Stems, stored_log
from federation.store.tree_store import TreeStore

CHECKPOINTS_READ_MAX: Final = 256
"""Checkpoints in one answer; a reader that wants more asks again from where it ended."""

PINNABLE_MAX: Final = 64
"""Of the largest, those that a retired key signed beyond its end are passed over."""

# Steps from the largest number of cosigners to the next smaller one, by the index, and stops at the
# first that has a checkpoint over the statement: there are as many steps as cosigners at most.
_BEST_SIZE: Final = """
    WITH RECURSIVE counts(cosigners) AS (
        SELECT max(cosigners) FROM checkpoints WHERE stem = :stem
        UNION ALL
        SELECT (SELECT max(cosigners) FROM checkpoints
                WHERE stem = :stem AND cosigners < counts.cosigners)
        FROM counts WHERE counts.cosigners IS NOT NULL
    ), newest(size) AS (
        SELECT (SELECT max(size) FROM checkpoints
                WHERE stem = :stem AND cosigners = counts.cosigners AND size > :index)
        FROM counts WHERE counts.cosigners IS NOT NULL
    )
    SELECT size FROM newest WHERE size IS NOT NULL LIMIT 1"""


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """A checkpoint as it was stored, and its cosignatures.

    Attributes:
        size: statements under it.
        note: the note, verbatim, with the log's signature.
        lines: cosignature lines, verbatim, in the order of their times.
    """

    size: int
    note: bytes
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StoredReceipt:
    """A cosignature as it was stored.

    Attributes:
        member: who cosigned.
        cosigner: in which role.
        at_seconds: the cosigner's clock, POSIX seconds.
        line: the signature line, verbatim.
    """

    member: str
    cosigner: Cosigner
    at_seconds: int
    line: str


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a member's word on a log reaches.

    Attributes:
        log: whose log.
        member: who cosigned.
        cosigner: in which role; as a mirror it holds the log up to ``size``.
        size: of the largest head it cosigned.
        at_seconds: when, by its clock, POSIX seconds.
    """

    log: LogId
    member: str
    cosigner: Cosigner
    size: int
    at_seconds: int


class ReceiptStore:
    """Checkpoints and cosignatures of all logs.

    Args:
        database: where they are.
        stems: which branch has which stem.
        trees: to tell whether a head is one of the rows held.
    """

    def __init__(self, database: Database, stems: Stems, trees: TreeStore) -> None:
        self._database = database
        self._stems = stems
        self._trees = trees

    async def keep_receipts(self, receipts: Sequence[Receipt]) -> list[Receipt]:
        """Keep cosignatures on heads of what is held, and those heads' notes.

        Of one cosigner's words on one head the earliest stays.

        Returns:
            Those that are kept; the rest is on heads beyond what is held, or on other roots.

        Raises:
            StoreFull, StoreCorrupt, StoreUnavailable: the disk; nothing was stored.
        """
        heads = {receipt.head: receipt.head for receipt in receipts}
        stems = {head: await self._stem_under(head) for head in heads}
        kept = [
            (stem, receipt) for receipt in receipts if (stem := stems[receipt.head]) is not None
        ]
        if kept:
            notes = [
                (stem, head.size, head.note) for head, stem in stems.items() if stem is not None
            ]
            async with self._database.write(most_urgent(each.head.log for _, each in kept)) as unit:
                await unit.run_all([(INSERT_CHECKPOINT, notes), *receipt_steps(kept)])
        return [receipt for _, receipt in kept]

    async def keep_head(self, head: Head, branch: int) -> None:
        """Keep a head that the rows of a branch contain.

        Raises:
            StoreConflict: they do not.
            LogNotFound, RangeNotHeld: there are none as far.
            StoreError: the disk; nothing was stored.
        """
        root_hash = await self._trees.root_hash(head.log, head.size, branch=branch)
        if root_hash != head.root_hash:
            raise StoreConflict(f"branch {branch} of {head.log} is another at {head.size}")
        row = (await self._stems.find(head.log, branch), head.size, head.note)
        async with self._database.write(head.log.lane) as unit:
            await unit.run_all([(INSERT_CHECKPOINT, [row])])

    async def receipts(self, log: LogId, size: int, *, branch: int = 0) -> list[StoredReceipt]:
        """The cosignatures on the log's head of that size, earliest first.

        Raises:
            LogNotFound: nothing of the log is held.
        """
        rows = await self._database.read(
            "SELECT member, cosigner, at_seconds, line FROM cosignatures"
            " WHERE stem = ? AND size = ? ORDER BY at_seconds, member, cosigner",
            (await self._stems.find(log, branch), size),
        )
        return [
            StoredReceipt(member, _stored_cosigner(cosigner), at_seconds, line)
            for member, cosigner, at_seconds, line in rows
        ]

    async def receipts_by_member(self) -> list[Reach]:
        """The largest head of each log that each member cosigned in each role."""
        rows = await self._database.read(
            "SELECT origin, member, cosigner, max(newest.size), at_seconds"
            " FROM newest_cosignatures AS newest JOIN branches USING (stem)"
            " GROUP BY origin, member, cosigner ORDER BY member, origin, cosigner"
        )
        return [
            Reach(stored_log(origin), member, _stored_cosigner(cosigner), size, at_seconds)
            for origin, member, cosigner, size, at_seconds in rows
        ]

    async def pinnable_sizes(
        self, log: LogId, member: str, before_seconds: int | None = None
    ) -> list[int]:
        """Sizes at which a checkpoint is held, largest first, at most ``PINNABLE_MAX``.

        Args:
            log: which log.
            member: whose it is: its own cosignatures say nothing.
            before_seconds: POSIX seconds: only those that others cosigned before; None for all.

        Raises:
            LogNotFound: nothing of the log is held.
        """
        stem = await self._stems.find(log)
        if before_seconds is None:
            rows = await self._database.read(
                "SELECT size FROM checkpoints WHERE stem = ? ORDER BY size DESC LIMIT ?",
                (stem, PINNABLE_MAX),
            )
        else:
            rows = await self._database.read(
                "SELECT DISTINCT size FROM cosignatures"
                " WHERE stem = ? AND at_seconds < ? AND member <> ? ORDER BY size DESC LIMIT ?",
                (stem, before_seconds, member, PINNABLE_MAX),
            )
        return [size for (size,) in rows]

    async def checkpoints(
        self,
        log: LogId,
        size_min: int = 0,
        *,
        count_max: int = CHECKPOINTS_READ_MAX,
        branch: int = 0,
    ) -> list[StoredCheckpoint]:
        """Checkpoints of at least a size, smallest first.

        Args:
            log: which log.
            size_min: the smallest size wanted.
            count_max: how many; at most ``CHECKPOINTS_READ_MAX`` are given.
            branch: which branch of the log.

        Raises:
            LogNotFound: nothing of the log is held.
        """
        return await self._read_checkpoints(
            await self._stems.find(log, branch), size_min, min(count_max, CHECKPOINTS_READ_MAX)
        )

    async def best_checkpoint(self, log: LogId, index: int, *, branch: int = 0) -> StoredCheckpoint:
        """The checkpoint over a statement with the most cosignatures; of equal ones the newest.

        Raises:
            LogNotFound: nothing of the log is held.
            ProofNotAvailable: no checkpoint covers the statement yet.
        """
        stem = await self._stems.find(log, branch)
        rows = await self._database.read(_BEST_SIZE, {"stem": stem, "index": index})
        if not rows:
            raise ProofNotAvailable(f"no checkpoint covers statement {index} of {log} yet")
        return (await self._read_checkpoints(stem, rows[0][0], 1))[0]

    async def _read_checkpoints(
        self, stem: int, size_min: int, count_max: int
    ) -> list[StoredCheckpoint]:
        notes = await self._database.read(
            "SELECT size, note FROM checkpoints WHERE stem = ? AND size >= ? ORDER BY size LIMIT ?",
            (stem, size_min, count_max),
        )
        if not notes:
            return []
        signed = await self._database.read(
            "SELECT size, line FROM cosignatures WHERE stem = ? AND size BETWEEN ? AND ?"
            " ORDER BY at_seconds, member, cosigner",
            (stem, notes[0][0], notes[-1][0]),
        )
        lines: defaultdict[int, list[str]] = defaultdict(list)
        for size, line in signed:
            lines[size].append(line)
        return [StoredCheckpoint(size, note, tuple(lines[size])) for size, note in notes]

    async def _stem_under(self, head: Head) -> int | None:
        """The branch whose rows have the head's root at its size, if any."""
        for branch, stem in (await self._stems.branches_of(head.log)).items():
            notes = await self._database.read(
                "SELECT note FROM checkpoints WHERE stem = ? AND size = ?", (stem, head.size)
            )
            if notes:
                root_hash = _stored_root(notes[0][0])
            else:
                try:
                    root_hash = await self._trees.root_hash(head.log, head.size, branch=branch)
                except RangeNotHeld:
                    continue
            if root_hash == head.root_hash:
                return stem
        return None


def _stored_root(note: bytes) -> bytes:
    try:
        return parse_checkpoint(parse_note(note).text).root_hash
    except (NoteMalformed, CheckpointMalformed, TooLarge):
        raise StoreCorrupt("a stored checkpoint is none") from None


def _stored_cosigner(text: str) -> Cosigner:
    try:
        return Cosigner(text)
    except ValueError:
        raise StoreCorrupt("a stored cosigner has a role that does not exist") from None

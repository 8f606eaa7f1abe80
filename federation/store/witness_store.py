"""What this node's witness signed: the newest head of each log, which never goes back.

The state of a log is its largest row. A row is added by one compare-and-swap transaction: on the
state that the judge saw, and only while this node accepted no other head of the log meanwhile.
Nothing is answered before that transaction has ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from federation.local_errors.disk import StoreConflict
from federation.protocol.merkle import EMPTY_ROOT
from federation.protocol.origins import LogId
from federation.store.database import Database

_COLUMNS: Final = "size, root_hash, note, line, at_seconds, kept_at_ms"

# Where the same head is signed again only its time and line change: it is public since the first.
_SWAP: Final = """
    INSERT INTO witness_heads (origin, size, root_hash, note, line, at_seconds, kept_at_ms)
    SELECT :origin, :size, :root_hash, :note, :line, :at_seconds, :kept_at_ms
    WHERE coalesce((SELECT max(size) FROM witness_heads WHERE origin = :origin), 0) = :old_size
    AND coalesce((SELECT root_hash FROM witness_heads WHERE origin = :origin
                  ORDER BY size DESC LIMIT 1), :empty) = :old_root
    AND :size >= :old_size AND (:size > :old_size OR :root_hash = :old_root)
    AND coalesce((SELECT max(head_size) FROM branches
                  WHERE origin = :origin AND branch = 0), 0) <= :accepted_size
    ON CONFLICT DO UPDATE SET line = excluded.line, at_seconds = excluded.at_seconds
    RETURNING 1"""

_RAISE: Final = """
    INSERT INTO witness_heads (origin, size, root_hash, note, line, at_seconds, kept_at_ms)
    SELECT ?, ?, ?, ?, ?, ?, ?
    WHERE NOT EXISTS (SELECT 1 FROM witness_heads WHERE origin = ? AND size >= ?)"""

# All before the newest one that the public may see already.
_FORGET: Final = """
    DELETE FROM witness_heads WHERE origin = :origin AND size < (
        SELECT max(size) FROM witness_heads WHERE origin = :origin AND kept_at_ms <= :public_at_ms
    )"""


@dataclass(frozen=True, slots=True)
class WitnessedHead:
    """A head that the witness signed.

    Attributes:
        size: statements under it.
        root_hash: 32 bytes.
        note: the checkpoint with its log's line, verbatim; empty for a log never seen.
        line: the witness's line or lines, without the last newline.
        at_seconds: when it signed last, POSIX seconds.
        kept_at_ms: when it first did, Unix milliseconds.
    """

    size: int
    root_hash: bytes
    note: bytes
    line: str
    at_seconds: int
    kept_at_ms: int


UNSEEN: Final = WitnessedHead(0, EMPTY_ROOT, b"", "", 0, 0)
"""The state of a log of which the witness saw nothing (C2SP: size 0)."""


class WitnessStore:
    """The witness's heads of all logs.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(self, log: LogId) -> WitnessedHead:
        """The state of a log; ``UNSEEN`` where there is none."""
        return await self._largest(log, 2**62) or UNSEEN

    async def public_head(self, log: LogId, kept_before_ms: int) -> WitnessedHead | None:
        """The largest head that was first signed until a time; None without one."""
        return await self._largest(log, kept_before_ms)

    async def _largest(self, log: LogId, kept_before_ms: int) -> WitnessedHead | None:
        rows = await self._database.read(
            f"SELECT {_COLUMNS} FROM witness_heads"  # noqa: S608 - a constant
            " WHERE origin = ? AND kept_at_ms <= ? ORDER BY size DESC LIMIT 1",
            (log.origin, kept_before_ms),
        )
        return WitnessedHead(*rows[0]) if rows else None

    async def raise_to(self, log: LogId, head: WitnessedHead) -> None:
        """Put a head in that was signed after all that is kept here: an older file was put back.

        Raises:
            StoreError: the disk.
        """
        row = (
            log.origin,
            head.size,
            head.root_hash,
            head.note,
            head.line,
            head.at_seconds,
            head.kept_at_ms,
        )
        async with self._database.write() as unit:
            await unit.run(_RAISE, (*row, log.origin, head.size))

    async def swap(
        self,
        log: LogId,
        before: WitnessedHead,
        after: WitnessedHead,
        *,
        accepted_size: int,
        public_at_ms: int,
    ) -> None:
        """Move the state of a log, durably.

        Args:
            log: which log.
            before: the state that was judged.
            after: the head to sign; of the same size only with the same root.
            accepted_size: size of the newest head that this node itself had accepted then.
            public_at_ms: heads signed until then may be public; only the newest of them is kept.

        Raises:
            StoreConflict: the state, or what this node accepted, is another by now.
            StoreError: it could not be made durable; nothing may be answered.
        """
        row = {
            "origin": log.origin,
            "size": after.size,
            "root_hash": after.root_hash,
            "note": after.note,
            "line": after.line,
            "at_seconds": after.at_seconds,
            "kept_at_ms": after.kept_at_ms,
            "old_size": before.size,
            "old_root": before.root_hash,
            "empty": EMPTY_ROOT,
            "accepted_size": accepted_size,
        }
        forget = {"origin": log.origin, "public_at_ms": public_at_ms}
        async with self._database.write() as unit:
            if not await unit.run(_SWAP, row):
                raise StoreConflict(f"the witness saw another head of {log} meanwhile")
            await unit.run(_FORGET, forget)

"""Branches of forked logs: opened where two histories part, and found by what a head says.

A branch is a whole log to everybody who reads it. What it has in common with the branch it began
from stands once, under that one's stem (:meth:`federation.store.stems.Stems.home`): a fork at the
end of a long log costs its own statements and a few hashes, so that nobody fills a disk by signing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from federation.local_errors.askers import LogNotFound, RangeNotHeld
from federation.local_errors.disk import StoreConflict
from federation.protocol.limits import TILE_WIDTH
from federation.protocol.merkle_growth import CompactRange
from federation.protocol.origins import LogId
from federation.provenance.verifier import Head
from federation.store.database import Database, Row
from federation.store.stems import Stems
from federation.store.tree_store import TreeStore

BRANCHES_MAX: Final = 8
"""Branches kept of one log. Two convict; whoever signs more than eight wants to fill disks, and the
log waits for governance to pin one."""

_OPEN: Final = (
    "INSERT INTO branches"
    " (origin, branch, size, edge, head_size, head_note, base_stem, base_size)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    # Opened before, and the disk or the process failed before it had a statement of its own.
    " ON CONFLICT (origin, branch) DO UPDATE SET size = excluded.size, edge = excluded.edge,"
    " head_size = excluded.head_size, head_note = excluded.head_note,"
    " base_stem = excluded.base_stem, base_size = excluded.base_size WHERE size = base_size"
    " RETURNING stem"
)
_FORGET_TILES: Final = "DELETE FROM tiles WHERE stem = ?"
_COPY_TILE: Final = "INSERT INTO tiles (stem, level, tile, hashes) VALUES (?, ?, ?, ?)"


class BranchStore:
    """The branches of all logs.

    Args:
        database: where they are.
        stems: which branch has which stem.
        trees: what they hash to.
    """

    def __init__(self, database: Database, stems: Stems, trees: TreeStore) -> None:
        self._database, self._stems, self._trees = database, stems, trees

    async def open(
        self, log: LogId, branch: int, *, base: int, held: CompactRange, head: Head
    ) -> None:
        """Make a branch that begins with another one's statements; its own follow by appending.

        One that was opened and has nothing of its own yet is made anew.

        Args:
            log: which log.
            branch: the new one's number.
            base: the number of the branch that it begins with.
            held: size and right edge up to which both are one; size 0 where nothing is common.
            head: the new branch's head, proven to begin so; larger than ``held``.

        Raises:
            StoreConflict: there is such a branch, and it has statements of its own, or
                ``BRANCHES_MAX`` are kept.
            LogNotFound, RangeNotHeld: the base does not reach as far.
            StoreError: the disk; nothing was stored.
        """
        if not 0 < branch < BRANCHES_MAX:
            raise StoreConflict(f"{BRANCHES_MAX} branches of {log} are kept already")
        base_stem = await self._stems.find(log, base)
        tiles = [
            (level, tile, await self._trees.tile(log, level, tile, width, branch=base))
            for level, tile, width in _boundary_tiles(held.size)
        ]
        row: Row = (
            log.origin,
            branch,
            held.size,
            b"".join(held.hashes),
            head.size,
            head.note,
            base_stem,
            held.size,
        )
        async with self._database.write() as unit:
            made = await unit.run(_OPEN, row)
            if not made:
                raise StoreConflict(f"branch {branch} of {log} is there already")
            [[stem]] = made
            copies = [(stem, level, tile, hashes) for level, tile, hashes in tiles]
            await unit.run_all([(_FORGET_TILES, [(stem,)]), (_COPY_TILE, copies)])
        await self._stems.load()

    async def branch_of(self, log: LogId, size: int, root_hash: bytes) -> int:
        """The first branch whose root at that size it is.

        Raises:
            RangeNotHeld: none is held.
        """
        for branch in sorted(await self._stems.branches_of(log)):
            if await self._root(log, size, branch) == root_hash:
                return branch
        raise RangeNotHeld(f"this node holds no branch of {log} with that root at {size}")

    async def roots(self, log: LogId, size: int) -> dict[int, bytes]:
        """Branch number to root at that size, of every branch held as far; 32 bytes each."""
        found = {}
        for branch in sorted(await self._stems.branches_of(log)):
            root_hash = await self._root(log, size, branch)
            if root_hash is not None:
                found[branch] = root_hash
        return found

    async def _root(self, log: LogId, size: int, branch: int) -> bytes | None:
        try:
            return await self._trees.root_hash(log, size, branch=branch)
        except (RangeNotHeld, LogNotFound):
            return None


def _boundary_tiles(size: int) -> Iterator[tuple[int, int, int]]:
    """Level, index and width of the stored tiles that the end of a tree of that size cuts."""
    level, hashes = 1, size // TILE_WIDTH
    while hashes:
        if hashes % TILE_WIDTH:
            yield level, hashes // TILE_WIDTH, hashes % TILE_WIDTH
        level, hashes = level + 1, hashes // TILE_WIDTH

"""Rosters, every version as the bytes that were signed, and files that contradict them."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from federation.local_errors.disk import StoreConflict
from federation.protocol.roster import Roster
from federation.store.database import Database

RIVALS_PER_VERSION_MAX: Final = 8
"""Other files of one version; each took enough governors to sign, and one is alarming enough."""

_INSERT_RIVAL: Final = """
    INSERT INTO rival_rosters (version, root_sha256, root, seen_at_ms)
    SELECT :version, :root_sha256, :root, :seen_at_ms
    WHERE (SELECT count(*) FROM rival_rosters WHERE version = :version) < :most
    ON CONFLICT DO NOTHING RETURNING 1"""


class RosterStore:
    """The roster chain of the node's federation."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, roster: Roster) -> None:
        """Keep a proven version, durably; keeping the same file again does nothing.

        Raises:
            StoreConflict: another file of that version is kept.
            StoreFull, StoreCorrupt, StoreUnavailable: the disk; nothing was stored.
        """
        row = (roster.version, roster.root_bytes)
        async with self._database.write() as unit:
            await unit.run(
                "INSERT INTO rosters (version, root) VALUES (?, ?) ON CONFLICT DO NOTHING", row
            )
            kept = await unit.run("SELECT 1 FROM rosters WHERE version = ? AND root = ?", row)
            if not kept:
                raise StoreConflict(f"another roster of version {roster.version} is kept")

    async def keep_rival(self, roster: Roster, seen_at_ms: int) -> bool:
        """Keep another file of a version that is kept already, as evidence.

        Args:
            roster: the file that contradicts the kept one.
            seen_at_ms: Unix milliseconds.

        Returns:
            Whether it is new; False too where ``RIVALS_PER_VERSION_MAX`` are kept.

        Raises:
            StoreFull, StoreCorrupt, StoreUnavailable: the disk; nothing was stored.
        """
        async with self._database.write() as unit:
            kept = await unit.run(
                _INSERT_RIVAL,
                {
                    "version": roster.version,
                    "root_sha256": sha256(roster.root_bytes).digest(),
                    "root": roster.root_bytes,
                    "seen_at_ms": seen_at_ms,
                    "most": RIVALS_PER_VERSION_MAX,
                },
            )
        return bool(kept)

    async def chain(self) -> list[bytes]:
        """Every kept ``N.root.json``, verbatim, oldest first."""
        rows = await self._database.read("SELECT root FROM rosters ORDER BY version")
        return [root for (root,) in rows]

    async def root(self, version: int) -> bytes | None:
        """The kept ``N.root.json`` of a version, verbatim; None where there is none."""
        rows = await self._database.read("SELECT root FROM rosters WHERE version = ?", (version,))
        return rows[0][0] if rows else None

    async def rivals(self) -> list[tuple[int, bytes]]:
        """Version and bytes of every file that contradicts a kept one and is not settled yet."""
        rows = await self._database.read(
            "SELECT version, root FROM rival_rosters WHERE is_settled = 0"
            " ORDER BY version, seen_at_ms"
        )
        return [(version, root) for version, root in rows]

    async def settle(self, version: int, standing: Roster | None) -> None:
        """Say that one of the files of a version stands; all of them are kept as evidence.

        Args:
            version: of which there are several.
            standing: the one that takes the place of the kept one and of all after it; None where
                the kept one stays.

        Raises:
            StoreFull, StoreCorrupt, StoreUnavailable: the disk; nothing was stored.
        """
        async with self._database.write() as unit:
            await unit.run("UPDATE rival_rosters SET is_settled = 1 WHERE version = ?", (version,))
            if standing is None:
                return
            fallen = await unit.run(
                "SELECT version, root FROM rosters WHERE version >= ?", (version,)
            )
            for number, root in fallen:
                await unit.run(
                    "INSERT INTO rival_rosters (version, root_sha256, root, seen_at_ms, is_settled)"
                    " VALUES (?, ?, ?, 0, 1) ON CONFLICT DO NOTHING",
                    (number, sha256(root).digest(), root),
                )
            await unit.run("DELETE FROM rosters WHERE version >= ?", (version,))
            await unit.run(
                "INSERT INTO rosters (version, root) VALUES (?, ?)", (version, standing.root_bytes)
            )

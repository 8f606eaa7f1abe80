"""How far what changed was told to those who listen, log by log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from federation.protocol.origins import Lane, LogId
from federation.store.database import Database
from federation.store.stems import stored_log

# Never back: two writers of one process may end in either order.
_KEEP: Final = """
    INSERT INTO told_sizes (origin, size) VALUES (?, ?)
    ON CONFLICT (origin) DO UPDATE SET size = max(size, excluded.size)"""


class ChangeStore:
    """How many statements of each log were told.

    Args:
        database: where it is kept.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def told(self) -> dict[LogId, int]:
        """How many statements of each log were told; empty where none ever was.

        Raises:
            StoreCorrupt: a row is not what was written.
        """
        rows = await self._database.read("SELECT origin, size FROM told_sizes")
        return {stored_log(origin): size for origin, size in rows}

    async def keep_told(self, sizes: Mapping[LogId, int]) -> None:
        """Write down how far was told; a log's size never goes back.

        Raises:
            StoreFull, StoreCorrupt, StoreUnavailable: the disk; nothing was written.
        """
        rows = [(log.origin, size) for log, size in sizes.items()]
        async with self._database.write(Lane.BULK) as unit:
            await unit.run_all([(_KEEP, rows)])

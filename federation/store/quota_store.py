"""Which statements came over a quota of their member: marks beside the logs, never in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from federation.protocol.origins import Lane, LogId
from federation.store.database import Database
from federation.store.stems import Stems

_EXTEND: Final = "UPDATE quota_marks SET until = ?4 WHERE stem = ?1 AND quota = ?2 AND until = ?3"
_INSERT: Final = (
    "INSERT INTO quota_marks (stem, quota, first, until) VALUES (?1, ?2, ?3, ?4)"
    " ON CONFLICT DO UPDATE SET until = max(until, excluded.until)"
)


class QuotaStore:
    """The marks.

    Args:
        database: where they are.
        stems: which branch has which stem.
    """

    def __init__(self, database: Database, stems: Stems) -> None:
        self._database, self._stems = database, stems

    async def mark(self, log: LogId, quota: str, first: int, until: int) -> None:
        """Mark the statements ``[first, until)`` of a log as over a quota.

        Raises:
            StoreError: the disk; nothing was marked.
        """
        stem = await self._stems.find(log)
        async with self._database.write(Lane.BULK) as unit:
            row = (stem, quota, first, until)
            await unit.run(_EXTEND, row)
            [[changed]] = await unit.run("SELECT changes()")
            if not changed:
                await unit.run(_INSERT, row)

    async def marks_of(self, log: LogId, index: int) -> list[str]:
        """The quotas that a statement came over, sorted."""
        stem = await self._stems.find(log)
        rows = await self._database.read(
            "SELECT DISTINCT quota FROM quota_marks WHERE stem = ? AND first <= ? AND until > ?"
            " ORDER BY quota",
            (stem, index, index),
        )
        return [quota for (quota,) in rows]

    async def counts(self) -> Mapping[str, Mapping[str, int]]:
        """How many statements of each member came over each quota, ever."""
        counts: dict[str, dict[str, int]] = {}
        for stem, quota, count in await self._database.read(
            "SELECT stem, quota, sum(until - first) FROM quota_marks GROUP BY stem, quota"
        ):
            log, _ = await self._stems.branch(stem)
            of_member = counts.setdefault(log.member, {})
            of_member[quota] = of_member.get(quota, 0) + count
        return counts

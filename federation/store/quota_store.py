"""Which statements came over a quota of their member, and which came when.

Marks stand beside the logs, never in them. When statements came is told by the checkpoints that
they came under, but for those that stood before this node could count them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from federation.protocol.origins import Lane, LogId
from federation.store.database import Database
from federation.store.stems import Stems

_EXTEND: Final = "UPDATE quota_marks SET until = ?4 WHERE stem = ?1 AND quota = ?2 AND until = ?3"
_INSERT: Final = (
    "INSERT INTO quota_marks (stem, quota, first, until) VALUES (?1, ?2, ?3, ?4)"
    " ON CONFLICT DO UPDATE SET until = max(until, excluded.until)"
)
_KEEP_HISTORY: Final = (
    "INSERT INTO quota_history (stem, first, until) VALUES (?, ?, ?)"
    " ON CONFLICT DO UPDATE SET until = max(until, excluded.until)"
)
# Of each log: what was held at the beginning, and how far it came in each slot since.
_READ_SLOTS: Final = """
    WITH floors AS MATERIALIZED (
        SELECT stem, size AS held, coalesce((
            SELECT size FROM checkpoints AS older
            WHERE older.stem = branches.stem AND kept_at_ms < :since_ms
            ORDER BY size DESC LIMIT 1
        ), 0) AS floor
        FROM branches WHERE branch = 0
    )
    SELECT floors.stem, floor, held, max(kept_at_ms), max(checkpoints.size)
    FROM floors LEFT JOIN checkpoints
        ON checkpoints.stem = floors.stem AND checkpoints.size > floor
    GROUP BY floors.stem, kept_at_ms / :slot_ms ORDER BY floors.stem, kept_at_ms / :slot_ms"""


@dataclass(frozen=True, slots=True)
class Arrived:
    """Statements of a log that came here and are counted.

    Attributes:
        log: whose.
        at_ms: when, Unix milliseconds; None for what came last, under no whole head.
        count: how many.
    """

    log: LogId
    at_ms: int | None
    count: int


class QuotaStore:
    """The marks, and what is counted.

    Args:
        database: where they are.
        stems: which branch has which stem.
    """

    def __init__(self, database: Database, stems: Stems) -> None:
        self._database, self._stems = database, stems

    async def mark(self, log: LogId, quota: str, first: int, until: int) -> None:
        """Mark the statements ``[first, until)`` of a log as over a quota.

        In the log's own lane: a step's receipt waits for it.

        Raises:
            StoreError: the disk; nothing was marked.
        """
        stem = await self._stems.find(log)
        async with self._database.write(log.lane) as unit:
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

    async def keep_history(self, log: LogId, first: int, until: int) -> None:
        """The statements ``[first, until)`` of a log are counted against nobody, held or to come.

        In the log's own lane, as there.

        Raises:
            StoreError: the disk; nothing was written.
        """
        (stem,) = await self._stems.ensure([log])
        async with self._database.write(log.lane) as unit:
            await unit.run(_KEEP_HISTORY, (stem, first, until))

    async def history(self) -> dict[LogId, int]:
        """Up to where the newest history of each log goes that has any.

        Raises:
            StoreError: the disk.
        """
        rows = await self._database.read("SELECT stem, max(until) FROM quota_history GROUP BY stem")
        return {(await self._stems.branch(stem))[0]: until for stem, until in rows}

    async def arrivals(self, since_ms: int, slot_ms: int) -> list[Arrived]:
        """What came since a time and is no history, slot by slot; forgets history of before.

        Args:
            since_ms: Unix milliseconds.
            slot_ms: what comes within so long is told together.

        Raises:
            StoreError: the disk.
        """
        history: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for stem, first, until in await self._database.read(
            "SELECT stem, first, until FROM quota_history"
        ):
            history[stem].append((first, until))
        arrived: list[Arrived] = []
        reached: dict[int, int] = {}
        floors: dict[int, int] = {}
        ends: dict[int, int] = {}
        times = {"since_ms": since_ms, "slot_ms": slot_ms}
        for stem, floor, held, at_ms, size in await self._database.read(_READ_SLOTS, times):
            floors[stem], ends[stem] = floor, held
            start = reached.setdefault(stem, floor)
            reached[stem] = max(start, size or 0)
            if count := _counted(start, reached[stem], history[stem]):
                log, _ = await self._stems.branch(stem)
                arrived.append(Arrived(log, at_ms, count))
        for stem, start in reached.items():
            if count := _counted(start, ends[stem], history[stem]):
                log, _ = await self._stems.branch(stem)
                arrived.append(Arrived(log, None, count))
        old = list(floors.items())
        async with self._database.write(Lane.BULK) as unit:
            await unit.run_all([("DELETE FROM quota_history WHERE stem = ? AND until <= ?", old)])
        return arrived


def _counted(start: int, end: int, history: Sequence[tuple[int, int]]) -> int:
    """How many of ``[start, end)`` are in none of the spans, which do not overlap."""
    return max(0, end - start) - sum(
        max(0, min(end, until) - max(start, first)) for first, until in history
    )

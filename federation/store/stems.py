"""Stems: the small numbers under which the rows of each log's branches stand.

A log that never forked has one branch, number 0. Stems are given out when a branch is first heard
of, never change, and are few (3,000 for a thousand members), so all of them are kept in memory.
A place has room for 2^23; every lane and epoch that a roster can hold makes 3 million.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from federation.errors import OriginMalformed
from federation.local_errors.askers import LogNotFound
from federation.local_errors.disk import StoreCorrupt
from federation.protocol.origins import LogId, parse_origin
from federation.store.database import Database
from federation.store.lane_gate import most_urgent


class Stems:
    """Which stem is which branch."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._stems: dict[tuple[LogId, int], int] = {}
        self._branches: dict[int, tuple[LogId, int]] = {}
        self._bases: dict[int, tuple[int, int]] = {}

    async def find(self, log: LogId, branch: int = 0) -> int:
        """The stem of a branch.

        Raises:
            LogNotFound: nothing of it was ever held.
        """
        if (log, branch) not in self._stems:
            await self.load()
        found = self._stems.get((log, branch))
        if found is None:
            raise LogNotFound(f"this node holds nothing of the log {log}")
        return found

    async def ensure(self, logs: Iterable[LogId], branch: int = 0) -> list[int]:
        """The stems of a branch of each log, made where there was none."""
        wanted = list(logs)
        missing = [log for log in dict.fromkeys(wanted) if (log, branch) not in self._stems]
        if missing:
            async with self._database.write(most_urgent(missing)) as unit:
                rows = [(log.origin, branch) for log in missing]
                await unit.run_all([(_INSERT, rows)])
            await self.load()
        return [self._stems[log, branch] for log in wanted]

    async def of_member(self, member: str) -> list[int]:
        """The stems of every branch of every log of a member, in order."""
        await self.load()
        return sorted(stem for (log, _), stem in self._stems.items() if log.member == member)

    async def branches_of(self, log: LogId) -> dict[int, int]:
        """Branch number to stem, for every branch of a log; empty where nothing is held."""
        if (log, 0) not in self._stems:
            await self.load()
        return {branch: stem for (of, branch), stem in self._stems.items() if of == log}

    async def branch(self, stem: int) -> tuple[LogId, int]:
        """The log and branch of a stem that a row names.

        Raises:
            StoreCorrupt: no branch has that stem.
        """
        if stem not in self._branches:
            await self.load()
        found = self._branches.get(stem)
        if found is None:
            raise StoreCorrupt("a row belongs to no log")
        return found

    async def home(self, stem: int, index: int) -> tuple[int, int | None]:
        """Under which stem the row of a branch's statement stands.

        A branch begins with another one's statements, and those stand once.

        Args:
            stem: of the branch.
            index: of the statement in it.

        Returns:
            The stem, and up to which index (exclusive) it is the branch's home; None for all that
            follow.

        Raises:
            StoreCorrupt: no branch has that stem.
        """
        await self.branch(stem)
        until: int | None = None
        while (base := self._bases.get(stem)) is not None and index < base[1]:
            stem, until = base[0], base[1] if until is None else min(until, base[1])
        return stem, until

    async def load(self) -> None:
        """Read all branches again: after one of them was made anew."""
        rows = await self._database.read(
            "SELECT stem, origin, branch, base_stem, base_size FROM branches"
        )
        for stem, origin, branch, base_stem, base_size in rows:
            log = stored_log(origin)
            if base_stem is not None:
                self._bases[stem] = (base_stem, base_size)
            self._branches[stem] = (log, branch)
            self._stems[log, branch] = stem


def stored_log(origin: str) -> LogId:
    """The log of a stored origin.

    Raises:
        StoreCorrupt: it is no origin.
    """
    try:
        return parse_origin(origin)
    except OriginMalformed:
        raise StoreCorrupt("a stored origin is none") from None


_INSERT: Final = "INSERT INTO branches (origin, branch) VALUES (?, ?) ON CONFLICT DO NOTHING"

"""What the matching index is made from: how far each branch is held, and what came after.

An index on disk says which statements it knows. Whoever restores it asks here for the others: those
that stand behind what it knew, and those that it knew without their bodies.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from federation.protocol.origins import LogId
from federation.store.database import Database, Row
from federation.store.places import (
    STATEMENT_COLUMNS,
    StoredStatement,
    place_of,
    split_place,
    statement_of,
)
from federation.store.stems import Stems

Branch: TypeAlias = tuple[LogId, int]
"""A log and the number of one of its branches."""

PAGE_ROWS: Final = 2_048
"""Statements read at a time."""

MISSING_MAX: Final = 65_536
"""Statements without a body that an index on disk lists: 2 MB. With more it is not worth one."""

_READ_LATER: Final = (
    f"SELECT {STATEMENT_COLUMNS} FROM statements"  # noqa: S608 - constants
    " WHERE place BETWEEN ? AND ? ORDER BY place LIMIT ?"
)
_READ_AT: Final = (
    f"SELECT {STATEMENT_COLUMNS} FROM statements"  # noqa: S608 - constants
    " WHERE place IN (SELECT value FROM json_each(?)) AND body IS NOT NULL ORDER BY place"
)


@dataclass(frozen=True, slots=True)
class Missing:
    """A statement that is held without its body: log, branch and index."""

    log: LogId
    branch: int
    index: int


class IndexSource:
    """Statements by where they stand, for the index.

    Args:
        database: where they are.
        stems: which branch has which stem.
    """

    def __init__(self, database: Database, stems: Stems) -> None:
        self._database, self._stems = database, stems

    async def sizes(self) -> dict[Branch, int]:
        """How many statements of each branch are held; branches without one are left out."""
        rows = await self._database.read("SELECT stem, size FROM branches WHERE size > 0")
        return {await self._stems.branch(stem): size for stem, size in rows}

    async def later(self, known: Mapping[Branch, int]) -> AsyncIterator[list[StoredStatement]]:
        """Every statement that stands behind what is known of its branch, in pages.

        Args:
            known: how many statements of a branch are known; none of one that is not in it.

        Raises:
            StoreCorrupt: a row is not what was written.
        """
        for branch, size in (await self.sizes()).items():
            stem = await self._stems.find(*branch)
            first, last = place_of(stem, known.get(branch, 0)), place_of(stem, size) - 1
            while first <= last:
                rows = await self._database.read(_READ_LATER, (first, last, PAGE_ROWS))
                if not rows:
                    break
                first = rows[-1][0] + 1
                yield [await self._stored(row) for row in rows]

    async def missing(self) -> list[Missing] | None:
        """Every statement whose body is missing; None where they are more than ``MISSING_MAX``."""
        rows = await self._database.read(
            "SELECT place FROM missing_openings LIMIT ?", (MISSING_MAX + 1,)
        )
        if len(rows) > MISSING_MAX:
            return None
        found = []
        for (place,) in rows:
            stem, index = split_place(place)
            found.append(Missing(*await self._stems.branch(stem), index))
        return found

    async def opened(self, missing: Iterable[Missing]) -> list[StoredStatement]:
        """Those of some statements that have their bodies back.

        Raises:
            StoreCorrupt: a row is not what was written.
        """
        places = [
            place_of(await self._stems.find(each.log, each.branch), each.index) for each in missing
        ]
        rows = await self._database.read(_READ_AT, (json.dumps(places),))
        return [await self._stored(row) for row in rows]

    async def _stored(self, row: Row) -> StoredStatement:
        stem, index = split_place(row[0])
        return StoredStatement(*await self._stems.branch(stem), index, statement_of(row))

"""Incidents as they are found again: few statements, all of which count."""

from __future__ import annotations

from typing import Final

from federation.store.database import Database
from federation.store.places import (
    STATEMENT_COLUMNS,
    StoredStatement,
    split_place,
    statement_of,
)
from federation.store.stems import Stems

INCIDENTS_MAX: Final = 4_096
"""Incident statements that are looked at: the newest of all logs; a crisis has about five."""

_READ: Final = (
    f"SELECT {STATEMENT_COLUMNS} FROM incident_places JOIN statements USING (place)"  # noqa: S608
    " WHERE body IS NOT NULL ORDER BY place DESC LIMIT ?"
)


class IncidentStore:
    """Statements that open, change or close incidents.

    Args:
        database: where they are.
        stems: which branch has which stem.
    """

    def __init__(self, database: Database, stems: Stems) -> None:
        self._database, self._stems = database, stems

    async def statements(self) -> list[StoredStatement]:
        """The newest ``INCIDENTS_MAX`` that have their bodies.

        Raises:
            StoreCorrupt: a row is not what was written.
        """
        found = []
        for row in await self._database.read(_READ, (INCIDENTS_MAX,)):
            stem, index = split_place(row[0])
            log, branch = await self._stems.branch(stem)
            found.append(StoredStatement(log, branch, index, statement_of(row)))
        return found

"""How far each webhook's receiver has taken the feed, and what it did not take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from federation.store.database import Database

DEAD_LETTERS_MAX: Final = 10_000
"""For each webhook; the oldest go. A receiver that misses more takes a snapshot."""

_BURY: Final = """
    INSERT INTO dead_letters (name, number, at_ms, reason) VALUES (?, ?, ?, ?)
    ON CONFLICT (name, number) DO UPDATE SET at_ms = excluded.at_ms, reason = excluded.reason"""
_FORGET_OLDEST: Final = """
    DELETE FROM dead_letters WHERE name = ?1 AND number <= (
        SELECT number FROM dead_letters WHERE name = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)"""


@dataclass(frozen=True, slots=True)
class WebhookStanding:
    """How a webhook stands.

    Attributes:
        name: as in the config.
        number: the last entry of the feed that it is through with.
        delivered: how many entries its receiver took, ever.
        attempts: failed tries of the entry behind ``number``.
        failing_since_ms: when the first of them was, Unix milliseconds; None while all is well.
        retry_at_ms: when it is tried again; None while all is well.
        last_error: the last failure, in words.
    """

    name: str
    number: int
    delivered: int = 0
    attempts: int = 0
    failing_since_ms: int | None = None
    retry_at_ms: int | None = None
    last_error: str | None = None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An entry that a receiver did not take.

    Attributes:
        name: the webhook.
        number: the entry.
        at_ms: when it was given up, Unix milliseconds.
        reason: why, in words.
    """

    name: str
    number: int
    at_ms: int
    reason: str


class WebhookStore:
    """The webhooks of one node.

    Args:
        database: where it is kept.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def standings(self) -> dict[str, WebhookStanding]:
        """How every webhook stands that ever was, by name."""
        rows = await self._database.read(
            "SELECT name, number, delivered, attempts, failing_since_ms, retry_at_ms, last_error"
            " FROM webhooks"
        )
        return {row[0]: WebhookStanding(*row) for row in rows}

    async def keep(self, standing: WebhookStanding, dead: DeadLetter | None = None) -> None:
        """Write down how a webhook stands, and what was given up, in one transaction.

        Raises:
            StoreFull, StoreCorrupt, StoreUnavailable: the disk; nothing was written.
        """
        row = (
            standing.name,
            standing.number,
            standing.delivered,
            standing.attempts,
            standing.failing_since_ms,
            standing.retry_at_ms,
            standing.last_error,
        )
        async with self._database.write() as unit:
            await unit.run("INSERT OR REPLACE INTO webhooks VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            if dead is not None:
                await unit.run(_BURY, (dead.name, dead.number, dead.at_ms, dead.reason))
                await unit.run(_FORGET_OLDEST, (dead.name, DEAD_LETTERS_MAX))

    async def dead_letters(self, name: str | None = None) -> list[DeadLetter]:
        """What receivers did not take, oldest first; of one webhook, or of all."""
        rows = await self._database.read(
            "SELECT name, number, at_ms, reason FROM dead_letters"
            " WHERE ?1 IS NULL OR name = ?1 ORDER BY name, number",
            (name,),
        )
        return [DeadLetter(*row) for row in rows]

    async def revive(self, name: str, numbers: Sequence[int]) -> None:
        """Take entries off the list of what was given up.

        Raises:
            StoreFull, StoreCorrupt, StoreUnavailable: the disk; nothing was written.
        """
        rows = [(name, number) for number in numbers]
        async with self._database.write() as unit:
            await unit.run_all([("DELETE FROM dead_letters WHERE name = ? AND number = ?", rows)])

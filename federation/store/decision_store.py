"""What people here decided about known signals, and which are held back until somebody does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from federation.local_errors.disk import StoreCorrupt
from federation.protocol.signals import SignalType
from federation.store.database import Database, Row

Mark: TypeAlias = tuple[SignalType, bytes]
"""A signal's type and identity (``protocol.signals.identity_of``)."""


class FindingWord(StrEnum):
    """What somebody here found who looked at a match."""

    CONFIRMED = "confirmed"
    REJECTED = "rejected"


class HoldState(StrEnum):
    """Whether a signal is held back, or what a person decided when it was."""

    QUARANTINED = "quarantined"
    RELEASED = "released"
    EXCEPTED = "excepted"


class HoldReason(StrEnum):
    """Why a signal is or was held back."""

    FLOOD = "flood"
    BENIGN = "benign"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Finding:
    """What somebody here found about matches with a known signal.

    Attributes:
        mark: the signal.
        word: confirmed or rejected.
        reason: a code.
        at_ms: when, Unix milliseconds.
    """

    mark: Mark = field(repr=False)
    word: FindingWord
    reason: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Hold:
    """A signal that is or was held back.

    Attributes:
        mark: the signal.
        state: whether it still is.
        reason: why it was.
        since_ms: since when, Unix milliseconds.
        decided_at_ms: when a person decided; None while nobody has.
        matches: in the window in which it was caught, where it was a flood.
    """

    mark: Mark = field(repr=False)
    state: HoldState
    reason: HoldReason
    since_ms: int
    decided_at_ms: int | None = None
    matches: int = 0


_KEEP_FINDING: Final = """
    INSERT INTO findings (signal_type, identity, finding, reason, at_ms) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (signal_type, identity) DO UPDATE SET
        finding = excluded.finding, reason = excluded.reason, at_ms = excluded.at_ms"""
_HOLD_COLUMNS: Final = "signal_type, identity, state, reason, since_ms, decided_at_ms, matches"
_KEEP_HOLD: Final = f"""
    INSERT INTO quarantine ({_HOLD_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (signal_type, identity) DO UPDATE SET state = excluded.state,
        reason = excluded.reason, since_ms = excluded.since_ms,
        decided_at_ms = excluded.decided_at_ms, matches = excluded.matches"""  # noqa: S608 - constants


class DecisionStore:
    """Findings and holds.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def findings(self) -> list[Finding]:
        """All findings, oldest first.

        Raises:
            StoreCorrupt: a row is not what was written.
        """
        rows = await self._database.read(
            "SELECT signal_type, identity, finding, reason, at_ms FROM findings ORDER BY at_ms"
        )
        return [
            Finding(_mark(row), FindingWord(row[2]), reason=row[3], at_ms=row[4]) for row in rows
        ]

    async def keep_findings(self, findings: Iterable[Finding]) -> None:
        """Keep findings; a later one on a signal replaces an earlier one.

        Raises:
            StoreError: the disk; nothing was kept.
        """
        rows = [
            (*_columns(each.mark), each.word.value, each.reason, each.at_ms) for each in findings
        ]
        async with self._database.write() as unit:
            await unit.run_all([(_KEEP_FINDING, rows)])

    async def holds(self) -> list[Hold]:
        """All holds, decided ones too, oldest first.

        Raises:
            StoreCorrupt: a row is not what was written.
        """
        rows = await self._database.read(
            f"SELECT {_HOLD_COLUMNS} FROM quarantine ORDER BY since_ms, signal_type, identity"  # noqa: S608
        )
        return [
            Hold(_mark(row), HoldState(row[2]), HoldReason(row[3]), row[4], row[5], row[6])
            for row in rows
        ]

    async def keep_holds(self, holds: Iterable[Hold]) -> None:
        """Keep holds; a later one on a signal replaces an earlier one.

        Raises:
            StoreError: the disk; nothing was kept.
        """
        rows = [
            (
                *_columns(each.mark),
                each.state.value,
                each.reason.value,
                each.since_ms,
                each.decided_at_ms,
                each.matches,
            )
            for each in holds
        ]
        async with self._database.write() as unit:
            await unit.run_all([(_KEEP_HOLD, rows)])

    async def forget(self, marks: Sequence[Mark]) -> None:
        """Let go of everything about some signals: what carried them was erased.

        Raises:
            StoreError: the disk; nothing was forgotten.
        """
        rows = [_columns(mark) for mark in marks]
        async with self._database.write() as unit:
            await unit.run_all(
                [
                    ("DELETE FROM findings WHERE signal_type = ? AND identity = ?", rows),
                    ("DELETE FROM quarantine WHERE signal_type = ? AND identity = ?", rows),
                ]
            )


def _columns(mark: Mark) -> Row:
    return (mark[0].value, mark[1])


def _mark(row: Row) -> Mark:
    try:
        return SignalType(row[0]), row[1]
    except ValueError:
        raise StoreCorrupt("a decision is about no known signal type") from None

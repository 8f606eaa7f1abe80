"""Quotas: how much of one member is usual, and a mark on what comes beyond.

A quota changes nothing about what is stored, in which lane, or what counts: it marks statements,
and tells operators. Counted is what arrives here, by this node's clock, since a member's own times
are its own claims. What a log held before this node heard of it, at a start or when it joins, is
history and counted against nobody.

Source: docs/concepts/glossary.md, "Quota".
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from federation.config import QuotaSettings
from federation.local_errors.disk import StoreError
from federation.protocol.limits import BODY_BYTES_MAX
from federation.protocol.origins import Lane, LogId
from federation.provenance.log_view import Advance
from federation.store.quota_store import QuotaStore

log_lines = logging.getLogger(__name__)

ALARM_SECONDS: Final = 3_600.0
"""A member that is over a quota is told about once an hour."""

SLOTS: Final = 60
"""Parts of a window: what is counted leaves it in sixtieths."""


class Quota(StrEnum):
    """What is limited."""

    STATEMENTS_DAY = "statements-a-day"
    CRISIS_HOUR = "crisis-statements-an-hour"
    BODY_BYTES = "body-bytes"


@dataclass(slots=True)
class _Window:
    """A sliding count."""

    seconds: float
    slots: deque[tuple[float, int]] = field(default_factory=deque)
    total: int = 0

    def add(self, now: float, count: int) -> int:
        """Count some more; returns how many there are in the window."""
        self.count(now)
        width = self.seconds / SLOTS
        if self.slots and now - self.slots[-1][0] < width:
            began, before = self.slots.pop()
            self.slots.append((began, before + count))
        else:
            self.slots.append((now, count))
        self.total += count
        return self.total

    def count(self, now: float) -> int:
        """How many there are in the window."""
        while self.slots and now - self.slots[0][0] >= self.seconds:
            self.total -= self.slots.popleft()[1]
        return self.total


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """How much of its quotas a member uses now.

    Attributes:
        statements_day: statements that arrived within a day.
        crisis_hour: crisis statements that arrived within an hour.
    """

    statements_day: int
    crisis_hour: int


class Quotas:
    """Counts what arrives.

    Args:
        member: this member, whose own statements are not counted.
        settings: how much is usual.
        store: where marks are kept.
        monotonic: seconds.
        alarm: tells operators: code and sentence.
    """

    def __init__(
        self,
        member: str,
        settings: QuotaSettings,
        store: QuotaStore,
        monotonic: Callable[[], float],
        alarm: Callable[[str, str], None],
    ) -> None:
        self._member, self._settings, self._store = member, settings, store
        self._monotonic, self._alarm = monotonic, alarm
        self._history: dict[LogId, int] = {}
        self._days: dict[str, _Window] = {}
        self._hours: dict[str, _Window] = {}
        self._alarmed: dict[tuple[str, Quota], float] = {}

    def use_of(self, member: str) -> QuotaUse:
        """How much of its quotas a member uses now."""
        now = self._monotonic()
        day, hour = self._days.get(member), self._hours.get(member)
        return QuotaUse(day.count(now) if day else 0, hour.count(now) if hour else 0)

    async def absorb(self, step: Advance) -> None:
        """Count a durable step of another member, and mark what of it is over a quota.

        A mark that cannot be written is said and forgotten: nothing depends on it.
        """
        log, end = step.view.log, step.view.size
        if log.member == self._member or step.view.head is None:
            return
        history = self._history.setdefault(log, step.view.head.size)
        first = max(step.before.size, history)
        if first >= end:
            return
        now, count = self._monotonic(), end - first
        day = self._days.setdefault(log.member, _Window(86_400.0)).add(now, count)
        await self._limit(log, Quota.STATEMENTS_DAY, day, self._settings.statements_day, first, end)
        if log.lane is Lane.CRISIS:
            hour = self._hours.setdefault(log.member, _Window(3_600.0)).add(now, count)
            await self._limit(log, Quota.CRISIS_HOUR, hour, self._settings.crisis_hour, first, end)
        if self._settings.body_bytes < BODY_BYTES_MAX:
            await self._limit_bodies(step, first)

    async def _limit(
        self, log: LogId, quota: Quota, total: int, most: int, first: int, end: int
    ) -> None:
        over = min(total - most, end - first)
        if over > 0:
            self._tell(log.member, quota, f"{total:,} where {most:,} are usual")
            await self._mark(log, quota, end - over, end)

    async def _limit_bodies(self, step: Advance, first: int) -> None:
        most = self._settings.body_bytes
        for verified in step.statements[first - step.before.size :]:
            opening = verified.statement.opening
            if opening is not None and len(opening.body) > most:
                size = len(opening.body)
                self._tell(verified.log.member, Quota.BODY_BYTES, f"{size:,} where {most:,} are")
                index = verified.index
                await self._mark(verified.log, Quota.BODY_BYTES, index, index + 1)

    async def _mark(self, log: LogId, quota: Quota, first: int, until: int) -> None:
        try:
            await self._store.mark(log, quota.value, first, until)
        except StoreError as error:
            log_lines.error("cannot mark what is over a quota of %s: %s", log, error)

    def _tell(self, member: str, quota: Quota, words: str) -> None:
        now = self._monotonic()
        if now - self._alarmed.get((member, quota), -ALARM_SECONDS) < ALARM_SECONDS:
            return
        self._alarmed[member, quota] = now
        self._alarm(
            "over-quota",
            f"{member} is over the quota of {quota.replace('-', ' ')}: {words};"
            " everything of it is kept and counts",
        )

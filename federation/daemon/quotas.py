"""Quotas: how much of one member is usual, and a mark on what comes beyond.

A quota changes nothing about what is stored, in which lane, or what counts: it marks statements,
and tells operators. Counted is what arrives here, by this node's clock, since a member's own times
are its own claims. What came while this node was away is history and counted against nobody: what
the first comparison after a start shows of a log that was held, or of any where none was (the node
joins). A log first heard of later counts from its first statement. Windows outlive a restart: they
are made again from when checkpoints were kept here.

Source: docs/concepts/glossary.md, "Quota".
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
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

DAY_SECONDS: Final = 86_400.0
HOUR_SECONDS: Final = 3_600.0


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
        unix_ms: the clock that checkpoints are kept by, Unix milliseconds.
        alarm: tells operators: code and sentence.
    """

    def __init__(
        self,
        member: str,
        settings: QuotaSettings,
        store: QuotaStore,
        monotonic: Callable[[], float],
        unix_ms: Callable[[], int],
        alarm: Callable[[str, str], None],
    ) -> None:
        self._member, self._settings, self._store = member, settings, store
        self._monotonic, self._unix_ms, self._alarm = monotonic, unix_ms, alarm
        self._held: Mapping[LogId, int] = {}
        self._history: dict[LogId, int] = {}
        self._is_compared = False
        self._days: dict[str, _Window] = {}
        self._hours: dict[str, _Window] = {}
        self._alarmed: dict[tuple[str, Quota], float] = {}

    async def start(self, held: Mapping[LogId, int]) -> None:
        """Take up the windows where they were; before the first step.

        Args:
            held: how many statements of each log are durable.

        Raises:
            StoreError: the disk.
        """
        self._held, self._history = self._of_others(held), await self._store.history()
        now, now_ms = self._monotonic(), self._unix_ms()
        slot_ms = int(HOUR_SECONDS / SLOTS * 1_000)
        arrivals = await self._store.arrivals(now_ms - int(DAY_SECONDS * 1_000), slot_ms)
        for each in sorted(arrivals, key=lambda each: each.at_ms or now_ms):
            age = max(0.0, (now_ms - (each.at_ms or now_ms)) / 1_000)
            if each.log.member != self._member:
                self._count(each.log, now - age, each.count)

    async def compared(self, known: Mapping[LogId, int] | None) -> None:
        """The peers were asked what they have: what they showed of what was held is history.

        The first time that one answered decides; asked again and again.

        Args:
            known: how many statements there are of each log, as far as peers said; None before one
                answered.
        """
        if self._is_compared or known is None:
            return
        self._is_compared = True
        for log, size in self._of_others(known).items():
            if not self._held or log in self._held:
                await self._keep_history(log, size)

    def _of_others(self, sizes: Mapping[LogId, int]) -> dict[LogId, int]:
        return {log: size for log, size in sizes.items() if size and log.member != self._member}

    async def _keep_history(self, log: LogId, until: int) -> None:
        first = max(self._history.get(log, 0), self._held.get(log, 0))
        if until <= first:
            return
        self._history[log] = until
        try:
            await self._store.keep_history(log, first, until)
        except StoreError as error:
            log_lines.error("cannot keep what of %s is history: %s", log, error)

    def _count(self, log: LogId, at: float, count: int) -> tuple[int, int]:
        """Count some statements; how many there are in a day, and crisis statements in an hour."""
        day = self._days.setdefault(log.member, _Window(DAY_SECONDS)).add(at, count)
        if log.lane is not Lane.CRISIS:
            return day, 0
        return day, self._hours.setdefault(log.member, _Window(HOUR_SECONDS)).add(at, count)

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
        if not self._is_compared and (not self._held or log in self._held):
            await self._keep_history(log, step.view.head.size)
        first = max(step.before.size, self._history.get(log, 0))
        if first >= end:
            return
        day, hour = self._count(log, self._monotonic(), end - first)
        await self._limit(log, Quota.STATEMENTS_DAY, day, self._settings.statements_day, first, end)
        if log.lane is Lane.CRISIS:
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

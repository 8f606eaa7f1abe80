"""How much may be on its way here, and how much goes into one write: as fast as this disk takes it.

The receiver decides. What is asked for and not yet durable is counted in bytes; the window that
bounds them grows while writes keep up and halves where they do not, as TCP's does. A write holds so
many statements that it is over before an urgent one would notice: the writer is one for all lanes.

Source: docs/internals/gossip.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from federation.gossip.events import (
    Command,
    Event,
    Persist,
    Persisted,
    PersistFailed,
    RangeReceived,
)
from federation.gossip.joining_events import PieceReceived
from federation.protocol.origins import LogId

WINDOW_BYTES_MIN: Final = 512 * 1024
WINDOW_BYTES_FIRST: Final = 1024 * 1024
WINDOW_BYTES_MAX: Final = 8 * 1024 * 1024
"""About 40,000 statements; what a fast disk takes in a second and a far peer sends in one."""

GROWTH_BYTES: Final = 256 * 1024
"""For each write in time; about one answer."""

LATE_SECONDS: Final = 0.25
"""From the order to write until it is durable: the disk, or what waits for it, is behind."""

WRITE_SECONDS: Final = 0.02
"""What an urgent commit may have to wait for one of a lower lane."""

STEP_STATEMENTS_MIN: Final = 256
"""One bundle: smaller writes cost more for their commits than they save."""

STEP_STATEMENTS_MAX: Final = 4_096
"""Where a step begins, too: on a common disk they are written in half of :data:`WRITE_SECONDS`."""

STATEMENT_BYTES_FIRST: Final = 200
"""On the wire, before any was seen."""

SMOOTHING: Final = 0.2
"""Share of the newest measurement in the running means: about the last ten count."""

_MEASURED: Final = frozenset({RangeReceived, PieceReceived, Persisted, PersistFailed})


class Window:
    """What bulk may take of this node, measured by what it does to it.

    Attributes:
        bytes_max: of statements that may be asked for and not durable.
    """

    def __init__(self) -> None:
        self.bytes_max = WINDOW_BYTES_FIRST
        self._statement_bytes = float(STATEMENT_BYTES_FIRST)
        self._statement_seconds = WRITE_SECONDS / STEP_STATEMENTS_MAX
        self._ordered: dict[LogId, float] = {}

    @property
    def statements_max(self) -> int:
        """So many statements fill the window, as they mostly are; at least one step."""
        return max(STEP_STATEMENTS_MIN, int(self.bytes_max / self._statement_bytes))

    @property
    def step_statements(self) -> int:
        """So many are written in :data:`WRITE_SECONDS`, whole bundles."""
        able = int(WRITE_SECONDS / self._statement_seconds)
        able -= able % STEP_STATEMENTS_MIN
        return min(max(able, STEP_STATEMENTS_MIN), STEP_STATEMENTS_MAX)

    def watch(self, event: Event, commands: Iterable[Command], now: float) -> None:
        """Measure by what happened, and by what is ordered because of it."""
        if type(event) in _MEASURED:
            self._measure(event, now)
        for command in commands:
            if type(command) is Persist:
                self._ordered[command.step.view.log] = now

    def _measure(self, event: Event, now: float) -> None:
        match event:
            case RangeReceived() | PieceReceived():
                statements = event.message.statements
                self.note_arrived(len(statements), sum(each.bytes_on_wire for each in statements))
            case Persisted():
                waited = now - self._ordered.pop(event.step.view.log, now)
                self.note_written(len(event.step.statements), event.seconds, waited)
            case PersistFailed():
                self._ordered.pop(event.log, None)

    def note_arrived(self, statements: int, size: int) -> None:
        """So many statements took so many bytes on the wire."""
        if statements:
            self._statement_bytes += SMOOTHING * (size / statements - self._statement_bytes)

    def note_written(self, statements: int, seconds: float, waited_seconds: float) -> None:
        """A step is durable.

        Args:
            statements: how many were in it.
            seconds: how long the writer was busy with it.
            waited_seconds: from the order until it was durable.
        """
        if statements >= STEP_STATEMENTS_MIN:  # of a smaller one, most is the commit
            each = seconds / statements
            self._statement_seconds += SMOOTHING * (each - self._statement_seconds)
        if waited_seconds > LATE_SECONDS:
            self.bytes_max = max(WINDOW_BYTES_MIN, self.bytes_max // 2)
        else:
            self.bytes_max = min(WINDOW_BYTES_MAX, self.bytes_max + GROWTH_BYTES)

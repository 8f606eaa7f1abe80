"""How fast a node is catching up, and how long that will take: honest, or nothing.

Counted is what became durable within the last half minute, so a figure follows what happens now and
not what was hoped at the start. Where nothing came, no time is named.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

WINDOW_SECONDS: Final = 30.0
"""Long enough that one large transaction does not move the figure, short enough to follow."""

SAMPLES_MAX: Final = 4_096
"""Steps remembered: more than come in half a minute."""


@dataclass(slots=True)
class Pace:
    """A sliding rate."""

    _samples: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=SAMPLES_MAX))

    def note(self, now: float, count: int) -> None:
        """So many statements became durable.

        Args:
            now: seconds on a clock that never goes back.
            count: how many.
        """
        self._samples.append((now, count))

    def per_second(self, now: float) -> float:
        """Statements a second of late; 0 where none came within the window."""
        while self._samples and now - self._samples[0][0] > WINDOW_SECONDS:
            self._samples.popleft()
        if not self._samples:
            return 0.0
        began = self._samples[0][0]
        return sum(count for _, count in self._samples) / max(now - began, 1.0)

    def seconds_left(self, now: float, lacking: int) -> float | None:
        """How long so many statements will take at this pace; None where nobody can know."""
        rate = self.per_second(now)
        return lacking / rate if rate > 0 else None

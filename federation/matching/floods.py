"""Match counters: which known signal matches far more than it usually does.

For each signal two counts, of this window and of the one before; the rate is the newer one and as
much of the older as the window still covers, which is at most a few percent off for anything that
floods. What is usual is a slowly moving mean over ``USUAL_WINDOWS`` windows. A signal that was
never seen has no usual, so only the guard's own number counts for it.

Where the guard's window changes, counting begins anew.

Bounded: at most so many signals are counted, and the one that matched longest ago is let go first.
To push a flooding signal out takes that many other signals that match between two of its matches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from federation.matching.decisions import Mark
from federation.matching.policy_terms import FloodGuard

COUNTED_MAX: Final = 65_536
"""Signals counted at a time, about 25 MB: more than match anywhere within one window."""

USUAL_WINDOWS: Final = 144
"""A day of ten minutes: what is usual follows a week's rhythm but not an hour's flood."""


@dataclass(slots=True)
class _Counter:
    window: int
    current: int = 0
    previous: int = 0
    usual: float = 0.0

    def move_to(self, window: int) -> None:
        passed = window - self.window
        if passed <= 0:
            return
        share = 1.0 / USUAL_WINDOWS
        self.usual += (self.current - self.usual) * share
        self.usual *= (1.0 - share) ** (passed - 1)
        self.previous = self.current if passed == 1 else 0
        self.current, self.window = 0, window


class FloodCounters:
    """Counts matches by signal.

    Args:
        counted_max: signals counted at a time.
    """

    def __init__(self, counted_max: int = COUNTED_MAX) -> None:
        self._counters: dict[Mark, _Counter] = {}
        self._counted_max = counted_max
        self._window_seconds = 0

    def __len__(self) -> int:
        return len(self._counters)

    def count(self, mark: Mark, now_seconds: float, guard: FloodGuard) -> int:
        """Count one match.

        Args:
            mark: of the known signal.
            now_seconds: a clock that does not go back.
            guard: what a flood is.

        Returns:
            How often it matched within the window where that is a flood; else 0.
        """
        if not guard.matches:
            return 0
        if guard.window_seconds != self._window_seconds:
            # Counts of another length say nothing, and their numbers would not come again for long.
            self._counters.clear()
            self._window_seconds = guard.window_seconds
        window, into = divmod(now_seconds, guard.window_seconds)
        counter = self._counters.pop(mark, None)
        if counter is None:
            counter = _Counter(int(window))
            if len(self._counters) >= self._counted_max:
                del self._counters[next(iter(self._counters))]
        self._counters[mark] = counter  # the one counted last stands last
        counter.move_to(int(window))
        counter.current += 1
        rate = counter.current + counter.previous * (1.0 - into / guard.window_seconds)
        is_flood = rate >= guard.matches and rate >= guard.times_usual * counter.usual
        return int(rate) if is_flood else 0

    def accept(self, mark: Mark) -> None:
        """A person said that a signal's present rate is right: from now on it is the usual one."""
        counter = self._counters.get(mark)
        if counter is not None:
            counter.usual = float(max(counter.current, counter.previous, counter.usual))

    def forget(self, mark: Mark) -> None:
        """Let go of a signal."""
        self._counters.pop(mark, None)

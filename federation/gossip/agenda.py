"""Who is due for something, and when: the engine wakes those and looks at nobody else.

With a thousand peers and three logs of each, looking at everybody for every message would cost more
than all the rest. A name has one time; a new one replaces it.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Final, Generic, TypeVar

_Name = TypeVar("_Name", bound=str)

STALE_MIN: Final = 64
"""Replaced times are cleared out when there are this many, and more of them than valid ones."""


class Agenda(Generic[_Name]):
    """Names with the time at which each is due."""

    def __init__(self) -> None:
        self._at: dict[_Name, float] = {}
        self._heap: list[tuple[float, _Name]] = []

    def put(self, name: _Name, at: float | None) -> None:
        """A name is due then and at no other time; never, where there is no time."""
        if at is None:
            self._at.pop(name, None)
        elif self._at.get(name) != at:
            self._at[name] = at
            heappush(self._heap, (at, name))
            if len(self._heap) > STALE_MIN + 2 * len(self._at):
                self._heap = [(time, each) for each, time in self._at.items()]
                heapify(self._heap)

    def take(self, now: float) -> list[_Name]:
        """Take out all that are due, in the order of their times, then of their names."""
        taken = []
        while self._heap and self._heap[0][0] <= now:
            at, name = heappop(self._heap)
            if self._at.get(name) == at:
                del self._at[name]
                taken.append(name)
        return taken

    def next_wake(self) -> float | None:
        """When the next one is due."""
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None


def sooner(at: float, other: float | None) -> float:
    """The earlier of two times; the first where there is no second."""
    return at if other is None or at <= other else other

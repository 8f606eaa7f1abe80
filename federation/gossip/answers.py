"""Requests that wait for a write before they are answered.

An announcement's answer carries this node's receipt, and a receipt exists only once its statements
are durable; so the answer waits for the write, but never longer than ``ANSWER_SECONDS_MAX``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from federation.protocol.origins import LogId

ANSWER_SECONDS_MAX: Final = 1.0
"""Far above a commit, far below the peer's own timeout."""

ASKS_MAX: Final = 1_024
"""Requests that may wait; the listener admits fewer, so this is a second lock."""


@dataclass(slots=True)
class Ask:
    """One waiting request.

    Attributes:
        number: names it to the shell.
        peer: who asked.
        logs: what the answer will speak of.
        waiting: which of them are still being written.
        until: when it is answered whatever happened.
    """

    number: int
    peer: str
    logs: tuple[LogId, ...]
    waiting: set[LogId]
    until: float


class Answers:
    """All requests that wait.

    Attributes:
        asks: number -> request.
    """

    def __init__(self) -> None:
        self.asks: dict[int, Ask] = {}

    def hold(self, ask: Ask) -> bool:
        """Keep a request waiting; False when it waits for nothing or too many wait."""
        if not ask.waiting or len(self.asks) >= ASKS_MAX:
            return False
        self.asks[ask.number] = ask
        return True

    def askers_of(self, log: LogId) -> frozenset[str]:
        """The peers that an answer about this log is owed to."""
        return frozenset(ask.peer for ask in self.asks.values() if log in ask.waiting)

    def settle(self, log: LogId) -> list[Ask]:
        """A write of this log is over: the requests that wait for nothing more."""
        for ask in self.asks.values():
            ask.waiting.discard(log)
        return self._release([ask for ask in self.asks.values() if not ask.waiting])

    def overdue(self, now: float) -> list[Ask]:
        """The requests that have waited long enough."""
        return self._release([ask for ask in self.asks.values() if ask.until <= now])

    def next_wake(self) -> float | None:
        """When the next one is overdue."""
        return min((ask.until for ask in self.asks.values()), default=None)

    def _release(self, asks: list[Ask]) -> list[Ask]:
        for ask in asks:
            del self.asks[ask.number]
        return asks

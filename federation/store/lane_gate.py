"""Who writes next: the most urgent lane, and within a lane whoever came first.

The database has one writer, and every transaction passes this gate: whatever waits, a crisis
statement waits for the one transaction under way and never for a queue of lower ones.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from federation.protocol.origins import Lane, LogId


class LaneGate:
    """Lets one through at a time."""

    def __init__(self) -> None:
        self._is_taken = False
        self._waiting: dict[Lane, deque[asyncio.Future[None]]] = {lane: deque() for lane in Lane}

    @asynccontextmanager
    async def through(self, lane: Lane) -> AsyncIterator[None]:
        """Wait for one's turn, and hold the gate while the block runs."""
        if self._is_taken:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting[lane].append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._pass_on()  # it was this one's turn, and it does not take it
                raise
        self._is_taken = True
        try:
            yield
        finally:
            self._pass_on()

    def _pass_on(self) -> None:
        """The gate stays taken while somebody waits: nobody slips in before him."""
        for queue in self._waiting.values():  # in the order of urgency
            while queue:
                turn = queue.popleft()
                if not turn.done():
                    turn.set_result(None)
                    return
        self._is_taken = False


def most_urgent(logs: Iterable[LogId]) -> Lane:
    """The lane in which something is written that is of several logs, one at least."""
    order = tuple(Lane)
    return min((log.lane for log in logs), key=order.index)

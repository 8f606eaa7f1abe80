"""Turns for what is heavy and can wait: one piece of bulk, then rounds of the loop for the others.

To decode, judge, make or pack some hundred statements takes milliseconds in which nothing else is
done, and what is urgent passes through a dozen rounds of the event loop on its way from a peer to
an answer. Where bulk was ready in each of these rounds, it would wait a dozen times. And where the
rounds take long without it, the machine is busy: then bulk leaves it alone for a while. While a
crisis statement passes through here, bulk rests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from federation.protocol.origins import Lane

ROUNDS: Final = 4
"""Rounds of the loop between two pieces of bulk: an urgent statement meets one in so many, and an
idle round costs some 20 µs, a hundredth of what a piece takes."""

LATE_SECONDS: Final = 0.004
"""So long these rounds may take: on a machine with a core for this node they take 0.1 ms."""

PAUSE_FACTOR: Final = 3.0
"""For each second that they took longer: a node that shares its core with three others as busy as
itself takes no more than its share."""

PAUSE_SECONDS_MAX: Final = 0.25
"""Bulk goes on at some pace, however busy the machine is: thousands of statements a second."""

REST_SECONDS: Final = 0.08
"""So long bulk rests after each step that a crisis statement takes here (said, told, answered,
stored): on a busy machine the next step comes within that time."""

REST_SHARE: Final = 0.75
"""Of the time, in the long run: however many crisis statements come, the rest of it is bulk's."""

REST_SECONDS_MAX: Final = 1.0
"""More than that share at once."""


class Turns:
    """Who does heavy work next, in one process."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._rests_until = float("-inf")
        self._rested, self._rested_at = 0.0, float("-inf")

    def note(self, lane: Lane) -> None:
        """Something of that lane takes a step here; of a crisis, bulk makes way for it."""
        if lane is Lane.CRISIS:
            self._rests_until = asyncio.get_running_loop().time() + REST_SECONDS

    async def wait(self, lane: Lane) -> None:
        """Wait for one's turn; to be asked for just before the work. Only bulk ever waits."""
        self.note(lane)
        if lane is not Lane.BULK:
            return
        clock = asyncio.get_running_loop().time
        async with self._turn:
            began = clock()
            for _ in range(ROUNDS):
                await asyncio.sleep(0)
            if (late := clock() - began) > LATE_SECONDS:
                await asyncio.sleep(min(PAUSE_FACTOR * late, PAUSE_SECONDS_MAX))
            await self._rest(clock)

    async def _rest(self, clock: Callable[[], float]) -> None:
        """Leave everything to a crisis, as long as it may."""
        while (rest := self._rests_until - (began := clock())) > 0:
            self._rested = max(0.0, self._rested - REST_SHARE * (began - self._rested_at))
            self._rested_at = began
            rest = min(rest, (REST_SECONDS_MAX - self._rested) / (1 - REST_SHARE))
            if rest <= 0:
                return
            await asyncio.sleep(rest)
            self._rested += clock() - began

"""Turns for what is heavy and can wait: one piece of bulk, then rounds of the loop for the others.

To decode, judge, make or pack some hundred statements takes milliseconds in which nothing else is
done, and what is urgent passes through a dozen rounds of the event loop on its way from a peer to
an answer. Where bulk was ready in each of these rounds, it would wait a dozen times. And where the
rounds take long without it, the machine is busy: then bulk leaves it alone for a while.
"""

from __future__ import annotations

import asyncio
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


class Turns:
    """Who does heavy work next, in one process."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def wait(self, lane: Lane) -> None:
        """Wait for one's turn; to be asked for just before the work. Only bulk ever waits."""
        if lane is not Lane.BULK:
            return
        clock = asyncio.get_running_loop().time
        async with self._turn:
            began = clock()
            for _ in range(ROUNDS):
                await asyncio.sleep(0)
            if (late := clock() - began) > LATE_SECONDS:
                await asyncio.sleep(min(PAUSE_FACTOR * late, PAUSE_SECONDS_MAX))

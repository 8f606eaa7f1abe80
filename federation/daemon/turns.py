"""Turns for what is heavy and can wait: one piece of bulk, then rounds of the loop for the others.

To decode, judge or pack a thousand statements takes some milliseconds in which nothing else is
done, and what is urgent passes through a dozen rounds of the event loop on its way from a peer to
an answer. Where bulk was ready in each of these rounds, it would wait a dozen times.
"""

from __future__ import annotations

import asyncio
from typing import Final

from federation.protocol.origins import Lane

ROUNDS: Final = 4
"""Rounds of the loop between two pieces of bulk: an urgent statement meets one in so many, and an
idle round costs some 20 µs, a hundredth of what a piece takes."""


class Turns:
    """Who does heavy work next."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def wait(self, lane: Lane) -> None:
        """Wait for one's turn; to be asked for just before the work. Only bulk ever waits."""
        if lane is Lane.BULK:
            async with self._turn:
                for _ in range(ROUNDS):
                    await asyncio.sleep(0)

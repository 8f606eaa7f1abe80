"""What a running node does now and then, whatever becomes of one part of it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from federation.daemon.after_commit import tell_bug
from federation.daemon.standing import catching_up
from federation.errors import FederationError
from federation.gossip.engine import GossipEngine
from federation.gossip.joining import JOIN_STATEMENTS_MIN
from federation.gossip.pace import Pace

log_lines = logging.getLogger(__name__)

UPKEEP_SECONDS: Final = 60.0
"""How often leaves are looked at for renewal and indexes for a rebuild."""

PROGRESS_SECONDS: Final = 5.0
"""How often the log says how catching up goes, while thousands of statements are lacking."""


async def keep_up(
    alarm: Callable[[str, str], None], *parts: Callable[[], Awaitable[None] | None]
) -> None:
    """Do what is due now and then, until cancelled; a part that fails is done again next time.

    Args:
        alarm: tells operators of a bug: code and sentence.
        parts: one after the other, each time.
    """
    while True:
        await asyncio.sleep(UPKEEP_SECONDS)
        for part in parts:
            try:
                done = part()
                if done is not None:
                    await done
            except FederationError as error:
                log_lines.error("upkeep goes on without a part of it, until next time: %s", error)
            except Exception as error:  # noqa: BLE001 - the leaf would not be renewed any more
                tell_bug(alarm, error)


async def tell_progress(engine: GossipEngine, pace: Pace) -> None:
    """Say in the log how catching up goes, while much is lacking; until cancelled.

    Args:
        engine: knows what is lacking.
        pace: knows how fast it comes.
    """
    while True:
        await asyncio.sleep(PROGRESS_SECONDS)
        state = catching_up(engine, pace, time.monotonic())
        if state.lacking >= JOIN_STATEMENTS_MIN:
            left = "" if state.seconds_left is None else f", about {state.seconds_left:.0f} s"
            log_lines.info(
                "catching up: %d statements to come, %.0f/s%s",
                state.lacking,
                state.per_second,
                left,
            )

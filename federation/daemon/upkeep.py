"""What a running node does now and then, each job on its own: none that fails ends the others."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
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


class Upkeep:
    """Jobs that are done in turn, for ever.

    Args:
        jobs: name -> what to do; each may raise.
        alarm: tells operators: code and sentence.
    """

    def __init__(
        self,
        jobs: Mapping[str, Callable[[], Awaitable[None]]],
        alarm: Callable[[str, str], None],
    ) -> None:
        self._jobs, self._alarm = dict(jobs), alarm
        self._failing: set[str] = set()

    async def run(self) -> None:
        """Do all jobs again and again, until cancelled."""
        while True:
            await asyncio.sleep(UPKEEP_SECONDS)
            await self.do_all()

    async def do_all(self) -> None:
        """Do every job once; what fails is told, once until it has worked again."""
        for name, job in self._jobs.items():
            try:
                await job()
            except FederationError as error:
                log_lines.warning("upkeep (%s) failed: %s: %s", name, error.code, error.message)
                self._tell(name, f"{error.code}: {error.message}")
            except Exception as error:  # noqa: BLE001 - a bug in one job must not end the others
                self._tell(name, tell_bug(error))
            else:
                self._failing.discard(name)

    def _tell(self, name: str, text: str) -> None:
        if name not in self._failing:
            self._failing.add(name)
            self._alarm("upkeep-failed", f"{name}: {text}")


def watched(task: asyncio.Task[None], alarm: Callable[[str, str], None]) -> asyncio.Task[None]:
    """Have an endless task's end told, unless it was cancelled.

    Args:
        task: it.
        alarm: tells operators: code and sentence.

    Returns:
        The same task.
    """

    def ended(task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            alarm("internal-error", tell_bug(error))

    task.add_done_callback(ended)
    return task


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

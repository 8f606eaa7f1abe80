"""What follows a commit: carried through, however often the disk refuses.

After the commit a statement is said or held, whatever happens next. So the steps behind it (index,
erases, the guard's file) are never given up: they are tried again after a pause, and operators are
told meanwhile. Only when the node stops are they left, for the next start to make up. What no
waiting mends (a damaged row, a bug) is told and passed over.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from federation.errors import FederationError
from federation.local_errors.askers import SigningStopped
from federation.local_errors.disk import StoreFull, StoreUnavailable
from federation.protocol.origins import LogId

log_lines = logging.getLogger(__name__)

PAUSE_SECONDS_FIRST: Final = 0.5
PAUSE_SECONDS_MAX: Final = 30.0
"""Between two attempts: a full disk is freed by people, who should see the node go on by itself
before they look again."""

_Outcome = TypeVar("_Outcome")


class AfterCommit:
    """Tries again until it is done.

    Args:
        alarm: tells operators: code and sentence.
    """

    def __init__(self, alarm: Callable[[str, str], None]) -> None:
        self._alarm = alarm
        self._is_closing = asyncio.Event()

    async def through(self, log: LogId, *steps: Callable[[], Awaitable[object]]) -> None:
        """Carry out steps one after the other, each until it succeeds.

        A step that meets what no further attempt mends is told and passed over: no attempt would
        end otherwise, and the log would stand still.

        Args:
            log: what they are about.
            steps: each may be repeated from its beginning.

        Raises:
            SigningStopped: a step found that a person must look first.
            CancelledError: the node stops; the next start makes up for what is left.
        """
        for step in steps:
            try:
                await self.until_done(log, step)
            except SigningStopped:
                raise
            except Exception as error:  # noqa: BLE001 - it must not stop the log for good
                self.pass_over(log, error)

    async def until_done(self, log: LogId, step: Callable[[], Awaitable[_Outcome]]) -> _Outcome:
        """The outcome of one step; as :meth:`through`, but what is not the disk's is raised."""
        pause, is_told = PAUSE_SECONDS_FIRST, False
        while True:
            try:
                return await step()
            except (StoreFull, StoreUnavailable) as error:
                log_lines.error("what follows a commit of %s waits: %s", log, error)
                if not is_told:
                    is_told = True
                    text = f"what is stored of {log} is not in use here yet: {error.message}"
                    self._alarm("commit-unfinished", text)
                await self._wait(pause)
                pause = min(2 * pause, PAUSE_SECONDS_MAX)

    def pass_over(self, log: LogId, error: Exception) -> None:
        """Tell operators of a step that is given up.

        Args:
            log: what it was about.
            error: what it met.
        """
        told = tell_bug(error)
        if isinstance(error, FederationError):
            told = f"what is stored of {log} came into use in part: {error.message} ({told})"
        self._alarm("internal-error", told)

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._is_closing.wait()
        except TimeoutError:
            return
        raise asyncio.CancelledError

    def close(self) -> None:
        """Let go of what has not succeeded."""
        self._is_closing.set()


def tell_bug(error: BaseException) -> str:
    """Say in the log that there is a bug and where; its words may hold what no log line may.

    Returns:
        What an alarm may say of it.
    """
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    log_lines.error("a bug: %s%s", type(error).__name__, place)
    return type(error).__name__

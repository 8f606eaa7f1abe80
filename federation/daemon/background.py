"""Heavy work that nobody waits for, in a thread that gets what the others leave of the machine.

To merge an index takes seconds of a core, and every node that takes one list in does so at about
the same statement. Where nodes, or a node and its platform, share a machine, its event loop would
wait behind it at each of the dozen steps that something urgent takes.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import get_native_id
from typing import Final, ParamSpec, TypeVar

_Given = ParamSpec("_Given")
_Made = TypeVar("_Made")

NICENESS: Final = 10
"""Added to that of the process: a tenth of what a thread at the usual niceness gets beside it."""

NICENESS_MAX: Final = 19
"""The system knows no more."""


class Background:
    """One thread for such work, one piece after the other."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(1, "background", _step_back)

    async def run(
        self, work: Callable[_Given, _Made], *given: _Given.args, **named: _Given.kwargs
    ) -> _Made:
        """Do it in the thread, and return what it makes; what it raises is raised here."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: work(*given, **named))

    def close(self) -> None:
        """Begin nothing more."""
        self._threads.shutdown(wait=False)


def _step_back() -> None:
    # Only Linux keeps a niceness for each thread; elsewhere it would be that of the process.
    if sys.platform == "linux":
        now = os.getpriority(os.PRIO_PROCESS, 0)
        os.setpriority(os.PRIO_PROCESS, get_native_id(), min(now + NICENESS, NICENESS_MAX))

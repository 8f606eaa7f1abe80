"""The processes that answer matches beside the node: started, fed, replaced when they die.

Each listens on the API's own port (``SO_REUSEPORT``: the kernel gives it its share of the
connections), maps the index's files and follows every change; the node is one of them. Calls that
are not theirs to answer they pass on over a Unix socket that only this user can open.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from federation.daemon.index_channel import IndexFeeder, told_frame
from federation.daemon.platform import Platform
from federation.local_errors.disk import IndexFileInvalid
from federation.web.worker import READY

log_lines = logging.getLogger(__name__)

START_SECONDS_MAX: Final = 60.0
"""From the start of a process until it listens: compiling the kernels takes eight on a slow day."""

STOP_SECONDS_MAX: Final = 10.0
"""Twice what a worker gives the requests under way."""

PAUSE_SECONDS: Final = (0.1, 1.0, 5.0, 30.0)
"""Before a worker that died is replaced: the more often it died, the longer."""

STEADY_SECONDS: Final = 60.0
"""A worker that lived so long died of something new."""


class MatchWorkers:
    """Keeps a number of worker processes alive.

    Args:
        count: how many beside the node itself.
        platform: whose index they follow.
        hello: what each is told at first, but for the socket to the node; JSON values.
    """

    def __init__(self, count: int, platform: Platform, hello: Callable[[], dict[str, Any]]) -> None:
        self.count = count
        self._platform, self._hello = platform, hello
        self._folder = Path(tempfile.mkdtemp(prefix="federation-")) if count else None
        self._tasks: list[asyncio.Task[None]] = []
        self._ready: set[int] = set()
        self._someone_ready = asyncio.Condition()

    @property
    def ready(self) -> int:
        """How many listen."""
        return len(self._ready)

    @property
    def node_path(self) -> str:
        """The Unix socket on which the node answers what they pass on.

        Raises:
            ValueError: there are no workers; the program's own mistake.
        """
        if self._folder is None:
            raise ValueError("without workers nobody passes anything on")
        return str(self._folder / "node")

    async def start(self) -> None:
        """Start them all, and wait until they listen or ``START_SECONDS_MAX`` have passed."""
        self._tasks = [asyncio.create_task(self._keep_alive(slot)) for slot in range(self.count)]
        with suppress(TimeoutError):
            async with asyncio.timeout(START_SECONDS_MAX), self._someone_ready:
                await self._someone_ready.wait_for(lambda: len(self._ready) == self.count)
        if self.ready < self.count:
            log_lines.error("%d of %d workers answer", self.ready, self.count)

    async def close(self) -> None:
        """Stop them: requests under way end first."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._folder is not None:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    # --- one of them ----------------------------------------------------------------------------

    async def _keep_alive(self, slot: int) -> None:
        deaths = 0
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                why = await self._run(slot)
            except (IndexFileInvalid, OSError) as error:
                why = str(error)
            deaths = 0 if loop.time() - began > STEADY_SECONDS else deaths + 1
            pause = PAUSE_SECONDS[min(deaths, len(PAUSE_SECONDS) - 1)]
            log_lines.error("worker %d ended (%s); another in %.1f s", slot, why, pause)
            await asyncio.sleep(pause)

    async def _run(self, slot: int) -> str:
        """One process, from its start to its end; says how it ended."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "federation.web.worker", str(theirs.fileno()),
                pass_fds=[theirs.fileno()], stdin=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
        reader, writer = await asyncio.open_connection(sock=ours)
        feeder = None
        try:
            writer.write(told_frame({**self._hello(), "node": self.node_path}))
            feeder = IndexFeeder(
                self._platform.index, self._platform.index_keeper, writer, process.kill
            )
            async with asyncio.timeout(START_SECONDS_MAX):
                if await reader.read(len(READY)) == READY:
                    await self._note(slot, is_ready=True)
            return f"exit code {await process.wait()}"
        except TimeoutError:
            return "it did not listen in time"
        finally:
            if feeder is not None:
                feeder.close()
            await self._note(slot, is_ready=False)
            writer.close()
            await _end(process)

    async def _note(self, slot: int, *, is_ready: bool) -> None:
        async with self._someone_ready:
            (self._ready.add if is_ready else self._ready.discard)(slot)
            self._someone_ready.notify_all()


async def _end(process: asyncio.subprocess.Process) -> None:
    """Its socket is closed, so it ends by itself; or else it is killed."""
    try:
        async with asyncio.timeout(STOP_SECONDS_MAX):
            await process.wait()
    except (TimeoutError, asyncio.CancelledError):
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()

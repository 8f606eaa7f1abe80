"""The processes of the demo: the installed programs, bounded in time, and none outlives it.

A node runs in a process group of its own, so that Ctrl-C reaches it through the demo only, which
then stops it as an operator would. Where the demo itself is killed, the kernel kills its nodes.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from federation.cli.exits import ExitCode
from federation.local_errors.config import ConfigMissing

COMMAND_SECONDS: Final = 60.0
"""A command takes half a second; on a machine that is busy with sixteen nodes, ten."""

STOP_SECONDS: Final = 15.0
"""A node stops within a second when it is told to; after this it is killed."""

STOP_POLL_SECONDS: Final = 0.02
LOG_LINES_SHOWN: Final = 12
_PR_SET_PDEATHSIG: Final = 1


class StepFailed(Exception):
    """Something that the demo wanted to show did not happen.

    Attributes:
        message: what, and why.
        log: the log of the node at which it did not.
    """

    def __init__(self, message: str, log: Path | None = None) -> None:
        super().__init__(message)
        self.message, self.log = message, log

    def log_lines(self) -> list[str]:
        """The last lines of the log."""
        if self.log is None or not self.log.exists():
            return []
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return lines[-LOG_LINES_SHOWN:]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended.

    Attributes:
        code: its exit code.
        answer: what it wrote to stdout.
        talk: what it wrote to stderr.
    """

    code: int
    answer: str
    talk: str


@asynccontextmanager
async def within(seconds: float, what: str, log: Path | None = None) -> AsyncIterator[None]:
    """Bound a wait.

    Args:
        seconds: how long at most.
        what: did not happen when that time is over.
        log: of the node that was waited for.

    Raises:
        StepFailed: it took longer.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise StepFailed(f"{what} within {seconds:.0f} s", log) from None


def program(name: str) -> str:
    """Where an installed program of ours is: beside this Python, or on the path.

    Raises:
        ConfigMissing: nowhere.
    """
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which(name)
    if found is None:
        raise ConfigMissing(
            f"the program {name} is not installed beside {sys.executable}",
            hint="install the package first: pip install . (or make run)",
        )
    return found


async def run_command(name: str, *arguments: str | Path) -> Ended:
    """Run one of our programs to its end.

    Raises:
        ConfigMissing: it is not installed.
        StepFailed: it took too long.
    """
    process = await asyncio.create_subprocess_exec(
        program(name),
        *map(str, arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with within(COMMAND_SECONDS, f"{name} {arguments[0]} did not end"):
            answer, talk = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Ended(process.returncode or 0, answer.decode(errors="replace"), talk.decode())


async def run_federation(*arguments: str | Path) -> str:
    """Run a ``federation`` command that has to succeed; returns its answer.

    Raises:
        ConfigMissing: it is not installed.
        StepFailed: it did not succeed.
    """
    ended = await run_command("federation", *arguments)
    if ended.code != ExitCode.YES:
        words = " ".join(map(str, arguments[:2]))
        raise StepFailed(f"federation {words} ended with {ended.code}: {ended.talk.strip()}")
    return ended.answer


def start_node(config: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start a node in the background; what it says is appended to its log.

    Raises:
        ConfigMissing: the program is not installed.
    """
    with log.open("ab") as lines:
        return subprocess.Popen(  # noqa: S603 - our own program
            [program("federation"), "serve", "--config", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=lines,
            stderr=lines,
            start_new_session=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - one system call, and no lock is taken
        )


# Found before any fork: loading a library in a forked child could wait for a lock for ever.
_LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None


def _end_with_parent() -> None:
    """Have the kernel kill the process when the demo has died (Linux only)."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def kill_node(process: subprocess.Popen[bytes]) -> None:
    """End a node as a power cut would."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def stop_nodes(processes: Iterable[subprocess.Popen[bytes]]) -> list[int]:
    """Stop nodes as their operators would, all at once; blocks until every one has ended.

    Returns:
        The process ids of those that had to be killed.
    """
    running = [process for process in processes if process.poll() is None]
    for process in running:
        process.terminate()
    until = time.monotonic() + STOP_SECONDS
    while time.monotonic() < until and any(process.poll() is None for process in running):
        time.sleep(STOP_POLL_SECONDS)
    stuck = [process for process in running if process.poll() is None]
    for process in stuck:
        kill_node(process)
    return [process.pid for process in stuck]

"""One video or document in a worker process of its own, under caps, from an open file to a reply.

The process gets the file as its standard input, so neither its content nor its name passes through
the node, and nothing else is open in it. A video takes seconds, so a process for each costs little,
and none is used again after hostile bytes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import IO, Final, cast

from federation.errors import FederationError
from federation.local_errors.config import ConfigInvalid
from federation.local_errors.content import (
    DocumentTooLarge,
    DocumentUnreadable,
    VideoTooLarge,
    VideoUnreadable,
)
from federation.media.confined import worker_environment
from federation.media.file_replies import REPLY_BYTES_MAX, FileOutcome
from federation.media.kinds import FileKind, Kind
from federation.media.limits import FileLimits


@dataclass(frozen=True, slots=True)
class _Caps:
    """What one file may cost, and what its refusals are called."""

    what: str
    memory_bytes_max: int
    cpu_seconds_max: int
    wall_seconds_max: float
    unreadable: type[FederationError]
    too_large: type[FederationError]


class ConfinedFile:
    """One file's process; made, asked once, ended. Any thread may kill it."""

    def __init__(self, kind: Kind, limits: FileLimits) -> None:
        """Start no process yet."""
        self._kind, self._limits = kind, limits
        self._caps = _caps_of(kind, limits)
        self._process: subprocess.Popen[bytes] | None = None
        self._is_killed = False
        self._expired = False

    def read(self, descriptor: int) -> bytes:
        """Let the process read the file behind a descriptor, from its start.

        Returns:
            Packed frames of a video; the TLSH of a document, or nothing for too little text.

        Raises:
            VideoUnreadable, DocumentUnreadable: broken, of another kind, or it broke its decoder.
            VideoTooLarge, DocumentTooLarge: over a limit or a cap.
            ConfigInvalid: the process could not be started.
        """
        os.lseek(descriptor, 0, os.SEEK_SET)
        process = self._process = _start(self._program(), descriptor)
        if self._is_killed:
            process.kill()
        timer = threading.Timer(self._caps.wall_seconds_max, self._expire)
        timer.start()
        try:
            replies = cast("IO[bytes]", process.stdout)
            reply = replies.read(REPLY_BYTES_MAX + 1)
            if len(reply) > REPLY_BYTES_MAX:
                process.kill()
            process.wait()
        finally:
            timer.cancel()
            timer.join()
            process.kill()
            process.wait()
            cast("IO[bytes]", process.stdout).close()
        return self._judge(reply, process.returncode)

    def kill(self) -> None:
        """End the process at once; safe from any thread, before it starts and after it ended."""
        self._is_killed = True
        if self._process is not None:
            self._process.kill()

    def _expire(self) -> None:
        self._expired = True
        self.kill()

    def _program(self) -> list[str]:
        limits, caps = self._limits, self._caps
        numbers = (
            limits.video_pixels_max,
            limits.video_seconds_max,
            limits.document_bytes_max,
            caps.memory_bytes_max,
            caps.cpu_seconds_max,
        )
        program = [sys.executable, "-P", "-m", "federation.media.file_worker"]
        return [*program, self._kind.kind.value, self._kind.demuxer, *map(str, numbers)]

    def _judge(self, reply: bytes, returncode: int) -> bytes:
        caps = self._caps
        what = caps.what
        if self._expired:
            raise caps.too_large(f"the {what} took longer than {caps.wall_seconds_max} seconds")
        if returncode == -signal.SIGXCPU:
            raise caps.too_large(f"the {what} took more than {caps.cpu_seconds_max} CPU seconds")
        if returncode == -signal.SIGKILL:  # The kernel's, when it is out of memory.
            raise caps.too_large(f"the worker for the {what} was killed, as if memory ran out")
        if returncode or not reply or reply[0] not in _OUTCOMES or len(reply) > REPLY_BYTES_MAX:
            raise caps.unreadable(f"the {what} made its decoder fail")
        outcome = FileOutcome(reply[0])
        if outcome is FileOutcome.READ:
            return reply[1:]
        if outcome is FileOutcome.UNREADABLE:
            raise caps.unreadable(f"the file is no readable {what}")
        if outcome is FileOutcome.TOO_LARGE:
            raise caps.too_large(
                f"the {what} is over a limit: {_limits_in_words(what, self._limits)}"
            )
        raise caps.too_large(f"the {what} needs more memory than allowed")


_OUTCOMES: Final = frozenset(FileOutcome)


def _limits_in_words(what: str, limits: FileLimits) -> str:
    if what == FileKind.VIDEO:
        return f"{limits.video_seconds_max} seconds, {limits.video_pixels_max} pixels"
    return f"{limits.document_bytes_max} bytes, or its pages or characters"


def _caps_of(kind: Kind, limits: FileLimits) -> _Caps:
    if kind.kind is FileKind.VIDEO:
        return _Caps(
            "video",
            limits.video_memory_bytes_max,
            limits.video_cpu_seconds_max,
            limits.video_wall_seconds_max,
            VideoUnreadable,
            VideoTooLarge,
        )
    return _Caps(
        "document",
        limits.document_memory_bytes_max,
        limits.document_cpu_seconds_max,
        limits.document_wall_seconds_max,
        DocumentUnreadable,
        DocumentTooLarge,
    )


def _start(program: list[str], descriptor: int) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603 -- this interpreter, our module, fixed words, integers
            program,
            stdin=descriptor,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=worker_environment(),
            process_group=0,  # Ctrl-C in the terminal is for the parent to act on.
        )
    except OSError as error:
        raise ConfigInvalid(
            "a worker for files could not be started",
            hint="does the system let this program start processes, and has it memory left?",
        ) from error

"""One worker process as the pool sees it: started, asked about one picture at a time, ended.

The wall clock is kept here: a timer kills the worker, which ends the read or write that waits for
it. All that is read from a worker is fixed bytes (``replies``); its standard error goes nowhere,
because libraries in C write about the content there.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final, cast

from federation.local_errors.config import ConfigInvalid
from federation.local_errors.content import PictureTooLarge, PictureUnreadable
from federation.media.limits import (
    WORKER_PICTURES_MAX,
    WORKER_START_SECONDS_MAX,
    PictureLimits,
)
from federation.media.replies import LENGTH_BYTES, READY, REPLY_BYTES, Outcome, decode_reply

_PACKAGE_ROOT: Final = str(Path(__file__).resolve().parents[2])


class ConfinedWorker:
    """A worker process under caps; one thread at a time may ask it, any thread may end it."""

    def __init__(self, limits: PictureLimits) -> None:
        """Start the process and wait until it is confined and ready.

        Raises:
            ConfigInvalid: it did not become ready.
        """
        self._limits = limits
        self._asked = 0
        self._expired = False
        self._process = _start(limits)
        self._requests = cast("IO[bytes]", self._process.stdin)
        self._replies = cast("IO[bytes]", self._process.stdout)
        with self._deadline(WORKER_START_SECONDS_MAX):
            is_ready = self._replies.read(len(READY)) == READY
        if not is_ready:
            self.end()
            raise ConfigInvalid(
                "a worker for pictures did not become ready",
                hint="are pillow and pdqhash installed for this Python, and are its caps sane?",
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def is_reusable(self) -> bool:
        """Whether it lives, answered all that it was asked in time, and is not worn out."""
        return (
            not self._expired and self._asked < WORKER_PICTURES_MAX and self._process.poll() is None
        )

    def pdq_of(self, picture: bytes) -> tuple[bytes, int]:
        """Let the worker decode a picture file, to its PDQ (32 bytes) and quality (0 to 100).

        Raises:
            PictureUnreadable: no picture of an accepted kind, or broken, or it broke its decoder.
            PictureTooLarge: too many pixels, or the worker went over one of its caps.
        """
        self._asked += 1
        with self._deadline(self._limits.wall_seconds_max):
            reply = self._exchange(picture)
        try:
            outcome, quality, pdq = decode_reply(reply)
        except ValueError:
            error = self._post_mortem()
            self.end()
            raise error from None
        if outcome is Outcome.HASHED:
            return pdq, quality
        if outcome is Outcome.UNREADABLE:
            raise PictureUnreadable("the file is no readable picture, or is truncated")
        if outcome is Outcome.TOO_MANY_PIXELS:
            raise PictureTooLarge(f"the picture has more than {self._limits.pixels_max} pixels")
        self.end()
        raise PictureTooLarge("the picture needs more memory than allowed")

    def kill(self) -> None:
        """End the process at once; safe from any thread, and when it has ended already."""
        self._process.kill()

    def end(self) -> None:
        """Kill the process, wait for it and close its pipes."""
        self.kill()
        self._process.wait()
        for pipe in (self._requests, self._replies):
            with suppress(OSError):  # What was not written yet can be written no more.
                pipe.close()

    def _exchange(self, picture: bytes) -> bytes:
        """Send a picture and read the reply, which is cut off when the worker ended instead."""
        reply = b""
        with suppress(BrokenPipeError):
            self._requests.write(len(picture).to_bytes(LENGTH_BYTES))
            self._requests.write(picture)
            self._requests.flush()
            reply = self._replies.read(REPLY_BYTES)
        if len(reply) < REPLY_BYTES:
            self._process.wait()  # Until the deadline: how it ends is the reason to give.
        return reply

    @contextmanager
    def _deadline(self, seconds: float) -> Iterator[None]:
        """Kill the process if the block takes longer than ``seconds``."""
        timer = threading.Timer(seconds, self._expire)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()  # From here on it has either expired or never will.

    def _expire(self) -> None:
        self._expired = True
        self.kill()

    def _post_mortem(self) -> PictureTooLarge | PictureUnreadable:
        """Tell from how the process ended, if it did, what its last picture has done to it."""
        if self._expired:
            seconds = self._limits.wall_seconds_max
            return PictureTooLarge(f"the picture took longer than {seconds} seconds to hash")
        if self._process.returncode == -signal.SIGXCPU:
            seconds = self._limits.cpu_seconds_max
            return PictureTooLarge(f"the picture took more than {seconds} CPU seconds to hash")
        if self._process.returncode == -signal.SIGKILL:  # The kernel's, when it is out of memory.
            return PictureTooLarge("the worker for the picture was killed, as if memory ran out")
        return PictureUnreadable("the picture made its decoder fail")


def _start(limits: PictureLimits) -> subprocess.Popen[bytes]:
    program = [
        sys.executable,
        "-P",  # Nothing is imported from whatever the working directory happens to be.
        "-m",
        "federation.media.worker",
        str(limits.pixels_max),
        str(limits.memory_bytes_max),
        str(limits.cpu_seconds_max),
    ]
    try:
        return subprocess.Popen(  # noqa: S603 -- this interpreter, our module, integers
            program,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=worker_environment(),
            process_group=0,  # Ctrl-C in the terminal is for the parent to act on.
        )
    except OSError as error:
        raise ConfigInvalid(
            "a worker for pictures could not be started",
            hint="does the system let this program start processes, and has it memory left?",
        ) from error


def worker_environment() -> dict[str, str]:
    """The worker's environment: what Python needs to find this package, and no secret of ours."""
    kept = {
        name: os.environ[name]
        for name in ("LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONPATH")
        if name in os.environ
    }
    path = os.pathsep.join(filter(None, (_PACKAGE_ROOT, kept.get("PYTHONPATH"))))
    # numpy's linear algebra is not used, and would reserve memory for a thread on each core.
    return kept | {"PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"}

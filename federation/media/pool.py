"""Pictures -> signals in worker processes, so that a hostile picture costs nobody but its sender.

    with HashingPool() as pool:
        signals = pool.hash_picture(Path("photo.jpg"))
        signals = await asyncio.wrap_future(pool.submit(picture_bytes))

pdqhash holds the GIL for up to 180 ms on a 12-megapixel photo, and decoders crash, loop and eat
memory on files made for that. Each worker has caps on memory, CPU and wall time (``limits``); one
that goes over them is ended and replaced, and only its own picture gets the error. Workers are
fresh interpreters, never forks of a process with threads and keys in it, and start when a picture
first needs them.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from federation.errors import TooLarge
from federation.local_errors.askers import TooBusy
from federation.local_errors.content import PictureTooLarge
from federation.media.confined import ConfinedWorker
from federation.media.files import digest_bytes, read_file
from federation.media.limits import (
    LONGEST_PICTURES_WAITING_MAX,
    PICTURES_WAITING_MAX,
    WORKERS,
    PictureLimits,
)


@dataclass(frozen=True, slots=True)
class PictureSignals:
    """All signals of one picture file; its repr shows none of them.

    Attributes:
        pdq: 32 bytes, of the full-size picture.
        quality: of the PDQ, 0 to 100; publishing below 50 is refused elsewhere.
        sha256: 32 bytes, of the file.
        md5: 16 bytes, of the file.
    """

    pdq: bytes = field(repr=False)
    quality: int
    sha256: bytes = field(repr=False)
    md5: bytes = field(repr=False)


class HashingPool:
    """A fixed number of confined workers and a bounded queue before them; for any thread."""

    def __init__(self, *, workers: int = WORKERS, limits: PictureLimits | None = None) -> None:
        """Start no process yet.

        Args:
            workers: how many pictures are hashed at the same time.
            limits: what one picture may cost.
        """
        self._limits = limits or PictureLimits()
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="picture")
        # Guards what follows. Workers are taken from `_idle`; `_alive` has the busy ones as well.
        self._lock = threading.Lock()
        self._idle: list[ConfinedWorker] = []
        self._alive: set[ConfinedWorker] = set()
        self._waiting = 0
        self._waiting_bytes = 0
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def hash_picture(self, picture: bytes | os.PathLike[str]) -> PictureSignals:
        """Hash a picture file, given as its bytes or as its path, and wait for the result.

        Raises:
            PictureUnreadable: no picture of an accepted kind, or broken, or it broke its decoder.
            PictureTooLarge: over one of the limits.
            RequestMalformed: there is no such file, it may not be read, or it is no regular file.
            TooBusy: too many pictures wait already, or the pool was closed.
            ConfigInvalid: no worker could be started.
        """
        return self.submit(picture).result()

    def submit(self, picture: bytes | os.PathLike[str]) -> Future[PictureSignals]:
        """Put a picture file into the queue; the future ends as ``hash_picture`` would.

        Raises:
            PictureTooLarge: the bytes are longer than the limit.
            TooBusy: too many pictures wait already, or the pool was closed.
        """
        length = len(picture) if isinstance(picture, bytes) else 0
        longest = self._limits.file_bytes_max
        if length > longest:
            raise PictureTooLarge(f"the picture file is longer than {longest} bytes")
        with self._lock:
            if self._is_closed:
                raise TooBusy("no more pictures are taken")
            waiting_bytes = self._waiting_bytes + length
            if (
                self._waiting >= PICTURES_WAITING_MAX
                or waiting_bytes > LONGEST_PICTURES_WAITING_MAX * longest
            ):
                raise TooBusy("too many pictures wait to be hashed")
            future = self._threads.submit(self._answer, picture)
            self._waiting += 1
            self._waiting_bytes = waiting_bytes
        future.add_done_callback(lambda _: self._forget(length))
        return future

    def close(self) -> None:
        """End all workers at once; what is under way fails as TooBusy, what waits is cancelled."""
        with self._lock:
            self._is_closed = True
            for worker in self._alive:
                worker.kill()
        self._threads.shutdown(cancel_futures=True)
        for worker in self._alive:  # No thread is left to change it.
            worker.end()
        self._alive.clear()
        self._idle.clear()

    def _forget(self, length: int) -> None:
        with self._lock:
            self._waiting -= 1
            self._waiting_bytes -= length

    def _answer(self, picture: bytes | os.PathLike[str]) -> PictureSignals:
        """Hash one picture; runs in one of the threads, of which there are as many as workers."""
        content = picture if isinstance(picture, bytes) else self._read(picture)
        digests = digest_bytes(content)
        worker = self._take()
        try:
            pdq, quality = worker.pdq_of(content)
        except PictureTooLarge:
            if self._is_closed:
                raise TooBusy("hashing was stopped") from None
            raise
        finally:
            self._give_back(worker)
        return PictureSignals(pdq=pdq, quality=quality, sha256=digests.sha256, md5=digests.md5)

    def _read(self, path: os.PathLike[str]) -> bytes:
        try:
            return read_file(path, bytes_max=self._limits.file_bytes_max)
        except TooLarge as refusal:
            raise PictureTooLarge(refusal.message) from None

    def _take(self) -> ConfinedWorker:
        """Take an idle worker that is fit, or start one."""
        while True:
            with self._lock:
                worker = self._idle.pop() if self._idle else None
            if worker is None:
                break
            if worker.is_reusable:
                return worker
            self._retire(worker)
        worker = ConfinedWorker(self._limits)
        with self._lock:
            self._alive.add(worker)
            is_late = self._is_closed
        if is_late:
            worker.kill()
        return worker

    def _give_back(self, worker: ConfinedWorker) -> None:
        if worker.is_reusable:
            with self._lock:
                self._idle.append(worker)
        else:
            self._retire(worker)

    def _retire(self, worker: ConfinedWorker) -> None:
        worker.end()
        with self._lock:
            self._alive.discard(worker)

"""Any file -> its signals: the one door for the command line and the API.

    with FileHasher() as hasher:
        found = hasher.hash_file(Path("film.mp4"))
        found.kind, found.signals, found.unread

What a file is, its first bytes say (``kinds``). A picture gives PDQ, a video vPDQ, a PDF or text
TLSH; every file SHA-256 and MD5. Where a picture, video or document cannot be read, the exact
signals are still there, and ``unread`` says why: a platform must know that the file was looked at
by its bytes only, and not take it for seen.
"""

from __future__ import annotations

import os
import struct
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from types import TracebackType
from typing import BinaryIO, Final, Self

from federation.errors import FederationError
from federation.local_errors.askers import TooBusy
from federation.local_errors.content import (
    DocumentTooLarge,
    DocumentUnreadable,
    PictureTooLarge,
    PictureUnreadable,
    SignalLowQuality,
    VideoTooLarge,
    VideoUnreadable,
)
from federation.media.confined_file import ConfinedFile
from federation.media.file_replies import TLSH_BYTES
from federation.media.files import digest_stream, open_regular
from federation.media.kinds import BEGINNING_BYTES, FileKind, Kind, kind_of
from federation.media.limits import FILES_WAITING_MAX, WORKERS, FileLimits, PictureLimits
from federation.media.pool import HashingPool
from federation.protocol.limits_content import PDQ_BYTES, PDQ_QUALITY_MIN, VIDEO_FRAMES_MAX
from federation.protocol.signals import Signal, SignalType
from federation.protocol.signals_frames import FRAME_BYTES, QUALITY_MAX, Frame, encode_frames

# Why a file may be without its perceptual signal and still be answered.
_UNREAD: Final = (
    DocumentTooLarge,
    DocumentUnreadable,
    PictureTooLarge,
    PictureUnreadable,
    SignalLowQuality,
    VideoTooLarge,
    VideoUnreadable,
)


@dataclass(frozen=True, slots=True)
class FileSignals:
    """What one file is recognised by.

    Attributes:
        kind: what it is, from its first bytes.
        signals: the perceptual one first, where there is one; then sha256 and md5.
        unread: why there is no perceptual one where the kind has one; None where all went well,
            or where nothing is wrong with the file (a short text, another kind).
    """

    kind: FileKind
    signals: tuple[Signal, ...] = field(repr=False)
    unread: FederationError | None = None


class FileHasher:
    """Confined workers behind two bounded queues: pictures never wait for films and documents."""

    def __init__(
        self,
        *,
        workers: int = WORKERS,
        limits: FileLimits | None = None,
        picture_limits: PictureLimits | None = None,
    ) -> None:
        """Start no process yet.

        Args:
            workers: how many files are read at the same time, and how many pictures beside them.
            limits: what one file may cost.
            picture_limits: what one picture may cost.
        """
        self._limits = limits or FileLimits()
        self._picture_limits = picture_limits or PictureLimits()
        self._pictures = HashingPool(workers=workers, limits=self._picture_limits)
        self._threads = {
            is_picture: ThreadPoolExecutor(workers, thread_name_prefix=name)
            for is_picture, name in ((True, "picture-file"), (False, "file"))
        }
        # Guards what follows.
        self._lock = threading.Lock()
        self._under_way: set[ConfinedFile] = set()
        self._waiting = {True: 0, False: 0}
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def hash_file(self, file: os.PathLike[str] | BinaryIO) -> FileSignals:
        """Read one file; see :meth:`submit`.

        Raises:
            RequestMalformed: there is no such file, it may not be read, or is no regular file.
            TooLarge: it is longer than the limit.
            TooBusy: too many files wait already, or the hasher was closed.
            ConfigInvalid: no worker could be started.
        """
        return self.submit(file).result()

    def submit(
        self, file: os.PathLike[str] | BinaryIO, *, only_picture: bool = False
    ) -> Future[FileSignals]:
        """Put a file into its queue, by its first bytes; the future ends as ``hash_file`` would.

        Args:
            file: a path, or a regular file that is open and stays so until the future is done.
            only_picture: any other file is refused, and no more than its beginning is read.

        Raises:
            RequestMalformed: there is no such file, it may not be read, or is no regular file.
            PictureUnreadable: it is no picture, and only a picture was wanted.
            TooBusy: too many files wait already, or the hasher was closed.
        """
        with self._lock:
            if self._is_closed:
                raise TooBusy("no more files are taken")
        with _opened(file) as stream:
            kind = _kind_at(stream)
        is_picture = kind.kind is FileKind.PICTURE
        if only_picture and not is_picture:
            raise PictureUnreadable("a picture is wanted, and this is none")
        with self._lock:
            if self._waiting[is_picture] >= FILES_WAITING_MAX:
                raise TooBusy("too many files wait to be hashed")
            try:
                future = self._threads[is_picture].submit(self._answer, file)
            except RuntimeError:
                raise TooBusy("no more files are taken") from None
            self._waiting[is_picture] += 1
        future.add_done_callback(lambda _: self._forget(is_picture=is_picture))
        return future

    def close(self) -> None:
        """End all workers at once; what is under way fails as TooBusy, what waits is cancelled."""
        with self._lock:
            self._is_closed = True
            under_way = list(self._under_way)
        for each in under_way:
            each.kill()
        self._pictures.close()
        for threads in self._threads.values():
            threads.shutdown(cancel_futures=True)

    def _forget(self, *, is_picture: bool) -> None:
        with self._lock:
            self._waiting[is_picture] -= 1

    def _answer(self, file: os.PathLike[str] | BinaryIO) -> FileSignals:
        with _opened(file) as stream:
            stream.seek(0)
            digests = digest_stream(stream, bytes_max=self._limits.file_bytes_max)
            kind = _kind_at(stream)
            exact = (
                Signal(SignalType.SHA256, digests.sha256),
                Signal(SignalType.MD5, digests.md5),
            )
            try:
                seen = self._see(stream, kind)
            except _UNREAD as refusal:
                return FileSignals(kind.kind, exact, refusal)
        return FileSignals(kind.kind, (*seen, *exact))

    def _see(self, stream: BinaryIO, kind: Kind) -> tuple[Signal, ...]:
        """The perceptual signal of a file, if it has one."""
        if kind.kind is FileKind.OTHER:
            return ()
        if kind.kind is FileKind.PICTURE:
            stream.seek(0)
            # One byte over the limit is enough for the pool to refuse it.
            picture = stream.read(self._picture_limits.file_bytes_max + 1)
            found = self._pictures.hash_picture(picture)
            return (Signal(SignalType.PDQ, found.pdq, found.quality),)
        payload = self._read_confined(stream.fileno(), kind)
        if kind.kind is FileKind.VIDEO:
            return (Signal(SignalType.VPDQ, encode_frames(choose_frames(_unpack(payload)))),)
        if payload and len(payload) != TLSH_BYTES:
            raise DocumentUnreadable("the document made its decoder fail")
        if not payload and kind.is_behind:
            raise DocumentUnreadable("something else with the mark of a PDF in it")
        return (Signal(SignalType.TLSH, payload),) if payload else ()

    def _read_confined(self, descriptor: int, kind: Kind) -> bytes:
        confined = ConfinedFile(kind, self._limits)
        with self._lock:
            self._under_way.add(confined)
            is_late = self._is_closed
        try:
            if is_late:
                raise TooBusy("hashing was stopped")
            return confined.read(descriptor)
        except (VideoTooLarge, DocumentTooLarge):
            if self._is_closed:
                raise TooBusy("hashing was stopped") from None
            raise
        finally:
            with self._lock:
                self._under_way.discard(confined)


def _opened(file: os.PathLike[str] | BinaryIO) -> AbstractContextManager[BinaryIO]:
    return open_regular(file) if isinstance(file, os.PathLike) else nullcontext(file)


def _kind_at(stream: BinaryIO) -> Kind:
    stream.seek(0)
    return kind_of(stream.read(BEGINNING_BYTES))


def choose_frames(frames: list[Frame]) -> list[Frame]:
    """Those frames of a video that make its signal: detailed ones, and evenly so many as fit.

    Raises:
        SignalLowQuality: no frame has enough detail.
    """
    uniform = (bytes(PDQ_BYTES), b"\xff" * PDQ_BYTES)
    detailed = [
        each for each in frames if each.quality >= PDQ_QUALITY_MIN and each.pdq not in uniform
    ]
    if not detailed:
        raise SignalLowQuality(f"no frame of the video has a quality of {PDQ_QUALITY_MIN}")
    step = -(-len(detailed) // VIDEO_FRAMES_MAX)
    return detailed[::step]


def _unpack(payload: bytes) -> list[Frame]:
    """Read a worker's frames as a stranger's.

    Raises:
        VideoUnreadable: not what a sound worker writes.
    """
    if len(payload) % FRAME_BYTES or not payload:
        raise VideoUnreadable("the video made its decoder fail")
    frames = [Frame(*fields) for fields in struct.iter_unpack(f">{PDQ_BYTES}sBI", payload)]
    times = [each.at_ms for each in frames]
    if any(each.quality > QUALITY_MAX for each in frames) or times != sorted(set(times)):
        raise VideoUnreadable("the video made its decoder fail")
    return frames

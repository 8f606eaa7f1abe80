"""Files and ``--signal`` arguments become signals, here on the operator's machine.

Files are read by the confined workers of ``media/hasher.py``: a file from an upload is hostile
until shown otherwise. Content never leaves this process; only its signals go to the node.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from federation.cli.answers import progress, talk
from federation.errors import FederationError, RequestMalformed
from federation.local_errors.content import PictureUnreadable, SignalLowQuality, SignalMalformed
from federation.media.files import FileDigests, digest_file
from federation.media.hasher import FileHasher, FileSignals
from federation.media.kinds import FileKind
from federation.media.limits import WORKERS
from federation.media.links import signal_of_url
from federation.protocol.signals import Signal, SignalType
from federation.protocol.signals_frames import QUALITY_MAX
from federation.protocol.signals_local import check_publishable, parse_signal

IN_FLIGHT_MAX: Final = 4 * WORKERS
"""Files handed to the hasher ahead of the one waited for: the workers never stand idle."""

EXACT_HINT: Final = "with --exact a file is taken by its SHA-256 and MD5 alone"


PICTURE_SUFFIXES: Final = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp"})
"""Names of the kinds of picture that are read."""


@dataclass(frozen=True, slots=True)
class Content:
    """One thing to publish or to look up.

    Attributes:
        name: the file, as typed; None for what came by ``--signal``.
        signals: what it is recognised by.
    """

    name: str | None = field(repr=False)
    signals: tuple[Signal, ...] = field(repr=False)


def parse_signal_argument(text: str, quality: int | None = None) -> Signal:
    """Read ``TYPE:HEX``, for PDQ ``pdq:HEX@QUALITY``, and ``url:`` with a link as people write it.

    Args:
        text: as typed.
        quality: for a PDQ signal that does not say its own.

    Raises:
        SignalMalformed: unknown type, not lower-case hex, a wrong length, or a bad quality.
    """
    if text.startswith(f"{SignalType.URL}:"):
        return signal_of_url(text.partition(":")[2])
    if not text.startswith(f"{SignalType.PDQ}:"):
        return parse_signal(text)
    marked, at, own = text.partition("@")
    if not at:
        return parse_signal(marked, quality)
    # The length too: Python refuses to read numbers of thousands of digits.
    if not own.isascii() or not own.isdecimal() or len(own) > len(str(QUALITY_MAX)):
        raise SignalMalformed(f"what follows @ is a PDQ quality between 0 and {QUALITY_MAX}")
    return parse_signal(marked, int(own))


def read_files(paths: Sequence[Path], *, is_exact: bool) -> list[Content]:
    """Hash files, in their order.

    Args:
        paths: of any files; what each is, its first bytes say.
        is_exact: SHA-256 and MD5 only.

    Raises:
        PictureUnreadable, VideoUnreadable, DocumentUnreadable: broken, or of no accepted kind.
        PictureTooLarge, VideoTooLarge, DocumentTooLarge: it costs too much to decode.
        SignalLowQuality: a video without one frame of detail.
        RequestMalformed: a file that is not there, or may not be read.
        TooLarge: a file over the limit.
        ConfigInvalid: no worker process could be started.
    """
    if not paths:
        return []
    with progress("hashing files", len(paths)) as advance:
        signals = _digest(paths, advance) if is_exact else _hash_files(paths, advance)
        return [Content(str(path), found) for path, found in zip(paths, signals, strict=True)]


def check_files_publishable(contents: Sequence[Content]) -> None:
    """Refuse a file that nobody should sign for, before any is sent; and say which.

    Raises:
        SignalLowQuality: a picture with too little detail.
        SignalDegenerate: an empty file, or a picture of one colour.
    """
    for place, content in enumerate(contents):
        for signal in content.signals:
            try:
                check_publishable(signal)
            except SignalLowQuality as error:
                hint = f"publish a detailed frame of it; or {EXACT_HINT}"
                raise _placed(error, place, len(contents), hint) from None
            except FederationError as error:
                raise _placed(error, place, len(contents)) from None


def _digest(paths: Sequence[Path], advance: Callable[[int], None]) -> list[tuple[Signal, ...]]:
    signals = []
    for place, path in enumerate(paths):
        try:
            signals.append(_exact_signals(digest_file(path)))
        except FederationError as error:
            raise _placed(error, place, len(paths)) from None
        advance(1)
    return signals


def _hash_files(paths: Sequence[Path], advance: Callable[[int], None]) -> list[tuple[Signal, ...]]:
    with FileHasher() as hasher:
        signals = []
        for place, hashed in enumerate(_in_order(hasher, paths)):
            try:
                found = hashed.result()
            except FederationError as error:
                raise _placed(error, place, len(paths)) from None
            if found.unread is not None:
                raise _placed(found.unread, place, len(paths), EXACT_HINT)
            if _is_named_picture(paths[place]) and found.kind is not FileKind.PICTURE:
                # Its text or bytes would be taken for what the picture shows.
                broken = PictureUnreadable("the file is named like a picture and is none")
                raise _placed(broken, place, len(paths), EXACT_HINT)
            if found.kind is FileKind.OTHER:
                talk(f"file {place + 1} of {len(paths)}: only exact copies of it can match")
            signals.append(found.signals)
            advance(1)
        return signals


def _is_named_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES


def _in_order(hasher: FileHasher, paths: Sequence[Path]) -> Iterator[Future[FileSignals]]:
    """Keep the workers busy without filling the queue."""
    waiting: deque[Future[FileSignals]] = deque()
    for path in paths:
        waiting.append(hasher.submit(path))
        if len(waiting) == IN_FLIGHT_MAX:
            yield waiting.popleft()
    yield from waiting


def _exact_signals(digests: FileDigests) -> tuple[Signal, ...]:
    return Signal(SignalType.SHA256, digests.sha256), Signal(SignalType.MD5, digests.md5)


def _placed(
    error: FederationError, place: int, count: int, hint: str | None = None
) -> FederationError:
    """The same error with the file's place on the command line; its name may be an uploader's."""
    where = f"file {place + 1} of {count}: " if count > 1 else ""
    return type(error)(where + error.message, hint=hint or error.hint)


def check_any(paths: Sequence[Path], texts: Sequence[str]) -> None:
    """Refuse a command that was given nothing to work on.

    Raises:
        RequestMalformed: neither a file nor a signal.
    """
    if not paths and not texts:
        raise RequestMalformed(
            "nothing was given: neither a file nor a signal",
            hint="name files, or use --signal pdq:HEX",
        )

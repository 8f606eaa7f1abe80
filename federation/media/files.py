"""SHA-256 and MD5 of any file, read once, in constant memory, up to a limit.

Only regular files are opened: a pipe or a device could keep its reader waiting for ever. Errors
never carry the path, which may be an uploader's reference.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from federation.errors import RequestMalformed, TooLarge
from federation.media.limits import FILE_BYTES_MAX

# Long enough that hashing outweighs the calls and releases the GIL, short enough for the cache.
_CHUNK_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class FileDigests:
    """The exact signals of a file; its repr shows neither.

    Attributes:
        sha256: 32 bytes.
        md5: 16 bytes, because many lists of the field still hold nothing else.
        byte_count: length of the file.
    """

    sha256: bytes = field(repr=False)
    md5: bytes = field(repr=False)
    byte_count: int


def digest_bytes(content: bytes) -> FileDigests:
    """Digest content that is in memory already; its length is the caller's to limit."""
    return FileDigests(
        sha256=hashlib.sha256(content).digest(),
        md5=hashlib.md5(content, usedforsecurity=False).digest(),
        byte_count=len(content),
    )


def digest_stream(stream: BinaryIO, *, bytes_max: int = FILE_BYTES_MAX) -> FileDigests:
    """Digest the rest of a stream, holding one chunk of it at a time.

    Raises:
        TooLarge: the stream goes on past ``bytes_max``; one byte beyond it is read at most.
    """
    sha256 = hashlib.sha256()
    md5 = hashlib.md5(usedforsecurity=False)
    byte_count = 0
    while chunk := stream.read(min(_CHUNK_BYTES, bytes_max + 1 - byte_count)):
        byte_count += len(chunk)
        if byte_count > bytes_max:
            raise TooLarge(f"the file is longer than {bytes_max} bytes")
        sha256.update(chunk)
        md5.update(chunk)
    return FileDigests(sha256=sha256.digest(), md5=md5.digest(), byte_count=byte_count)


def digest_file(path: str | os.PathLike[str], *, bytes_max: int = FILE_BYTES_MAX) -> FileDigests:
    """Digest a regular file.

    Raises:
        RequestMalformed: there is no such file, it may not be read, or it is no regular file.
        TooLarge: the file is longer than ``bytes_max``.
    """
    with open_regular(path) as stream:
        return digest_stream(stream, bytes_max=bytes_max)


def read_file(path: str | os.PathLike[str], *, bytes_max: int) -> bytes:
    """Read a whole regular file.

    Raises:
        RequestMalformed: there is no such file, it may not be read, or it is no regular file.
        TooLarge: the file is longer than ``bytes_max``.
    """
    with open_regular(path) as stream:
        # The size first, so that a huge file is refused unread; then the bytes, which may differ.
        size = os.fstat(stream.fileno()).st_size
        content = stream.read(bytes_max + 1) if size <= bytes_max else b""
    if max(size, len(content)) > bytes_max:
        raise TooLarge(f"the file is longer than {bytes_max} bytes")
    return content


@contextmanager
def open_regular(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a regular file; what goes wrong while it is open is reported the same way.

    Raises:
        RequestMalformed: there is no such file, it may not be read, or it is no regular file.
    """
    if "\0" in os.fspath(path):
        raise RequestMalformed("the file cannot be read: its name contains a zero byte")
    try:
        # Non-blocking, because opening a pipe that nobody writes to would otherwise never return.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise RequestMalformed("the file cannot be read: it is no regular file")
            yield stream
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "the system gave no reason"
        raise RequestMalformed(f"the file cannot be read: {reason}") from None

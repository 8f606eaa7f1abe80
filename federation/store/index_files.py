"""Files of the matching index: parts of bytes that are mapped, not read.

    0     magic, format version, where the description stands, its SHA-256, the file's size
    4096  the parts, each at a multiple of 4096
    ...   the description: JSON with the parts' places, the SHA-256 over them, and what the maker
          of the file wrote about it

A file is made under another name, made durable, and put in place in one step; the first page is
written last, so that what a crash left of one is no such file. It never changes afterwards.

What is mapped is shared with every process that maps it, and is private where one writes to it:
nobody can change what others read. Whoever can write to the data directory can do worse than to
write a false file; the checksum is against disks.

Erased content must not stay in a file: :meth:`IndexFiles.discard` unlinks them all.
"""

from __future__ import annotations

import errno
import json
import mmap
import os
import struct
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, Final

from federation.local_errors.disk import IndexFileInvalid, StoreError, StoreFull, StoreUnavailable

MAGIC: Final = b"fed-indx"
FORMAT: Final = 1
"""One more with every change of this form or of what the index writes into it."""

PAGE: Final = 4_096
DESCRIPTION_BYTES_MAX: Final = 64 * 1024 * 1024
"""Three lanes of a thousand members are 600 KB; missing statements are counted before."""

SUFFIX: Final = ".index"
_HEAD: Final = struct.Struct("<8sIIQQ32s")


@dataclass(frozen=True, slots=True)
class IndexFile:
    """A mapped file.

    Attributes:
        description: what its maker wrote about it, as JSON values.
        parts: its parts; they keep the mapping alive.
        sha256: over all that it holds: two files of one digest are one.
    """

    description: Mapping[str, Any]
    parts: tuple[memoryview, ...]
    sha256: bytes


class IndexFiles:
    """The files of one folder, which is made where it is missing; one process writes them.

    Args:
        folder: where they are.

    Attributes:
        epoch: one more with every :meth:`discard`. What was copied in an earlier one may hold what
            had to go since, and is not put in place any more.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.epoch = 0
        self._placing = threading.Lock()

    def path_of(self, name: str) -> Path:
        """Where the file of a name is."""
        return self.folder / f"{name}{SUFFIX}"

    def write(
        self, name: str, description: Mapping[str, Any], parts: Sequence[memoryview], epoch: int
    ) -> bytes:
        """Make a file durable in the place of whatever had its name; returns its SHA-256.

        Args:
            name: of the file.
            description: JSON values.
            parts: the bytes.
            epoch: when they were copied.

        Raises:
            IndexFileInvalid: something was discarded since that epoch; nothing was put in place.
            StoreFull, StoreUnavailable: the disk; what had the name is still there.
        """
        path = self.path_of(name)
        fresh = path.with_suffix(".new")
        with _disk_errors():
            self.folder.mkdir(mode=0o700, exist_ok=True)
            try:
                descriptor = os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
                with os.fdopen(descriptor, "wb", buffering=0) as file:
                    digest = _write(file, description, parts)
                    os.fsync(file.fileno())
                with self._placing:
                    if epoch != self.epoch:
                        raise IndexFileInvalid("something had to go while it was written")
                    fresh.replace(path)
            finally:
                with suppress(OSError):
                    fresh.unlink(missing_ok=True)
            _sync_folder(self.folder)
        return digest

    def read(self, name: str, *, is_checked: bool = True) -> IndexFile:
        """Map a file.

        Args:
            name: of the file.
            is_checked: whether to read all of it once and compare its checksum; not needed where
                this node made it since it started.

        Raises:
            IndexFileInvalid: there is none, or it is not what was written.
        """
        path = self.path_of(name)
        try:
            with path.open("rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        except FileNotFoundError:
            raise IndexFileInvalid(f"there is no {path.name}") from None
        except (OSError, ValueError) as error:  # an empty file cannot be mapped
            raise IndexFileInvalid(
                f"{path.name} cannot be mapped: {type(error).__name__}"
            ) from None
        return _read(memoryview(mapped), path.name, is_checked=is_checked)

    def keep_only(self, names: Collection[str]) -> None:
        """Unlink all other files; who has them mapped keeps what they hold."""
        with suppress(OSError):
            for path in self.folder.iterdir():
                if path.name.removesuffix(SUFFIX) not in names:
                    path.unlink(missing_ok=True)

    def discard(self) -> None:
        """Unlink every file, durably: what they hold must go.

        Raises:
            StoreUnavailable: the disk; some may still be there.
        """
        with _disk_errors(), self._placing:
            self.epoch += 1
            if self.folder.exists():
                for path in self.folder.iterdir():
                    path.unlink(missing_ok=True)
                _sync_folder(self.folder)


def _write(file: IO[bytes], description: Mapping[str, Any], parts: Sequence[memoryview]) -> bytes:
    digest, places, at = sha256(), [], PAGE
    file.seek(at)
    for part in parts:
        places.append([at, part.nbytes])
        for whole in (part, bytes(-part.nbytes % PAGE)):
            digest.update(whole)
            _write_all(file, memoryview(whole))
            at += len(whole)
    told = {"parts": places, "sha256": digest.hexdigest(), "about": description}
    foot = json.dumps(told, separators=(",", ":"), sort_keys=True).encode("utf-8")
    _write_all(file, memoryview(foot))
    name = sha256(foot).digest()
    file.seek(0)
    head = _HEAD.pack(MAGIC, FORMAT, len(foot), at, at + len(foot), name)
    _write_all(file, memoryview(head))
    return name


def _write_all(file: IO[bytes], whole: memoryview) -> None:
    """An unbuffered write may take a part only."""
    while whole.nbytes:
        whole = whole[file.write(whole) :]


def _read(whole: memoryview, name: str, *, is_checked: bool) -> IndexFile:
    if whole.nbytes < PAGE:
        raise IndexFileInvalid(f"{name} is cut short")
    magic, version, foot_bytes, foot_at, size, digest = _HEAD.unpack_from(whole)
    if magic != MAGIC:
        raise IndexFileInvalid(f"{name} is no file of an index, or was not finished")
    if version != FORMAT:
        raise IndexFileInvalid(f"{name} is of another release (format {version}, not {FORMAT})")
    if size != whole.nbytes or foot_at + foot_bytes != size or foot_bytes > DESCRIPTION_BYTES_MAX:
        raise IndexFileInvalid(f"{name} has {whole.nbytes} bytes and says {size}")
    foot = whole[foot_at:]
    if sha256(foot).digest() != digest:
        raise IndexFileInvalid(f"the description in {name} is damaged")
    told = json.loads(bytes(foot))
    if is_checked and sha256(whole[PAGE:foot_at]).hexdigest() != told["sha256"]:
        raise IndexFileInvalid(f"{name} is damaged")
    parts = tuple(whole[at : at + length] for at, length in told["parts"])
    return IndexFile(told["about"], parts, digest)


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _leaf_of(error) from None


def _leaf_of(error: OSError) -> StoreError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return StoreFull("no space is left for the index's files")
    return StoreUnavailable(f"the index's files cannot be written: {error.strerror}")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""A log as files: the tree of C2SP tlog-tiles, for any static host and any tile client.

    NAME.vkey                  the log's verifier key (C2SP vkey), a line
    NAME.mldsa44.vkey          the same for its second line, where the roster holds a key for it
    NAME/checkpoint            the signed checkpoint; written last
    NAME/tile/0/x001/067       tiles and entry bundles

NAME is the log's origin with ``_`` for each ``/``: no member's name holds one, so two logs never
share a folder. Each file is written whole or not at all. A full tile never changes, so one that is
there is not written again: an export that was broken off goes on where it was.

Source: docs/guides/public_log.md; C2SP tlog-tiles v0.1.0.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from federation.errors import TooLarge
from federation.local_errors.config import ConfigInvalid
from federation.protocol.origins import LogId
from federation.protocol.tiles import TilePath

CHECKPOINT_FILE: Final = "checkpoint"
VKEY_SUFFIX: Final = ".vkey"
SECOND_VKEY_SUFFIX: Final = ".mldsa44.vkey"
UNFINISHED: Final = ".unfinished"


def folder_name(log: LogId) -> str:
    """The NAME of a log's folder."""
    return log.origin.replace("/", "_")


class LogFolder:
    """One log's folder.

    Args:
        folder: where ``checkpoint`` and ``tile`` are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, path: str, bytes_max: int) -> bytes | None:
        """A file of the tree; None where there is none.

        Raises:
            TooLarge: it is over the limit, so not what was written here.
            ConfigInvalid: it cannot be read.
        """
        target = self.folder / path
        try:
            with target.open("rb") as file:
                raw = file.read(bytes_max + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise ConfigInvalid(f"cannot read {target}: {error.strerror}") from None
        if len(raw) > bytes_max:
            raise TooLarge(f"{target} is over {bytes_max} bytes")
        return raw

    def holds(self, path: str, size_bytes: int) -> bool:
        """Whether a file of that length is there."""
        try:
            return (self.folder / path).stat().st_size == size_bytes
        except OSError:
            return False

    def remove(self, path: str) -> None:
        """Take a file out of the tree, if it is there."""
        (self.folder / path).unlink(missing_ok=True)

    def write(self, path: str, content: bytes) -> None:
        """Write a file of the tree, whole or not at all, durably.

        Raises:
            ConfigInvalid: it cannot be written.
        """
        write_whole(self.folder / path, content)

    def write_tile(self, tile: TilePath, content: bytes) -> None:
        """Write a tile; where it is full, its partial forerunners go (C2SP allows it).

        Raises:
            ConfigInvalid: it cannot be written.
        """
        path = tile.format()
        self.write(path, content)
        if ".p/" not in path:
            shutil.rmtree(self.folder / f"{path}.p", ignore_errors=True)


def write_whole(target: Path, content: bytes) -> None:
    """Write a file whole or not at all, in the place of one that was there, durably.

    Raises:
        ConfigInvalid: it cannot be written.
    """
    unfinished = target.with_name(f".{target.name}.{os.getpid()}{UNFINISHED}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(target)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise ConfigInvalid(f"cannot write {target}: {error.strerror}") from None

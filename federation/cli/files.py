"""Small files that operators and governors hand around: read within a limit, written whole."""

from __future__ import annotations

import os
from pathlib import Path

from federation.errors import RequestMalformed, TooLarge
from federation.local_errors.config import ConfigInvalid


def read_file(path: Path, bytes_max: int) -> bytes:
    """The bytes of a file that an argument names.

    Raises:
        RequestMalformed: it is not there, or cannot be read.
        TooLarge: it is over the limit.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(bytes_max + 1)
    except OSError as error:
        raise RequestMalformed(f"cannot read {path}: {error.strerror}") from None
    if len(raw) > bytes_max:
        raise TooLarge(f"{path} is over {bytes_max} bytes")
    return raw


def write_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, in the place of one that was there.

    Raises:
        ConfigInvalid: it cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise ConfigInvalid(f"cannot write {path}: {error.strerror}") from None


def write_new_file(path: Path, content: bytes) -> bool:
    """Write a file that was not there; one with the same bytes may stay.

    Returns:
        Whether it was written now.

    Raises:
        RequestMalformed: there is a file of other bytes; it was not touched.
        ConfigInvalid: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            if path.read_bytes() == content:
                return False
            raise RequestMalformed(
                f"{path} exists already, and says something else",
                hint="nothing was overwritten; look at both before you move one away",
            )
    except OSError as error:
        raise ConfigInvalid(f"cannot write {path}: {error.strerror}") from None
    write_file(path, content)
    return True

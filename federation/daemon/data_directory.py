"""The data directory: one node's alone."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO, Final

from federation.local_errors.config import DataDirectoryBusy

LOCK_FILE: Final = "lock"


def lock_directory(folder: Path) -> IO[bytes]:
    """Take the data directory for this process alone: two nodes on one log would fork it.

    Raises:
        DataDirectoryBusy: another process has it.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = (folder / LOCK_FILE).open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise DataDirectoryBusy(
            f"another process has {folder} open (this is {os.getpid()})"
        ) from None
    return file

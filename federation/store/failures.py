"""SQLite's complaints as leaves of the error tree, told apart by its result codes.

No message of SQLite's own goes further than this: only the name of its code does.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from federation.local_errors.disk import StoreCorrupt, StoreError, StoreFull, StoreUnavailable

_PRIMARY_CODE_MASK: Final = 0xFF

# The shared-memory file of the WAL grows by a write that SQLite reports as an I/O error; on a disk
# that works, lack of space is its one cause.
_FULL_EXTENDED: Final = frozenset({sqlite3.SQLITE_IOERR_SHMSIZE})

_LEAVES: Final[dict[int, tuple[type[StoreError], str]]] = {
    sqlite3.SQLITE_FULL: (StoreFull, "no space is left for the database"),
    sqlite3.SQLITE_CORRUPT: (StoreCorrupt, "the database file is damaged"),
    sqlite3.SQLITE_NOTADB: (StoreCorrupt, "the database file is damaged or no database at all"),
    sqlite3.SQLITE_FORMAT: (StoreCorrupt, "the database file is damaged"),
    sqlite3.SQLITE_CONSTRAINT: (StoreCorrupt, "rows of the database contradict each other"),
    sqlite3.SQLITE_BUSY: (StoreUnavailable, "another program holds the database's lock"),
    sqlite3.SQLITE_LOCKED: (StoreUnavailable, "another connection holds a lock"),
    sqlite3.SQLITE_CANTOPEN: (StoreUnavailable, "the database file cannot be opened"),
    sqlite3.SQLITE_READONLY: (StoreUnavailable, "the database file cannot be written"),
    sqlite3.SQLITE_PERM: (StoreUnavailable, "the database file's permissions forbid it"),
    sqlite3.SQLITE_IOERR: (StoreUnavailable, "the disk failed to read or write"),
    sqlite3.SQLITE_NOMEM: (StoreUnavailable, "SQLite ran out of memory"),
}


@contextmanager
def store_errors() -> Iterator[None]:
    """Raise SQLite's errors as ours.

    Raises:
        StoreFull, StoreCorrupt, StoreUnavailable: by SQLite's result code; codes that say that
            our SQL is wrong stay what they are, for they are bugs.
    """
    try:
        yield
    except sqlite3.Error as error:
        translated = translate(error)
        if translated is None:
            raise
        raise translated from None


def translate(error: sqlite3.Error) -> StoreError | None:
    """Our leaf for one of SQLite's errors; None where the error is a bug of ours."""
    # Errors that Python's own wrapper raises have no code.
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return None
    if code in _FULL_EXTENDED:
        code = sqlite3.SQLITE_FULL
    found = _LEAVES.get(code & _PRIMARY_CODE_MASK)
    if found is None:
        return None
    leaf, message = found
    return leaf(f"{message} ({error.sqlite_errorname})")

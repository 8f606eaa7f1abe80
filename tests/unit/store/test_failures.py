"""SQLite's result codes as leaves; the errors are SQLite's own."""

from __future__ import annotations

import sqlite3

import pytest

from federation.local_errors.disk import StoreCorrupt, StoreError, StoreFull, StoreUnavailable
from federation.store.failures import store_errors, translate


def _error(code: int, name: str) -> sqlite3.Error:
    error = sqlite3.OperationalError("statements.body = secret")
    error.sqlite_errorcode = code
    error.sqlite_errorname = name
    return error


@pytest.mark.parametrize(
    ("code", "name", "leaf"),
    [
        (sqlite3.SQLITE_FULL, "SQLITE_FULL", StoreFull),
        (sqlite3.SQLITE_IOERR_SHMSIZE, "SQLITE_IOERR_SHMSIZE", StoreFull),
        (sqlite3.SQLITE_CORRUPT, "SQLITE_CORRUPT", StoreCorrupt),
        (sqlite3.SQLITE_CORRUPT_INDEX, "SQLITE_CORRUPT_INDEX", StoreCorrupt),
        (sqlite3.SQLITE_NOTADB, "SQLITE_NOTADB", StoreCorrupt),
        (sqlite3.SQLITE_CONSTRAINT_UNIQUE, "SQLITE_CONSTRAINT_UNIQUE", StoreCorrupt),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, "SQLITE_BUSY_SNAPSHOT", StoreUnavailable),
        (sqlite3.SQLITE_IOERR_FSYNC, "SQLITE_IOERR_FSYNC", StoreUnavailable),
        (sqlite3.SQLITE_READONLY, "SQLITE_READONLY", StoreUnavailable),
    ],
)
def test_result_code_says_which_leaf(code: int, name: str, leaf: type[StoreError]) -> None:
    translated = translate(_error(code, name))
    assert type(translated) is leaf
    assert name in str(translated)


def test_message_of_sqlite_goes_no_further() -> None:
    with pytest.raises(StoreFull) as caught, store_errors():
        raise _error(sqlite3.SQLITE_FULL, "SQLITE_FULL")
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_wrong_sql_stays_a_bug() -> None:
    database = sqlite3.connect(":memory:")
    with pytest.raises(sqlite3.OperationalError), store_errors():
        database.execute("SELECT nothing FROM nowhere")
    with pytest.raises(sqlite3.ProgrammingError), store_errors():
        database.execute("SELECT ?", ())
    database.close()

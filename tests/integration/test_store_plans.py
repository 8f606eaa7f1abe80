"""What is asked all the time is found by a key: no query reads a table from end to end."""

from __future__ import annotations

import re
import sqlite3
from typing import Any

import pytest

from federation.store import (
    appending,
    erasure_store,
    feed_store,
    log_store,
    public_store,
    signal_store,
)
from federation.store.schema import migrations

HOT: dict[str, tuple[str, Any]] = {
    "erases of statements": (erasure_store._READ_ERASES, ("[1]", 256)),
    "what erases ask for": (erasure_store._READ_ASKED_FOR, (0, 2**60, "[]", -1, 256)),
    "what was erased before": (appending.NOTE_ERASED, ('[[1, 1, "00"]]',)),
    "statements that were erased": (erasure_store._READ_PLACES, ("[1]",)),
    "what the feed told of a statement": (feed_store.FIND, (b"", b"")),
    "a statement by its id": (log_store._READ_BY_ID, (1, "[]")),
    "statements by signal": (signal_store._READ_CARRIERS, ("[1]", "[]", 256)),
    "the public head": (
        public_store._PUBLIC_HEAD,
        {"stem": 1, "kept_before_ms": 1, "members": 0, "own": ""},
    ),
}

NO_TABLE = re.compile(r"SCAN (\(|\d|CONSTANT ROW)|.* VIRTUAL TABLE")
"""Arguments in JSON, and what was found already."""


@pytest.fixture
def empty() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    for step in migrations():
        connection.executescript(step)
    return connection


@pytest.mark.parametrize("name", HOT)
def test_no_hot_query_reads_a_whole_table(empty: sqlite3.Connection, name: str) -> None:
    sql, parameters = HOT[name]
    plan = [row[3] for row in empty.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]
    scans = [step for step in plan if step.startswith("SCAN")]
    assert [] == [step for step in scans if not NO_TABLE.match(step)]

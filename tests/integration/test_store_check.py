"""One flipped bit, in any column of any row that a log is made of, is noticed by the check."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from pathlib import Path

import pytest

from federation.local_errors.disk import StoreCorrupt
from federation.store.stores import open_stores
from tests.builders import (
    NOVA,
    MadeLog,
    make_confirm,
    make_log,
    make_roster,
    make_signal,
    make_statement,
    make_withdraw,
)

FOUNDED = make_roster()
FID = FOUNDED.roster.federation_id

# Table, column, key of the row. Bits of keys and numbers are flipped too.
COLUMNS = [
    ("statements", "header"),
    ("statements", "salt"),
    ("statements", "commitment"),
    ("statements", "body"),
    ("statements", "place"),
    ("statement_ids", "hkey"),
    ("statement_ids", "place"),
    ("signal_places", "hkey"),
    ("signal_places", "place"),
    ("reference_places", "hkey"),
    ("reference_places", "place"),
    ("tiles", "hashes"),
    ("tiles", "tile"),
    ("branches", "edge"),
    ("branches", "size"),
]


def _log() -> MadeLog:
    made = make_log(600, founded=FOUNDED)
    signals = [make_signal(number) for number in range(100)]
    made.say(make_statement(601, make_confirm(601, signals=signals), federation_id=FID))
    made.say(make_withdraw(602, made.said[3].id, made.said[4].id, federation_id=FID))
    made.advance()
    return made


async def _check(path: Path, made: MadeLog) -> int:
    async with await open_stores(path, member=NOVA, federation_id=FID) as stores:
        return await stores.check_log(made.log)


@pytest.fixture
async def stored(tmp_path: Path) -> tuple[Path, MadeLog]:
    path, made = tmp_path / "node.sqlite", _log()
    async with await open_stores(path, member=NOVA, federation_id=FID) as stores:
        await stores.logs.append_many(made.moves)
    assert 602 == await _check(path, made)
    return path, made


def _flip(path: Path, table: str, column: str, rng: random.Random) -> None:
    """Flip one bit in one row; where several rows have the same bytes, in the first of them."""
    with contextlib.closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA ignore_check_constraints = ON")
        found = raw.execute(f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL")  # noqa: S608
        value = rng.choice(found.fetchall())[0]
        if isinstance(value, bytes):
            flipped: bytes | int = _flip_bytes(value, rng)
        else:
            # The lower bits of a place would only say that another row is there already.
            flipped = value ^ 1 << rng.randrange(10 if column == "place" else 0, 40)
        one = " AND place = (SELECT min(place) FROM statements WHERE header = ?2)"
        raw.execute(
            f"UPDATE {table} SET {column} = ?1 WHERE {column} = ?2"  # noqa: S608
            + (one if column == "header" else ""),
            (flipped, value),
        )
        raw.commit()


def _flip_bytes(value: bytes, rng: random.Random) -> bytes:
    changed = bytearray(value)
    changed[rng.randrange(len(value))] ^= 1 << rng.randrange(8)
    return bytes(changed)


@pytest.mark.parametrize(("table", "column"), COLUMNS)
async def test_flipped_bit_is_noticed(
    stored: tuple[Path, MadeLog], table: str, column: str
) -> None:
    path, made = stored
    rng = random.Random(f"{table} {column}")
    whole = path.read_bytes()
    for _ in range(4):
        path.write_bytes(whole)
        _flip(path, table, column, rng)
        with pytest.raises(StoreCorrupt):
            await _check(path, made)

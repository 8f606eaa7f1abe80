"""The database file: whose it is, what becomes of a transaction, what is said when it breaks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import stat
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from federation.local_errors.config import DataDirectoryForeign
from federation.local_errors.disk import (
    StoreConflict,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreNewer,
    StoreUnavailable,
)
from federation.store import database as database_module
from federation.store import schema
from federation.store.database import Database
from federation.store.stores import Stores, open_stores
from tests.builders import ACME, FEDERATION_ID, NOVA, make_log, make_roster
from tests.needs import lacking, program

OTHER_FEDERATION = "f" * 32
INSERT = "INSERT INTO rosters (version, root) VALUES (?, ?)"
COUNT = "SELECT count(*) FROM rosters"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "node.sqlite"


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    async with await Database.open(path, member=NOVA, federation_id=FEDERATION_ID) as opened:
        yield opened


def _overwrite(path: Path, at: int, content: bytes) -> None:
    path.touch()
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


def _content(path: Path) -> bytes:
    return path.read_bytes()


async def _open(path: Path, member: str = NOVA, federation_id: str = FEDERATION_ID) -> Database:
    return await Database.open(path, member=member, federation_id=federation_id)


# --- opening ------------------------------------------------------------------------------------


async def test_database_is_opened_again_by_its_owner(path: Path) -> None:
    for _ in range(2):
        await (await _open(path)).close()


async def test_database_is_readable_by_its_owner_only(database: Database, path: Path) -> None:
    async with database.write() as unit:
        await unit.run(INSERT, (1, b"root"))
    files = list(path.parent.iterdir())
    assert len(files) == 3
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


@pytest.mark.parametrize(
    ("member", "federation_id"), [(ACME, FEDERATION_ID), (NOVA, OTHER_FEDERATION)]
)
async def test_database_of_somebody_else_is_refused(
    path: Path, member: str, federation_id: str
) -> None:
    await (await _open(path)).close()
    with pytest.raises(DataDirectoryForeign):
        await _open(path, member, federation_id)


async def test_database_of_another_program_is_refused_and_left_alone(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE bookmarks (url TEXT)")
    with pytest.raises(DataDirectoryForeign):
        await _open(path)
    with contextlib.closing(sqlite3.connect(path)) as other:
        tables = other.execute("SELECT name FROM sqlite_schema").fetchall()
    assert [("bookmarks",)] == tables


async def test_database_of_a_newer_release_is_refused(path: Path) -> None:
    await (await _open(path)).close()
    with contextlib.closing(sqlite3.connect(path)) as newer:
        newer.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreNewer):
        await _open(path)


async def test_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    _overwrite(path, 0, b"not a database" * 1_000)
    with pytest.raises(StoreCorrupt):
        await _open(path)
    assert b"not a database" * 1_000 == _content(path)


async def test_directory_that_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        await _open(tmp_path / "missing" / "node.sqlite")


async def test_two_programs_may_make_one_database(path: Path) -> None:
    first, second = await asyncio.gather(_open(path), _open(path))
    await first.close()
    await second.close()


async def test_migration_that_breaks_off_leaves_the_old_shape(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await (await _open(path)).close()
    steps = schema.migrations()
    broken = "CREATE TABLE later (one INTEGER);\nINSERT INTO nowhere VALUES (1);\n"
    monkeypatch.setattr(schema, "migrations", lambda _folder: [*steps, broken])
    with pytest.raises(sqlite3.OperationalError):
        await _open(path)
    with contextlib.closing(sqlite3.connect(path)) as raw:
        assert (len(steps),) == raw.execute("PRAGMA user_version").fetchone()
        assert not raw.execute("SELECT 1 FROM sqlite_schema WHERE name = 'later'").fetchall()
    monkeypatch.undo()
    await (await _open(path)).close()


async def test_migration_goes_on_where_the_last_release_ended(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await (await _open(path)).close()
    steps = [*schema.migrations(), "CREATE TABLE later (one INTEGER) STRICT;"]
    monkeypatch.setattr(schema, "migrations", lambda _folder: steps)
    async with await _open(path) as opened:
        assert [(len(steps),)] == await opened.read("PRAGMA user_version")
        assert [] == await opened.read("SELECT * FROM later")


async def test_database_of_somebody_else_is_not_migrated(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await (await _open(path)).close()
    steps = schema.migrations()
    monkeypatch.setattr(schema, "migrations", lambda _folder: [*steps, "CREATE TABLE later (one);"])
    with pytest.raises(DataDirectoryForeign):
        await _open(path, ACME)
    with contextlib.closing(sqlite3.connect(path)) as raw:
        assert (len(steps),) == raw.execute("PRAGMA user_version").fetchone()


async def test_lock_of_another_program_is_waited_for_and_then_said(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT_SECONDS", 0.01)
    async with await _open(path) as opened:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable):
                await _insert(opened, 1)
        await _insert(opened, 1)
        assert [(1,)] == await opened.read(COUNT)


# --- transactions -------------------------------------------------------------------------------


async def _insert(database: Database, *versions: int) -> None:
    async with database.write() as unit:
        await unit.run_all([(INSERT, [(version, b"root") for version in versions])])


async def test_writer_syncs_every_commit(database: Database) -> None:
    async with database.write() as unit:
        assert [(2,)] == await unit.run("PRAGMA synchronous")
        assert [("wal",)] == await unit.run("PRAGMA journal_mode")
        assert [(1,)] == await unit.run("PRAGMA foreign_keys")


async def test_reader_cannot_write(database: Database) -> None:
    with pytest.raises(StoreUnavailable):
        await database.read(INSERT, (1, b"root"))
    assert [(0,)] == await database.read(COUNT)


async def test_error_in_the_block_leaves_nothing(database: Database) -> None:
    async def write() -> None:
        async with database.write() as unit:
            await unit.run(INSERT, (1, b"root"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await write()
    assert [(0,)] == await database.read(COUNT)
    await _insert(database, 1)
    assert [(1,)] == await database.read(COUNT)


async def test_step_that_fails_takes_all_steps_with_it(database: Database) -> None:
    good, bad, better = ([(number, b"root")] for number in (1, 1, 2))
    with pytest.raises(StoreCorrupt):
        async with database.write() as unit:
            await unit.run_all([(INSERT, good), (INSERT, bad), (INSERT, better)])
    assert [(0,)] == await database.read(COUNT)


async def test_lost_swap_is_said_before_what_it_made_fail(database: Database) -> None:
    await _insert(database, 1)
    swap = ("UPDATE rosters SET root = ? WHERE version = ?", [(b"new", 7)])
    with pytest.raises(StoreConflict):
        async with database.write() as unit:
            await unit.run_all([swap, (INSERT, [(1, b"root")])], swapped=1)
    assert [(b"root",)] == await database.read("SELECT root FROM rosters")


async def test_readers_see_the_last_commit_and_wait_for_nobody(database: Database) -> None:
    await _insert(database, 1)
    async with database.write() as unit:
        await unit.run(INSERT, (2, b"root"))
        counts = await asyncio.gather(*(database.read(COUNT) for _ in range(10)))
    assert [[(1,)]] * 10 == counts
    assert [(2,)] == await database.read(COUNT)


async def test_writers_take_turns(database: Database) -> None:
    await asyncio.gather(*(_insert(database, number) for number in range(20)))
    assert [(20,)] == await database.read(COUNT)


async def test_closed_database_says_so(path: Path) -> None:
    opened = await _open(path)
    await opened.close()
    await opened.close()
    with pytest.raises(StoreUnavailable):
        await opened.read(COUNT)
    with pytest.raises(StoreUnavailable):
        await _insert(opened, 1)


async def test_close_waits_for_the_transaction_under_way(path: Path) -> None:
    opened = await _open(path)
    writing = asyncio.create_task(_insert(opened, *range(1_000)))
    await asyncio.sleep(0)
    await opened.close()
    await writing
    async with await _open(path) as again:
        assert [(1_000,)] == await again.read(COUNT)


async def test_task_cancelled_in_the_block_leaves_nothing_and_blocks_nobody(
    database: Database,
) -> None:
    inside = asyncio.Event()

    async def write() -> None:
        async with database.write() as unit:
            await unit.run(INSERT, (1, b"root"))
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [(0,)] == await database.read(COUNT)
    await _insert(database, 1)
    assert [(1,)] == await database.read(COUNT)


@pytest.mark.parametrize("turns", range(30))
async def test_task_cancelled_anywhere_wrote_all_or_nothing(database: Database, turns: int) -> None:
    task = asyncio.create_task(_insert(database, *range(500)))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    [[count]] = await database.read(COUNT)
    assert count in {0, 500}
    await _insert(database, 1_000)
    assert [(count + 1,)] == await database.read(COUNT)


async def test_cancelled_read_gives_its_connection_back(database: Database) -> None:
    for _ in range(3 * database_module.READERS):
        task = asyncio.create_task(database.read(COUNT))
        await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    counts = await asyncio.gather(*(database.read(COUNT) for _ in range(10)))
    assert [[(0,)]] * 10 == counts


async def test_what_is_written_reaches_no_log(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await _insert(database, 1)
    assert [(1,)] == await database.read(COUNT)
    assert [] == [record for record in caplog.records if record.name == "aiosqlite"]


# --- a disk that is full, or fails --------------------------------------------------------------

FOUNDED = make_roster()
FID = FOUNDED.roster.federation_id


async def _fill(stores: Stores, batch: int) -> int:
    """Append until the disk is full; how many statements were acknowledged."""
    made = make_log(founded=FOUNDED)
    while True:
        made.say_numbers(range(made.view.size, made.view.size + batch))
        move = made.advance()
        try:
            await stores.logs.append(move)
        except StoreFull:
            return move.before.size


async def _check_and_go_on(stores: Stores, acknowledged: int) -> None:
    """What was acknowledged is there and whole, and the log grows again."""
    made = make_log(founded=FOUNDED)
    if acknowledged:
        assert acknowledged == await stores.check_log(made.log)
        made.say_numbers(range(acknowledged))
        made.advance()
    made.say_numbers(range(acknowledged, acknowledged + 10))
    await stores.logs.append(made.advance())
    assert acknowledged + 10 == await stores.check_log(made.log)
    assert made.said == await stores.logs.statements(made.log, 0, acknowledged + 10, 10**9)


@pytest.mark.parametrize("batch", [1, 40, 300])
async def test_full_database_loses_nothing_acknowledged_and_goes_on(path: Path, batch: int) -> None:
    async with await open_stores(path, member=NOVA, federation_id=FID) as stores:
        writer = stores.database._writer
        [[pages]] = await writer.execute_fetchall("PRAGMA page_count")
        await writer.execute_fetchall(f"PRAGMA max_page_count = {pages + 60}")
        acknowledged = await _fill(stores, batch)
        await writer.execute_fetchall("PRAGMA max_page_count = 1000000")
        await _check_and_go_on(stores, acknowledged)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB, where this machine lets us make one."""
    mounted = tmp_path / "disk"
    mounted.mkdir()
    mount = [program("mount", of="Debian's package mount"), "-t", "tmpfs", "-o", "size=2m"]
    done = subprocess.run([*mount, "tmpfs", str(mounted)], capture_output=True, check=False)
    if done.returncode:
        lacking("not allowed to mount a tmpfs")
    yield mounted
    subprocess.run(["umount", str(mounted)], check=True)


@pytest.mark.parametrize("batch", [1, 40, 300])
async def test_full_disk_loses_nothing_acknowledged_and_goes_on(
    small_disk: Path, batch: int
) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(bytes(1024 * 1024))
    path = small_disk / "node.sqlite"
    async with await open_stores(path, member=NOVA, federation_id=FID) as stores:
        acknowledged = await _fill(stores, batch)
        assert acknowledged
        filler.unlink()
        await _check_and_go_on(stores, acknowledged)
    async with await open_stores(path, member=NOVA, federation_id=FID) as stores:
        assert acknowledged + 10 == await stores.check_log(make_log(founded=FOUNDED).log)


async def test_damaged_page_is_said(path: Path) -> None:
    made = make_log(300, founded=FOUNDED)
    async with await open_stores(path, member=NOVA, federation_id=FID) as stores:
        await stores.logs.append(made.moves[0])
    with contextlib.closing(sqlite3.connect(path)) as raw:
        [(page_bytes,)] = raw.execute("PRAGMA page_size")
        [(root_page,)] = raw.execute("SELECT rootpage FROM sqlite_schema WHERE name='statements'")
    _overwrite(path, (root_page - 1) * page_bytes, b"\xff" * page_bytes)
    async with await open_stores(path, member=NOVA, federation_id=FID) as stores:
        with pytest.raises(StoreCorrupt):
            await stores.logs.statements(made.log, 0, 300, 10**9)
        with pytest.raises(StoreError):
            await stores.check_log(made.log)

"""The index on disk: a restart answers from it, and nothing wrong with it is ever believed."""

from __future__ import annotations

import errno
import logging
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest

from federation.daemon.node import DATABASE_FILE, Node
from federation.daemon.platform import INDEX_FOLDER
from federation.local_errors.disk import StoreFull, StoreUnavailable
from federation.matching import value_set
from federation.protocol.bodies import Erase
from federation.protocol.origins import Lane
from federation.protocol.signals import Signal, SignalType
from federation.provenance.verifier import VerifiedStatement
from federation.store import index_files
from federation.store.places import place_of
from tests.builders import make_confirm, make_signal
from tests.integration.conftest import Found, Founded
from tests.integration.test_publish_crash import open_node

A, B = "a.example", "b.example"


def of_every_type(first: int) -> list[Signal]:
    """One signal of each type."""
    return [
        make_signal(first + at, kind, 80 if kind is SignalType.PDQ else None)
        for at, kind in enumerate(SignalType)
    ]


EVERY_TYPE = of_every_type(0)


@pytest.fixture(autouse=True)
def _few_are_rebuilt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handful of signals makes sorted rows, and so a file of each type."""
    monkeypatch.setattr(value_set, "DELTA_MIN", 1)


def index_folder(founded: Founded, member: str = A) -> Path:
    return founded.config_path(member).parent / "data" / INDEX_FOLDER


async def publish(node: Node, *signals: Signal) -> VerifiedStatement:
    (said,) = await node.publisher.confirm(Lane.LIVE, [make_confirm(1, signals=signals)])
    return said


async def matched(node: Node, *signals: Signal) -> list[bool]:
    return [bool(matches) for matches in await node.matcher.match(signals, 31)]


async def run_once(founded: Founded, *signals: Signal) -> None:
    """A node that publishes, writes its index and stops."""
    async with AsyncExitStack() as stack:
        node = await open_node(founded, A, stack)
        for signal in signals:
            await publish(node, signal)
        await node.platform.index_keeper.upkeep()


async def test_a_restart_answers_for_every_type_from_the_files(found: Found) -> None:
    founded = found([A])
    more = of_every_type(100)
    await run_once(founded, *EVERY_TYPE, *more)
    names = {path.name for path in index_folder(founded).iterdir()}
    assert {"changes.index"} < names
    assert {"pdq", "vpdq", "sha256", "md5", "url"} == {
        name.partition("-")[0] for name in names - {"changes.index"}
    }
    async with AsyncExitStack() as stack:
        node = await open_node(founded, A, stack)
        assert node.platform.index_keeper.restored is True
        assert all(await matched(node, *EVERY_TYPE, *more))
        assert [False] == await matched(node, make_signal(7_777))


async def test_what_was_said_after_the_files_were_written_counts_after_a_crash(
    found: Found, tmp_path: Path
) -> None:
    """The files of before, the database of after: as kill -9 leaves them."""
    founded = found([A])
    early, late = make_signal(1, quality=80), make_signal(2, quality=80)
    async with AsyncExitStack() as stack:
        node = await open_node(founded, A, stack)
        taken_back = await publish(node, early)
        kept = await publish(node, EVERY_TYPE[1])
        await node.platform.index_keeper.upkeep()
        shutil.copytree(index_folder(founded), tmp_path / "before")
        await publish(node, late)
        await node.publisher.withdraw(taken_back.id, "mistake")
    shutil.rmtree(index_folder(founded))
    shutil.copytree(tmp_path / "before", index_folder(founded))
    async with AsyncExitStack() as stack:
        node = await open_node(founded, A, stack)
        assert node.platform.index_keeper.restored is True
        assert [False, True, True] == await matched(node, early, late, EVERY_TYPE[1])
        assert 2 == node.matcher.signals_held()
        assert kept.id != taken_back.id


def _flip(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a flipped bit": _flip,
    "cut short": _cut,
    "empty": lambda path: path.write_bytes(b""),
    "of another program": lambda path: path.write_bytes(b"\x7fELF" + bytes(10_000)),
    "unfinished": lambda path: path.write_bytes(bytes(4_096) + path.read_bytes()[4_096:]),
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("which", ["changes", "pdq"])
@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damaged_file_is_told_and_the_index_made_anew(
    found: Found, caplog: pytest.LogCaptureFixture, which: str, damage: str
) -> None:
    founded = found([A])
    signals = [make_signal(number, quality=80) for number in range(3)]
    await run_once(founded, *signals)
    (path,) = index_folder(founded).glob(f"{which}*")
    DAMAGES[damage](path)
    async with AsyncExitStack() as stack:
        with caplog.at_level(logging.INFO):
            node = await open_node(founded, A, stack)
        assert node.platform.index_keeper.restored is False
        assert all(await matched(node, *signals))
    assert "made anew from the store" in caplog.text
    async with AsyncExitStack() as stack:
        assert (await open_node(founded, A, stack)).platform.index_keeper.restored is True


async def test_another_nodes_files_are_not_taken(found: Found) -> None:
    founded = found([A, B])
    await run_once(founded, *[make_signal(number, quality=80) for number in range(3)])
    async with AsyncExitStack() as stack:
        node = await Node.open(founded.config(B))
        await node.close()
        shutil.rmtree(index_folder(founded, B), ignore_errors=True)
        shutil.copytree(index_folder(founded), index_folder(founded, B))
        node = await open_node(founded, B, stack)
        assert node.platform.index_keeper.restored is False


async def test_files_of_another_release_are_not_taken(
    found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    founded = found([A])
    await run_once(founded, *EVERY_TYPE)
    monkeypatch.setattr(index_files, "FORMAT", index_files.FORMAT + 1)
    async with AsyncExitStack() as stack:
        node = await open_node(founded, A, stack)
        assert node.platform.index_keeper.restored is False
        assert all(await matched(node, *EVERY_TYPE))


async def test_files_that_know_more_than_the_store_are_not_taken(
    found: Found, tmp_path: Path
) -> None:
    """A database from a backup beside the index of today."""
    founded = found([A])
    await run_once(founded, make_signal(1, quality=80), make_signal(2, quality=80))
    database = founded.config_path(A).parent / "data" / DATABASE_FILE
    shutil.copy(database, tmp_path / "backup")
    await run_once(founded, make_signal(3, quality=80))
    shutil.copy(tmp_path / "backup", database)
    for beside in database.parent.glob(f"{DATABASE_FILE}-*"):
        beside.unlink()
    async with AsyncExitStack() as stack:
        node = await open_node(founded, A, stack)
        assert node.platform.index_keeper.restored is False
        assert [True, False] == await matched(node, make_signal(1), make_signal(3))


async def test_an_erased_value_is_in_no_file_before_its_body_is_erased(found: Found) -> None:
    founded = found([A])
    going, staying = make_signal(1, quality=80), make_signal(2, quality=80)
    async with AsyncExitStack() as stack:
        node = await open_node(founded, A, stack)
        said = await publish(node, going)
        await publish(node, staying)
        await publish(node, *EVERY_TYPE)
        await node.platform.index_keeper.upkeep()
        erase = node.stores.erasures.erase
        at_erase: list[list[Path]] = []

        async def look(*asked: object) -> None:
            at_erase.append(list(index_folder(founded).iterdir()))
            await erase(*asked)  # type: ignore[arg-type]

        object.__setattr__(node.stores.erasures, "erase", look)
        await node.publisher.say_about(said.id, Erase("data-protection"))
        assert [[]] == at_erase
        await node.platform.index_keeper.upkeep()
        assert list(index_folder(founded).iterdir())
        assert [False, True] == await matched(node, going, staying)
    for path in index_folder(founded).iterdir():
        assert going.value not in path.read_bytes()
    async with AsyncExitStack() as stack:
        node = await open_node(founded, A, stack)
        assert node.platform.index_keeper.restored is True
        assert [False, True] == await matched(node, going, staying)


async def test_a_full_disk_costs_the_files_and_no_answer(
    found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    founded = found([A])

    def full(*_: object) -> bytes:
        raise StoreFull("no space is left for the index's files")

    async with AsyncExitStack() as stack:
        node = await open_node(founded, A, stack)
        monkeypatch.setattr(index_files, "_write", full)
        for number in range(3):
            await publish(node, make_signal(number, quality=80))
        await node.platform.index_keeper.upkeep()
        assert all(await matched(node, *map(make_signal, range(3))))
        monkeypatch.undo()
        monkeypatch.setattr(value_set, "DELTA_MIN", 1)
        for number in range(3, 6):
            await publish(node, make_signal(number, quality=80))
        await node.platform.index_keeper.upkeep()
    async with AsyncExitStack() as stack:
        node = await open_node(founded, A, stack)
        assert node.platform.index_keeper.restored is True
        assert all(await matched(node, *map(make_signal, range(6))))


async def test_a_moment_without_room_is_over_with_the_next_upkeep(
    found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing new has come since: what stands in memory only goes to its file all the same."""
    async with AsyncExitStack() as stack:
        node = await open_node(found([A]), A, stack)
        keeper = node.platform.index_keeper

        def full(*_args: object) -> bytes:
            raise OSError(errno.ENOSPC, "full")

        await publish(node, *EVERY_TYPE, *of_every_type(100))
        with monkeypatch.context() as patched:
            patched.setattr(index_files, "_write", full)
            await keeper.upkeep()
        assert keeper.file_of(SignalType.PDQ) is None
        await keeper.upkeep()
        kinds = set(SignalType) - {SignalType.TLSH}
        assert kinds == {kind for kind in SignalType if keeper.file_of(kind)}


async def test_a_body_that_came_back_after_the_files_were_written_counts(found: Found) -> None:
    """The statement is older than the files, which know of it as missing its body."""
    founded = found([A])
    whole, torn = make_signal(1, quality=80), make_signal(2, quality=80)
    async with AsyncExitStack() as stack:
        node = await open_node(founded, A, stack)
        await publish(node, whole)
        said = await publish(node, torn)
        place = place_of(await node.stores.stems.find(said.log), said.index)
    shutil.rmtree(index_folder(founded))
    path = founded.config_path(A).parent / "data" / DATABASE_FILE
    with closing(sqlite3.connect(path)) as database, database:
        (opening,) = database.execute(
            "SELECT salt, body FROM statements WHERE place = ?", (place,)
        ).fetchall()
        database.execute(
            "UPDATE statements SET salt = NULL, body = NULL, commitment = ? WHERE place = ?",
            (said.statement.commitment, place),
        )
        database.execute("INSERT INTO missing_openings (place) VALUES (?)", (place,))
    async with AsyncExitStack() as stack:
        node = await open_node(founded, A, stack)
        assert [True, False] == await matched(node, whole, torn)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "UPDATE statements SET salt = ?, body = ? WHERE place = ?", (*opening, place)
        )
        database.execute("DELETE FROM missing_openings")
    async with AsyncExitStack() as stack:
        node = await open_node(founded, A, stack)
        assert node.platform.index_keeper.restored is True
        assert [True, True] == await matched(node, whole, torn)


async def test_files_of_another_roster_version_are_not_taken(found: Found) -> None:
    """What counts under one roster, with its pins and lists, may not count under another."""
    founded = found([A])
    await run_once(founded, *EVERY_TYPE)
    async with AsyncExitStack() as stack:
        node = await Node.open(founded.config(A))
        stack.push_async_callback(node.close)
        keeper = node.platform.index_keeper
        keeper._roster_version = lambda: 2  # as after a crash between a new version and the upkeep
        await node.start()
        assert keeper.restored is False
        assert all(await matched(node, *EVERY_TYPE))


async def test_a_start_that_was_broken_off_writes_no_half_index(found: Found) -> None:
    founded = found([A])
    signals = [make_signal(number, quality=80) for number in range(4)]
    await run_once(founded, *signals)
    shutil.rmtree(index_folder(founded))
    node = await Node.open(founded.config(A))
    read_all = node.matcher.fill

    async def break_off() -> None:
        await read_all()
        node.platform.index.remove("pdq", signals[0].value)  # as if it had not come yet
        raise StoreUnavailable("the disk is gone")

    node.matcher.fill = break_off  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable):
        await node.start()
    await node.close()
    assert not index_folder(founded).exists()
    async with AsyncExitStack() as stack:
        node = await open_node(founded, A, stack)
        assert all(await matched(node, *signals))

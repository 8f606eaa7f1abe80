"""What the store takes out is on no page of its files, whatever stood around it."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from random import Random

import pytest

from federation.provenance.taking_back import without_opening
from federation.provenance.verifier import VerifiedStatement
from federation.store.places import StoredStatement
from federation.store.stores import Stores, open_stores
from tests.builders import (
    NOVA,
    MadeLog,
    make_confirm,
    make_erase,
    make_log,
    make_roster,
    make_signal,
    make_statement,
)

FOUNDED = make_roster()
FID = FOUNDED.roster.federation_id


def _on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))


async def _filled(stores: Stores, sizes: list[int]) -> StoredStatement:
    """A log of statements with so many signals each; its name stands for all of it."""
    made = make_log(founded=FOUNDED)
    number = 0
    for each, size in enumerate(sizes):
        signals = [make_signal(number + at) for at in range(size)]
        number += size
        made.say(make_statement(each, make_confirm(each, signals=signals), federation_id=FID))
    step = made.advance()
    await stores.logs.append(step)
    return StoredStatement(made.log, 0, 0, made.said[0])


@pytest.mark.parametrize("seed", range(3))
async def test_no_byte_of_an_erased_body_is_left(tmp_path: Path, seed: int) -> None:
    rng = Random(seed)
    sizes = [rng.choice((1, 1, 2, 30, 400, 1_400)) for _ in range(120)]
    folder = tmp_path / "data"
    folder.mkdir()
    verifier = make_log(founded=FOUNDED).verifier
    async with await open_stores(folder / "db", member=NOVA, federation_id=FID) as stores:
        log = (await _filled(stores, sizes)).log
        await stores.erasures.scrub()
        said = await stores.logs.statements(log, 0, len(sizes), 10**9)
        chosen = sorted(rng.sample(range(len(sizes)), 40))
        await stores.erasures.erase(
            [
                (
                    StoredStatement(log, 0, index, said[index]),
                    verifier.open_statement(log, index, said[index]),
                )
                for index in chosen
            ]
        )
        assert await stores.erasures.scrub()
        disk = _on_disk(folder)
        for index, statement in enumerate(said):
            opening = statement.opening
            assert opening is not None
            assert (index not in chosen) == (opening.salt in disk)
            pieces = [opening.body[at : at + 48] for at in range(0, len(opening.body), 1_000)]
            if index in chosen:
                assert [] == [piece for piece in pieces if piece in disk]
        assert len(sizes) == await stores.check_log(log)
        [first, *_] = chosen
        signal = make_signal(sum(sizes[:first]))
        assert [] == await stores.signals.carriers(signal.type, signal.value)


async def hold_two_bare(stores: Stores) -> tuple[MadeLog, tuple[VerifiedStatement, ...]]:
    """Hold four statements: the second without its body, the third erased before it came."""
    made = make_log(founded=FOUNDED)
    made.say_numbers(range(4))
    step = made.advance()
    kept = tuple(
        without_opening(each) if each.index in {1, 2} else each for each in step.statements
    )
    gone = step.statements[2].id
    await stores.logs.append(type(step)(step.before, step.view, kept, step.runs), erased={gone})
    return made, kept


async def test_what_is_missing_is_listed_until_it_is_put_back(tmp_path: Path) -> None:
    async with await open_stores(tmp_path / "db", member=NOVA, federation_id=FID) as stores:
        made, _ = await hold_two_bare(stores)
        missing = await stores.erasures.missing(made.log)
        assert [(1, made.said[1].id)] == [(each.index, each.statement.id) for each in missing]
        assert {made.log: 1} == await stores.erasures.missing_counts()
        assert await stores.erasures.is_missing(made.log, 1)
        assert not await stores.erasures.is_missing(made.log, 2)
        await stores.erasures.reopen([made.moves[0].statements[1]])
        assert {} == await stores.erasures.missing_counts()
        assert made.said[1] == (await stores.logs.statements(made.log, 1, 2, 10**6))[0]
        signal = make_signal(1)
        assert 1 == len(await stores.signals.carriers(signal.type, signal.value))
        assert 4 == await stores.check_log(made.log)


async def test_what_was_erased_meanwhile_is_not_put_back(tmp_path: Path) -> None:
    async with await open_stores(tmp_path / "db", member=NOVA, federation_id=FID) as stores:
        made = make_log(founded=FOUNDED)
        made.say_numbers(range(2))
        step = made.advance()
        kept = tuple(map(without_opening, step.statements))
        await stores.logs.append(type(step)(step.before, step.view, kept, step.runs))
        stored = (await stores.erasures.missing(made.log))[0]
        await stores.erasures.erase([(stored, kept[0])])
        await stores.erasures.reopen(step.statements)
        opened = await stores.logs.statements(made.log, 0, 2, 10**6)
        assert [True, False] == [each.opening is None for each in opened]


async def untold(stores: Stores) -> list[list[int]]:
    """The places in the log of what is not told yet, a list for each transaction; told by that."""
    found = []
    while (each := await stores.erasures.untold()) is not None:
        found.append([stored.index for stored in each.statements])
        await stores.erasures.told(each.number)
    return found


async def test_what_goes_is_noted_once_and_what_came_without_a_body_too(tmp_path: Path) -> None:
    """Also where the disk reported an erase as failed that was durable, and it is made again."""
    async with await open_stores(tmp_path / "db", member=NOVA, federation_id=FID) as stores:
        made, kept = await hold_two_bare(stores)
        assert [[2]] == await untold(stores)
        stored = [StoredStatement(made.log, 0, each.index, each.statement) for each in kept]
        going = list(zip(stored, kept, strict=True))[:3]
        await stores.erasures.erase(going)
        await stores.erasures.erase(going)
        assert [[0, 1]] == await untold(stores)
        await stores.erasures.erase(going)
        assert [] == await untold(stores)


async def test_what_another_branch_brings_of_what_is_gone_is_not_noted_again(
    tmp_path: Path,
) -> None:
    async with await open_stores(tmp_path / "db", member=NOVA, federation_id=FID) as stores:
        made = make_log(founded=FOUNDED)
        made.say_numbers(range(2))
        step = made.advance()
        ids = {each.id for each in step.statements}
        bare = tuple(map(without_opening, step.statements))
        gone = type(step)(step.before, step.view, bare, step.runs)
        await stores.logs.append(gone, erased=ids)
        await stores.logs.append(gone, branch=1, erased=ids)
        assert [[0, 1]] == await untold(stores)


async def test_what_an_earlier_release_erased_is_told(tmp_path: Path) -> None:
    """It did not tell of every erase; what is missing was not erased."""
    async with await open_stores(tmp_path / "db", member=NOVA, federation_id=FID) as stores:
        made = make_log(founded=FOUNDED)
        made.say_numbers(range(3))
        step = made.advance()
        kept = tuple(without_opening(each) if each.index else each for each in step.statements)
        gone = {step.statements[1].id}
        await stores.logs.append(type(step)(step.before, step.view, kept, step.runs), erased=gone)
        for number in (0, 1, 2):
            target = made.said[number].id
            made.say(make_erase(number, target, federation_id=FID))
        await stores.logs.append(made.advance())
        assert [[1]] == await untold(stores)
        await stores.late.flush()
    with sqlite3.connect(tmp_path / "db") as raw:
        raw.execute("DROP TABLE untold_erasures")
        raw.execute("ALTER TABLE feed_meta DROP COLUMN erasures")
        raw.execute("PRAGMA user_version = 13")
    async with await open_stores(tmp_path / "db", member=NOVA, federation_id=FID) as stores:
        assert [[1]] == await untold(stores)

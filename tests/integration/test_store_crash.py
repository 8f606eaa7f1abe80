"""Crashes: a process killed while it appends, and a log file cut off anywhere.

Run as a program, this file is the process that is killed: it appends to the logs of a database and
says on stdout what was acknowledged.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from federation.protocol.origins import Lane
from federation.store.stores import Stores, open_stores
from tests.builders import ACME, NOVA, UMBRA, MadeLog, make_log, make_roster, make_statement

FOUNDED = make_roster()
FID = FOUNDED.roster.federation_id
TREE = Path(__file__).resolve().parents[2]
MEMBERS = (ACME, NOVA, UMBRA)
APPENDS_MAX = 10_000
"""The process ends by itself some time after a parent that died."""


def _log(member: str, lane: Lane = Lane.LIVE, size: int = 0) -> MadeLog:
    return make_log(size, founded=FOUNDED, member=member, lane=lane)


async def _held(stores: Stores) -> dict[str, int]:
    return {stored.log.member: stored.held.size for stored in await stores.logs.load_logs()}


async def _append_until_killed(path: Path, seed: int) -> None:
    rng = random.Random(seed)
    async with await open_stores(path, member=NOVA, federation_id=FID) as stores:
        held = await _held(stores)
        logs = {member: _log(member, size=held.get(member, 0)) for member in MEMBERS}
        for _ in range(APPENDS_MAX):
            chosen = [logs[member] for member in rng.sample(MEMBERS, rng.randint(1, 3))]
            for made in chosen:
                size = made.view.size
                made.say_numbers(range(size, size + rng.randint(1, 30)))
            moves = [made.advance() for made in chosen]
            await stores.logs.append_many(moves, [chosen[0].receipt(UMBRA)])
            sizes = {made.log.member: made.view.size for made in chosen}
            sys.stdout.write(json.dumps(sizes) + "\n")
            sys.stdout.flush()


def _run_and_kill(path: Path, rng: random.Random) -> dict[str, int]:
    """Kill a process at a random moment of its work; what it acknowledged before."""
    command = [sys.executable, __file__, str(path), str(rng.randrange(2**32))]
    environment = {"PYTHONPATH": str(TREE)}
    acknowledged: dict[str, int] = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        assert process.stdout is not None
        for _ in range(rng.randint(1, 40)):
            acknowledged |= json.loads(process.stdout.readline())
        # Spends a random part of the next append, measured in work and not in time.
        for number in range(rng.randint(0, 100)):
            make_statement(number)
        process.kill()
        for line in process.stdout:
            # The last line may be cut short; what was not read whole was not acknowledged.
            if line.endswith("\n"):
                acknowledged |= json.loads(line)
    return acknowledged


async def test_killed_process_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "node.sqlite"
    rng = random.Random(1)
    acknowledged: dict[str, int] = {}
    for _ in range(6):
        acknowledged |= await asyncio.to_thread(_run_and_kill, path, rng)
        async with await open_stores(path, member=NOVA, federation_id=FID) as stores:
            held = await _held(stores)
            for member, size in acknowledged.items():
                assert held[member] >= size
            for stored in await stores.logs.load_logs():
                # The tree of the rows is the tree of the branch, and its head's.
                assert stored.held.size == await stores.check_log(stored.log)
                made = _log(stored.log.member, size=stored.held.size)
                assert made.view.held == stored.held
                assert made.head() == made.verifier.open_head(stored.head_note)
                kept = await stores.logs.statements(stored.log, 0, stored.held.size, 10**9)
                assert made.said == kept
                # Receipts came with the statements they are for, or not at all.
                for checkpoint in await stores.receipts.checkpoints(stored.log):
                    assert checkpoint.size <= stored.held.size
    assert set(MEMBERS) == set(acknowledged)


@pytest.fixture
async def living(tmp_path: Path) -> tuple[Path, list[dict[str, int]]]:
    """Copies of a database and its write-ahead log, taken while in use, and every state it had."""
    path, copy = tmp_path / "node.sqlite", tmp_path / "copy" / "node.sqlite"
    copy.parent.mkdir()
    states: list[dict[str, int]] = [{}]
    rng = random.Random(2)
    async with await open_stores(path, member=NOVA, federation_id=FID) as stores:
        logs = [_log(member) for member in MEMBERS]
        for _ in range(40):
            chosen = rng.sample(logs, rng.randint(1, 3))
            for made in chosen:
                made.say_numbers(range(made.view.size, made.view.size + rng.randint(1, 60)))
            await stores.logs.append_many([made.advance() for made in chosen])
            states.append(await _held(stores))
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", f"{copy}{suffix}")
    return copy, states


async def test_log_file_cut_off_anywhere_is_a_state_the_database_had(
    living: tuple[Path, list[dict[str, int]]], tmp_path: Path
) -> None:
    copy, states = living
    whole = _content(f"{copy}-wal")
    assert len(whole) > 100_000
    rng = random.Random(3)
    seen = set()
    for number in range(40):
        cut = rng.randrange(len(whole)) if number else len(whole)
        path = tmp_path / f"cut-{number}.sqlite"
        shutil.copy(copy, path)
        _write(f"{path}-wal", whole[:cut])
        async with await open_stores(path, member=NOVA, federation_id=FID) as stores:
            held = await _held(stores)
            assert held in states
            seen.add(states.index(held))
            for stored in await stores.logs.load_logs():
                assert stored.held.size == await stores.check_log(stored.log)
    assert len(states) - 1 in seen
    assert len(seen) > 10


def _content(path: str) -> bytes:
    return Path(path).read_bytes()


def _write(path: str, content: bytes) -> None:
    Path(path).write_bytes(content)


if __name__ == "__main__":
    asyncio.run(_append_until_killed(Path(sys.argv[1]), int(sys.argv[2])))

"""A real node with a full index, as a process of its own, for the HTTP part of benchmarks.match.

What is real: the node (``federation serve``), its store, its index files, its restart. Twenty
thousand statements are published the way everybody publishes: they are what hits are answered with.
The other signals are put into the same node's index, and its own code writes the index's files; no
statement stands behind them. They are what a query has to be told from, and nothing asks for them.
So the database is smaller than that of a node with ten million statements; reading the statements
of a hit would touch more of the disk there.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from benchmarks.http_load import Load
from benchmarks.pdq_sets import make_flips, make_uniform, to_values
from benchmarks.publish import make_node
from federation.config import load_config
from federation.daemon.node import Node
from federation.protocol.bodies import Confirm
from federation.protocol.origins import Lane
from federation.protocol.signals import Signal, SignalType

HITS = 20_000
"""Statements in the store: a hit is near one of them."""
SEED = 20_260_802
BATCH = 1_000
CHANGES = 90_000
"""Signals added to see what a rebuild costs: more than a delta holds at ten million."""
PATIENCE_SECONDS = 300.0


def hit_values() -> list[bytes]:
    return to_values(make_uniform(np.random.default_rng(SEED), HITS))


async def fill(config_path: Path, count: int) -> dict[str, float]:
    """Make a node whose index holds ``count`` signals; runs in the process that calls it."""
    from benchmarks.match_index import forget_peak, memory_mb  # noqa: PLC0415 - beside numba

    node = await Node.open(load_config(config_path))
    await node.start()
    values = hit_values()
    for at in range(0, HITS, BATCH):
        await node.publisher.confirm(
            Lane.BULK,
            [
                Confirm(f"item-{at + n}", (Signal(SignalType.PDQ, value, 90),), ("tvec1",))
                for n, value in enumerate(values[at : at + BATCH])
            ],
        )
    index, keeper = node.platform.index, node.platform.index_keeper
    rng = np.random.default_rng(SEED + 1)
    for begin in range(0, count - HITS, 1_000_000):
        some = make_uniform(rng, min(1_000_000, count - HITS - begin))
        index.add_joined("pdq", some.tobytes())
    del some
    began = time.perf_counter()
    await keeper.upkeep()
    figures = {"index_write_s": time.perf_counter() - began}
    added = to_values(make_uniform(rng, CHANGES))
    index.add_many("pdq", added)
    forget_peak()
    await keeper.upkeep()
    figures["rebuild_peak_rss_mb"] = memory_mb()[1]
    index.remove_many("pdq", added)
    await node.close()
    return figures


def make_full_node(folder: Path, count: int) -> tuple[Path, dict[str, float]]:
    """A node in a folder, filled by another process; its config file."""
    config_path = make_node(folder)
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.match_node", str(config_path), str(count)],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    return config_path, json.loads(ran.stdout.splitlines()[-1])


def set_up(config_path: Path, *, port: int, workers: int) -> None:
    text = config_path.read_text()
    text = re.sub(r'(\[api\]\n(?:[^\[].*\n)*?listen = )"[^"]*"', rf'\1"127.0.0.1:{port}"', text)
    config_path.write_text(re.sub(r"(?m)^workers = \d+$", f"workers = {workers}", text))


def drop_from_page_cache(folder: Path) -> None:
    """Have the files of a folder read from the disk again."""
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


@contextmanager
def serving(config_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """``federation serve`` as a process."""
    program = Path(sys.executable).with_name("federation")
    process = subprocess.Popen(
        [str(program), "serve", "--config", str(config_path)],
        stdout=subprocess.DEVNULL,
        stderr=(config_path.parent / "serve.log").open("ab"),
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def pin(process_id: int, core: int) -> None:
    """Keep a process with all its threads on one core from now on."""
    for thread in Path(f"/proc/{process_id}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})


async def first_answer(port: int, token: str) -> float:
    """Wait until the node answers a match that it must find; seconds from now."""
    body = match_body([hit_values()[0]])
    began = time.perf_counter()
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        while time.perf_counter() - began < PATIENCE_SECONDS:
            try:
                url = f"http://127.0.0.1:{port}/v1/match"
                async with session.post(url, data=body) as answer:
                    if answer.ok and "st_" in await answer.text():
                        return time.perf_counter() - began
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.005)
    raise TimeoutError("the node did not answer")


async def until_workers(port: int, token: str, count: int) -> None:
    """Wait until so many processes answer."""
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(headers=headers) as session, asyncio.timeout(PATIENCE_SECONDS):
        answering = 0
        while answering < count:
            async with session.get(f"http://127.0.0.1:{port}/v1/status") as answer:
                answering = (await answer.json())["workers"]
            await asyncio.sleep(0.05)


def match_body(values: list[bytes]) -> str:
    return json.dumps({"signals": [{"type": "pdq", "value": value.hex()} for value in values]})


def match_bodies(requests: int, each: int) -> list[str]:
    """Requests of ``each`` signals; one signal in a hundred is near a statement's."""
    rng = np.random.default_rng(SEED + 2)
    values = make_uniform(rng, requests * each)
    known = np.frombuffer(b"".join(hit_values()), np.uint8).reshape(-1, 32)
    near = known[rng.integers(0, HITS, len(values[::100]))]
    values[::100] = near ^ make_flips(rng, rng.integers(0, 32, len(near)))
    listed = to_values(values[rng.permutation(len(values))])
    return [match_body(listed[at : at + each]) for at in range(0, len(listed), each)]


def memory_of(process_ids: list[int], field: str) -> float:
    """Rss or Pss of some processes together, MiB."""
    total = 0
    for number in process_ids:
        lines = Path(f"/proc/{number}/smaps_rollup").read_text().splitlines()
        total += next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))
    return total / 1024


def cpu_seconds(process_ids: list[int]) -> float:
    """What some processes have used of the cores: on a shared machine the clock says less."""
    ticks = 0
    for number in process_ids:
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def with_children(number: int) -> list[int]:
    children = Path(f"/proc/{number}/task/{number}/children").read_text().split()
    return [number, *(each for child in children for each in with_children(int(child)))]


def load_of(port: int, token: str, bodies: list[str], **how: Any) -> Load:
    return Load("127.0.0.1", port, token, bodies, **how)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(fill(Path(sys.argv[1]), int(sys.argv[2])))))

"""Ten minutes of adds, removes and lookups with flat memory: ``python -m benchmarks.soak``.

One node as it runs in a company, in this process: signals are published and withdrawn all the time,
so that the set stays about as large as it was; lookups are made by a task of their own at any
moment of that, and now and then the index is rebuilt and written. Every lookup's answer is checked:
what was durable before it was asked is found, what was gone before is not, and what changed
meanwhile counts neither way. Memory is read every ``--every`` seconds as it is, after the first
tenth of the time, in which caches fill. It is flat when the last third's median is within
``FLAT_SHARE`` and ``FLAT_MB`` of the first third's: what the allocator keeps between two rebuilds
of the index moves it so much. The last line of stdout is one JSON object with ``--json``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.match_index import memory_mb
from benchmarks.publish import make_node
from federation.config import load_config
from federation.daemon.node import Node
from federation.matching import value_set
from federation.protocol.bodies import Confirm
from federation.protocol.headers import StatementId
from federation.protocol.origins import Lane
from federation.protocol.signals import Signal, SignalType

HELD = 150_000
"""Signals that are known at any time, but for the last few; the database is larger than its caches
from the beginning, so that these do not grow any more."""
FILLED_AT_ONCE = 1_024
BATCH = 256
LOOKUPS = 200
REBUILT_EVERY = 8_192
LOOK_SECONDS = 0.02
"""Between two rounds of lookups; what changes the set has its turn then."""
KEEP_UP_SECONDS = 0.2
"""Between two looks whether the index wants to be rebuilt; a node looks every minute."""
FLAT_SHARE = 0.05
FLAT_MB = 16.0


@dataclass
class Soak:
    """What happened: memory in MiB as it went, and how much was done."""

    memory_mb: list[float] = field(default_factory=list)
    added: int = 0
    removed: int = 0
    looked_up: int = 0
    wrong: int = 0
    rebuilds: int = 0

    @property
    def grown_mb(self) -> float:
        third = max(1, len(self.memory_mb) // 3)
        first, last = self.memory_mb[:third], self.memory_mb[-third:]
        return statistics.median(last) - statistics.median(first)

    @property
    def is_flat(self) -> bool:
        third = max(1, len(self.memory_mb) // 3)
        allowed = FLAT_MB + FLAT_SHARE * statistics.median(self.memory_mb[:third])
        return self.grown_mb <= allowed


class Companies:
    """What a node is put through."""

    def __init__(self, node: Node, rng: random.Random, soak: Soak) -> None:
        self._node, self._rng, self._soak = node, rng, soak
        self._held: list[tuple[StatementId, Signal]] = []
        self._going: set[Signal] = set()
        self._gone: list[Signal] = []

    async def publish(self, count: int = BATCH) -> None:
        signals = [Signal(SignalType.PDQ, self._rng.randbytes(32), 90) for _ in range(count)]
        said = await self._node.publisher.confirm(
            Lane.LIVE, [Confirm("soak", (signal,), ("tvec1",)) for signal in signals]
        )
        self._held += [(each.id, signal) for each, signal in zip(said, signals, strict=True)]
        self._soak.added += count

    async def withdraw(self, count: int) -> None:
        for _ in range(count):
            at = self._rng.randrange(len(self._held))
            self._held[at], self._held[-1] = self._held[-1], self._held[at]
            statement_id, signal = self._held.pop()
            self._going.add(signal)
            await self._node.publisher.withdraw(statement_id, "mistake")
            self._going.discard(signal)
            self._gone.append(signal)
            self._soak.removed += 1
        self._gone = self._gone[-BATCH:]

    async def change(self, until: float, held: int) -> None:
        """Publish and withdraw until that time, so that about so many stay."""
        while time.monotonic() < until:
            await self.publish()
            await self.withdraw(max(1, min(BATCH, self.held - held)))

    async def look(self, until: float) -> None:
        """Look up until that time, whatever goes on beside."""
        while time.monotonic() < until:
            await self.look_up()
            await asyncio.sleep(LOOK_SECONDS)

    async def look_up(self) -> None:
        known = [signal for _, signal in self._rng.sample(self._held, LOOKUPS // 4)]
        gone = self._rng.sample(self._gone, min(len(self._gone), LOOKUPS // 4))
        unknown = [
            Signal(SignalType.PDQ, self._rng.randbytes(32))
            for _ in range(LOOKUPS - len(known) - len(gone))
        ]
        for signals, expected in ((known, True), (gone, False), (unknown, False)):
            answers = await self._node.matcher.match(signals, 31)
            meanwhile = self._going.union(self._gone) if expected else frozenset[Signal]()
            for signal, matches in zip(signals, answers, strict=True):
                self._soak.wrong += bool(matches) is not expected and signal not in meanwhile
            self._soak.looked_up += len(signals)

    @property
    def held(self) -> int:
        return len(self._held)


async def run(folder: Path, seconds: float, every: float, held: int = HELD) -> Soak:
    """Put a node in a folder through it for so long."""
    soak = Soak()
    node = await Node.open(load_config(make_node(folder)))
    await node.start()
    companies = Companies(node, random.Random(2026), soak)
    while companies.held < held:
        await companies.publish(min(FILLED_AT_ONCE, held - companies.held))
    value_set.DELTA_MIN = min(value_set.DELTA_MIN, REBUILT_EVERY)
    began = looked_at = time.monotonic()
    work = asyncio.gather(companies.change(began + seconds, held), companies.look(began + seconds))
    while not work.done():
        soak.rebuilds += node.platform.index.needs_rebuild()
        await node.platform.index_keeper.upkeep()
        now = time.monotonic()
        if now - looked_at > every and now - began > seconds / 10:
            looked_at = now
            soak.memory_mb.append(memory_mb()[0])
            print(f"{now - began:6.0f} s {soak.memory_mb[-1]:8.1f} MiB", file=sys.stderr)
        await asyncio.sleep(KEEP_UP_SECONDS)
    await work
    await node.close()
    return soak


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object last on stdout")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--every", type=float, default=10.0, help="seconds between two readings")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="federation-soak-") as folder:
        soak = asyncio.run(run(Path(folder), arguments.seconds, arguments.every))
    told = {
        "seconds": arguments.seconds,
        "added": soak.added,
        "removed": soak.removed,
        "lookups": soak.looked_up,
        "wrong": soak.wrong,
        "rebuilds": soak.rebuilds,
        "rss_mb": round(statistics.median(soak.memory_mb), 1) if soak.memory_mb else None,
        "grown_mb": round(soak.grown_mb, 1) if soak.memory_mb else None,
        "is_flat": bool(soak.memory_mb) and soak.is_flat,
    }
    print(json.dumps(told) if arguments.json else "\n".join(f"{k}: {v}" for k, v in told.items()))
    return 0 if told["is_flat"] and not soak.wrong else 1


if __name__ == "__main__":
    sys.exit(main())

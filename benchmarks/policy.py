"""What the policy costs a match request: ``python -m benchmarks.policy --json [--scale 0.1]``.

A node with a million signals in its index, and three companies beside it, all of them real: TLS
between them, real SQLite, real signatures. A request is asked as the local API asks it, from the
JSON of its body to the JSON of its answer, without the socket. Two kinds, one signal each:

- **misses**, near nothing known: the rule for an upload pipeline;
- **hits**, near five known signals, each confirmed by three members: 15 statements are read from
  the store, judged and merged for each request.

Each is measured twice, turn by turn: with the policy of a large platform (docs/policies/), of which
the fourth rule decides and every one is explained in the answer, with quarantined signals and
counters; and without any policy, where a request is answered by one constant decision. The ratio is
the median over all turns, in CPU time of this process; 1.2 would be 20 % more. About a minute at
scale 1, half of it for the index.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from aiohttp import web

from benchmarks.pdq_sets import make_flips, make_uniform, to_values
from benchmarks.towns import change_config, found, serving, until_held
from federation.daemon.decider import Decided
from federation.daemon.matcher import Matcher
from federation.daemon.node import Node
from federation.daemon.searching import Thresholds
from federation.matching.decisions import MISS, Decision
from federation.matching.policy_terms import Action
from federation.protocol.bodies import Confirm
from federation.protocol.origins import Lane
from federation.protocol.signals import Signal, SignalType
from federation.store.decision_store import HoldReason
from federation.web.match_api import MatchApi, MatchRooms
from federation.web.match_schemas import MatchRequest

MEMBERS = ("asked.example", "acme.example", "nova.example", "umbra.example")
"""The first is asked; the others have confirmed."""
POLICY = Path(__file__).parents[1] / "docs" / "policies" / "large_platform.toml"
SIGNALS = 1_000_000
PLACES = 64
"""Different hits: more than the readings that are kept between two of them."""
NEARS = 5
HELD = 1_000
"""Signals in quarantine, excepted or found wrong, none of them near what is asked about."""
TURNS = 15
HITS_PER_TURN, MISSES_PER_TURN = 64, 2_000
SEED = 20_260_101


class Constant:
    """Instead of a policy: one decision, whatever matches."""

    def __init__(self, matcher: Matcher) -> None:
        self._matcher = matcher

    async def decide(
        self, signals: Sequence[Signal], wanted: Thresholds, **_more: object
    ) -> list[Decided]:
        found = await self._matcher.match(signals, wanted)
        return [Decided(matches, _BLOCK if matches else MISS) for matches in found]

    def keep(self, *_seen: object) -> None:
        """Nothing is counted."""


_BLOCK = Decision(Action.BLOCK, "any", "something is near it")


@dataclass
class Bare:
    """The rooms of a node without a policy."""

    config: Any
    decider: Any
    sightings: Any
    incidents: Any


async def fill(nodes: Sequence[Node], count: int) -> list[bytes]:
    """Known signals; the places that five of them are near to."""
    rng = np.random.default_rng(SEED)
    places = make_uniform(rng, PLACES)
    near = np.repeat(places, NEARS, axis=0)
    near ^= make_flips(rng, np.full(len(near), 6))
    values = to_values(near)
    for node in nodes[1:]:
        said = await node.publisher.confirm(
            Lane.LIVE,
            [
                Confirm(
                    f"item-{n}", (Signal(SignalType.PDQ, value, 90),), ("behaviour:glorification",)
                )
                for n, value in enumerate(values)
            ],
        )
        await until_held(nodes[0], said[0].log, len(values))
    node = nodes[0]
    for begin in range(0, count, 500_000):
        some = make_uniform(rng, min(500_000, count - begin))
        node.platform.index.add_joined("pdq", some.tobytes())
    node.platform.index.rebuild()
    marks = [(SignalType.PDQ, value) for value in to_values(make_uniform(rng, HELD))]
    await node.platform.quarantine.hold(marks, HoldReason.FLOOD)
    return to_values(places)


def bodies(values: Sequence[bytes]) -> list[bytes]:
    return [
        json.dumps({"signals": [{"type": "pdq", "value": value.hex()}]}).encode()
        for value in values
    ]


async def ask(api: MatchApi, asked: Sequence[bytes]) -> tuple[float, int]:
    """CPU seconds a request, and how many were answered with a match."""
    request, hits = cast("web.Request", None), 0
    begun = time.process_time()
    for body in asked:
        answer = await api.match(request, MatchRequest.model_validate_json(body))
        if not isinstance(answer, web.Response):
            answer.model_dump_json()
            hits += 1
    return (time.process_time() - begun) / len(asked), hits


async def compare(
    with_policy: MatchApi, bare: MatchApi, draw: Callable[[], list[bytes]], turns: int
) -> tuple[float, float, int]:
    """The median of the ratios, microseconds with the policy, and the hits of all turns."""
    ratios, spent, hits = [], [], 0
    for turn in range(turns + 1):
        asked = draw()
        first, second = (with_policy, bare) if turn % 2 else (bare, with_policy)
        once, some = await ask(first, asked)
        again, _ = await ask(second, asked)
        cost, without = (once, again) if turn % 2 else (again, once)
        if turn:  # the first one warms the caches
            ratios.append(cost / without)
            spent.append(cost * 1e6)
            hits += some
    return statistics.median(ratios), statistics.median(spent), hits


async def measure(folder: Path, scale: float) -> dict[str, float]:
    found(folder, MEMBERS)
    (folder / MEMBERS[0] / "policy.toml").write_text(POLICY.read_text())
    change_config(folder, MEMBERS[0], {'\nfile = ""': '\nfile = "policy.toml"'})
    async with serving(folder, MEMBERS) as nodes:
        say(f"filling an index of {int(SIGNALS * scale):,} signals")
        places = await fill(nodes, int(SIGNALS * scale))
        node, rng = nodes[0], np.random.default_rng(SEED + 1)
        with_policy = MatchApi(node)
        constant = Constant(node.matcher)
        rooms = Bare(node.config, constant, constant, node.incidents)
        bare = MatchApi(cast("MatchRooms", rooms))
        turns = max(3, int(TURNS * min(1.0, scale * 2)))
        say("asking")
        hits = bodies(places)[:HITS_PER_TURN]
        hit_ratio, hit_us, met = await compare(with_policy, bare, lambda: hits, turns)
        if met != turns * len(hits):
            raise RuntimeError("a hit was answered as a miss")
        miss_ratio, miss_us, met = await compare(
            with_policy,
            bare,
            lambda: bodies(to_values(make_uniform(rng, MISSES_PER_TURN))),
            turns,
        )
        return {
            "signals": node.platform.matcher.signals_held(),
            "overhead_ratio_hits": round(hit_ratio, 3),
            "overhead_ratio_misses": round(miss_ratio, 3),
            "hit_us": round(hit_us, 1),
            "miss_us": round(miss_us, 1),
        }


def say(line: str) -> None:
    sys.stderr.write(line + "\n")


def main() -> None:
    """Measure, and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument("--scale", type=float, default=1.0, help="of a million signals, 0 to 1")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(measure(Path(folder), arguments.scale))
    for name, figure in figures.items():
        say(f"{name:>22} {figure:>12,}")
    if arguments.json:
        sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()

"""Many schedules, one after the other: for tests, for the command, for the benchmark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tests.simulation.schedules import draw, run


def run_some(seeds: Iterable[int]) -> tuple[dict[int, list[str]], Counter[str]]:
    """Run some schedules: what failed, and what was seen."""
    failed, seen = dict[int, list[str]](), Counter[str]()
    for seed in seeds:
        ran = run(draw(seed))
        seen += ran.world.seen
        if ran.wrong:
            failed[seed] = ran.wrong
    return failed, seen

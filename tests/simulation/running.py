"""Many schedules, one after the other: for tests, for the command, for the benchmark."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from tests.simulation.schedules import draw, run


@contextmanager
def no_collecting() -> Iterator[None]:
    """While a schedule runs, nobody looks for cycles: worlds are dropped whole, after it.

    What was there before is not walked over then.
    """
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.collect(0)  # all that was made since is young
        gc.enable()
        gc.unfreeze()


def run_some(seeds: Iterable[int]) -> tuple[dict[int, list[str]], Counter[str]]:
    """Run some schedules: what failed, and what was seen."""
    failed, seen = dict[int, list[str]](), Counter[str]()
    for seed in seeds:
        with no_collecting():
            ran = run(draw(seed))
            seen += ran.world.seen
            if ran.wrong:
                failed[seed] = ran.wrong
            ran.world.end()
    return failed, seen

"""Many schedules, one after the other: for tests, for the command, for the benchmark."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Final

from tests.simulation.schedules import draw, run

COLLECTED_EVERY: Final = 16
"""Schedules: a world lets go of itself, and leaves some 100 kB that refer to each other."""


@contextmanager
def no_collecting() -> Iterator[Callable[[], None]]:
    """While schedules run, nobody looks for cycles: worlds are dropped whole, after each.

    What was there before is not walked over then.

    Yields:
        What to call after each schedule.
    """
    gc.freeze()
    gc.disable()
    played = count(1)

    def note_played() -> None:
        if next(played) % COLLECTED_EVERY == 0:
            gc.collect(0)  # all that was made since is young

    try:
        yield note_played
    finally:
        gc.collect(0)
        gc.enable()
        gc.unfreeze()


def run_some(seeds: Iterable[int]) -> tuple[dict[int, list[str]], Counter[str]]:
    """Run some schedules: what failed, and what was seen."""
    failed, seen = dict[int, list[str]](), Counter[str]()
    with no_collecting() as note_played:
        for seed in seeds:
            ran = run(draw(seed))
            seen += ran.world.seen
            if ran.wrong:
                failed[seed] = ran.wrong
            ran.world.end()
            note_played()
    return failed, seen

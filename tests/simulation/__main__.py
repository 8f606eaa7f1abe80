"""``python -m tests.simulation``: replay a schedule, play a scenario file, or run many schedules.

--seed 17             replay the schedule of a seed, and say what happened
--play FILE           the same with a scenario file
--seeds 2000          run so many, with a bar; --first says from which, --jobs how many at once
--seed 17 --shrink    find a shorter schedule that fails in the same way, and write it down
"""

# A terminal program prints.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

from rich.progress import Progress

from tests.scenarios.scenario import Scenario, format_scenario, parse_scenario
from tests.simulation.running import run_some
from tests.simulation.schedules import draw, run
from tests.simulation.shrinking import shrink
from tests.simulation.sometimes import SOMETIMES

SEEDS_AT_ONCE = 50
SEEDS_TOLD = 10_000
"""Between two lines where there is no terminal to draw a bar in."""


def replay(scenario: Scenario) -> int:
    """Run one schedule and say what happened; 1 when something does not hold."""
    print(format_scenario(scenario))
    ran = run(scenario)
    world = ran.world
    print(f"{world.events} events; seen: {dict(world.seen)}; sent: {dict(world.sent)}")
    print(f"trace {world.trace}")
    for wrong in ran.wrong:
        print(f"WRONG: {wrong}")
    return 1 if ran.wrong else 0


@contextmanager
def _bar(total: int) -> Iterator[Progress]:
    with Progress(transient=True) as progress:
        progress.add_task("schedules", total=total)
        yield progress


def sweep(first: int, count: int, jobs: int) -> int:
    """Run many schedules; 1 when any does not hold or an interesting state was never reached."""
    began, failed, seen = perf_counter(), set[int](), Counter[str]()
    parts = [
        range(start, min(start + SEEDS_AT_ONCE, first + count))
        for start in range(first, first + count, SEEDS_AT_ONCE)
    ]
    with _bar(count) as progress, ProcessPoolExecutor(jobs) as pool:
        for part, (wrong, found) in zip(parts, pool.map(run_some, parts), strict=True):
            failed |= wrong.keys()
            seen += found
            progress.advance(progress.task_ids[0], len(part))
            for seed, wrong_there in wrong.items():
                # At once: who plays for an hour looks into the first one meanwhile.
                progress.console.print(f"seed {seed}: {wrong_there[0]}", soft_wrap=True)
            if not progress.console.is_terminal and part.stop % SEEDS_TOLD == 0:
                print(f"to {part.stop}: {len(failed)} failed", flush=True)
    seconds = perf_counter() - began
    missed = sorted(SOMETIMES - seen.keys())
    print(f"{count} schedules in {seconds:.1f} s, {count / seconds:.1f}/s; seen: {dict(seen)}")
    print(f"failed: {sorted(failed)}; never seen: {missed}")
    return 1 if failed or missed else 0


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--seed", type=int, help="replay this schedule")
    which.add_argument("--play", type=Path, help="play this scenario file")
    which.add_argument("--seeds", type=int, help="run this many schedules")
    parser.add_argument("--first", type=int, default=0, help="from this one on")
    parser.add_argument("--jobs", type=int, default=1, help="processes beside each other")
    parser.add_argument("--shrink", action="store_true", help="shorten what fails")
    chosen = parser.parse_args()
    if chosen.seeds is not None:
        return sweep(chosen.first, chosen.seeds, chosen.jobs)
    found = draw(chosen.seed) if chosen.play is None else parse_scenario(chosen.play.read_text())
    if chosen.shrink:
        print(format_scenario(shrink(found)))
        return 0
    return replay(found)


if __name__ == "__main__":
    sys.exit(main())

"""``python -m tests.simulation --seed N``: replay a schedule; ``--seeds N``: run that many."""

# A terminal program prints.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import sys
import traceback
from collections import Counter
from time import perf_counter

from tests.simulation.schedules import Plan, Schedule


def replay(seed: int) -> int:
    """Run one schedule and say what happened; 1 when something does not hold."""
    schedule = Schedule(Plan.of(seed))
    print(schedule.plan)
    try:
        schedule.run()
    except AssertionError:
        traceback.print_exc(file=sys.stdout)
        return 1
    finally:
        world = schedule.world
        print(f"{world.events} events; seen: {dict(world.seen)}; sent: {dict(world.sent)}")
        print(f"trace {world.trace}")
    return 0


def sweep(first: int, count: int) -> int:
    """Run many schedules; 1 when any does not hold."""
    began, failed, seen = perf_counter(), list[int](), Counter[str]()
    for seed in range(first, first + count):
        schedule = Schedule(Plan.of(seed))
        try:
            seen += schedule.run().seen
        except AssertionError as error:
            failed.append(seed)
            print(f"seed {seed}: {str(error).splitlines()[:1]}")
    seconds = perf_counter() - began
    print(f"{count} schedules in {seconds:.1f} s, {count / seconds:.1f}/s; seen: {dict(seen)}")
    print(f"failed: {failed}")
    return 1 if failed else 0


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--seed", type=int, help="replay this schedule")
    which.add_argument("--seeds", type=int, help="run this many schedules")
    parser.add_argument("--first", type=int, default=0, help="from this one on")
    chosen = parser.parse_args()
    if chosen.seed is not None:
        return replay(chosen.seed)
    return sweep(chosen.first, chosen.seeds)


sys.exit(main())

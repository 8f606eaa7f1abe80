"""How many schedules of trouble a core plays, and whether all of them hold.

Each seed is one schedule of ``tests/simulation``: the production engine, views, verifier and codecs
under a virtual clock, with what goes wrong drawn from the seed, and all promises checked.
Signatures are a fast stand-in but for one seed in a hundred. One process; seconds are wall time of
the playing, of clearing away and of counting. Then each planted bug is looked for, which takes some
seconds more and is not in that time. Run it as ``python -m benchmarks.schedules --json``; the last
line of stdout is one JSON object. ``--scale`` scales the seeds. For 200,000, in as many processes
as there are cores: ``python -m tests.simulation --seeds 200000 --jobs 2``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections import Counter

from rich.progress import track

from tests.simulation.mutants import MUTANTS
from tests.simulation.running import no_collecting
from tests.simulation.schedules import draw, run
from tests.simulation.sometimes import SOMETIMES

SEEDS = 3_000
MUTANT_SEEDS = range(600)
"""Where a planted bug must be found, by each check that it breaks."""

WRONG_SHOWN_MAX = 10


def main() -> None:
    """Play, count and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument("--scale", type=float, default=1.0, help="of the seeds, 0 to 1")
    arguments = parser.parse_args()
    seeds = max(1, round(SEEDS * arguments.scale))

    run(draw(0))  # imports, and the first federation's real signatures
    events, nodes, seen, wrong = list[int](), 0, Counter[str](), dict[int, str]()
    begun, begun_cpu = time.perf_counter(), time.process_time()
    shown = sys.stderr.isatty()
    with no_collecting() as note_played:
        for seed in track(range(seeds), "schedules", transient=True, disable=not shown):
            ran = run(draw(seed))
            ran.world.end()
            note_played()
            events.append(ran.world.events)
            nodes = max(nodes, len(ran.world.nodes))
            seen += ran.world.seen
            if ran.wrong:
                wrong[seed] = ran.wrong[0]
    seconds, cpu_seconds = time.perf_counter() - begun, time.process_time() - begun_cpu
    missed = sorted(SOMETIMES - seen.keys())
    caught = {mutant.name: mutant.caught_by(MUTANT_SEEDS) for mutant in MUTANTS}

    sys.stderr.write(
        f"{seeds:,} schedules in {seconds:.1f} s ({seeds / seconds:.1f}/s, "
        f"{1_000 * cpu_seconds / seeds:.1f} ms of CPU each); "
        f"{sum(events) / seconds:,.0f} events/s; never seen: {missed or 'nothing'}\n"
    )
    for seed, words in list(wrong.items())[:WRONG_SHOWN_MAX]:
        sys.stderr.write(f"seed {seed} does not hold: {words}\n")
    for name, found in caught.items():
        sys.stderr.write(f"planted: {name}: {'MISSED' if found is None else f'seed {found}'}\n")
    if arguments.json:
        told = {
            "seeds": seeds,
            "seconds": round(seconds, 1),
            "cpu_seconds": round(cpu_seconds, 1),
            "violations": len(wrong),
            "events_median": statistics.median_high(events),
            "nodes_max": nodes,
            "sometimes_missed": len(missed),
            "mutants": len(MUTANTS),
            "mutants_caught": sum(found is not None for found in caught.values()),
        }
        sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()

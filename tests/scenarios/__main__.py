"""``python -m tests.scenarios [FILE ...] [--simulated]``: play scenarios on real processes.

Without files, all of ``tests/scenarios/cases``. With ``--simulated`` they are played in the
simulation instead. What does not hold is told; ``--history DIR`` keeps what happened.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.scenarios.checks import violations
from tests.scenarios.history import History, format_history
from tests.scenarios.process_backend import CannotPlay, playing
from tests.scenarios.scenario import Scenario, parse_scenario
from tests.simulation.backend import Stage

CASES = Path(__file__).parent / "cases"


def tell(line: str) -> None:
    """Say a line at once: a scenario takes half a minute."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def play(scenario: Scenario) -> History:
    """On real processes, in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        async with playing(scenario, Path(folder)) as stage:
            return await stage.play()


def main() -> int:
    """Play them one after the other; 1 where something did not hold, or could not be played."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, default=sorted(CASES.glob("*.json")))
    parser.add_argument("--simulated", action="store_true", help="under a virtual clock")
    parser.add_argument("--history", type=Path, help="a folder for what happened")
    arguments = parser.parse_args()
    wrong = 0
    for path in arguments.files:
        scenario, begun = parse_scenario(path.read_text(encoding="utf-8")), time.monotonic()
        try:
            history = Stage(scenario).play() if arguments.simulated else asyncio.run(play(scenario))
        except CannotPlay as why:
            tell(f"✗ {scenario.name}: not played: {why}")
            wrong += 1
            continue
        found = violations(scenario, history)
        wrong += bool(found)
        said = sum(1 for _ in history.acknowledged())
        mark = "✗" if found else "✓"
        seconds = time.monotonic() - begun
        tell(f"{mark} {scenario.name}: {said} acknowledged, {seconds:.1f} s")
        for each in found:
            tell(f"    {each}")
        if arguments.history is not None:
            arguments.history.mkdir(parents=True, exist_ok=True)
            text = format_history(history)
            (arguments.history / f"{scenario.name}.jsonl").write_text(text, encoding="utf-8")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())

"""The same scenarios in the simulation and on real processes; one set of checks judges both."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.needs import lacking
from tests.scenarios import checks
from tests.scenarios.history import format_history
from tests.scenarios.process_backend import CannotPlay, playing
from tests.scenarios.scenario import Scenario, Step, parse_scenario
from tests.simulation.backend import Stage

CASES = sorted((Path(__file__).parents[1] / "scenarios" / "cases").glob("*.json"))


def scenario_of(path: Path) -> Scenario:
    return parse_scenario(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_scenario_holds_in_the_simulation(path: Path) -> None:
    scenario = scenario_of(path)
    assert path.stem == scenario.name
    history = Stage(scenario).play()
    assert [] == checks.violations(scenario, history), format_history(history)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
async def test_the_same_scenario_holds_on_real_processes(path: Path, tmp_path: Path) -> None:
    scenario = scenario_of(path)
    try:
        async with playing(scenario, tmp_path) as stage:
            history = await stage.play()
    except CannotPlay as why:
        lacking(str(why))
    assert any(history.acknowledged())
    assert [] == checks.violations(scenario, history), format_history(history)


async def test_what_only_the_simulation_can_do_is_refused_by_name(tmp_path: Path) -> None:
    lossy = Step(0, "link", {"source": "acme", "target": "nova", "loss": 0.5})
    scenario = scenario_of(CASES[0]).with_steps([lossy])
    with pytest.raises(CannotPlay, match="loss"):
        async with playing(scenario, tmp_path):
            pass

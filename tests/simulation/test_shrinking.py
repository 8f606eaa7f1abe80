"""A failing schedule gets as short as what makes it fail."""

from __future__ import annotations

import pytest

from tests.scenarios.scenario import Scenario
from tests.simulation.schedules import CHAOS_SECONDS, draw
from tests.simulation.shrinking import shrink


def kills_and_publishes(scenario: Scenario) -> bool:
    return {"kill", "publish"} <= {step.op for step in scenario.steps}


def test_only_the_steps_that_matter_are_left() -> None:
    scenario = next(found for found in map(draw, range(100)) if kills_and_publishes(found))
    short = shrink(scenario, kills_and_publishes)
    chaos = [step.op for step in short.steps if step.at < CHAOS_SECONDS]
    assert ["kill", "publish"] == sorted(chaos)
    assert "buggify" not in short.settings
    # What heals is kept: without it nothing is promised.
    assert {"calm", "start"} <= {step.op for step in short.steps}


def test_what_does_not_fail_cannot_be_shortened() -> None:
    with pytest.raises(ValueError, match="does not fail"):
        shrink(draw(0), lambda _scenario: False)

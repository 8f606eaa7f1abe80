"""A failing schedule made shorter: fewer steps, fewer members, and it still fails in the same way.

Delta debugging (Zeller and Hildebrandt 2002) over the steps of the scenario: first without halves
of them, then quarters, down to single ones; then without what the settings force.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.scenarios.scenario import Scenario
from tests.simulation.schedules import CHAOS_SECONDS, run

Fails = Callable[[Scenario], bool]


def shrink(scenario: Scenario, fails: Fails | None = None) -> Scenario:
    """The shortest found that fails as this one does.

    Args:
        scenario: one that fails.
        fails: whether another fails in the same way; by default: by the same check.

    Raises:
        ValueError: it does not fail.
    """
    judge = _fails_alike(scenario) if fails is None else fails
    if not judge(scenario):
        raise ValueError("this schedule does not fail")
    for without in ("buggify", "full_view_members"):
        if without in scenario.settings:
            settings = {name: each for name, each in scenario.settings.items() if name != without}
            plainer = replace(scenario, settings=settings)
            scenario = plainer if judge(plainer) else scenario
    return _without_steps(scenario, judge)


def _fails_alike(scenario: Scenario) -> Fails:
    expected = run(scenario).broken
    return lambda other: bool(expected & run(other).broken)


def _without_steps(scenario: Scenario, fails: Fails) -> Scenario:
    # Healing stays: without it nothing is promised.
    healing = [step for step in scenario.steps if step.at >= CHAOS_SECONDS]
    steps = [step for step in scenario.steps if step.at < CHAOS_SECONDS]
    size = max(1, len(steps) // 2)
    while steps:
        start = 0
        while start < len(steps):
            fewer = steps[:start] + steps[start + size :]
            if fails(scenario.with_steps([*fewer, *healing])):
                steps = fewer
            else:
                start += size
        if size == 1:
            break
        size //= 2
    return scenario.with_steps([*steps, *healing])

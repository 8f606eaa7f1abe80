"""Members that are admitted in the middle: their nodes start with nothing, and end with all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.scenarios.checks import violations
from tests.scenarios.scenario import Check, Scenario, Step
from tests.simulation import schedules
from tests.simulation.backend import Stage
from tests.simulation.checks import missing_receipts

CALM = Scenario(
    "newcomer",
    1,
    ("acme", "nova", "umbra", "delta"),
    60.0,
    settings={"anti_entropy_seconds": 5.0},
    steps=(
        Step(1, "publish", {"node": "acme", "lane": "live", "key": "p1", "count": 40}),
        Step(5, "join", {"node": "delta"}),
        Step(10, "publish", {"node": "delta", "lane": "crisis", "key": "p2", "count": 1}),
    ),
    checks=tuple(
        map(
            Check,
            ("acknowledged-everywhere", "converged", "nobody-honest-is-blamed", "receipted"),
        )
    ),
)


def with_calls(scenario: Scenario, *, calls: bool) -> Scenario:
    """The newcomer has a URL, or only calls others."""
    return scenario.with_steps(
        [
            replace(step, fields={**step.fields, "calls": calls}) if step.op == "join" else step
            for step in scenario.steps
        ]
    )


@pytest.mark.parametrize("calls", [False, True])
def test_a_member_admitted_in_the_middle_has_all_and_is_heard_by_all(*, calls: bool) -> None:
    scenario = with_calls(CALM, calls=calls)
    assert ("acme", "nova", "umbra") == scenario.founders
    stage = Stage(scenario)
    assert [] == violations(scenario, stage.play())
    assert [] == list(missing_receipts(stage.world))
    assert calls is (stage.world.sent["heads"] > 0) is (stage.world.seen["asked for calls"] > 0)


def test_where_the_only_one_who_heard_of_a_newcomer_loses_it_its_operator_is_given_it_again() -> (
    None
):
    scenario = CALM.with_steps(
        [
            Step(5, "join", {"node": "delta"}),
            Step(5.001, "wipe", {"node": "acme"}),
            Step(20, "start", {"node": "acme"}),
            Step(25, "publish", {"node": "delta", "lane": "live", "key": "p2", "count": 1}),
        ]
    )
    stage = Stage(scenario)
    known: list[int] = []
    for at in (19.9, 22.9):
        stage.world.at(at, lambda: known.append(stage.world.nodes["nova"].chain.newest.version))
    assert [] == violations(scenario, stage.play())
    assert [1, 2] == known
    seen = stage.world.seen
    assert (1, 1) == (seen["wiped"], seen["joined in the middle"])


def test_a_newcomer_changes_nothing_else_of_a_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = [seed for seed in range(60) if seed % schedules.PROMPT_EVERY != 1]
    monkeypatch.setattr(schedules, "JOINED_SHARE", 0.0)
    without = [schedules.draw(seed) for seed in seeds]
    monkeypatch.setattr(schedules, "JOINED_SHARE", 1.0)
    for before, after in zip(without, map(schedules.draw, seeds), strict=True):
        (newcomer,) = set(after.nodes) - set(before.nodes)
        assert before.nodes == after.founders
        assert list(before.steps) == [
            step for step in after.steps if step.fields.get("node") != newcomer
        ]
        assert replace(after, nodes=before.nodes, steps=before.steps) == before


def test_a_newcomer_that_dies_in_the_last_moment_of_the_trouble_is_started_again() -> None:
    """Seed 183139: its death was drawn, in whole milliseconds, for after its start."""
    steps = [step for step in schedules.draw(183139).steps if step.op in {"kill", "start"}]
    of_it = [step.op for step in steps if step["node"] in {"omega", "*"}]
    assert ["kill", "start", "start"] == of_it

"""Scenarios and histories are files, read and written without loss, and refused with a reason."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.scenarios.history import Entry, History, format_history, parse_history
from tests.scenarios.hostile_process import KINDS
from tests.scenarios.scenario import (
    HOSTILE_PROCESSES,
    Check,
    Scenario,
    ScenarioMalformed,
    Step,
    format_scenario,
    parse_scenario,
)
from tests.simulation.cast import HARM, HOSTILE
from tests.simulation.schedules import draw

PLAIN = Scenario(
    "plain",
    1,
    ("acme", "nova"),
    60.0,
    steps=(
        Step(1, "publish", {"node": "acme", "lane": "live", "key": "p", "count": 2}),
        Step(2, "link", {"source": "acme", "target": "*", "up": False}),
        Step(9, "calm"),
    ),
    checks=(Check("converged"), Check("prompt", {"seconds": 1.0})),
)


@pytest.mark.parametrize("scenario", [PLAIN, *map(draw, range(20))], ids=lambda each: each.name)
def test_a_scenario_comes_back_as_it_was_written(scenario: Scenario) -> None:
    assert scenario == parse_scenario(format_scenario(scenario))


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("steps", [{"at": 1, "op": "explode"}]),
        ("steps", [{"at": 1, "op": "kill"}]),
        ("steps", [{"at": 1, "op": "kill", "node": "nobody"}]),
        ("steps", [{"at": 1, "op": "kill", "node": "acme", "gently": True}]),
        ("steps", [{"op": "calm"}]),
        ("settings", {"luck": 1}),
        ("nodes", None),
        ("mood", "bad"),
    ],
)
def test_what_no_backend_could_play_is_refused(part: str, value: object) -> None:
    document = json.loads(format_scenario(PLAIN)) | {part: value}
    with pytest.raises(ScenarioMalformed):
        parse_scenario(json.dumps(document))


@given(st.text(max_size=50))
def test_any_text_is_a_scenario_or_refused(text: str) -> None:
    with pytest.raises(ScenarioMalformed):
        parse_scenario(text)


def test_steps_stand_in_the_order_of_time() -> None:
    assert (1, 2, 9) == tuple(step.at for step in PLAIN.with_steps(PLAIN.steps[::-1]).steps)


def test_what_real_processes_cannot_play_is_named() -> None:
    assert frozenset() == PLAIN.simulated_only
    lossy = PLAIN.with_steps([Step(0, "link", {"source": "*", "target": "*", "loss": 0.1})])
    assert {"loss"} == lossy.simulated_only
    replayed = replace(PLAIN, hostile={"acme": "replayer", "nova": "tamperer"})
    assert {"replayer"} == replayed.simulated_only


def test_hostile_members_are_called_alike_in_the_simulation_and_as_processes() -> None:
    assert HOSTILE_PROCESSES == KINDS.keys()
    assert HOSTILE_PROCESSES <= HOSTILE.keys()
    assert HARM.keys() == HOSTILE.keys()


def test_a_history_comes_back_as_it_was_written() -> None:
    history = History([Entry(1.5, "seen", "acme", result={"key": "p"}), Entry(2.0, "calm")])
    assert history.entries == parse_history(format_history(history)).entries

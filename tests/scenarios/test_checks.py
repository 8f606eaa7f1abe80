"""Each check passes what is right and names what is wrong: one that cannot fail checks nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scenarios.checks import CHECKS, percentile, violations
from tests.scenarios.history import Entry, History
from tests.scenarios.scenario import Check, Scenario, Step

LOG = "acme/f/live"
IDS = ["st_1", "st_2"]


def scenario_of(name: str, **fields: Any) -> Scenario:
    fields_of_step = {"node": "acme", "lane": "live", "key": "p", "count": 2, "expect": "ok"}
    return Scenario(
        "s",
        1,
        ("acme", "nova", "umbra"),
        10.0,
        hostile={"umbra": "tamperer"},
        steps=(Step(0.9, "publish", fields_of_step),),
        checks=(Check(name, fields),),
    )


def observed(node: str, at: float = 9.0, **changed: Any) -> Entry:
    held = {
        "heads": {LOG: [2, "aa"]},
        "ids": IDS,
        "view": "v",
        "faults": {"umbra": 3},
        "accused": ["umbra/f/live"],
        "counts": {"umbra": {"faults": 3}},
        "receipts": {LOG: ["nova"]} if node == "acme" else {},
    }
    return Entry(at, "observe", node, result=held | changed)


SAID = Entry(1.0, "publish", "acme", result={"key": "p", "log": LOG, "ids": IDS, "size": 2})
RIGHT = [
    SAID,
    Entry(1.4, "seen", "nova", result={"key": "p"}),
    observed("acme"),
    observed("nova"),
    Entry(9.0, "misdeed", "umbra", result={"what": "altered"}),
]

ASKED: dict[str, dict[str, Any]] = {
    "prompt": {"seconds": 0.5},
    "accused": {"members": ["umbra"]},
    "shown": {"member": "umbra", "count": "faults"},
}

WRONG = {
    "answered-as-expected": RIGHT[1:],
    "nothing-failed": [*RIGHT, Entry(9.5, "failed", "nova", ok=False, result={"why": "ended"})],
    "acknowledged-everywhere": [*RIGHT[:3], observed("nova", ids=IDS[:1])],
    "converged": [*RIGHT[:3], observed("nova", view="w")],
    "equally-accused": [*RIGHT[:3], observed("nova", accused=[])],
    "nobody-honest-is-blamed": [*RIGHT[:3], observed("nova", faults={"acme": 1})],
    "one-root-for-each-size": [*RIGHT[:3], observed("nova", heads={LOG: [2, "bb"]})],
    "nothing-shrinks": [*RIGHT, observed("nova", 9.5, heads={LOG: [1, "cc"]})],
    "prompt": [SAID, Entry(1.6, "seen", "nova", result={"key": "p"})],
    "accused": [*RIGHT[:3], observed("nova", accused=[])],
    "shown": [*RIGHT[:3], observed("nova", counts={"umbra": {"repeats": 3}})],
    "harm-was-done": RIGHT[:4],
    "receipted": [SAID, observed("acme", receipts={LOG: []}), observed("nova")],
}


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_what_is_right_passes(name: str) -> None:
    assert [] == violations(scenario_of(name, **ASKED.get(name, {})), History(RIGHT))


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_what_is_wrong_is_named(name: str) -> None:
    wrong = violations(scenario_of(name, **ASKED.get(name, {})), History(WRONG[name]))
    assert wrong
    assert all(each.startswith(f"{name}: ") for each in wrong)


def test_evidence_against_the_honest_is_blame() -> None:
    history = History([*RIGHT[:3], observed("nova", accused=[LOG])])
    assert violations(scenario_of("nobody-honest-is-blamed"), history)


def test_what_was_never_seen_is_not_prompt() -> None:
    assert violations(scenario_of("prompt", seconds=100.0), History([SAID]))


@pytest.mark.parametrize(
    ("expect", "answers", "holds"),
    [
        ("ok", (True,), True),
        ("ok", (False,), False),
        ("ok", (), False),
        ("refused", (False,), True),
        ("refused", (True,), False),
    ],
)
def test_a_thing_said_is_answered_as_its_scenario_says(
    expect: str, answers: tuple[bool, ...], *, holds: bool
) -> None:
    fields = {"node": "acme", "lane": "live", "key": "p9", "count": 1, "expect": expect}
    scenario = scenario_of("answered-as-expected").with_steps([Step(1, "publish", fields)])
    said = [Entry(2.0, "publish", "acme", ok, {"key": "p9"}) for ok in answers]
    assert holds is (violations(scenario, History(said)) == [])


def test_a_wiped_disk_may_hold_less() -> None:
    history = History([*RIGHT, Entry(9.2, "wipe", "nova"), observed("nova", 9.5, heads={})])
    assert [] == violations(scenario_of("nothing-shrinks"), history)


@pytest.mark.parametrize(("share", "expected"), [(0.5, 2), (0.99, 4), (0.0, 1), (1.0, 4)])
def test_a_percentile_is_one_of_the_values(share: float, expected: int) -> None:
    assert expected == percentile([3, 1, 4, 2], share)

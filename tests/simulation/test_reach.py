"""Schedules of trouble in federations where some members cannot be connected to.

Between two of these nothing ever passes directly; everything else that is promised holds, but that
neither has the other's receipts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from random import Random

import pytest

from tests.builders import Founded, make_member, make_roster
from tests.scenarios.scenario import Scenario
from tests.simulation import backend, schedules
from tests.simulation.checks import missing_receipts
from tests.simulation.world import World

SEEDS = (49, 129, *range(300, 330))
"""Twenty members of whom most only call, without anti-entropy, are the first two."""

REACHABLE_MIN = 2
"""Honest ones; with fewer, one disk that is lost or full may be all there was."""

RECEIPTED = "receipted"
"""Held against every pair; what of it stays true is looked at below."""


@cache
def federation_of(members: tuple[str, ...], callers: frozenset[str]) -> Founded:
    return make_roster(
        *(make_member(name, urls=() if name in callers else None) for name in members)
    )


def callers_of(scenario: Scenario) -> frozenset[str]:
    """Some honest members, so that others can still be reached."""
    rng = Random(f"callers {scenario.seed}")
    most = len(scenario.honest) - REACHABLE_MIN
    return (
        frozenset(rng.sample(sorted(scenario.honest), rng.randint(1, most)))
        if most > 0
        else frozenset()
    )


def is_between(callers: frozenset[str], sentence: str) -> bool:
    """Whether a missing receipt is one caller's on the log of another."""
    issuer, _, rest = sentence.partition(" lacks the receipt of ")
    return issuer in callers and rest.partition(" ")[0] in callers


@pytest.mark.parametrize("seed", SEEDS)
def test_promises_hold_where_some_only_call(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = schedules.draw(seed)
    callers = callers_of(scenario)

    def missing(world: World) -> Iterator[str]:
        return (each for each in missing_receipts(world) if not is_between(callers, each))

    monkeypatch.setattr(backend, "federation_of", lambda members: federation_of(members, callers))
    monkeypatch.setattr(schedules, "missing_receipts", missing)
    checks = tuple(check for check in scenario.checks if check.name != RECEIPTED)
    ran = schedules.run(replace(scenario, checks=checks))
    assert [] == ran.wrong, sorted(callers)
    for name in callers:
        node = ran.world.nodes[name]
        assert not callers & set(node.engine.peers.reachable)

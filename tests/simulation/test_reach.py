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

from federation.protocol.origins import LogId
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
"""Held against every pair; of those who can speak to each other it is asked below."""


@cache
def federation_of(members: tuple[str, ...], callers: frozenset[str]) -> Founded:
    return make_roster(
        *(make_member(name, urls=() if name in callers else None) for name in members)
    )


def callers_of(scenario: Scenario) -> frozenset[str]:
    """Some honest members, so that others can still be reached."""
    rng = Random(f"callers {scenario.seed}")
    founders = sorted(set(scenario.honest) & set(scenario.founders))
    most = len(founders) - REACHABLE_MIN
    return frozenset(rng.sample(founders, rng.randint(1, most))) if most > 0 else frozenset()


@pytest.mark.parametrize("seed", SEEDS)
def test_promises_hold_where_some_only_call(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = schedules.draw(seed)
    callers = callers_of(scenario)

    def missing(world: World) -> Iterator[tuple[str, str, LogId]]:
        return (each for each in missing_receipts(world) if not callers.issuperset(each[:2]))

    monkeypatch.setattr(backend, "federation_of", lambda members: federation_of(members, callers))
    monkeypatch.setattr(schedules, "missing_receipts", missing)
    checks = tuple(check for check in scenario.checks if check.name != RECEIPTED)
    ran = schedules.run(replace(scenario, checks=checks))
    assert [] == ran.wrong, sorted(callers)
    # A prompt schedule asks for them only in the check that is left out above.
    assert [] == list(missing(ran.world)), sorted(callers)
    for name in callers:
        node = ran.world.nodes[name]
        assert not callers & set(node.engine.peers.reachable)


def test_most_of_these_schedules_have_members_who_only_call() -> None:
    some = [seed for seed in SEEDS if callers_of(schedules.draw(seed))]
    assert len(some) > len(SEEDS) / 2
    assert {49, 129} <= set(some)

"""Each planted bug is found by the schedules: what they pass means something."""

from __future__ import annotations

from contextlib import ExitStack
from unittest.mock import patch

import pytest

from federation.gossip.dissemination import Dissemination
from tests.scenarios.checks import CHECKS
from tests.simulation import promises
from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.promises import CRASHED, STEPS_FIT
from tests.simulation.schedules import draw, run

SEEDS = range(200)

PROMISES = {value for name, value in vars(promises).items() if name.isupper() and value != CRASHED}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_planted_bug_is_found(mutant: Mutant) -> None:
    assert mutant.caught_by(SEEDS) is not None


def _falls_over(stack: ExitStack) -> None:
    """Whoever passes anything on dies of a wrong number of arguments."""
    stack.enter_context(patch.object(Dissemination, "pass_on", lambda: None))


def test_a_bug_that_merely_falls_over_is_not_found() -> None:
    """It fails its schedules, and says nothing about what the checks can see."""
    mutant = Mutant("falls over", _falls_over, frozenset(PROMISES & CHECKS.keys()))
    assert mutant.caught_by(range(8)) is None
    with mutant.planted():
        assert {CRASHED} == run(draw(0)).broken


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_each_planted_bug_names_checks_that_exist(mutant: Mutant) -> None:
    assert mutant.breaks
    assert mutant.breaks <= PROMISES


def test_every_promise_is_broken_by_some_planted_bug() -> None:
    """But for what the store itself refuses, which stands for no promise of its own."""
    assert {STEPS_FIT} == PROMISES - {each for mutant in MUTANTS for each in mutant.breaks}

"""Each planted bug is found by the schedules: what they pass means something."""

from __future__ import annotations

import pytest

from tests.simulation.mutants import MUTANTS, Mutant

SEEDS = range(200)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_planted_bug_is_found(mutant: Mutant) -> None:
    assert mutant.caught_by(SEEDS) is not None

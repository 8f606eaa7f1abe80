"""Where a head stands, asked step by step; what cannot be said is not said."""

from __future__ import annotations

import pytest

from federation.gossip.events import RaiseAlarm
from federation.gossip.fork_events import FindParting, PartingFound
from federation.gossip.forks import Forks
from federation.gossip.parting import AskRoots, Parting, find_parting
from federation.gossip.peers import PeerView
from federation.gossip.reconciliation import Reconciliation
from federation.local_errors.proofs import Fork
from federation.provenance.log_view import LogView
from tests.builders import ACME, NOVA, make_log, make_roster

FOUNDED = make_roster()
MADE = make_log(8, founded=FOUNDED)
BARE = LogView(MADE.log, MADE.view.held, None)
"""What is held after its key was replaced, before the successor has signed anything."""

OTHER = make_log(0, founded=FOUNDED)
OTHER.say_numbers(range(100, 105))


def test_a_head_is_not_judged_where_no_head_is_left_to_hold_it_against() -> None:
    search = find_parting(OTHER.head(), {0: BARE}, is_accused=False)
    assert AskRoots(5) == next(search)
    with pytest.raises(StopIteration) as end:
        search.send({0: MADE.head(5).root_hash})
    assert Parting() == end.value.value


def test_a_head_that_nobody_can_judge_yet_is_looked_at_when_it_is_heard_again() -> None:
    reconciliation = Reconciliation(MADE.verifier)
    reconciliation.hold(BARE)
    forks = Forks(ACME, reconciliation, lambda: {NOVA: PeerView(NOVA)})
    asked = FindParting(NOVA, OTHER.head(), {0: BARE}, is_accused=False)
    for _ in range(2):
        forks.doubt(OTHER.head(), NOVA)
        assert [asked] == forks.pump(0.0)
        commands = forks.found(PartingFound(OTHER.head(), Parting()), 0.0, None)
        assert [] == [each for each in commands if isinstance(each, RaiseAlarm)]
        assert [] == forks.pump(0.0)


def test_a_head_that_was_whole_is_told_until_the_next_one_of_its_branch_is() -> None:
    """An issuer that serves half of its next head to this node alone silences it for nobody."""
    made = make_log(5, founded=FOUNDED)
    whole = made.head()
    made.say_numbers(range(5, 9))
    made.advance(2)
    reconciliation = Reconciliation(made.verifier)
    reconciliation.hold(made.view)
    forks = Forks(ACME, reconciliation, lambda: {NOVA: PeerView(NOVA)})
    assert forks.fork(Fork("two roots", first=whole.note, second=OTHER.head().note))
    assert (whole,) == forks.cases.heads_of(made.log)
    reconciliation.hold(make_log(9, founded=FOUNDED).view)
    assert (made.head(),) == forks.cases.heads_of(made.log)

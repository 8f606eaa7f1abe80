"""Where a head stands, asked step by step; what cannot be said is not said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from federation.gossip.events import RaiseAlarm
from federation.gossip.fork_events import (
    BranchHeadKept,
    BranchPersistFailed,
    FindParting,
    KeepBranchHead,
    PartingFound,
)
from federation.gossip.forks import Forks
from federation.gossip.parting import AskRoots, Parting, find_parting
from federation.gossip.peers import PeerView
from federation.gossip.reconciliation import Reconciliation
from federation.local_errors.proofs import Fork
from federation.provenance.log_view import LogView
from federation.provenance.verifier import Head
from tests.builders import ACME, NOVA, MadeLog, make_log, make_roster

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


def accused_forks(reconciliation: Reconciliation, head: Head) -> Forks:
    """The log of a head is under evidence here, and a peer is there that may be asked."""
    forks = Forks(ACME, reconciliation, lambda: {NOVA: PeerView(NOVA)})
    assert forks.fork(Fork("two roots", first=head.note, second=OTHER.head(head.size).note))
    return forks


def held_in_part() -> tuple[MadeLog, Reconciliation]:
    """A log of nine, of which seven are held: five under their own head, more under that of all."""
    made = make_log(5, founded=FOUNDED)
    made.say_numbers(range(5, 9))
    made.advance(2)
    reconciliation = Reconciliation(made.verifier)
    reconciliation.hold(made.view)
    return made, reconciliation


def test_a_head_within_what_is_held_of_the_next_one_in_part_is_told() -> None:
    """Others hold just what is under it; the rest of the next one may be given to nobody."""
    made, reconciliation = held_in_part()
    forks, head = accused_forks(reconciliation, made.head(5)), made.head(6)
    forks.doubt(head, NOVA)
    assert [head] == [each.head for each in forks.pump(0.0) if isinstance(each, FindParting)]
    found = PartingFound(head, Parting(is_known=True))
    assert [KeepBranchHead(0, head)] == forks.found(found, 0.0, None)
    assert (made.head(5),) == forks.cases.heads_of(made.log)
    assert [] == forks.pump(0.0)
    forks.branches.persist_failed(BranchPersistFailed(made.log, "full"), 0.0, None)
    assert [] == forks.pump(0.0)
    assert forks.pump(9.0)
    assert [KeepBranchHead(0, head)] == forks.found(found, 9.0, None)
    forks.branches.head_kept(BranchHeadKept(0, head), 9.0, None)
    assert (head,) == forks.cases.heads_of(made.log)
    assert forks.cases.is_fitting(head)


def test_what_fitted_before_the_evidence_is_looked_at_again() -> None:
    made, reconciliation = held_in_part()
    forks, head = Forks(ACME, reconciliation, lambda: {NOVA: PeerView(NOVA)}), made.head(6)
    forks.cases.fits(head)
    first, second = made.head(5).note, OTHER.head(5).note
    assert forks.fork(Fork("two roots", first=first, second=second))
    forks.doubt(head, NOVA)
    assert [head] == [each.head for each in forks.pump(0.0) if isinstance(each, FindParting)]


def test_a_head_is_told_as_long_as_what_contains_it_is_not_whole_so_far() -> None:
    """Or its statements would count here and nobody hear of them, after a restart for ever."""
    made, reconciliation = held_in_part()
    part = replace(made.view, last_whole=None)
    reconciliation.hold(make_log(5, founded=FOUNDED).view)
    forks, head = accused_forks(reconciliation, made.head(5)), made.head(5)
    forks.cases.case(made.log).branches = {1: part}
    forks.cases.wait(made.log, head, "")
    assert forks.pump(0.0)
    assert [] == forks.found(PartingFound(head, Parting(is_known=True, branch=1)), 0.0, None)
    assert (head,) == forks.cases.heads_of(made.log)
    case = forks.cases.case(made.log)
    case.branches = {1: replace(part, last_whole=made.head(6))}
    forks.cases.wait(made.log, head, "")
    assert forks.pump(0.0)
    assert [] == forks.found(PartingFound(head, Parting(is_known=True, branch=1)), 0.0, None)
    assert (made.head(6),) == forks.cases.heads_of(made.log)


def test_of_two_branches_that_contain_a_head_the_one_told_so_far_is_named() -> None:
    made, _ = held_in_part()
    part, whole = replace(made.view, last_whole=None), make_log(9, founded=FOUNDED).view
    search = find_parting(made.head(5), {0: part, 1: whole}, is_accused=True)
    next(search)
    root = made.head(5).root_hash
    with pytest.raises(StopIteration) as end:
        search.send({0: root, 1: root})
    assert Parting(is_known=True, branch=1) == end.value.value

"""A log view advances by proof or not at all, and keeps the evidence when a key says two things."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.errors import FederationError, ProofMalformed, WrongMember
from federation.local_errors.proofs import ConsistencyUnproven, Fork, RootMismatch
from federation.protocol.merkle_proofs import consistency_proof
from federation.protocol.statements import Statement
from federation.provenance.log_view import LogView
from tests.builders import UMBRA, MadeLog, make_log, make_roster, make_statement

FOUNDED = make_roster()
SAID = 40


def said(count: int = SAID) -> MadeLog:
    made = make_log(founded=FOUNDED)
    made.say_numbers(range(count))
    return made


MADE = said()


def other_history(count: int, same: int = 0) -> MadeLog:
    """A log of the same key, with other statements from some place on."""
    made = said(same)
    made.say_numbers(range(1_000, 1_000 + count - same))
    return made


def held(size: int, head_size: int | None = None) -> LogView:
    """A view of so many statements, proven under the head of a size."""
    view = LogView(MADE.log)
    if not size:
        return view
    head = MADE.head(head_size or size)
    proof = consistency_proof(size, head.size, MADE.node)
    return view.advance(head, MADE.said[:size], proof, MADE.verifier).view


def test_a_view_of_nothing_holds_nothing() -> None:
    view = LogView(MADE.log)
    assert (0, None, False) == (view.size, view.head, view.is_complete)


@given(st.lists(st.integers(1, SAID), min_size=1, max_size=6), st.data())
def test_any_steps_under_any_heads_lead_to_the_same_view(
    steps: Sequence[int], data: st.DataObject
) -> None:
    view, whole = LogView(MADE.log), None
    for step in steps:
        to = min(SAID, view.size + step)
        if to == view.size:
            break
        least = max(to, view.head.size if view.head else 0)
        head = MADE.head(data.draw(st.integers(least, SAID)))
        proof = consistency_proof(to, head.size, MADE.node)
        move = view.advance(head, MADE.said[view.size : to], proof, MADE.verifier)
        assert view == move.before
        assert [each.index for each in move.statements] == list(range(view.size, to))
        view = move.view
        assert (to, head) == (view.size, view.head)
        assert (to == head.size) == view.is_complete
        whole = head if view.is_complete else whole
        assert whole == view.whole
    assert held(view.size).held == view.held


def test_the_hashes_that_a_step_adds_are_those_of_the_tree() -> None:
    (run,) = held(3).advance(MADE.head(7), MADE.said[3:7], (), MADE.verifier).runs
    assert (0, 3, tuple(MADE.leaves[3:7])) == (run.tile_level, run.start, run.hashes)


@pytest.mark.parametrize(
    ("statements", "error"),
    [
        ([], RootMismatch),
        (MADE.said[3:5], ProofMalformed),
        (MADE.said[3:7], RootMismatch),
        ([MADE.said[4], MADE.said[3], MADE.said[5]], RootMismatch),
        ([*MADE.said[3:5], make_statement(5, member=UMBRA)], FederationError),
        (MADE.said[4:7], RootMismatch),
        ([*MADE.said[3:5], MADE.said[4]], RootMismatch),
    ],
    ids=["none", "too few", "too many", "order", "foreign", "gap", "twice"],
)
def test_other_statements_than_the_logs_are_refused(
    statements: Sequence[Statement], error: type[FederationError]
) -> None:
    with pytest.raises(error):
        held(3).advance(MADE.head(6), statements, (), MADE.verifier)


def test_a_statement_of_another_member_is_refused_even_where_the_root_holds() -> None:
    made = make_log(founded=FOUNDED)
    made.say(make_statement(0, member=UMBRA, federation_id=made.log.federation_id))
    with pytest.raises(WrongMember):
        LogView(made.log).advance(made.head(), made.said, (), made.verifier)


def test_part_of_a_head_is_taken_with_its_consistency_proof_only() -> None:
    head, proof = MADE.head(9), consistency_proof(6, 9, MADE.node)
    view = held(3).advance(head, MADE.said[3:6], proof, MADE.verifier).view
    assert (6, head, False) == (view.size, view.head, view.is_complete)
    for wrong in (proof[1:], (*proof, bytes(32)), ()):
        with pytest.raises(ProofMalformed):
            held(3).advance(head, MADE.said[3:6], wrong, MADE.verifier)
    with pytest.raises(ConsistencyUnproven):
        held(3).advance(head, MADE.said[3:6], (bytes(32), *proof[1:]), MADE.verifier)
    with pytest.raises(ConsistencyUnproven):
        held(3).advance(head, [*MADE.said[3:5], MADE.said[6]], proof, MADE.verifier)


def test_a_proof_where_none_is_needed_is_refused() -> None:
    with pytest.raises(RootMismatch):
        held(3).advance(MADE.head(6), MADE.said[3:6], (bytes(32),), MADE.verifier)


def test_a_rolled_back_head_is_refused() -> None:
    with pytest.raises(ConsistencyUnproven):
        held(3, 9).advance(MADE.head(6), MADE.said[3:6], (), MADE.verifier)


@pytest.mark.parametrize("same", [0, 3])
def test_two_roots_of_one_size_are_a_fork_with_both_notes(same: int) -> None:
    view, other = held(6), other_history(6, same).head()
    for attempt in (
        lambda: view.check_head(other),
        lambda: view.advance(other, MADE.said[6:7], (), MADE.verifier),
    ):
        with pytest.raises(Fork) as caught:
            attempt()
        assert view.head is not None
        assert (view.head.note, other.note) == (caught.value.first, caught.value.second)


def test_the_same_head_again_or_a_newer_one_is_no_fork() -> None:
    for size in (6, 7):
        held(6).check_head(MADE.head(size))


def test_another_history_does_not_continue_this_one() -> None:
    other = other_history(9, same=3)
    with pytest.raises(RootMismatch):
        held(6).advance(other.head(), other.said[6:], (), MADE.verifier)

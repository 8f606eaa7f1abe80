"""Pins: up to where each log counts, and whose word that is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.errors import BeyondPin, SignatureInvalid
from federation.protocol.checkpoints import Checkpoint
from federation.protocol.checkpoints_signing import sign_checkpoint
from federation.protocol.keys import check_ed25519
from federation.protocol.merkle_growth import CompactRange
from federation.protocol.origins import Lane
from federation.protocol.roster_amendments import propose_members, suspended
from federation.protocol.roster_members import EMPTY_PIN, LogKey, Member, MemberLog, Pin
from federation.provenance.pins import Cuts, HeldBranch, cut_of, limits_of, pinned_sizes
from federation.provenance.verifier import Head, Verifier, speakers
from tests.builders import ACME, NEW_YEAR_2026_MS, make_key, make_log, make_roster, sign_and_finish

FOUNDED = make_roster()
MADE = make_log(9, founded=FOUNDED)
OLD, NEW = FOUNDED.companies[ACME].keys["live"], make_key("the next live key")


def root_at(size: int) -> bytes:
    """The true log's root."""
    return CompactRange().extend(MADE.leaves[:size]).root()


def pin_at(size: int) -> Pin:
    """A pin on the true log."""
    return Pin(size, root_at(size)) if size else EMPTY_PIN


def log_of(start: int | None = None, end: int | None = None) -> MemberLog:
    """The log with a second key from a size on, and an end."""
    keys = [LogKey(OLD.public)]
    if start is not None:
        keys.append(LogKey(NEW.public, pin_at(start)))
    return MemberLog(Lane.LIVE, 0, tuple(keys), None if end is None else pin_at(end))


def judge(log: MemberLog) -> Verifier:
    """The verifier under a roster with that log of acme's."""
    acme = FOUNDED.roster.member(ACME)
    logs = tuple(log if each.lane is Lane.LIVE else each for each in acme.logs)
    changed: Member = replace(acme, logs=logs)
    if log.pin is not None:
        pins = dict.fromkeys(Lane, EMPTY_PIN)
        changed = suspended(changed, pins)
    proposal = propose_members(FOUNDED.chain, [changed], now_ms=NEW_YEAR_2026_MS)
    chain = sign_and_finish(proposal, FOUNDED.chain, FOUNDED.governors)
    return Verifier(chain.newest, check_ed25519)


def open_head(log: MemberLog, size: int, *, by_new: bool, root: bytes | None = None) -> Head:
    """A head of the log as one of its keys signed it, judged."""
    checkpoint = Checkpoint(MADE.log.origin, size, root or root_at(size))
    return judge(log).open_head(sign_checkpoint(checkpoint, NEW if by_new else OLD))


@pytest.mark.parametrize(("size", "by_new"), [(3, False), (5, False), (5, True), (8, True)])
def test_each_key_speaks_for_its_part_of_the_log(size: int, *, by_new: bool) -> None:
    head = open_head(log_of(start=5), size, by_new=by_new)
    assert (size, (NEW if by_new else OLD).public) == (head.size, head.vkey.public)


@pytest.mark.parametrize(("size", "by_new"), [(6, False), (4, True)])
def test_a_key_says_nothing_outside_of_its_part(size: int, *, by_new: bool) -> None:
    with pytest.raises(SignatureInvalid):
        open_head(log_of(start=5), size, by_new=by_new)


def test_a_head_beyond_the_end_is_evidence_only_whoever_of_the_log_signed_it() -> None:
    assert 4 == open_head(log_of(end=4), 4, by_new=False).size
    with pytest.raises(BeyondPin):
        open_head(log_of(end=4), 5, by_new=False)


def test_a_stranger_is_told_from_the_logs_own_key_beyond_the_end() -> None:
    """Only what the log's key really signed may be shown as its word beyond the pin."""
    with pytest.raises(SignatureInvalid):
        open_head(log_of(end=4), 5, by_new=True)


@pytest.mark.parametrize("log", [log_of(end=4), log_of(start=4)])
def test_another_root_at_a_pin_is_off_it(log: MemberLog) -> None:
    with pytest.raises(BeyondPin):
        open_head(log, 4, by_new=False, root=bytes(32))


def test_what_was_believed_is_held_against_a_later_roster_without_a_signature_check() -> None:
    head = MADE.head(7)
    assert judge(log_of()).stands(head)
    assert judge(log_of(start=7)).stands(head)
    assert not judge(log_of(start=6)).stands(head)
    assert not judge(log_of(end=6)).stands(head)


# --- what counts ----------------------------------------------------------------------------------


def cut(log: MemberLog, held: int, signer: bytes | None = None) -> int | None:
    """Where the true log is cut off."""
    return cut_of(log, root_at, held, signer)


def test_a_log_without_pins_counts_whole() -> None:
    assert cut(log_of(), 9) is None
    assert Cuts().counts(MADE.log, 0, 8)


def test_up_to_the_pin_it_counts_and_no_further() -> None:
    end = cut(log_of(end=4), 9)
    assert 4 == end
    cuts = Cuts(limits={(MADE.log, 0): 4})
    assert [True, False] == [cuts.counts(MADE.log, 0, index) for index in (3, 4)]
    assert cuts.counts(MADE.log, 1, 4)


def test_what_is_held_short_of_the_pin_counts() -> None:
    assert cut(log_of(end=4), 3) is None


def test_a_branch_off_the_pin_counts_up_to_the_last_pin_that_it_is_on() -> None:
    roots = {5: root_at(5), 8: bytes(32)}
    assert 5 == cut_of(log_of(start=5, end=8), roots.__getitem__, 9, None)
    assert 0 == cut_of(log_of(end=8), roots.__getitem__, 9, None)


def test_what_only_a_retired_key_signed_waits_for_the_key_in_use() -> None:
    """A thief of the old key, or the owner himself between two rosters: neither speaks any more."""
    assert 5 == cut(log_of(start=5), 9, OLD.public)
    assert cut(log_of(start=5), 9, NEW.public) is None
    assert cut(log_of(start=5), 5, OLD.public) is None


def test_of_a_log_under_evidence_what_is_held_of_a_head_in_part_does_not_count() -> None:
    held = [HeldBranch(0, 9, 9), HeldBranch(1, 7, 4, (0, 3)), HeldBranch(2, 6, 0, (1, 2))]
    assert {} == limits_of(held, {}, is_accused=False)
    assert {1: 4, 2: 2} == limits_of(held, {}, is_accused=True)
    assert {0: 5, 1: 4, 2: 2} == limits_of(held, {0: 5}, is_accused=True)


def test_what_a_branch_off_the_pin_shares_with_one_that_is_on_it_counts() -> None:
    """It stands once, where the branch off the pin stands."""
    held = [HeldBranch(0, 9, 9), HeldBranch(1, 8, 8, (0, 5)), HeldBranch(2, 7, 7, (1, 4))]
    assert {0: 5} == limits_of(held, {0: 0}, is_accused=False)
    assert {0: 4, 1: 5} == limits_of(held, {0: 0, 1: 0}, is_accused=False)
    assert {0: 3, 1: 5, 2: 4} == limits_of(held, {0: 0, 1: 0, 2: 3}, is_accused=True)


@given(st.data())
def test_a_statement_counts_where_any_branch_that_has_it_counts(data: st.DataObject) -> None:
    """Whatever the branches and wherever they end: as if each had rows of its own."""
    held: list[HeldBranch] = []
    rows: list[list[tuple[int, int]]] = []  # of each branch, where its statements stand
    for branch in range(data.draw(st.integers(1, 5))):
        size = data.draw(st.integers(1, 6))
        base, common = 0, 0
        if branch:
            base = data.draw(st.integers(0, branch - 1))
            common = data.draw(st.integers(0, min(size, held[base].size)))
        whole = data.draw(st.integers(0, size))
        held.append(HeldBranch(branch, size, whole, (base, common) if branch else None))
        rows.append(
            (rows[base][:common] if branch else [])
            + [(branch, index) for index in range(common, size)]
        )
    ends = {
        each.branch: data.draw(st.integers(0, each.size))
        for each in held
        if data.draw(st.booleans())
    }
    is_accused = data.draw(st.booleans())
    expected = set[tuple[int, int]]()
    for each, stands in zip(held, rows, strict=True):
        end = min(ends.get(each.branch, each.size), each.whole_size if is_accused else each.size)
        expected |= set(stands[:end])
    limits = limits_of(held, ends, is_accused=is_accused)
    cuts = Cuts(limits={(MADE.log, branch): limit for branch, limit in limits.items()})
    assert expected == {row for row in set().union(*rows) if cuts.counts(MADE.log, *row)}


@given(st.data())
def test_a_pin_never_lets_more_count_than_it_says(data: st.DataObject) -> None:
    """Whatever is held, by whomever signed: never beyond the end, and only the pins are asked."""
    held = data.draw(st.integers(0, 9))
    start = data.draw(st.none() | st.integers(0, 9))
    end = data.draw(st.none() | st.integers(0, 9))
    signer = data.draw(st.sampled_from([None, OLD.public, NEW.public]))
    log = log_of(start, end)
    sizes = pinned_sizes(log, held)
    roots = {size: root_at(size) for size in sizes}
    found = cut_of(log, roots.__getitem__, held, signer)
    assert found is None or found <= held
    assert end is None or end > held or found == end
    for size in range(1, 10):
        speaking = speakers(log, size, root_at(size))
        assert bool(speaking) is (end is None or size <= end)

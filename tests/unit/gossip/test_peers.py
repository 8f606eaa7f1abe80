"""How a peer is doing: waits grow, are jittered and bounded, and end when it speaks."""

from __future__ import annotations

from random import Random

import pytest

from federation.gossip.peers import (
    BACKOFF_SECONDS_FIRST,
    BACKOFF_SECONDS_MAX,
    FAULTS_KEPT_MAX,
    JITTER,
    SILENT_FAILURES,
    Peers,
    PeerView,
)
from federation.protocol.origins import Lane, LogId
from tests.builders import ACME, FEDERATION_ID, NOVA

LOG = LogId(ACME, FEDERATION_ID, Lane.LIVE)


def failing(times: int) -> tuple[PeerView, float]:
    """A peer that failed so often, each time it was asked, and when it last did."""
    peer, now = PeerView(NOVA), 0.0
    for _ in range(times):
        now = max(now, peer.retry_at)
        peer.note_failed(now, Random(1), "no answer")
    return peer, now


@pytest.mark.parametrize("times", [1, 2, 5, 9, 10, 30, 2_000])
def test_waits_double_up_to_five_minutes(times: int) -> None:
    peer, now = failing(times)
    wait = min(BACKOFF_SECONDS_MAX, BACKOFF_SECONDS_FIRST * 2 ** min(times - 1, 20))
    assert wait * (1 - JITTER) <= peer.retry_at - now <= wait * (1 + JITTER)
    assert not peer.is_open(now)
    assert peer.is_open(peer.retry_at)


def test_one_outage_that_fails_many_requests_is_waited_for_once() -> None:
    peer = PeerView(NOVA)
    for _ in range(4):
        peer.note_failed(10.0, Random(1), "the connection broke")
    assert 1 == peer.failures
    assert peer.retry_at <= 10.0 + BACKOFF_SECONDS_FIRST * (1 + JITTER)


@pytest.mark.parametrize("asked", [5.0, 100.0, 1e9])
def test_a_peer_is_left_alone_as_long_as_it_asked_but_not_for_ever(asked: float) -> None:
    peer = PeerView(NOVA)
    peer.note_asked_to_wait(0.0, Random(1), asked)
    wait = min(asked, BACKOFF_SECONDS_MAX)
    assert not peer.is_open(wait)
    # Whatever it says meanwhile: it did not ask to be told, it asked not to be.
    peer.note_heard(1.0)
    assert not peer.is_open(wait)
    assert peer.is_open(wait * (1 + JITTER))
    # A second request of the same moment was told a longer time.
    peer.note_asked_to_wait(0.0, Random(1), BACKOFF_SECONDS_MAX)
    assert not peer.is_open(BACKOFF_SECONDS_MAX)


def test_a_busy_peer_is_neither_failing_nor_silent_and_is_no_answer_either() -> None:
    peer, now = failing(SILENT_FAILURES)
    assert peer.is_silent
    assert peer.note_asked_to_wait(now, Random(1), 5.0)
    for _ in range(SILENT_FAILURES):
        now += 5.0 * (1 + JITTER)
        assert peer.is_open(now)
        assert not peer.note_asked_to_wait(now, Random(1), 5.0)
    assert (False, 0, None) == (peer.is_silent, peer.failures, peer.last_error)
    assert 1 + SILENT_FAILURES == peer.waits
    # Whoever must know what the others hold has not heard it.
    assert peer.last_answered_at is None


def test_a_busy_peer_that_names_a_fraction_of_a_second_is_not_asked_without_a_pause() -> None:
    peer = PeerView(NOVA)
    peer.note_asked_to_wait(0.0, Random(1), 1e-9)
    assert not peer.is_open(BACKOFF_SECONDS_FIRST * 0.9)


def test_where_others_are_only_busy_nobody_is_cut_off() -> None:
    peers = Peers()
    peers.replace(f"m{number}" for number in range(4))
    for number in range(3):
        peers[f"m{number}"].note_failed(9.0, Random(1), "no answer")
    assert peers.seem_cut_off(9.0)
    peers["m3"].note_asked_to_wait(9.0, Random(1), 60.0)
    assert not peers.seem_cut_off(9.0)


def test_a_peer_that_cannot_serve_is_still_told() -> None:
    peer = PeerView(NOVA)
    peer.note_not_served(Lane.BULK, 0.0, Random(1), "no answer")
    assert (True, False) == (peer.is_open(0.0), peer.may_serve(Lane.BULK, 0.0))
    assert (1, "no answer") == (peer.unserved, peer.last_error)
    peer.note_served(Lane.BULK, 0.1)
    assert peer.may_serve(Lane.BULK, 0.1)


@pytest.mark.parametrize("asked", [None, 30.0])
def test_a_peer_that_does_not_serve_bulk_is_asked_for_what_is_urgent(asked: float | None) -> None:
    peer = PeerView(NOVA)
    peer.note_not_served(Lane.BULK, 0.0, Random(1), "busy", asked)
    assert [True, True, False] == [peer.may_serve(lane, 0.1) for lane in Lane]
    peer.note_not_served(Lane.LIVE, 0.0, Random(1), "no answer")
    assert [True, False, False] == [peer.may_serve(lane, 0.1) for lane in Lane]


@pytest.mark.parametrize("times", [1, 12])
def test_who_asks_to_wait_is_asked_again_when_it_said_and_blamed_for_nothing(times: int) -> None:
    peer, now = PeerView(NOVA), 0.0
    for _ in range(times):
        peer.note_not_served(Lane.BULK, now, Random(1), "over the upload limit", 1.0)
        assert not peer.may_serve(Lane.BULK, now + 0.9)
        peer.note_served(Lane.BULK, now)  # what was under way beside it
        assert not peer.may_serve(Lane.BULK, now + 0.9)
        now += 1.0 + JITTER
        assert peer.may_serve(Lane.BULK, now)
    assert (times, 0, 0, None) == (peer.waits, peer.unserved, peer.faults, peer.last_error)


def test_who_asks_for_no_time_worth_the_name_is_not_asked_without_a_pause() -> None:
    peer = PeerView(NOVA)
    peer.note_not_served(Lane.BULK, 0.0, Random(1), "busy", 1e-9)
    assert not peer.may_serve(Lane.BULK, BACKOFF_SECONDS_FIRST * 0.9)


@pytest.mark.parametrize(
    ("answering", "seconds", "expected"), [(0, 6, True), (1, 6, False), (0, 4, False)]
)
def test_where_most_fail_and_nobody_answers_the_fault_is_here(
    answering: int, seconds: float, *, expected: bool
) -> None:
    peers = Peers()
    peers.replace(f"m{number}" for number in range(20))
    for number in range(8):
        peers[f"m{number}"].note_answered(1.0)
    for number in range(8 - answering):
        peers[f"m{number}"].note_failed(1.0 + seconds, Random(1), "no answer")
    if answering:
        peers["m7"].note_answered(1.0 + seconds)
    assert expected == peers.seem_cut_off(1.0 + seconds)


def test_a_peer_is_met_when_it_is_first_asked_for_and_forgotten_when_it_leaves() -> None:
    peers = Peers()
    assert ["m1", NOVA] == peers.replace([NOVA, "m1"])
    assert (0, None) == (len(peers), peers.views.get(NOVA))
    peers[NOVA].make_due(LOG, 1.0)
    assert [NOVA] == list(peers) == list(peers.touched)
    assert peers.get("stranger.example") is None
    assert [] == peers.replace(["m1"])
    assert [] == list(peers)


def test_whoever_speaks_can_be_spoken_to_at_once() -> None:
    peer, now = failing(20)
    peer.note_heard(now + 1)
    assert peer.is_open(now + 1)
    assert now + 1 == peer.last_heard_at


def test_an_answer_forgets_the_failures_and_tells_of_the_recovery() -> None:
    peer, now = failing(3)
    assert peer.note_answered(now + 1)
    assert (0, None) == (peer.failures, peer.last_error)
    assert not peer.note_answered(now + 2)


def test_its_turn_comes_whatever_it_is_waiting_for() -> None:
    peer, now = failing(20)
    peer.note_probed(now)
    assert peer.is_open(now)
    assert peer.last_heard_at is None


def test_what_is_due_waits_for_the_breaker_and_for_what_is_under_way() -> None:
    peer = PeerView(NOVA)
    assert peer.next_wake() is None
    peer.due[LOG] = 5.0
    assert 5.0 == peer.next_wake()
    peer.retry_at = 9.0
    assert 9.0 == peer.next_wake()
    peer.in_flight[Lane.LIVE] = {}
    assert peer.next_wake() is None
    peer.compare_due = 3.0
    assert 9.0 == peer.next_wake()
    peer.comparing = True
    assert peer.next_wake() is None


def test_faults_are_counted_and_bounded() -> None:
    peer = PeerView(NOVA, faults=FAULTS_KEPT_MAX)
    peer.note_fault("junk")
    assert (FAULTS_KEPT_MAX, "junk") == (peer.faults, peer.last_error)

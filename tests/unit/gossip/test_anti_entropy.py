"""Comparisons: each peer when it is met, one at random each round, whatever its breaker says."""

from __future__ import annotations

from random import Random

from federation.gossip.anti_entropy import JITTER, AntiEntropy
from federation.gossip.events import Command, Compare
from federation.gossip.peers import PeerView
from federation.gossip.vectors import head_vector
from tests.builders import make_log

MADE = make_log(3)
VECTOR = head_vector([MADE.head()])


def peers_of(count: int) -> dict[str, PeerView]:
    return {f"m{number}": PeerView(f"m{number}") for number in range(count)}


def pump(rounds: AntiEntropy, peers: dict[str, PeerView], now: float) -> list[Command]:
    return rounds.pump(peers.values(), lambda: VECTOR, 3, now)


def test_a_peer_that_is_due_is_compared_with_once() -> None:
    rounds, peers = AntiEntropy(30.0), peers_of(2)
    peers["m1"].compare_due = 5.0
    assert [] == pump(rounds, peers, 4.9)
    (command,) = pump(rounds, peers, 5.0)
    assert isinstance(command, Compare)
    sent = command.message
    assert ("m1", VECTOR, 3) == (command.peer, sent.vector, sent.roster_version)
    assert [] == pump(rounds, peers, 6.0)
    assert peers["m1"].comparing


def test_rounds_come_at_jittered_intervals_and_reach_everybody() -> None:
    rounds, names, rng = AntiEntropy(30.0), [f"m{number}" for number in range(5)], Random(1)
    rounds.start(0.0, rng)
    met, at = set[str | None](), 0.0
    for _ in range(60):
        assert 30 * (1 - JITTER) <= rounds.at - at <= 30 * (1 + JITTER)
        at = rounds.at
        met.add(rounds.turn(names, at, rng))
        assert rounds.turn(names, at, rng) is None
    assert set(names) == met


def test_nothing_happens_before_the_start_or_without_peers() -> None:
    rounds = AntiEntropy(30.0)
    assert rounds.turn(["m0"], 1e9, Random(1)) is None
    rounds.start(0.0, Random(1))
    assert rounds.turn([], 1e9, Random(1)) is None

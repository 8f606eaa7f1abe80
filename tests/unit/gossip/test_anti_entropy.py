"""Comparisons: each peer when it is met, one at random each round, whatever its breaker says."""

from __future__ import annotations

from random import Random

from federation.gossip.anti_entropy import JITTER, AntiEntropy
from federation.gossip.events import Command, Compare
from federation.gossip.peers import PeerView
from federation.gossip.reconciliation import head_vector
from tests.builders import make_log

MADE = make_log(3)
VIEWS = {MADE.log: MADE.view}


def peers_of(count: int) -> dict[str, PeerView]:
    return {f"m{number}": PeerView(f"m{number}") for number in range(count)}


def compared(commands: list[Command]) -> list[str]:
    return [command.peer for command in commands if isinstance(command, Compare)]


def test_a_peer_that_is_due_is_compared_with_once() -> None:
    rounds, peers = AntiEntropy(30.0), peers_of(2)
    peers["m1"].compare_due = 5.0
    assert [] == rounds.pump(peers, VIEWS, 3, 4.9, Random(1))
    (command,) = rounds.pump(peers, VIEWS, 3, 5.0, Random(1))
    assert isinstance(command, Compare)
    assert ("m1", head_vector(VIEWS), 3) == (
        command.peer,
        command.message.vector,
        command.message.roster_version,
    )
    assert [] == rounds.pump(peers, VIEWS, 3, 6.0, Random(1))
    assert peers["m1"].comparing


def test_rounds_come_at_jittered_intervals_and_reach_everybody() -> None:
    rounds, peers, rng = AntiEntropy(30.0), peers_of(5), Random(1)
    rounds.start(0.0, rng)
    met, at = set[str](), 0.0
    for _ in range(60):
        assert 30 * (1 - JITTER) <= rounds.at - at <= 30 * (1 + JITTER)
        at = rounds.at
        (name,) = compared(rounds.pump(peers, VIEWS, 1, at, rng))
        peers[name].comparing = False
        met.add(name)
    assert set(peers) == met


def test_a_round_asks_a_peer_that_has_been_silent_for_long() -> None:
    rounds, peers, rng = AntiEntropy(30.0), peers_of(1), Random(1)
    rounds.start(0.0, rng)
    peers["m0"].retry_at = 1e6
    assert ["m0"] == compared(rounds.pump(peers, VIEWS, 1, rounds.at, rng))


def test_nothing_happens_before_the_start_or_without_peers() -> None:
    rounds = AntiEntropy(30.0)
    assert [] == rounds.pump(peers_of(3), VIEWS, 1, 1e9, Random(1))
    rounds.start(0.0, Random(1))
    assert [] == rounds.pump({}, VIEWS, 1, 1e9, Random(1))

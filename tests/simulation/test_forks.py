"""Members with two histories, and members who accuse: evidence convicts whom it should, only them.

``python -m tests.simulation --seed N`` replays a schedule that failed in ``test_schedules``.
"""

from __future__ import annotations

from unittest.mock import patch

import pytest

from federation.gossip import forks
from federation.protocol.limits_messages import RANGE_STATEMENTS_MAX
from federation.protocol.origins import Lane
from tests.simulation.checks import heads_of, view_of
from tests.simulation.fork_checks import broken_forks, honest
from tests.simulation.forking_members import Equivocator, Forger
from tests.simulation.hostile import Tamperer, TwoFaced
from tests.simulation.network import Weather
from tests.simulation.schedules import ANTI_ENTROPY_SECONDS, MEMBERS, QUIET_SECONDS
from tests.simulation.test_schedules import log_of, make_batch, make_world
from tests.simulation.world import World

LIAR = MEMBERS[5]


def equivocating(seed: int = 1) -> tuple[World, Equivocator]:
    world = make_world(6, interval_seconds=ANTI_ENTROPY_SECONDS, last=Equivocator, seed=seed)
    liar = world.nodes[LIAR]
    assert isinstance(liar, Equivocator)
    return world, liar


def check_union(world: World, liar: Equivocator) -> None:
    """Everybody honest has both histories, the same view, and blames nobody but the liar."""
    log = log_of(world, liar.member)
    assert [] == list(broken_forks(world))
    said = {each.id for kept in liar.faces for each in kept.statements}
    nodes = honest(world)
    for node in nodes:
        assert {log} == set(node.disk.evidence)
        branches = node.disk.branches_of(log).values()
        assert said == {each.id for kept in branches for each in kept.statements}
        assert "fork" in node.alarms
        blamed = {peer.member for peer in node.engine.peers.values() if peer.faults}
        assert blamed <= {name for name, each in world.nodes.items() if not each.is_honest}
        assert view_of(nodes[0]) == view_of(node)
        assert heads_of(nodes[0]) == heads_of(node)


def test_two_histories_of_one_size_end_at_every_honest_node() -> None:
    world = make_world(6, interval_seconds=ANTI_ENTROPY_SECONDS, last=TwoFaced)
    liar = world.nodes[LIAR]
    assert isinstance(liar, TwoFaced)
    faces = [make_batch(world, liar.member, 2, first) for first in (0, 10)]
    world.nodes["acme"].publish(Lane.LIVE, make_batch(world, "acme", 3))
    liar.speak(*faces)
    world.run(world.now + ANTI_ENTROPY_SECONDS)
    log = log_of(world, liar.member)
    said = {each.id for face in faces for each in face}
    for node in honest(world):
        assert {log} == set(node.disk.evidence)
        branches = node.disk.branches_of(log).values()
        assert said == {each.id for kept in branches for each in kept.statements}
        assert ["fork"] == node.alarms
        assert not any(peer.faults for peer in node.engine.peers.values())
        assert view_of(world.nodes["acme"]) == view_of(node)


@pytest.mark.parametrize(
    ("shared", "one", "other"),
    [(0, 3, 5), (4, 2, 7), (7, 1, 9), (8, 8, 1), (5, 6, 6), (300, 20, 700), (0, 1, 1)],
)
def test_two_histories_of_two_sizes_end_at_every_honest_node(
    shared: int, one: int, other: int
) -> None:
    world, liar = equivocating()
    common = make_batch(world, LIAR, shared)
    liar.extend(common, common)
    liar.speak()
    world.run(world.now + 2.0)
    assert not any(node.disk.evidence for node in honest(world))
    liar.extend(make_batch(world, LIAR, one, 5_000), make_batch(world, LIAR, other, 9_000))
    liar.speak()
    world.nodes["acme"].publish(Lane.LIVE, make_batch(world, "acme", 3))
    world.run(world.now + ANTI_ENTROPY_SECONDS)
    check_union(world, liar)


def test_histories_that_go_on_are_followed_as_far_as_they_go() -> None:
    world, liar = equivocating()
    for step in range(4):
        first = 1_000 * step
        liar.extend(
            make_batch(world, LIAR, 1 + step, first), make_batch(world, LIAR, 4, first + 500)
        )
        liar.speak()
        world.run(world.now + 10.0)
    world.run(world.now + QUIET_SECONDS)
    check_union(world, liar)


def test_a_long_history_is_fetched_range_by_range() -> None:
    world, liar = equivocating()
    long = RANGE_STATEMENTS_MAX + 300
    liar.extend(make_batch(world, LIAR, long), make_batch(world, LIAR, 3, 9_000))
    liar.speak()
    world.run(world.now + QUIET_SECONDS)
    check_union(world, liar)


def test_a_node_that_was_away_learns_of_the_fork_and_gets_both_histories() -> None:
    world, liar = equivocating()
    world.nodes["nova"].crash()
    liar.extend(make_batch(world, LIAR, 3), make_batch(world, LIAR, 5, 9_000))
    liar.speak()
    world.run(world.now + ANTI_ENTROPY_SECONDS)
    world.nodes["nova"].start()
    world.run(world.now + ANTI_ENTROPY_SECONDS)
    check_union(world, liar)


def test_a_crash_forgets_neither_the_accusation_nor_a_branch() -> None:
    world, liar = equivocating()
    liar.extend(make_batch(world, LIAR, 3), make_batch(world, LIAR, 5, 9_000))
    liar.speak()
    world.run(world.now + ANTI_ENTROPY_SECONDS)
    for node in honest(world):
        node.crash()
    liar.serve = lambda _kind, _sender, _raw, reply: reply(None)  # type: ignore[method-assign, assignment]
    for node in honest(world):
        node.start()
        assert {log_of(world, LIAR)} == set(node.engine.forks.convictions)
    world.run(world.now + 2.0)
    check_union(world, liar)


def test_two_histories_under_way_with_a_tamperer_blame_nobody_honest() -> None:
    for seed in range(5):
        world, liar = equivocating(seed)
        member = MEMBERS[4]
        world.nodes[member].crash()
        Tamperer(world, member).start()
        world.run(world.now + 1.0)
        liar.extend(make_batch(world, LIAR, 3), make_batch(world, LIAR, 5, 9_000))
        liar.speak()
        world.nodes["acme"].publish(Lane.LIVE, make_batch(world, "acme", 3))
        world.run(world.now + QUIET_SECONDS)
        check_union(world, liar)


def test_forged_evidence_convicts_nobody() -> None:
    world = make_world(5, interval_seconds=ANTI_ENTROPY_SECONDS, last=Forger)
    for member in MEMBERS[:3]:
        for number in range(4):
            world.nodes[member].publish(Lane.LIVE, make_batch(world, member, 2, 10 * number))
            world.run(world.now + 5.0)
    world.weather = Weather(loss=0.2)
    world.run(world.now + QUIET_SECONDS)
    assert world.seen["evidence forged"]
    for node in honest(world):
        assert {} == node.disk.evidence
        assert "fork" not in node.alarms
        blamed = {peer.member for peer in node.engine.peers.values() if peer.faults}
        assert blamed <= {MEMBERS[4]}


def test_evidence_that_everybody_sends_is_judged_once() -> None:
    world, liar = equivocating()
    liar.extend(make_batch(world, LIAR, 1, 5_000), make_batch(world, LIAR, 2, 9_000))
    liar.speak()
    world.run(world.now + ANTI_ENTROPY_SECONDS)
    node = world.nodes["acme"]
    (conviction,) = node.disk.evidence.values()
    with patch.object(forks, "open_evidence", side_effect=AssertionError("judged again")):
        assert [] == node.engine.forks.evidence("nova", conviction.encoded)


def test_more_histories_than_are_kept_raise_an_alarm_and_stop_there() -> None:
    world, liar = equivocating()
    log = log_of(world, LIAR)
    for number in range(12):
        liar.faces = [type(kept)(type(kept.view)(log)) for kept in liar.faces]
        batches = [make_batch(world, LIAR, 2, 1_000 * number + 100 * face) for face in range(2)]
        liar.extend(*batches)
        liar.speak()
        world.run(world.now + 5.0)
    world.run(world.now + QUIET_SECONDS)
    for node in honest(world):
        assert {log} == set(node.disk.evidence)
        assert 8 == len(node.disk.branches_of(log))
        assert 1 == node.alarms.count("branches-over-cap")

"""Members with two histories, and members who accuse: evidence convicts whom it should, only them.

``python -m tests.simulation --seed N`` replays a schedule that failed in ``test_schedules``.
"""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from unittest.mock import patch

import pytest

from federation.gossip import forks
from federation.gossip.engine import GossipSettings
from federation.protocol.limits_messages import RANGE_STATEMENTS_MAX
from federation.protocol.origins import Lane
from tests.scenarios.scenario import Step, parse_scenario
from tests.simulation.backend import Stage, federation_of
from tests.simulation.checks import Watch, broken_when_quiet, heads_of, view_of
from tests.simulation.fork_checks import broken_forks, honest
from tests.simulation.forking_members import Equivocator, Forger
from tests.simulation.hostile import Stripper, Tamperer, TwoFaced
from tests.simulation.mutants import MUTANTS
from tests.simulation.network import Weather
from tests.simulation.promises import RECEIPT_FOR_ALL
from tests.simulation.schedules import (
    ANTI_ENTROPY_SECONDS,
    MEMBERS,
    NEVER_SECONDS,
    QUIET_SECONDS,
    run,
)
from tests.simulation.test_schedules import log_of, make_batch, make_world
from tests.simulation.world import Node, Reply, World

REGRESSIONS = Path(__file__).parent / "regressions"

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


@pytest.mark.parametrize("restarts", [0, 1])
def test_a_part_of_the_next_head_keeps_no_node_from_the_one_that_the_others_have(
    restarts: int,
) -> None:
    """One node is given two statements of three, all others the first of them under a head."""
    world, liar = equivocating()
    liar.extend(make_batch(world, LIAR, 6), make_batch(world, LIAR, 6, 9_000))
    liar.speak()
    world.run(world.now + ANTI_ENTROPY_SECONDS)
    check_union(world, liar)
    long, short = liar.faces[0], liar.faces[0].copy()
    more, serve = make_batch(world, LIAR, 3, 1_000), liar.serve
    given: list[str] = []
    liar.extend(more, ())
    short.extend(short.view.advance(liar.sign(short.view, more[:1]), more[:1], (), liar.verifier))

    def serve_in_part(kind: str, sender: str, raw: bytes, reply: Reply) -> None:
        if kind == "range" and given:
            reply(None)
            return
        if kind == "range":
            origin, start, _, *rest = raw.decode().split()
            raw = " ".join([origin, start, str(int(start) + 2), *rest]).encode()
            given.append(sender)
        serve(kind, sender, raw, reply)

    with patch.object(liar, "face_of", lambda peer: long if peer == "acme" else liar.faces[1]):
        with patch.object(liar, "serve", serve_in_part):
            liar.speak()
            world.run(world.now + 10.0)
        acme = world.nodes["acme"]
        assert ["acme"] == given
        assert 8 == acme.disk.size_of(log_of(world, LIAR))
    liar.faces[0] = short
    with patch.object(
        liar,
        "serve",
        lambda kind, sender, raw, reply: (
            reply(None) if sender == "acme" else serve(kind, sender, raw, reply)
        ),
    ):
        liar.speak()
        world.run(world.now + ANTI_ENTROPY_SECONDS)
        for _ in range(restarts):
            acme.crash()
            acme.start()
        world.run(world.now + QUIET_SECONDS)
    assert world.seen["head within a branch kept"]
    assert [] == list(broken_forks(world))
    for node in honest(world):
        assert view_of(acme) == view_of(node)
        assert heads_of(acme) == heads_of(node)
        assert acme.engine._reconciliation.vector() == node.engine._reconciliation.vector()


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


def test_a_body_of_a_liar_that_one_honest_node_holds_is_missing_nowhere() -> None:
    """What only hostile members ever had is asked of nobody; this one can be, and must be."""
    kept_back = parse_scenario(
        (REGRESSIONS / "bodies-that-only-hostile-members-had.json").read_text()
    )
    told = [step for step in kept_back.steps if step.op != "kill"]
    # Delta hears it from the liar alone, and the others have only the stripper to ask for a while.
    ways = [
        way
        for other in ("acme", "nova", "umbra", "sigma")
        for way in permutations((other, "delta"))
    ]
    links = [
        Step(at, "link", {"source": source, "target": target, "up": at > 0})
        for at in (0.0, 25.0)
        for source, target in ways
    ]
    scenario = kept_back.with_steps([*told, *links])
    ran = run(scenario)
    assert [] == ran.wrong
    assert ran.world.seen["reopened"]
    with next(each for each in MUTANTS if each.name == "bodies are not asked for").planted():
        assert RECEIPT_FOR_ALL in run(scenario).broken


@pytest.mark.parametrize("sizes", [(3, 5), (5, 3)])
def test_who_holds_the_other_history_is_not_blamed_for_bodies_it_never_had(
    sizes: tuple[int, int],
) -> None:
    """A relay keeps bodies back; then one is heard of who has other statements in their places."""
    acme, nova, umbra, delta = MEMBERS[:4]
    asked = 0
    for ahead_seconds in (number / 20 for number in range(16)):
        world = World(1, federation_of(MEMBERS[:4]), GossipSettings(NEVER_SECONDS))
        Watch(world)
        for member, kind in zip(MEMBERS, (Node, Stripper, Node, Equivocator), strict=False):
            kind(world, member).start()
        liar, node = world.nodes[delta], world.nodes[acme]
        assert isinstance(liar, Equivocator)
        world.run(10.0)
        never, at_first = [(acme, delta), (umbra, nova)], [(umbra, acme)]
        world.weather = Weather(cut=both_ways(*never, *at_first))
        liar.extend(make_batch(world, delta, sizes[0]), ())
        liar.speak()
        world.run(world.now + 12.0)
        assert sizes[0] == node.engine.missing_count()
        # The other history comes just before the bodies are asked for again.
        world.weather = Weather(cut=both_ways(*never))
        (gaps,) = node.engine._reopening.gaps.values()
        world.run(gaps.due - ahead_seconds)
        liar.extend((), make_batch(world, delta, sizes[1], 100))
        liar.speak()
        before = world.sent["openings"]
        world.run(world.now + 1.0)
        asked += world.sent["openings"] - before
        world.run(world.now + QUIET_SECONDS)
        assert [] == list(broken_forks(world))
        assert not node.engine.peers[umbra].faults
    assert asked


def test_a_body_that_stands_in_one_history_is_missing_in_none() -> None:
    """The liar leaves one statement out for a relay that strips bodies, and is gone then."""
    acme, nova, _umbra, delta = MEMBERS[:4]
    world = World(1, federation_of(MEMBERS[:4]), GossipSettings(ANTI_ENTROPY_SECONDS))
    watch = Watch(world)
    for member, kind in zip(MEMBERS, (Node, Node, Stripper, Equivocator), strict=False):
        kind(world, member).start()
    liar = world.nodes[delta]
    assert isinstance(liar, Equivocator)
    world.run(10.0)
    said = make_batch(world, delta, 4)
    liar.extend(said, [said[0], *said[2:]])
    liar.speak()
    world.run(world.now + 3.0)
    world.weather = Weather(cut=both_ways((acme, delta), (nova, delta)))
    world.run(world.now + QUIET_SECONDS)
    assert [] == list(broken_when_quiet(world, watch))
    assert world.seen["opened from another branch"]


def both_ways(*pairs: tuple[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset(way for one, other in pairs for way in ((one, other), (other, one)))


def test_a_branch_that_is_growing_is_seen_as_no_shorter() -> None:
    """Half of what its new head says is durable: it is seen at the last head that was whole."""
    name = "a-history-that-only-a-hostile-relay-is-shown.json"
    stage = Stage(parse_scenario((REGRESSIONS / name).read_text()))
    stage.play()
    world, node, liar = stage.world, stage.world.nodes["acme"], stage.world.nodes["delta"]
    assert isinstance(liar, Equivocator)
    log, face = log_of(world, liar.member), liar.faces[0]
    kept = node.disk.logs[log]
    seen = []
    for said, durable in ((3, 4), (4, 6)):
        liar.extend(make_batch(world, liar.member, said, 100 * said), ())
        head, start = face.view.head, kept.view.size
        assert head is not None
        proof = face.proof(durable, head.size)
        kept.extend(kept.view.advance(head, face.serve(start, durable), proof, node.verifier))
        seen.append(stage._seen_of(node)["heads"][log.origin])
    assert not kept.view.is_complete
    assert 4 == seen[0][0]
    assert seen[0] == seen[1]

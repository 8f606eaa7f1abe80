"""The production engine, view and verifier in a bad world, and in a good one where speed is asked.

``python -m tests.simulation --seed N`` replays a schedule that failed here.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest

from federation.gossip import events
from federation.gossip.circle import WARM_SECONDS
from federation.gossip.engine import GossipSettings
from federation.protocol.limits_messages import INLINE_STATEMENTS_MAX, RANGE_STATEMENTS_MAX
from federation.protocol.messages import StatementRange
from federation.protocol.origins import Lane, LogId
from federation.protocol.statements import Statement
from tests.builders import make_erase, make_statement, make_withdraw
from tests.scenarios.scenario import parse_scenario
from tests.simulation.backend import federation_of
from tests.simulation.checks import (
    Watch,
    check_quiet,
    is_converged,
    missing_receipts,
    view_of,
)
from tests.simulation.fork_checks import honest
from tests.simulation.hostile import Stripper, Tamperer
from tests.simulation.network import Weather
from tests.simulation.running import run_some
from tests.simulation.schedules import (
    MEMBERS,
    NEVER_SECONDS,
    PROMPT_SECONDS,
    QUIET_SECONDS,
    run,
    run_seed,
)
from tests.simulation.sometimes import SOMETIMES
from tests.simulation.world import Node, World

REGRESSIONS = sorted((Path(__file__).parent / "regressions").glob("*.json"))

SEEDS = 400

SLOW_SECONDS = PROMPT_SECONDS["live"]


# --- any schedule -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def runs() -> tuple[dict[int, list[str]], Counter[str]]:
    return run_some(range(SEEDS))


def test_every_schedule_keeps_the_promises(runs: tuple[dict[int, list[str]], Counter[str]]) -> None:
    assert {} == runs[0]


def test_every_kind_of_trouble_was_met(runs: tuple[dict[int, list[str]], Counter[str]]) -> None:
    assert set() == SOMETIMES - runs[1].keys()


TRACED = (2, 7, 12, 17)


def test_a_seed_gives_the_same_schedule_in_every_process() -> None:
    """Another process has other hashes, so whatever iterates over a set would show."""
    told = "from tests.simulation.schedules import run_seed\n"
    told += f"print(*(run_seed(seed).world.trace for seed in {TRACED}))"
    found = {
        subprocess.run(
            [sys.executable, "-c", told],
            check=True,
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
        ).stdout.strip()
        for hash_seed in ("1", "2")
    }
    assert {" ".join(run_seed(seed).world.trace for seed in TRACED)} == found


def test_there_are_schedules_that_failed_once() -> None:
    assert REGRESSIONS


@pytest.mark.parametrize("path", REGRESSIONS, ids=lambda path: path.stem)
def test_a_schedule_that_failed_once_does_not_fail_again(path: Path) -> None:
    assert [] == run(parse_scenario(path.read_text())).wrong


# --- a good world -------------------------------------------------------------------------------


def make_world(
    count: int = 4,
    *,
    interval_seconds: float = NEVER_SECONDS,
    last: type[Node] = Node,
    met_seconds: float = 10.0,
    seed: int = 1,
) -> World:
    """So many members on a good network, who have met and have nothing to say yet."""
    members = MEMBERS[:count]
    world = World(seed, federation_of(members), GossipSettings(interval_seconds))
    Watch(world)
    for member in members:
        (last if member == members[-1] else Node)(world, member).start()
    world.run(met_seconds)
    return world


def make_batch(world: World, member: str, count: int, first: int = 0) -> list[Statement]:
    federation_id = world.founded.roster.federation_id
    return [
        make_statement(first + number, member=member, federation_id=federation_id)
        for number in range(count)
    ]


def log_of(world: World, member: str, lane: Lane = Lane.LIVE) -> LogId:
    return LogId(member, world.founded.roster.federation_id, lane)


def sizes(world: World, log: LogId) -> dict[str, int]:
    """How much of a log each node holds."""
    kept = {node.member: node.disk.logs.get(log) for node in world.nodes.values()}
    return {member: found.view.size if found else 0 for member, found in kept.items()}


def cut_off(nodes: Sequence[str], member: str, but: str) -> frozenset[tuple[str, str]]:
    """All links of a member but those with one other."""
    return frozenset(pair for pair in permutations(nodes, 2) if member in pair and but not in pair)


@pytest.mark.parametrize("lane", list(Lane))
@pytest.mark.parametrize("count", [1, INLINE_STATEMENTS_MAX, INLINE_STATEMENTS_MAX + 1])
def test_pushing_alone_reaches_everybody_at_once(lane: Lane, count: int) -> None:
    world = make_world(6)
    world.nodes["acme"].publish(lane, make_batch(world, "acme", count))
    world.run(world.now + SLOW_SECONDS)
    assert dict.fromkeys(world.nodes, count) == sizes(world, log_of(world, "acme", lane))
    assert (world.seen["pulled"] > 0) == (count > INLINE_STATEMENTS_MAX)


@pytest.mark.parametrize("count", [1, INLINE_STATEMENTS_MAX + 1])
def test_what_was_learned_is_passed_on_where_its_issuer_is_cut_off(count: int) -> None:
    world = make_world(6)
    world.weather = Weather(cut=cut_off(list(world.nodes), "acme", "nova"))
    world.nodes["acme"].publish(Lane.LIVE, make_batch(world, "acme", count))
    world.run(world.now + 2 * SLOW_SECONDS)
    assert dict.fromkeys(world.nodes, count) == sizes(world, log_of(world, "acme"))


def test_more_than_one_range_arrives_and_is_passed_on() -> None:
    world = make_world(3)
    world.weather = Weather(cut=cut_off(list(world.nodes), "acme", "nova"))
    count = RANGE_STATEMENTS_MAX + 20
    world.nodes["acme"].publish(Lane.BULK, make_batch(world, "acme", count))
    world.run(world.now + 2 * SLOW_SECONDS)
    # The next one rides inline, and what is inlined follows what was pulled without a gap.
    world.nodes["acme"].publish(Lane.BULK, make_batch(world, "acme", 1, first=count))
    world.run(world.now + 2 * SLOW_SECONDS)
    assert dict.fromkeys(world.nodes, count + 1) == sizes(world, log_of(world, "acme", Lane.BULK))
    assert not any(peer.faults for node in honest(world) for peer in node.engine.peers.values())


def test_a_withdraw_follows_its_confirm_to_everybody() -> None:
    world = make_world()
    (confirm,) = make_batch(world, "acme", 1)
    federation_id = world.founded.roster.federation_id
    withdraw = make_withdraw(1, confirm.id, member="acme", federation_id=federation_id)
    world.nodes["acme"].publish(Lane.CRISIS, [confirm])
    world.nodes["acme"].publish(Lane.LIVE, [withdraw])
    world.run(world.now + SLOW_SECONDS)
    views = {view_of(node) for node in world.nodes.values()}
    assert 1 == len(views)
    assert b"withdrawn" in views.pop()


def test_nodes_in_step_say_nothing_but_that_they_are() -> None:
    world = make_world(5, interval_seconds=30.0)
    for member in world.nodes:
        world.nodes[member].publish(Lane.LIVE, make_batch(world, member, 3))
    world.run(world.now + 60.0)
    assert is_converged(world)
    before = Counter(world.sent)
    world.run(world.now + 300.0)
    assert {"digest"} == set(world.sent - before)
    # A round every 30 seconds, give or take a fifth, for each of five nodes; and each of the four
    # neighbours that has not been asked anything for WARM_SECONDS.
    rounds, kept_warm = 5 * 300, 5 * 4 * 300 / WARM_SECONDS
    asked = (world.sent - before)["digest"]
    assert rounds / 36 - 5 <= asked <= rounds / 24 + kept_warm + 5


# --- receipts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, INLINE_STATEMENTS_MAX + 1])
def test_every_peers_receipt_reaches_the_issuer(count: int) -> None:
    world = make_world(5)
    world.nodes["acme"].publish(Lane.LIVE, make_batch(world, "acme", count))
    world.run(world.now + 2 * SLOW_SECONDS)
    assert [] == list(missing_receipts(world))


@pytest.mark.parametrize("crashing", ["acme", "nova"])
@pytest.mark.parametrize("count", [1, INLINE_STATEMENTS_MAX + 1])
def test_receipts_lost_in_a_crash_are_given_again(crashing: str, count: int) -> None:
    for crash_after in (0.01, 0.03, 0.06, 0.09, 0.12, 0.2):
        world = make_world(3, met_seconds=1.0)
        world.nodes["acme"].publish(Lane.LIVE, make_batch(world, "acme", count))
        world.run(world.now + crash_after)
        world.nodes[crashing].crash()
        world.run(world.now + 1.0)
        world.nodes[crashing].start()
        world.run(world.now + 30.0)
        assert [] == list(missing_receipts(world))


def test_receipts_survive_answers_that_are_lost() -> None:
    world = make_world(3)
    # What nova sends to acme is lost for a while: its answers, and the receipt it owes.
    world.weather = Weather(cut=frozenset({("nova", "acme")}))
    world.nodes["acme"].publish(Lane.LIVE, make_batch(world, "acme", INLINE_STATEMENTS_MAX + 1))
    world.run(world.now + 20.0)
    assert list(missing_receipts(world))
    world.weather = Weather()
    world.run(world.now + 60.0)
    assert [] == list(missing_receipts(world))


# --- after an outage ----------------------------------------------------------------------------


def test_a_long_partition_heals_within_three_periods() -> None:
    world = make_world(6, interval_seconds=30.0)
    halves = set(MEMBERS[:3]), set(MEMBERS[3:6])
    apart = frozenset(
        pair
        for pair in permutations(MEMBERS, 2)
        if (pair[0] in halves[0]) != (pair[1] in halves[0])
    )
    world.weather = Weather(cut=apart)
    for number, member in enumerate(world.nodes):
        world.nodes[member].publish(Lane.LIVE, make_batch(world, member, 1 + number))
    world.run(world.now + 3_600.0)
    assert not is_converged(world)
    world.weather = Weather()
    world.run(world.now + QUIET_SECONDS)
    assert is_converged(world)


def test_a_wiped_node_that_cannot_call_anybody_is_told_everything_again() -> None:
    world = make_world(3, interval_seconds=30.0)
    world.nodes["acme"].publish(Lane.LIVE, make_batch(world, "acme", 3))
    world.run(world.now + SLOW_SECONDS)
    world.nodes["umbra"].crash()
    Mute(world, "umbra").start()
    world.run(world.now + QUIET_SECONDS)
    assert dict.fromkeys(world.nodes, 3) == sizes(world, log_of(world, "acme"))


class Mute(Node):
    """Answers, and whatever it asks for itself never gets out."""

    def _compare(self, command: events.Compare) -> None:
        failed = events.ComparisonFailed(command.peer, "no way out")
        self.later(1.0, lambda: self.feed(failed))

    def _announce(self, command: events.Announce) -> None:
        failed = events.AnnouncementFailed(command.peer, command.lane, "no way out")
        self.later(1.0, lambda: self.feed(failed))

    def _fetch_range(self, command: events.FetchRange) -> None:
        failed = events.RangeFailed(command.peer, command.log, "no way out")
        self.later(1.0, lambda: self.feed(failed))


@pytest.mark.parametrize("seed", range(8))
def test_two_who_have_long_been_apart_do_not_wait_for_each_other_to_speak(seed: int) -> None:
    world = make_world(2, interval_seconds=30.0, seed=seed)
    world.weather = Weather(cut=frozenset(permutations(world.nodes, 2)))
    world.nodes["acme"].publish(Lane.LIVE, make_batch(world, "acme", 3))
    world.run(world.now + 3_600.0)
    world.weather = Weather()
    world.run(world.now + QUIET_SECONDS)
    assert is_converged(world)


def test_a_full_disk_takes_what_it_refused_once_there_is_room() -> None:
    world = make_world(3)
    world.nodes["nova"].disk.full = True
    world.nodes["acme"].publish(Lane.LIVE, make_batch(world, "acme", 3))
    world.run(world.now + 20.0)
    assert {"acme": 3, "nova": 0, "umbra": 3} == sizes(world, log_of(world, "acme"))
    world.nodes["nova"].disk.full = False
    world.run(world.now + 20.0)
    assert dict.fromkeys(world.nodes, 3) == sizes(world, log_of(world, "acme"))


# --- hostile members ----------------------------------------------------------------------------


def test_a_tampering_relay_changes_nothing_and_is_the_only_one_blamed() -> None:
    world = make_world(4, interval_seconds=30.0, last=Tamperer)
    watch = world.watch
    assert watch is not None
    # Nova hears acme through the tamperer alone.
    world.weather = Weather(cut=cut_off(list(world.nodes), "nova", MEMBERS[3]))
    for number in range(20):
        batch = make_batch(world, "acme", 1 + 80 * (number % 2), first=100 * number)
        world.nodes["acme"].publish(Lane.LIVE, batch)
        world.run(world.now + 10.0)
    assert world.nodes["nova"].engine.peers[MEMBERS[3]].faults
    world.weather = Weather()
    world.run(world.now + QUIET_SECONDS)
    check_quiet(world, watch)


def test_an_unproven_range_does_not_make_a_node_ask_without_end() -> None:
    world = make_world(3, last=Shifter)
    world.weather = Weather(cut=cut_off(list(world.nodes), "nova", "umbra"))
    world.nodes["acme"].publish(Lane.LIVE, make_batch(world, "acme", INLINE_STATEMENTS_MAX + 1))
    world.run(world.now + 60.0)
    assert 1 <= world.seen["shifted"] <= 3
    assert world.nodes["nova"].engine.peers["umbra"].faults


class Shifter(Tamperer):
    """Serves ranges that begin elsewhere than asked."""

    def outgoing(self, message: object) -> object:
        self.world.seen["shifted"] += isinstance(message, StatementRange)
        if isinstance(message, StatementRange):
            return replace(message, start=message.start + 1)
        return message


@pytest.mark.parametrize("count", [1, INLINE_STATEMENTS_MAX + 1])
def test_bodies_that_a_relay_keeps_back_are_asked_of_others(count: int) -> None:
    world = make_world(3, interval_seconds=30.0, last=Stripper)
    world.weather = Weather(cut=cut_off(list(world.nodes), "nova", "umbra"))
    world.nodes["acme"].publish(Lane.LIVE, make_batch(world, "acme", count))
    world.run(world.now + 10.0)
    log, nova = log_of(world, "acme"), world.nodes["nova"]
    # Proven to be acme's, and missing: an erase may be on its way. So there is no receipt yet.
    assert list(range(count)) == list(nova.disk.logs[log].missing)
    assert (log, "nova") not in nova.disk.receipts
    world.weather = Weather()
    world.run(world.now + QUIET_SECONDS)
    assert {} == nova.disk.logs[log].missing
    assert (log, "nova") in world.nodes["acme"].disk.receipts
    assert not any(peer.faults for peer in nova.engine.peers.values())


@pytest.mark.parametrize("lane", list(Lane))
def test_what_a_relay_keeps_back_is_erased_where_an_erase_follows(lane: Lane) -> None:
    """The erase comes later, in the target's own log or in another lane: nothing waits for it."""
    world = make_world(3, interval_seconds=30.0, last=Stripper)
    world.weather = Weather(cut=cut_off(list(world.nodes), "nova", "umbra"))
    log, acme, nova = log_of(world, "acme", lane), world.nodes["acme"], world.nodes["nova"]
    batch = make_batch(world, "acme", 3)
    acme.publish(lane, batch)
    world.run(world.now + 10.0)
    assert [0, 1, 2] == list(nova.disk.logs[log].missing)
    federation_id = world.founded.roster.federation_id
    erase = make_erase(9, batch[1].id, member="acme", federation_id=federation_id)
    acme.publish(Lane.LIVE, [erase])
    world.weather = Weather()
    world.run(world.now + QUIET_SECONDS)
    for node in (acme, nova):
        opened = [each.statement.opening is not None for each in node.disk.logs[log].statements]
        assert [True, False, True] == opened[:3]
        assert {} == node.disk.logs[log].missing
    assert [] == list(missing_receipts(world))


def test_an_erase_that_comes_before_its_target_waits_for_it() -> None:
    world = make_world(3)
    (said,) = make_batch(world, "acme", 1)
    federation_id = world.founded.roster.federation_id
    erase = make_erase(9, said.id, member="acme", federation_id=federation_id)
    world.nodes["acme"].publish(Lane.CRISIS, [erase])
    world.run(world.now + SLOW_SECONDS)
    world.nodes["acme"].publish(Lane.BULK, [said])
    world.run(world.now + SLOW_SECONDS)
    log = log_of(world, "acme", Lane.BULK)
    for node in world.nodes.values():
        assert [None] == [each.statement.opening for each in node.disk.logs[log].statements]
    assert [] == list(missing_receipts(world))

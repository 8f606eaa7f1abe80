"""Plays a scenario in the simulated world, and writes its history.

See ``tests/scenarios/scenario.py``. The other backend plays the same on real processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import cache, lru_cache
from random import Random
from typing import Any, Final
from unittest.mock import patch

from federation.gossip import joining, joins, reconciliation
from federation.gossip.engine import GossipSettings
from federation.gossip.joining import JOIN_STATEMENTS_MIN
from federation.gossip.peers import PeerView
from federation.protocol.headers import StatementId
from federation.protocol.limits import REFERENCES_MAX
from federation.protocol.limits_messages import RANGE_STATEMENTS_MAX
from federation.protocol.origins import Lane, LogId
from federation.protocol.statements import Statement
from federation.provenance.log_view import Advance, LogView
from tests.builders import (
    Company,
    Founded,
    make_erase,
    make_member,
    make_roster,
    make_statement,
    make_withdraw,
)
from tests.scenarios.history import COUNTED, Entry, History
from tests.scenarios.scenario import EVERYBODY, Scenario, Step
from tests.simulation.bounds import broken_bounds
from tests.simulation.cast import HARM, HOSTILE
from tests.simulation.checks import Watch, heads_of, held_of, view_of
from tests.simulation.disk import Disk, KeptLog
from tests.simulation.network import Weather
from tests.simulation.world import Node, World

MEETING_SECONDS: Final = 1.0
"""Before a scenario begins, everybody has met."""


@cache
def federation_of(members: tuple[str, ...]) -> Founded:
    """The federation of these members; made once, since making it takes real signatures."""
    return make_roster(*members)


@cache
def newcomer(member: str, urls: tuple[str, ...] | None) -> Company:
    """A member that is admitted later, with all its secrets."""
    return make_member(member, urls=urls)


@lru_cache(maxsize=16_384)
def made_statement(number: int, member: str, federation_id: str) -> Statement:
    """A statement of that number; most schedules say the same ones."""
    return make_statement(number, member=member, federation_id=federation_id)


class Onlooker(Watch):
    """Writes into the history what nodes can read from when on, and checks what Watch checks."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage.world)
        self._stage = stage

    def appended(self, node: Node, step: Advance) -> None:
        """A step became durable."""
        super().appended(node, step)
        self._stage.note_seen(node, step)


class Stage:
    """One scenario being played.

    Args:
        scenario: what happens.

    Attributes:
        world: where.
        history: what came of it so far.
        watch: looks on.
    """

    def __init__(self, scenario: Scenario) -> None:
        settings = scenario.settings
        self.scenario = scenario
        self.history = History()
        self.world = World(
            scenario.seed,
            federation_of(scenario.founders),
            GossipSettings(
                anti_entropy_seconds=settings.get("anti_entropy_seconds", 30.0),
                full_view_members=settings.get("full_view_members", 150),
                join_statements_min=settings.get("join_statements_min", JOIN_STATEMENTS_MIN),
            ),
            is_fast=not settings.get("real_keys", False),
            buggify=settings.get("buggify", 0.0),
        )
        self.watch = Onlooker(self)
        self.said: dict[str, list[Statement]] = {}
        self._rng = Random(f"stage {scenario.seed}")
        self._numbers = dict.fromkeys(scenario.nodes, 0)
        self._keys: dict[StatementId, str] = {}
        self._lacking: dict[tuple[str, str], set[StatementId]] = {}
        self._backups: dict[tuple[str, str], Disk] = {}
        for member in scenario.founders:
            kind = HOSTILE[scenario.hostile[member]] if member in scenario.hostile else Node
            kind(self.world, member).start()

    def play(self) -> History:
        """All of it, then what every node holds.

        Raises:
            Broken: something that must hold at any moment does not.
        """
        size = self.scenario.settings.get("piece_statements", RANGE_STATEMENTS_MAX)
        with ExitStack() as stack:
            for room in (joining, joins, reconciliation) if size != RANGE_STATEMENTS_MAX else ():
                stack.enter_context(patch.object(room, "RANGE_STATEMENTS_MAX", size))
            return self._play()

    def _play(self) -> History:
        self.world.run(MEETING_SECONDS)
        for step in self.scenario.steps:
            self.world.at(MEETING_SECONDS + step.at, lambda step=step: self.do(step))  # type: ignore[misc]
        self.world.run(MEETING_SECONDS + self.scenario.seconds)
        for member, kind in self.scenario.hostile.items():
            if self.world.seen[HARM[kind]]:
                self._note("misdeed", member, what=HARM[kind])
        self.observe()
        return self.history

    def do(self, step: Step) -> None:
        """One step."""
        getattr(self, f"_{step.op}")(step)

    def observe(self) -> None:
        """Write down what every node holds that is up."""
        for node in self.world.nodes.values():
            if node.is_up and node.is_honest:
                self._note("observe", node.member, **self._held_by(node))

    def note_seen(self, node: Node, step: Advance) -> None:
        """A step is durable at a node: what it completes can be read there."""
        for verified in step.statements:
            made = verified.id
            key = self._keys.get(made)
            if key is None:
                continue
            lacking = self._lacking.get((key, node.member))
            if lacking is None:
                lacking = self._lacking[key, node.member] = {each.id for each in self.said[key]}
            if made in lacking:
                lacking.remove(made)
                if not lacking:
                    self._note("seen", node.member, key=key)

    def _note(self, op: str, node: str = "", *, ok: bool = True, **result: Any) -> None:
        self.history.add(Entry(self.world.now - MEETING_SECONDS, op, node, ok, result))

    def _nodes(self, step: Step) -> Iterator[Node]:
        who = step["node"]
        if who == EVERYBODY:
            return iter(self.world.nodes.values())
        found = self.world.nodes.get(who)  # who is to join later is not there yet
        return iter(() if found is None else (found,))

    def _at_each(self, step: Step, act: Callable[[Node], object]) -> None:
        for node in list(self._nodes(step)):
            act(node)
            self._note(step.op, node.member)

    # --- saying ---------------------------------------------------------------------------------

    def make(self, member: str, count: int) -> list[Statement]:
        """So many statements that this member has not made before."""
        first = self._numbers[member]
        self._numbers[member] += count
        federation_id = self.world.founded.roster.federation_id
        return [made_statement(first + each, member, federation_id) for each in range(count)]

    def _publish(self, step: Step) -> None:
        for node in self._nodes(step):
            self._say(node, step, self.make(node.member, step["count"]))

    def _withdraw(self, step: Step) -> None:
        self._answer_to(step, make_withdraw)

    def _erase(self, step: Step) -> None:
        self._answer_to(step, make_erase)

    def _answer_to(self, step: Step, make: Callable[..., Statement]) -> None:
        node, said = self.world.nodes[step["node"]], self.said.get(step["of"])
        if not said:
            self._note(step.op, node.member, ok=False, key=step["key"])
            return
        federation_id = self.world.founded.roster.federation_id
        self._numbers[node.member] += 1
        number = self._numbers[node.member]
        ids = [each.id for each in said[:REFERENCES_MAX]]
        statement = make(number, *ids, member=node.member, federation_id=federation_id)
        self._say(node, step, [statement])

    def _say(self, node: Node, step: Step, statements: list[Statement]) -> None:
        key, lane = step["key"], Lane(step["lane"])
        log = LogId(node.member, self.world.founded.roster.federation_id, lane)
        result = {"key": key, "log": log.origin, "ids": [str(each.id) for each in statements]}
        if not node.is_up or node.is_paused or not node.may_say(lane):
            self.world.seen["publish refused"] += 1
            self.world.seen["crisis on a full disk"] += node.disk.full and lane is Lane.CRISIS
            self._note(step.op, node.member, ok=False, **result)
            return
        self.said[key] = statements
        self._keys |= {each.id: key for each in statements}

        def acknowledged(view: LogView) -> None:
            self._note(step.op, node.member, **result, size=view.size)

        node.publish(lane, statements, acknowledged)

    def _lie(self, step: Step) -> None:
        node = self.world.nodes[step["node"]]
        statements = self.make(node.member, step["count"])
        self.said[step["key"]] = statements
        node.lie(statements, step.fields.get("shared"))
        self._note("lie", node.member, key=step["key"])

    # --- governance -----------------------------------------------------------------------------

    def _govern(self, step: Step) -> None:
        node, change = self.world.nodes[step["node"]], step["change"]
        # Who is suspended is let in by nobody: that it no longer is, others must hear first.
        told = [node] if change != "lift" else self._running_but(node)
        # Governors decide about logs that stand still: a pin below what was said is another story.
        is_known = node.is_up and not node.is_paused and not node.was_put_back
        able = is_known and not node.is_publishing and node.is_honest and bool(told)
        if change == "suspend":
            able = able and bool(self._running_but(node))  # somebody is there to hear of the lift
        ok = able and told[0].hear_of(change, node.member)
        self.world.seen[f"governed: {step['change']}"] += ok
        self._note("govern", node.member, ok=ok, change=step["change"])

    def _join(self, step: Step) -> None:
        member, governance = step["node"], self.world.governance
        node = self.world.nodes.get(member)
        told = self._running_but(node)
        if told and node is None:
            urls = () if step.fields.get("calls") else None
            governance.admit(newcomer(member, urls))
            self.world.seen["joined in the middle"] += 1
            node = Node(self.world, member)
            node.disk.chain = governance.chain  # its operator was given it
            node.start()
            # Somebody must let it in, and tells the others.
            for root in governance.chain.versions[len(told[0].chain.versions) :]:
                told[0].adopt(root)
        self._note("join", member, ok=bool(told))

    def _running_but(self, node: Node | None) -> list[Node]:
        """Others who follow every decision, those first who have heard of the newest."""
        newest = self.world.governance.chain.newest
        able = [
            other
            for other in self.world.nodes.values()
            if other is not node and other.is_honest and other.is_up and not other.is_paused
        ]
        able = [other for other in able if newest.members[other.member].is_active]
        return sorted(able, key=lambda other: -other.chain.newest.version)

    def _recover(self, step: Step) -> None:
        def recover(node: Node) -> None:
            if not node.was_put_back and not node.is_stopped:
                return
            node.crash()
            for log, size in node.guard.items():
                self._take_back(node, log, size)
            node.is_stopped = node.was_put_back = False
            self.world.seen["recovered"] += 1
            node.start()
            for log in list(node.disk.logs):
                node.settle(log)  # what it took in without signing for it has its receipt now

        self._at_each(step, recover)

    def _take_back(self, node: Node, log: LogId, size: int) -> None:
        """What others hold of a node's own log comes back to its disk, judged as ever."""
        view = node.disk.logs[log].view if log in node.disk.logs else LogView(log)
        found = max(self._kept_by_others(node, log), key=lambda kept: kept.view.size, default=None)
        if found is None or found.view.head is None or view.size >= size:
            return
        lacking = [each.statement for each in found.statements[view.size :]]
        verifier = self.world.judge(self.world.governance.chain.newest)
        step = view.advance(found.view.head, lacking, (), verifier)
        node.disk.append(step, None)
        node.disk.learn(step.statements)

    def _kept_by_others(self, node: Node, log: LogId) -> Iterator[KeptLog]:
        for other in self.world.nodes.values():
            kept = other.disk.logs.get(log)
            if other is not node and other.is_honest and kept and kept.view.is_complete:
                yield kept

    def _may_lose(self, node: Node) -> bool:
        """Whether all that a node ever said is whole at another one: nobody promises more."""
        return not node.is_publishing and all(
            any(
                kept.view.size >= size and not kept.missing
                for kept in self._kept_by_others(node, log)
            )
            for log, size in node.guard.items()
        )

    def _replace_disk(self, node: Node, disk: Disk) -> None:
        """Another disk in place of a node's: an empty one, or an older one."""
        node.crash()
        if not self._is_told_by_others(node):
            disk.chain = node.chain  # its operator was given it once more
        node.disk = disk
        node.was_put_back = bool(node.guard)

    def _is_told_by_others(self, node: Node) -> bool:
        """Whether all who lack the roster of a node will hear of it from somebody else."""
        others = [each for each in self.world.nodes.values() if each.is_honest and each is not node]
        lacking = [each for each in others if len(each.chain.versions) < len(node.chain.versions)]
        return not lacking or any(
            all(each.lets_in(other.member) for each in lacking)
            for other in others
            if other not in lacking
        )

    # --- processes and disks --------------------------------------------------------------------

    def _kill(self, step: Step) -> None:
        def kill(node: Node) -> None:
            node.crash()
            node.is_black_hole = step.fields.get("black_hole", False)

        self._at_each(step, kill)

    def _start(self, step: Step) -> None:
        self._at_each(step, lambda node: node.start())

    def _pause(self, step: Step) -> None:
        self._at_each(step, Node.pause)

    def _resume(self, step: Step) -> None:
        self._at_each(step, Node.resume)

    def _wipe(self, step: Step) -> None:
        def wipe(node: Node) -> None:
            if not self._may_lose(node):
                return
            self._replace_disk(node, Disk())
            self.world.seen["wiped"] += 1

        self._at_each(step, wipe)

    def _backup(self, step: Step) -> None:
        def backup(node: Node) -> None:
            self._backups[node.member, step["name"]] = node.disk.copy()

        self._at_each(step, backup)

    def _restore(self, step: Step) -> None:
        def restore(node: Node) -> None:
            if not self._may_lose(node):
                return
            found = self._backups.get((node.member, step["name"]))
            if found is None:
                node.crash()
            else:
                self._replace_disk(node, found.copy())
                self.world.seen["restored"] += 1

        self._at_each(step, restore)

    def _rot(self, step: Step) -> None:
        def rot(node: Node) -> None:
            if node.disk.rot(self._rng):
                self.world.rotten.add(node.member)
                self.world.seen["rotten"] += 1

        self._at_each(step, rot)

    def _disk(self, step: Step) -> None:
        def change(node: Node) -> None:
            node.disk.full = step.fields.get("full", node.disk.full)
            node.disk.slow = step.fields.get("slow", node.disk.slow)

        self._at_each(step, change)

    def _clock(self, step: Step) -> None:
        self._at_each(
            step, lambda node: setattr(node, "wall_offset_seconds", step["offset_seconds"])
        )

    def _observe(self, step: Step) -> None:
        for node in self._nodes(step):
            if node.is_honest:
                held = self._held_by(node) if node.is_up and not node.is_paused else {}
                self._note("observe", node.member, ok=bool(held), **held)

    def _glance(self, step: Step) -> None:
        for node in self._nodes(step):
            # What stands on a disk that rots is nobody's word until it is rebuilt.
            if node.is_honest and node.is_up and not node.disk.is_rotten:
                self._note("glance", node.member, **self._seen_of(node))

    # --- the network ----------------------------------------------------------------------------

    def _link(self, step: Step) -> None:
        members = self.scenario.nodes
        fields: Mapping[str, Any] = step.fields
        sources = members if step["source"] == EVERYBODY else (step["source"],)
        targets = members if step["target"] == EVERYBODY else (step["target"],)
        for source in sources:
            for target in targets:
                if source == target:
                    continue
                way = self.world.network.way(source, target)
                way.up = fields.get("up", way.up)
                way.latency = tuple(fields.get("latency", way.latency))
                way.loss = fields.get("loss", way.loss)
                way.doubled = fields.get("doubled", way.doubled)
                way.rate = fields.get("rate", way.rate)
                if "clog" in fields:
                    way.clogged_until = self.world.now + fields["clog"]
        self._note("link")

    def _calm(self, _step: Step) -> None:
        self.world.weather = Weather()
        self.world.network.calm()
        self.world.stop_forcing()
        self.world.heal()
        self._note("calm")

    # --- looking --------------------------------------------------------------------------------

    def _held_by(self, node: Node) -> dict[str, Any]:
        held = held_of(node)
        return {
            **self._seen_of(node),
            "counts": {peer.member: _counted(node, peer) for peer in node.engine.peers.values()},
            "ids": [f"st_{entry.hex()}" for entry, _is_opened in held],
            "view": view_of(node, held).hex(),
            "receipts": {
                log.origin: sorted(
                    member
                    for (receipted, member), receipt in node.disk.receipts.items()
                    if receipted == log and receipt.head == kept.view.head
                )
                for log, kept in node.disk.logs.items()
                if log.member == node.member
            },
        }

    def _seen_of(self, node: Node) -> dict[str, Any]:
        for broken in broken_bounds(node):
            raise broken
        waves = node.engine._waves.waves.values()
        self.world.seen["wave sent"] += any(wave.count for wave in waves)
        return {
            "heads": {
                origin: [
                    max(size for size, _ in heads),
                    "+".join(sorted(root.hex() for _, root in heads)),
                ]
                for origin, heads in heads_of(node).items()
            },
            "faults": {peer.member: peer.faults for peer in node.engine.peers.values()},
            "accused": sorted(log.origin for log in node.disk.evidence),
        }


def _counted(node: Node, peer: PeerView) -> dict[str, int]:
    """What operators are shown of a peer, where it is anything at all."""
    own = [log for log in node.disk.logs if log.member == node.member]
    held = {log: min(node.disk.logs[log].view.size, peer.holds.get(log, 0)) for log in own}
    unsigned = sum(max(0, held[log] - peer.receipted.get(log, 0)) for log in own)
    told = {word: getattr(peer, word, unsigned) for word in COUNTED}
    return {word: n for word, n in told.items() if n}

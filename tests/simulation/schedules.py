"""Schedules: what goes wrong, when, and what is said meanwhile, all drawn from one seed.

Each seed first draws which kinds of trouble it has at all, because trouble of every kind at once
hides as much as it finds. Then: chaos, healing, three periods of anti-entropy, checks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Final

from federation.gossip.engine import GossipSettings
from federation.protocol.limits_messages import INLINE_STATEMENTS_MAX
from federation.protocol.origins import Lane
from federation.protocol.statements import Statement
from tests.builders import Founded, make_erase, make_roster, make_statement, make_withdraw
from tests.simulation.checks import Watch, check_quiet, missing_receipts
from tests.simulation.hostile import Tamperer, TwoFaced
from tests.simulation.world import Node, Weather, World

CHAOS_SECONDS: Final = 40.0
ANTI_ENTROPY_SECONDS: Final = 30.0
QUIET_SECONDS: Final = 3 * ANTI_ENTROPY_SECONDS
"""Promise 5: so long after healing, all that is honest agrees."""

RECEIPTS_SECONDS: Final = 60 * ANTI_ENTROPY_SECONDS
"""A receipt that was lost is given again when its issuer happens to compare with that peer."""

MEMBERS: Final = ("acme", "nova", "umbra", "delta", "kappa", "sigma")


@dataclass(frozen=True)
class Plan:
    """What one seed has in store.

    Attributes:
        seed: of everything.
        members: who takes part; the last one is the hostile one, if any.
        loss, doubled: shares of messages.
        slow: most seconds that a message takes.
        cuts, crashes, full_disks: how many of each.
        publishes: how many batches are said.
        batch_max: most statements in a batch; those over an announcement's limit are pulled.
        hostile: "tamperer", "two-faced", or neither.
        is_fast: whether signatures are the stand-in.
    """

    seed: int
    members: tuple[str, ...]
    loss: float
    doubled: float
    slow: float
    cuts: int
    crashes: int
    full_disks: int
    publishes: int
    batch_max: int
    hostile: str
    is_fast: bool

    @classmethod
    def of(cls, seed: int) -> Plan:
        """The plan of a seed."""
        rng = Random(f"plan {seed}")

        def maybe(most: float) -> float:
            return rng.choice((0, rng.random() * most))

        count = rng.randint(3, len(MEMBERS))
        return cls(
            seed=seed,
            members=MEMBERS[:count],
            loss=maybe(0.3),
            doubled=maybe(0.3),
            slow=0.05 + maybe(2.0),
            cuts=int(maybe(6)),
            crashes=int(maybe(6)),
            full_disks=int(maybe(3)),
            publishes=rng.randint(1, 20),
            batch_max=rng.choice((1, 1, 3, 3, INLINE_STATEMENTS_MAX + 1)),
            hostile=rng.choice(("", "", "tamperer", "two-faced")),
            is_fast=seed % 25 != 0,
        )


@cache
def federation_of(members: tuple[str, ...]) -> Founded:
    """The federation of these members; made once, since making it takes real signatures."""
    return make_roster(*members)


class Schedule:
    """One run of one plan.

    Attributes:
        world: what happened.
        watch: what was acknowledged.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.rng = Random(f"schedule {plan.seed}")
        settings = GossipSettings(ANTI_ENTROPY_SECONDS)
        founded = federation_of(plan.members)
        self.world = World(plan.seed, founded, settings, is_fast=plan.is_fast)
        self.watch = Watch(self.world)
        self._said: dict[str, list[Statement]] = {}
        self._number = 0
        kinds = {"tamperer": Tamperer, "two-faced": TwoFaced}
        for member in plan.members:
            is_last = member == plan.members[-1]
            kind = kinds.get(plan.hostile, Node) if is_last else Node
            kind(self.world, member).start()

    def run(self) -> World:
        """Chaos, healing, quiet, and the checks.

        Raises:
            AssertionError: something does not hold.
        """
        self._arrange()
        self.world.run(CHAOS_SECONDS)
        self._heal()
        self.world.run(CHAOS_SECONDS + QUIET_SECONDS)
        check_quiet(self.world, self.watch)
        self.world.run_until(lambda: not any(missing_receipts(self.world)), RECEIPTS_SECONDS)
        assert [] == list(missing_receipts(self.world))
        return self.world

    def _arrange(self) -> None:
        plan, rng, world = self.plan, self.rng, self.world
        self._set_weather(frozenset())
        speakers = plan.members[:-1] if plan.hostile else plan.members
        for _ in range(plan.publishes):
            member, time = rng.choice(speakers), rng.uniform(0, CHAOS_SECONDS)
            world.at(time, lambda member=member: self._say(member))  # type: ignore[misc]
        for _ in range(plan.cuts):
            world.at(rng.uniform(0, CHAOS_SECONDS), self._cut)
        for _ in range(plan.crashes):
            world.at(rng.uniform(0, CHAOS_SECONDS), self._crash)
        for _ in range(plan.full_disks):
            world.at(rng.uniform(0, CHAOS_SECONDS), self._fill_disk)
        if plan.hostile == "two-faced":
            world.at(rng.uniform(0, CHAOS_SECONDS), self._say_two_things)

    def _set_weather(self, cut: frozenset[tuple[str, str]]) -> None:
        plan = self.plan
        self.world.weather = Weather((0.005, plan.slow), plan.loss, plan.doubled, (0.001, 0.2), cut)

    def _heal(self) -> None:
        self.world.weather = Weather()
        for node in self.world.nodes.values():
            node.disk.full = False
            node.start()

    # --- trouble --------------------------------------------------------------------------------

    def _cut(self) -> None:
        """Some links, each in one direction, carry nothing until the next cut."""
        pairs = [(a, b) for a in self.plan.members for b in self.plan.members if a != b]
        side = set(self.rng.sample(self.plan.members, len(self.plan.members) // 2))
        if self.rng.random() < 0.5:
            cut = frozenset(pair for pair in pairs if (pair[0] in side) != (pair[1] in side))
        else:
            cut = frozenset(self.rng.sample(pairs, len(pairs) // 2))
        self._set_weather(cut)

    def _crash(self) -> None:
        node = self.rng.choice(list(self.world.nodes.values()))
        if isinstance(node, TwoFaced):
            return
        node.crash()
        back = self.world.now + self.rng.uniform(0.1, CHAOS_SECONDS / 2)
        self.world.at(back, node.start)

    def _fill_disk(self) -> None:
        disk = self.rng.choice(list(self.world.nodes.values())).disk
        disk.full = True
        back = self.world.now + self.rng.uniform(0.1, CHAOS_SECONDS / 2)
        self.world.at(back, lambda: setattr(disk, "full", False))

    # --- what is said ---------------------------------------------------------------------------

    def _say(self, member: str) -> None:
        node, said = self.world.nodes[member], self._said.setdefault(member, [])
        if not node.is_up:
            return
        lane = self.rng.choice(tuple(Lane))
        size = self.rng.choice((1, self.rng.randint(1, self.plan.batch_max)))
        drawn = self.rng.random()
        if said and drawn < 0.2:
            statements = [self._make(member, self.rng.choice(said))]
        elif said and drawn < 0.4:
            lane = self.rng.choice((Lane.CRISIS, Lane.LIVE))
            statements = [self._make_erase(member, self.rng.choice(said))]
        else:
            statements = [self._make(member) for _ in range(size)]
            said.extend(statements)
        node.publish(lane, statements)
        if self.rng.random() < 0.3:
            crash_at = self.world.now + self.rng.uniform(0, 0.3)
            if self.plan.crashes:
                self.world.at(crash_at, node.crash)
                self.world.at(crash_at + 1.0, node.start)

    def _make(self, member: str, taken_back: Statement | None = None) -> Statement:
        self._number += 1
        federation_id = self.world.founded.roster.federation_id
        if taken_back is None:
            return make_statement(self._number, member=member, federation_id=federation_id)
        return make_withdraw(
            self._number, taken_back.id, member=member, federation_id=federation_id
        )

    def _make_erase(self, member: str, erased: Statement) -> Statement:
        self._number += 1
        federation_id = self.world.founded.roster.federation_id
        return make_erase(self._number, erased.id, member=member, federation_id=federation_id)

    def _say_two_things(self) -> None:
        speaker = self.world.nodes[self.plan.members[-1]]
        assert isinstance(speaker, TwoFaced)
        size = self.rng.randint(1, 3)
        member = speaker.member
        speaker.speak(*[[self._make(member) for _ in range(size)] for _ in range(2)])

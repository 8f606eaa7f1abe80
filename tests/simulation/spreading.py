"""How fast and at what price one statement reaches everybody: for the benchmark, and for a test.

A federation that has met and is warm; statements of different issuers, one after the other, each
followed until every living node holds it durably.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from federation.gossip.engine import GossipSettings
from federation.protocol.origins import Lane
from federation.provenance.log_view import Advance
from tests.builders import make_roster, make_statement
from tests.simulation.network import Weather
from tests.simulation.world import Node, World

WIDE: Final = Weather(latency=(0.01, 0.1), write=(0.002, 0.006), is_wide=True)
"""A latency of its own for each pair, 10 to 100 ms one way; see :class:`Weather`. A write takes 2
to 6 ms, one after the other at each node."""

ANTI_ENTROPY_SECONDS: Final = 30.0
MEETING_SECONDS: Final = 60.0
BETWEEN_SECONDS: Final = 3.0
"""Between two statements; a run is cut off after ``LOST_SECONDS``."""

LOST_SECONDS: Final = 15.0


@dataclass
class Spread:
    """What came of some statements.

    Attributes:
        seconds: for each statement and each living node but the issuer, from the moment at which it
            was acknowledged until it was durable there; inf: not in time.
        messages: requests and answers sent for all of them, comparisons apart.
    """

    seconds: list[float] = field(default_factory=list)
    messages: int = 0


class Spreading:
    """One federation to spread in.

    Args:
        count: members.
        seed: of everything.
    """

    def __init__(self, count: int, seed: int = 1) -> None:
        self.members = [f"m{number:04}.example" for number in range(count)]
        self.rng = Random(seed)
        founded = make_roster(*self.members)
        self.world = World(seed, founded, GossipSettings(ANTI_ENTROPY_SECONDS))
        self.world.weather = WIDE
        self._number = 0
        self._arrived: dict[str, float] = {}
        for member in self.members:
            Listening(self, member).start()
        self.world.run(MEETING_SECONDS)

    def note(self, node: Node, step: Advance) -> None:
        """A step is durable somewhere."""
        if step.view.log.member == self._issuer:
            self._arrived.setdefault(node.member, self.world.now)

    def say(self, lane: Lane, before: Callable[[str], None] = lambda _issuer: None) -> Spread:
        """One statement of an issuer drawn at random, followed until all have it.

        Args:
            lane: its lane.
            before: is called with the issuer before it speaks.
        """
        world, spread = self.world, Spread()
        self._issuer = self.rng.choice([m for m in self.members if world.nodes[m].is_up])
        before(self._issuer)
        self._number += 1
        self._arrived.clear()
        sent, acknowledged = world.sent.copy(), list[float]()
        statement = make_statement(
            self._number, member=self._issuer, federation_id=world.founded.roster.federation_id
        )
        world.nodes[self._issuer].publish(
            lane, [statement], lambda _view: acknowledged.append(world.now)
        )
        living = [m for m in self.members if world.nodes[m].is_up and m != self._issuer]
        # A little longer than it takes to arrive: what is said when all have it counts as well.
        world.run(world.now + BETWEEN_SECONDS)
        world.run_until(lambda: len(self._arrived) > len(living), LOST_SECONDS, 0.5)
        never = float("inf")
        spread.seconds = [self._arrived.get(m, never) - acknowledged[0] for m in living]
        spread.messages = 2 * sum((world.sent - sent).values()) - 2 * (
            world.sent["digest"] - sent["digest"]
        )
        return spread

    def say_all(
        self, lane: Lane, count: int, before: Callable[[str], None] = lambda _issuer: None
    ) -> Spread:
        """So many statements, one after the other."""
        total = Spread()
        for _ in range(count):
            one = self.say(lane, before)
            total.seconds += one.seconds
            total.messages += one.messages
        return total

    def cut_off(self, issuer: str) -> None:
        """Nine in ten of an issuer's ways carry nothing any more, either way; all others do."""
        others = [member for member in self.members if member != issuer]
        gone = self.rng.sample(others, round(0.9 * len(others)))
        cut = {pair for member in gone for pair in ((issuer, member), (member, issuer))}
        self.world.weather = Weather(
            WIDE.latency, write=WIDE.write, cut=frozenset(cut), is_wide=True
        )

    def restore(self) -> None:
        """All ways carry again."""
        self.world.weather = WIDE

    def kill(self, share: float, *, black_hole: bool = False) -> Sequence[str]:
        """A share of the members dies at once, and nobody is told.

        Args:
            share: of all.
            black_hole: whether their machines are gone as well: what is sent to them is not even
                refused, and whoever asks them something waits until his own patience ends.
        """
        dead = self.rng.sample(self.members, round(share * len(self.members)))
        for member in dead:
            self.world.nodes[member].crash()
            self.world.nodes[member].is_black_hole = black_hole
        return dead


class Listening(Node):
    """A node whose commits are noted."""

    def __init__(self, spreading: Spreading, member: str) -> None:
        super().__init__(spreading.world, member)
        self._spreading = spreading

    def note_durable(self, step: Advance) -> None:
        self._spreading.note(self, step)

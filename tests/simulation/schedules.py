"""Schedules: what goes wrong, when, and what is said meanwhile, all drawn from one seed.

Each seed first draws which kinds of trouble it has at all (a swarm), because trouble of every kind
at once hides as much as it finds. Then: chaos, healing, three periods of anti-entropy, checks. One
seed in eight has no trouble and no anti-entropy, and is held to promptness instead: a check that
all agree in the end never finds what works only because anti-entropy mends it.

A schedule is a scenario (``tests/scenarios``), so a failing one is a file, can be made shorter step
by step (``shrinking.py``), and may be played on real processes where these can do what it asks.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any, Final

from federation.protocol.limits import TILE_WIDTH
from federation.protocol.limits_messages import INLINE_STATEMENTS_MAX
from federation.protocol.origins import Lane
from tests.scenarios.checks import violations
from tests.scenarios.scenario import Check, Scenario, Step
from tests.simulation.backend import Stage
from tests.simulation.cast import HOSTILE
from tests.simulation.checks import (
    broken_silence,
    broken_storm,
    broken_when_quiet,
    missing_receipts,
)
from tests.simulation.promises import CRASHED, RECEIPTS_ARRIVE, Broken, name_of
from tests.simulation.world import World

CHAOS_SECONDS: Final = 30.0
LAST_SECOND: Final = CHAOS_SECONDS - 0.001
"""The latest that trouble begins: before everybody is started again."""

ANTI_ENTROPY_SECONDS: Final = 30.0
QUIET_SECONDS: Final = 3 * ANTI_ENTROPY_SECONDS
"""Promise 5: so long after healing, all that is honest agrees."""

LOOK_SECONDS: Final = 0.5
"""After healing, a person looks at what stopped."""

RECEIPTS_SECONDS: Final = 60 * ANTI_ENTROPY_SECONDS
"""A receipt that was lost is given again when its issuer happens to compare with that peer."""

NEVER_SECONDS: Final = 1e9
"""An anti-entropy interval that does not come round: what is left is pushing."""

PROMPT_SECONDS: Final = {"crisis": 0.5, "live": 1.0}
"""Promised on a fault-free network, at the latencies of ``Weather()``."""

PROMPT_END_SECONDS: Final = 8.0
SIZES: Final = (*(3,) * 18, *(4,) * 12, *(5,) * 4, *(6,) * 4, 10)
"""How many members: what goes wrong between many goes wrong between few, and sooner."""

PROMPT_EVERY: Final = 8
REAL_KEYS_EVERY: Final = 100
GOVERNED_SHARE: Final = 0.15
"""Of the schedules of trouble have decisions in them, which are really signed and take time."""

JOINED_SHARE: Final = 0.12
"""Of the schedules of trouble have a member that is admitted in the middle."""

JOINED_AT_LAST: Final = CHAOS_SECONDS + 2 * LOOK_SECONDS
"""After healing, and after what stopped was looked at."""

SHARED: Final = 0.7
"""Where an equivocator's histories overlap: the chance of each statement to stand in both."""

LONG_EVERY: Final = 100
"""One schedule in so many has a log of several bundles, which is joined piece by piece: each of its
statements is judged at every node, and the time for many schedules is short."""

MEMBERS: Final = (
    *("acme", "nova", "umbra", "delta", "kappa", "sigma", "omega", "theta", "gamma", "lambda"),
    *("zeta", "iota", "rho", "tau", "phi", "chi", "psi", "alpha", "beta", "epsilon"),
)


def draw(seed: int) -> Scenario:
    """The schedule of a seed."""
    rng = Random(f"schedule {seed}")
    return draw_prompt(seed, rng) if seed % PROMPT_EVERY == 1 else Swarm(seed, rng).draw()


def draw_prompt(seed: int, rng: Random) -> Scenario:
    """No trouble, no anti-entropy; everything must be everywhere at once."""
    nodes = MEMBERS[: rng.choice((3, 4, 5, 6, 8, 12, 12, 16))]
    full_view = rng.choice((4, 4, 150))
    steps = []
    for number in range(rng.randint(1, 4)):
        lane = rng.choice(("crisis", "live"))
        # What does not fit inline is pulled, hop by hop.
        count = rng.choice((1, 3, INLINE_STATEMENTS_MAX + 1 if lane == "live" else 1))
        fields = {"node": rng.choice(nodes), "lane": lane, "key": f"p{number}", "count": count}
        steps.append(Step(round(rng.uniform(0, 5.0), 3), "publish", fields))
    checks = [
        Check("prompt", {"lane": lane, "share": 1.0, "seconds": seconds})
        for lane, seconds in PROMPT_SECONDS.items()
        if any(step["lane"] == lane for step in steps)
    ]
    scenario = Scenario(
        f"seed-{seed}",
        seed,
        nodes,
        PROMPT_END_SECONDS,
        settings={"anti_entropy_seconds": NEVER_SECONDS, "full_view_members": full_view},
        checks=(*checks, *map(Check, ("nobody-honest-is-blamed", "converged", "receipted"))),
    )
    return scenario.with_steps(steps)


@dataclass
class Swarm:
    """Draws a schedule of trouble.

    Attributes:
        seed: of everything.
        rng: the chance.
        steps: drawn so far.
    """

    seed: int
    rng: Random
    steps: list[Step] = field(default_factory=list)

    def draw(self) -> Scenario:
        """The whole schedule."""
        rng = self.rng
        self.nodes = MEMBERS[: rng.choice(SIZES)]
        self.hostile = self._hostile()
        # One may lose its disk: what it had is at others. If it speaks, a person looks afterwards.
        speakers = [node for node in self.nodes if node not in self.hostile]
        self.unlucky = speakers[-1] if len(speakers) > 2 and rng.random() < 0.7 else None
        self.silent = speakers.pop() if self.unlucky and rng.random() < 0.6 else None
        self._set_weather()
        self._say(speakers)
        self.is_long = self.seed % LONG_EVERY == LONG_EVERY // 2
        if self.is_long:
            count = rng.randint(2 * TILE_WIDTH, 3 * TILE_WIDTH)
            time = self._step("publish", node=speakers[0], lane=Lane.BULK, key="long", count=count)
            # Somebody dies in the middle of getting it, perhaps.
            joiner = rng.choice(self.nodes[1:])
            time = self._step("kill", time + rng.uniform(0.1, 0.6), node=joiner)
            self._step("start", time + 1.0, node=joiner)
        for trouble in (
            self._cut,
            self._crash,
            self._pause,
            self._fill,
            self._clog,
            self._skew,
            self._lose_disk,
        ):
            if rng.random() < 0.5:
                for _ in range(rng.randint(1, 4)):
                    trouble()
        if rng.random() < GOVERNED_SHARE:
            for _ in range(rng.randint(1, 3)):
                self._govern()
        for member, behaviour in self.hostile.items():
            if behaviour == "two-faced":
                self._step("lie", node=member, key="lie", count=2 * rng.randint(1, 3))
            if behaviour == "equivocator":
                for number in range(rng.randint(1, 5)):
                    shared = {"shared": SHARED} if rng.random() < 0.5 else {}
                    count = rng.randint(1, 9)
                    self._step("lie", node=member, key=f"lie{number}", count=count, **shared)
        scenario = self._scenario()
        looks = Random(f"looks {self.seed}")
        times = [round(looks.uniform(0, CHAOS_SECONDS), 3) for _ in range(looks.randint(1, 3))]
        glances = [Step(time, "glance", {"node": "*"}) for time in times]
        return self._with_newcomer(scenario.with_steps([*scenario.steps, *glances]))

    def _with_newcomer(self, scenario: Scenario) -> Scenario:
        """In some schedules a member is admitted in the middle; drawn apart, as the looks are."""
        rng = Random(f"newcomer {self.seed}")
        if rng.random() >= JOINED_SHARE:
            return scenario
        node = MEMBERS[len(self.nodes)]
        time = rng.uniform(1.0, CHAOS_SECONDS - 1.0)
        calls = {"calls": True} if rng.random() < 0.5 else {}
        # Where nobody could hear of it, or whoever did lost it, its operator asks again.
        steps = [Step(at, "join", {"node": node, **calls}) for at in (time, JOINED_AT_LAST)]
        lane = str(rng.choice(tuple(Lane)))
        said = {"node": node, "lane": lane, "key": "newcomer", "count": rng.randint(1, 3)}
        steps.append(Step(self._later_by(rng, time), "publish", said))
        if rng.random() < 0.7:
            time = min(rng.uniform(time, CHAOS_SECONDS), LAST_SECOND)
            steps.append(Step(time, "kill", {"node": node}))
            steps.append(Step(self._later_by(rng, time), "start", {"node": node}))
        steps = [replace(step, at=round(step.at, 3)) for step in steps]
        scenario = replace(scenario, nodes=(*scenario.nodes, node))
        return scenario.with_steps([*scenario.steps, *steps])

    @staticmethod
    def _later_by(rng: Random, time: float) -> float:
        return min(time + rng.uniform(0.1, 10.0), LAST_SECOND)

    def _hostile(self) -> dict[str, str]:
        if len(self.nodes) < 3 or self.rng.random() < 0.5:
            return {}
        # Up to a third of them, of different kinds.
        most = len(self.nodes) // 3
        kinds = self.rng.sample(sorted(HOSTILE), self.rng.randint(1, most))
        if "accomplice" in kinds and len(self.nodes) > 3:
            others = [kind for kind in kinds if kind not in ("accomplice", "equivocator")]
            kinds = ["equivocator", "accomplice", *others][: max(2, most)]
        return dict(zip(reversed(self.nodes), kinds, strict=False))

    def _scenario(self) -> Scenario:
        rng = self.rng
        settings: dict[str, Any] = {"anti_entropy_seconds": ANTI_ENTROPY_SECONDS}
        if rng.random() < 0.5:
            settings["buggify"] = 0.25
        if rng.random() < 0.2:
            settings["full_view_members"] = 4
        if rng.random() < 0.3:
            settings["join_statements_min"] = 2
        if self.is_long:
            settings |= {"join_statements_min": 2, "piece_statements": TILE_WIDTH}
        if self.seed % REAL_KEYS_EVERY == 0:
            settings["real_keys"] = True
        heal = [Step(CHAOS_SECONDS, "glance", {"node": "*"}), Step(CHAOS_SECONDS, "calm")]
        for op, fields in (("resume", {}), ("disk", {"full": False, "slow": 0.0}), ("start", {})):
            heal.append(Step(CHAOS_SECONDS, op, {"node": "*", **fields}))
        governed = sorted({step["node"] for step in self.steps if step.op == "govern"})
        looked = CHAOS_SECONDS + LOOK_SECONDS
        # Who is let in again has what it lost already: nobody lifts who does not run as he should.
        heal.append(Step(looked, "recover", {"node": "*"}))
        heal += [Step(looked, "govern", {"node": node, "change": "lift"}) for node in governed]
        scenario = Scenario(
            f"seed-{self.seed}",
            self.seed,
            self.nodes,
            CHAOS_SECONDS + QUIET_SECONDS,
            hostile=self.hostile,
            settings=settings,
            checks=tuple(
                Check(name)
                for name in (
                    "acknowledged-everywhere",
                    "converged",
                    "nobody-honest-is-blamed",
                    "one-root-for-each-size",
                    "nothing-shrinks",
                )
            ),
        )
        return scenario.with_steps([*self.steps, *heal])

    def _step(self, op: str, at: float | None = None, **fields: Any) -> float:
        """One step, at some time of the chaos unless one is given; returns the time."""
        time = self.rng.uniform(0, CHAOS_SECONDS) if at is None else at
        time = round(min(time, LAST_SECOND), 3)
        self.steps.append(Step(time, op, fields))
        return time

    def _later(self, time: float) -> float:
        return time + self.rng.uniform(0.1, CHAOS_SECONDS / 2)

    # --- what is said ---------------------------------------------------------------------------

    def _say(self, speakers: list[str]) -> None:
        rng, said = self.rng, dict[str, list[str]]()
        most = rng.choice((1, 1, 3, 3, INLINE_STATEMENTS_MAX + 1))
        times = sorted(rng.uniform(0, CHAOS_SECONDS) for _ in range(rng.randint(1, 10)))
        for number, time in enumerate(times):
            node, key, drawn = rng.choice(speakers), f"p{number}", rng.random()
            earlier = said.setdefault(node, [])
            if earlier and drawn < 0.2:
                lane = rng.choice(tuple(Lane))
                self._step("withdraw", time, node=node, lane=lane, key=key, of=rng.choice(earlier))
            elif earlier and drawn < 0.4:
                lane = rng.choice((Lane.CRISIS, Lane.LIVE))
                self._step("erase", time, node=node, lane=lane, key=key, of=rng.choice(earlier))
            else:
                lane, count = rng.choice(tuple(Lane)), rng.choice((1, rng.randint(1, most)))
                self._step("publish", time, node=node, lane=lane, key=key, count=count)
                earlier.append(key)

    # --- trouble --------------------------------------------------------------------------------

    def _set_weather(self) -> None:
        rng = self.rng
        fields: dict[str, Any] = {}
        if rng.random() < 0.4:
            fields["loss"] = round(rng.random() * 0.3, 3)
        if rng.random() < 0.4:
            fields["doubled"] = round(rng.random() * 0.3, 3)
        if rng.random() < 0.4:
            fields["latency"] = [0.005, round(rng.choice((0.05, 0.5, 2.0)), 3)]
        if rng.random() < 0.15:
            fields["rate"] = rng.choice((2_000, 20_000))
        if fields:
            self._step("link", 0.0, source="*", target="*", **fields)

    def _cut(self) -> None:
        """A node alone, or half from half; in one direction or both; for a while."""
        rng = self.rng
        size = rng.choice((1, len(self.nodes) // 2))
        side = rng.sample(self.nodes, size)
        both, time = rng.random() < 0.5, rng.uniform(0, CHAOS_SECONDS)
        until = self._later(time)
        for one in side:
            for other in self.nodes:
                if other not in side:
                    ways = [(one, other), (other, one)]
                    for source, target in ways if both else [rng.choice(ways)]:
                        self._step("link", time, source=source, target=target, up=False)
                        self._step("link", until, source=source, target=target, up=True)

    def _crash(self) -> None:
        node = self.rng.choice(self.nodes)
        silently = {"black_hole": True} if self.rng.random() < 0.3 else {}
        time = self._step("kill", node=node, **silently)
        self.steps.insert(-1, Step(time, "glance", {"node": node}))  # what it must not lose
        self._step("start", self._later(time), node=node)

    def _pause(self) -> None:
        node = self.rng.choice(self.nodes)
        self._step("resume", self._later(self._step("pause", node=node)), node=node)

    def _fill(self) -> None:
        rng, node = self.rng, self.rng.choice(self.nodes)
        state, back = rng.choice(
            (({"full": True}, {"full": False}), ({"slow": 1.5}, {"slow": 0.0}))
        )
        self._step("disk", self._later(self._step("disk", node=node, **state)), node=node, **back)

    def _clog(self) -> None:
        source, target = self.rng.sample(self.nodes, 2)
        self._step("link", source=source, target=target, clog=round(self.rng.uniform(0.5, 8.0), 2))

    def _skew(self) -> None:
        offset = self.rng.choice((-7_200, -1, 30, 86_400))
        self._step("clock", node=self.rng.choice(self.nodes), offset_seconds=offset)

    def _lose_disk(self) -> None:
        node = self.unlucky
        if node is None:
            return
        drawn = self.rng.random()
        rots = (
            drawn < 0.3
            and self.silent is not None
            and not any(step.op == "backup" for step in self.steps)
        )
        if drawn < 0.6:
            # A disk that rots is found out by its operator, wiped, and filled again by the others.
            time = self._step("rot", node=node) if rots else 0.0
            time = self._step("wipe", self._later(time), node=node)
            self._step("start", self._later(time), node=node)
            self.unlucky = None if rots else node  # a backup of it would be rotten as well
            return
        name = f"b{len(self.steps)}"
        time = self._later(self._step("backup", node=node, name=name))
        time = self._step("restore", time, node=node, name=name)
        self._step("start", self._later(time), node=node)

    def _govern(self) -> None:
        """Governance acts: nobody is gone for ever, since the others are to agree in the end."""
        honest = [node for node in self.nodes if node not in self.hostile]
        node = self.rng.choice(honest)
        # Under a new key something is said: who is to say nothing keeps its own.
        changes = ("suspend", "lift", "refresh", *(("rekey",) * 2 if node != self.silent else ()))
        self._step("govern", node=node, change=self.rng.choice(changes))


@dataclass
class Ran:
    """A schedule that was played.

    Attributes:
        world: what happened.
        wrong: what does not hold, in words that begin with the name of a check, or of a crash.
    """

    world: World
    wrong: list[str]

    @property
    def broken(self) -> frozenset[str]:
        """The checks that found something; and ``crashed``, where something fell over."""
        return frozenset(map(name_of, self.wrong))


def run(scenario: Scenario) -> Ran:
    """Play a schedule in the simulation and look at everything."""
    stage = Stage(scenario)
    try:
        return Ran(stage.world, _judge(stage, scenario))
    except Broken as broken:
        return Ran(stage.world, [str(broken)])
    except Exception as error:  # noqa: BLE001 - whatever escapes is a bug, and a schedule finds it
        last = traceback.extract_tb(error.__traceback__)[-1]
        words = str(error).partition("\n")[0]
        place = f"{Path(last.filename).name}:{last.lineno}"
        return Ran(stage.world, [f"{CRASHED}: {type(error).__name__}: {words} ({place})"])


def _judge(stage: Stage, scenario: Scenario) -> list[str]:
    world = stage.world
    history = stage.play()
    wrong = violations(scenario, history)
    if scenario.seconds >= CHAOS_SECONDS + QUIET_SECONDS:
        wrong += map(str, broken_when_quiet(world, stage.watch))
        wrong += map(str, broken_storm(world))
        world.run_until(
            lambda: not any(missing_receipts(world)), RECEIPTS_SECONDS, ANTI_ENTROPY_SECONDS
        )
        wrong += [
            f"{RECEIPTS_ARRIVE}: {issuer} lacks {peer}'s on {log}"
            for issuer, peer, log in missing_receipts(world)
        ]
        if not scenario.hostile and not wrong:
            wrong += map(str, broken_silence(world))
    return wrong


def run_seed(seed: int) -> Ran:
    """Play the schedule of a seed."""
    return run(draw(seed))

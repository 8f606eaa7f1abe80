"""A scenario: who takes part, what is said, what goes wrong and when, what must hold; only data.

Two backends play one: ``tests/simulation/backend.py`` under a virtual clock, and one on real
processes. Both write a history (``history.py``), and the checks (``checks.py``) read nothing else,
so one check judges both. A scenario is one JSON file::

    {
        "name": "issuer-cut-off",
        "seed": 1,
        "nodes": ["acme", "nova", "umbra"],
        "settings": {"anti_entropy_seconds": 30},
        "seconds": 120,
        "steps": [
            {"at": 1, "op": "link", "source": "acme", "target": "*", "up": false},
            {"at": 2, "op": "publish", "node": "acme", "lane": "live", "key": "p1", "count": 3},
            {"at": 30, "op": "calm"},
        ],
        "checks": [{"check": "acknowledged-everywhere"}, {"check": "converged"}],
    }

All nodes but those that ``join`` run when it begins, have met, and every way is good. At its end
(``seconds``) every backend observes every node that is up. Steps, by ``op``; ``node`` is a member
or ``"*"``::

    publish   node lane key count [expect]
                                        say so many statements, as ``key``
    withdraw  node lane key of [expect] take back all that the key ``of`` said
    erase     node lane key of [expect] erase them
    kill      node [black_hole]         end the process at once (SIGKILL); its machine as well
    start     node                      start it again
    pause     node                      stop it (SIGSTOP); its kernel still accepts connections
    resume    node                      let it go on
    wipe      node                      kill it and empty its disk, keys kept
    backup    node name                 copy its disk while it runs
    restore   node name                 kill it and put that copy back
    link      source target [up latency loss doubled rate clog reset]
                                        what the way from one to the other is like from now on
    calm                                every way is good again
    disk      node [full slow]          what its disk is like from now on
    rot       node                      one byte on its disk changes
    clock     node offset_seconds       set its wall clock off
    govern    node change               governance decides about a member: suspend, lift, rekey,
                                        refresh; its node hears of it first, of a lift another
    join      node [calls]              governance admits a new member, whose node starts with
                                        an empty disk; said again, somebody who lacks that version
                                        hears of it. ``calls``: it has no URL, and only calls others
    recover   node                      a person looks why it signs nothing, and takes in again
                                        what others hold of its own logs
    lie       node key count [shared]   a hostile member's own misdeed
    observe   node                      write down what it holds
    glance    node                      the same in short: heads, faults, evidence

``latency`` is [least, most] seconds one way, ``rate`` bytes a second, ``clog`` seconds for which
what is sent is kept back and then let go at once, ``slow`` seconds that a write takes; ``reset``
breaks what is connected. ``shared`` is the chance of each statement to stand in both histories
of an equivocator. ``expect`` is "ok" or "refused", for the check answered-as-expected.
``source`` and ``target`` may be ``"*"`` as well. What real processes
cannot be made to do is in ``SIMULATED_ONLY``: their backend refuses a scenario that asks for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, TypeAlias

Fields: TypeAlias = Mapping[str, Any]

EVERYBODY: Final = "*"

FIELDS_OF: Final[Mapping[str, tuple[frozenset[str], frozenset[str]]]] = {
    op: (frozenset(needed.split()), frozenset(optional.split()))
    for op, needed, optional in (
        ("publish", "node lane key count", "expect"),
        ("withdraw", "node lane key of", "expect"),
        ("erase", "node lane key of", "expect"),
        ("kill", "node", "black_hole"),
        ("start", "node", ""),
        ("pause", "node", ""),
        ("resume", "node", ""),
        ("wipe", "node", ""),
        ("backup", "node name", ""),
        ("restore", "node name", ""),
        ("link", "source target", "up latency loss doubled rate clog reset"),
        ("calm", "", ""),
        ("disk", "node", "full slow"),
        ("rot", "node", ""),
        ("clock", "node offset_seconds", ""),
        ("lie", "node key count", "shared"),
        ("govern", "node change", ""),
        ("join", "node", "calls"),
        ("recover", "node", ""),
        ("observe", "node", ""),
        ("glance", "node", ""),
    )
}
"""op -> fields that it needs, and those that it may have."""

SIMULATED_ONLY: Final = frozenset(
    {
        *("loss", "doubled", "slow", "rot", "govern", "join", "recover", "black_hole", "clock"),
        *("shared", "full_view_members", "join_statements_min"),
    }
)
"""Ops, fields and settings that real processes cannot be made to do."""

HOSTILE_PROCESSES: Final = frozenset({"dripper", "flooder", "pretender", "tamperer", "two-faced"})
"""How hostile members behave that are played on real processes as well."""

SETTINGS: Final = frozenset(
    {
        *("anti_entropy_seconds", "full_view_members", "join_statements_min"),
        *("buggify", "real_keys", "piece_statements"),
    }
)
"""``buggify``, ``real_keys`` and ``piece_statements`` (how many are asked for at once) concern the
simulation alone, and change nothing of what is asked."""


class ScenarioMalformed(ValueError):
    """A scenario that no backend could play; the text says why."""


@dataclass(frozen=True)
class Step:
    """One thing that happens.

    Attributes:
        at: seconds from the beginning.
        op: what; see the module.
        fields: the rest.
    """

    at: float
    op: str
    fields: Fields = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.op not in FIELDS_OF:
            raise ScenarioMalformed(f"no op {self.op!r}")
        needed, optional = FIELDS_OF[self.op]
        if not needed <= self.fields.keys() <= needed | optional:
            raise ScenarioMalformed(
                f"{self.op} takes {sorted(needed)} and perhaps {sorted(optional)}"
            )

    def __getitem__(self, name: str) -> Any:
        """A field that the op needs."""
        return self.fields[name]


@dataclass(frozen=True)
class Check:
    """One thing that must hold of the history.

    Attributes:
        name: of a check in ``checks.py``.
        fields: what it is asked with.
    """

    name: str
    fields: Fields = field(default_factory=dict)


@dataclass(frozen=True)
class Scenario:
    """See the module.

    Attributes:
        name: for people and file names.
        seed: of everything that the steps leave to chance.
        nodes: the members, in order.
        seconds: when it ends.
        hostile: member -> how it behaves, by ``tests/simulation/cast.py``; the others are honest.
        settings: see ``SETTINGS``.
        steps: in the order of time.
        checks: what must hold.
    """

    name: str
    seed: int
    nodes: tuple[str, ...]
    seconds: float
    hostile: Mapping[str, str] = field(default_factory=dict)
    settings: Fields = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    checks: tuple[Check, ...] = ()

    def __post_init__(self) -> None:
        if not self.settings.keys() <= SETTINGS:
            raise ScenarioMalformed(f"settings are {sorted(SETTINGS)}")
        for step in self.steps:
            for name in ("node", "source", "target"):
                who = step.fields.get(name, EVERYBODY)
                if who != EVERYBODY and who not in self.nodes:
                    raise ScenarioMalformed(f"{step.op}: no node {who!r}")

    @property
    def founders(self) -> tuple[str, ...]:
        """The members that are there from the beginning."""
        joining = {step["node"] for step in self.steps if step.op == "join"}
        return tuple(node for node in self.nodes if node not in joining)

    @cached_property
    def honest(self) -> tuple[str, ...]:
        """The members that promises are made about."""
        return tuple(node for node in self.nodes if node not in self.hostile)

    @property
    def simulated_only(self) -> frozenset[str]:
        """What of it real processes cannot play."""
        used = {step.op for step in self.steps} | {
            name for step in self.steps for name in step.fields
        }
        used |= self.settings.keys()
        return frozenset(used & SIMULATED_ONLY | set(self.hostile.values()) - HOSTILE_PROCESSES)

    def with_steps(self, steps: Sequence[Step]) -> Scenario:
        """The same with other steps, put in the order of time."""
        return replace(self, steps=tuple(sorted(steps, key=lambda step: step.at)))


def parse_scenario(text: str) -> Scenario:
    """Read a scenario.

    Raises:
        ScenarioMalformed: it is none; the text says what is wrong.
    """
    try:
        document = json.loads(text)
        steps = [dict(step) for step in document.pop("steps", ())]
        checks = [dict(check) for check in document.pop("checks", ())]
        document["nodes"] = tuple(document["nodes"])
        return Scenario(
            **document,
            steps=tuple(Step(step.pop("at"), step.pop("op"), step) for step in steps),
            checks=tuple(Check(check.pop("check"), check) for check in checks),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ScenarioMalformed(f"no scenario: {error}") from error


def format_scenario(scenario: Scenario) -> str:
    """Write a scenario; the inverse of :func:`parse_scenario`."""
    document = {
        "name": scenario.name,
        "seed": scenario.seed,
        "nodes": list(scenario.nodes),
        "seconds": scenario.seconds,
        "hostile": dict(scenario.hostile),
        "settings": dict(scenario.settings),
        "steps": [{"at": step.at, "op": step.op, **step.fields} for step in scenario.steps],
        "checks": [{"check": check.name, **check.fields} for check in scenario.checks],
    }
    return json.dumps(document, indent=1)

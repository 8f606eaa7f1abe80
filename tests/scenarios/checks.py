"""What must hold of a history, whoever played it. Each check yields what is wrong, in words.

They know nothing of engines, disks or processes: only what was acknowledged, when it was seen, and
what nodes held when they were looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import ceil
from typing import Final

from tests.scenarios.history import History
from tests.scenarios.scenario import Fields, Scenario

LOOKED_AT: Final = ("observe", "glance")

Judge = Callable[[Scenario, History, Fields], Iterator[str]]


def violations(scenario: Scenario, history: History) -> list[str]:
    """Everything that does not hold, each with the name of its check."""
    return [
        f"{check.name}: {wrong}"
        for check in scenario.checks
        for wrong in CHECKS[check.name](scenario, history, check.fields)
    ]


def answered_as_expected(scenario: Scenario, history: History, _: Fields) -> Iterator[str]:
    """Each thing said with ``expect`` was acknowledged, or refused, accordingly; all were asked."""
    expected = {
        step["key"]: step.fields["expect"] == "ok"
        for step in scenario.steps
        if "expect" in step.fields
    }
    answers = {
        entry.result["key"]: entry.ok for entry in history.of("publish", "withdraw", "erase")
    }
    for key, is_ok in expected.items():
        if answers.get(key) is not is_ok:
            told = {True: "acknowledged", False: "refused", None: "not answered"}[answers.get(key)]
            yield f"{key} was {told}"


def nothing_failed(_: Scenario, history: History, __: Fields) -> Iterator[str]:
    """No process ended by itself or said what is a bug whenever it is said."""
    for entry in history.of("failed"):
        yield f"{entry.node}: {entry.result['why']}"


def acknowledged_everywhere(scenario: Scenario, history: History, _: Fields) -> Iterator[str]:
    """What was acknowledged can in the end be read at every honest node, and is not lost later."""
    last = history.last_observations()
    for said in history.acknowledged():
        log = said.result["log"]
        for node in scenario.honest:
            if node not in last:
                yield f"{node} was not looked at in the end"
            elif log not in last[node].result["accused"]:
                lost = set(said.result["ids"]) - set(last[node].result["ids"])
                if lost:
                    yield f"{node} lacks {len(lost)} statements of {said.result['key']}"


def converged(scenario: Scenario, history: History, _: Fields) -> Iterator[str]:
    """In the end honest nodes have equal heads and equal views."""
    yield from _equal(scenario, history, "heads", "view")


def equally_accused(scenario: Scenario, history: History, _: Fields) -> Iterator[str]:
    """In the end all honest nodes hold evidence against the same logs."""
    yield from _equal(scenario, history, "accused")


def _equal(scenario: Scenario, history: History, *parts: str) -> Iterator[str]:
    last = history.last_observations()
    observed = [last[node] for node in scenario.honest if node in last]
    for entry in observed[1:]:
        for part in parts:
            if entry.result[part] != observed[0].result[part]:
                yield f"{part} of {entry.node} and of {observed[0].node} differ"


def nobody_honest_is_blamed(scenario: Scenario, history: History, _: Fields) -> Iterator[str]:
    """No honest node counts faults of an honest one, or holds evidence against it.

    But where a disk rots, what is served from it is at fault until its node is rebuilt.
    """
    rotten = {step["node"] for step in scenario.steps if step.op == "rot"}
    for entry in history.of(*LOOKED_AT):
        if entry.node not in scenario.honest or not entry.ok:
            continue
        for peer, faults in entry.result["faults"].items():
            if faults and peer in scenario.honest and peer not in rotten:
                yield f"{entry.node} counts {faults} faults of {peer}"
        for origin in entry.result["accused"]:
            if origin.split("/")[0] in scenario.honest:
                yield f"{entry.node} accuses {origin}"


def one_root_for_each_size(scenario: Scenario, history: History, _: Fields) -> Iterator[str]:
    """No two honest nodes ever hold two roots of one size of an honest log."""
    roots: dict[tuple[str, int], str] = {}
    for entry in history.of(*LOOKED_AT):
        if entry.node not in scenario.honest or not entry.ok:
            continue
        for origin, (size, root) in entry.result["heads"].items():
            if origin.split("/")[0] in scenario.honest:
                known = roots.setdefault((origin, size), root)
                if known != root:
                    yield f"two roots of {origin} at {size}"


def nothing_shrinks(scenario: Scenario, history: History, _: Fields) -> Iterator[str]:
    """What a node holds of a log never gets less, unless its disk was wiped or put back."""
    sizes: dict[tuple[str, str], int] = {}
    for entry in history.of(*LOOKED_AT, "wipe", "restore"):
        if entry.op not in LOOKED_AT:
            sizes = {place: size for place, size in sizes.items() if place[0] != entry.node}
        elif entry.ok and entry.node in scenario.honest:
            for origin, (size, _root) in entry.result["heads"].items():
                if size < sizes.get((entry.node, origin), 0):
                    yield f"{entry.node} held more of {origin} before"
                sizes[entry.node, origin] = size


def prompt(scenario: Scenario, history: History, asked: Fields) -> Iterator[str]:
    """From acknowledging to being seen, a share of (statement, node) pairs takes at most so long.

    Asked with ``seconds``, and perhaps ``lane`` and ``share`` (0.99).
    """
    waits = seen_seconds(scenario, history, asked.get("lane"))
    share = asked.get("share", 0.99)
    if not waits:
        yield "nothing was seen anywhere"
    elif (slow := percentile(waits, share)) > asked["seconds"]:
        yield f"{share:.0%} were seen within {slow:.2f} s, not {asked['seconds']} s"


def accused(scenario: Scenario, history: History, asked: Fields) -> Iterator[str]:
    """Every honest node ends up with evidence against these members, asked for as ``members``."""
    last = history.last_observations()
    for node in scenario.honest:
        found = {origin.split("/")[0] for origin in last[node].result["accused"]}
        if not set(asked["members"]) <= found:
            yield f"{node} accuses {sorted(found)} only"


def shown(scenario: Scenario, history: History, asked: Fields) -> Iterator[str]:
    """Every honest node ends up having counted that of a peer; asked with ``member``, ``count``."""
    last = history.last_observations()
    for node in scenario.honest:
        counts = last[node].result["counts"].get(asked["member"], {})
        if not counts.get(asked["count"]):
            yield f"{node} shows of {asked['member']} only {counts}"


def harm_was_done(scenario: Scenario, history: History, _: Fields) -> Iterator[str]:
    """Every hostile member did what it is there for."""
    done = {entry.node for entry in history.of("misdeed")}
    for node in sorted(scenario.hostile.keys() - done):
        yield f"{node} did no harm"


def receipted(scenario: Scenario, history: History, _: Fields) -> Iterator[str]:
    """Every honest issuer ends up with every other honest node's receipt on its newest heads."""
    last = history.last_observations()
    for node in scenario.honest:
        for origin, peers in last[node].result["receipts"].items():
            lacking = set(scenario.honest) - {node, *peers}
            if lacking and origin not in last[node].result["accused"]:
                yield f"{origin} lacks the receipts of {sorted(lacking)}"


CHECKS: Final[Mapping[str, Judge]] = {
    "answered-as-expected": answered_as_expected,
    "nothing-failed": nothing_failed,
    "acknowledged-everywhere": acknowledged_everywhere,
    "converged": converged,
    "equally-accused": equally_accused,
    "nobody-honest-is-blamed": nobody_honest_is_blamed,
    "one-root-for-each-size": one_root_for_each_size,
    "nothing-shrinks": nothing_shrinks,
    "prompt": prompt,
    "accused": accused,
    "receipted": receipted,
    "shown": shown,
    "harm-was-done": harm_was_done,
}


def seen_seconds(scenario: Scenario, history: History, lane: str | None = None) -> list[float]:
    """How long each honest node took to see what each other one was acknowledged; inf: never."""
    seen = {(entry.result["key"], entry.node): entry.at for entry in history.of("seen")}
    return [
        max(0.0, seen.get((said.result["key"], node), float("inf")) - said.at)
        for said in history.acknowledged()
        if lane is None or said.result["log"].split("/")[2] == lane
        for node in scenario.honest
        if node != said.node
    ]


def percentile(values: list[float], share: float) -> float:
    """The smallest value that so large a share of the values does not exceed."""
    ranked = sorted(values)
    return ranked[max(0, ceil(share * len(ranked)) - 1)]

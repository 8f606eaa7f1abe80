"""How soon a suspended member's word is gone everywhere: ``python -m benchmarks.suspension``.

Four companies' nodes, all real, in one process and so on one core, over mutual TLS on loopback. One
has published ``STATEMENTS`` confirms. Governance suspends it, ending each of its logs where it is
empty, and gives the version to one node. ``gone_ms`` runs from there until every other node answers
none of them any more: gossip, verifying the version, cutting the log and answering are in it.
``back_ms`` is the same for lifting. Both are the slowest of ``ROUNDS``. About 20 s at scale 1.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.towns import found, serving, until_held
from federation.daemon.node import Node
from federation.protocol.bodies import Confirm
from federation.protocol.keys_signing import SigningKey
from federation.protocol.origins import Lane, LogId
from federation.protocol.roster_amendments import lifted, propose_members, suspended
from federation.protocol.roster_chain import RosterChain
from federation.protocol.roster_members import EMPTY_PIN, Member
from federation.protocol.roster_proposals import finish, sign_proposal
from federation.protocol.signals import Signal, SignalType

MEMBERS = ("acme.example", "brava.example", "cinder.example", "delta.example")
STATEMENTS = 10_000
BATCH = 1_000
ROUNDS = 5
SECONDS_MAX = 60.0


def signal_of(number: int) -> Signal:
    """The SHA-256 of that number; none is all zero."""
    return Signal(SignalType.SHA256, (number + 1).to_bytes(32, "big"))


async def publish(node: Node, count: int) -> None:
    """Confirm so many signals in the live lane."""
    for start in range(0, count, BATCH):
        numbers = range(start, min(start + BATCH, count))
        confirms = [Confirm(f"item-{number}", (signal_of(number),), ()) for number in numbers]
        await node.publisher.confirm(Lane.LIVE, confirms)


async def until_answers(nodes: list[Node], count: int, *, matched: bool) -> float:
    """Wait until every node answers all of the signals so; seconds."""
    began = time.perf_counter()
    async with asyncio.timeout(SECONDS_MAX):
        for node in nodes:
            for start in range(0, count, BATCH):
                asked = [signal_of(each) for each in range(start, min(start + BATCH, count))]
                while True:
                    answers = await node.matcher.match(asked, 0)
                    if all(bool(answer) is matched for answer in answers):
                        break
                    await asyncio.sleep(0.002)
    return time.perf_counter() - began


def decide(chain: RosterChain, governor: SigningKey, member: Member) -> RosterChain:
    """The chain after that change."""
    proposal = propose_members(chain, [member], now_ms=time.time_ns() // 1_000_000)
    return finish(sign_proposal(proposal.proposal_bytes, governor), chain)


async def measure(folder: Path, statements: int) -> dict[str, list[float]]:
    """Milliseconds of each round, by what was decided."""
    governor = found(folder, MEMBERS)
    told: dict[str, list[float]] = {"gone_ms": [], "back_ms": []}
    async with serving(folder, MEMBERS) as nodes:
        chain, issuer, others = nodes[0].membership.chain, nodes[-1], nodes[:-1]
        await publish(issuer, statements)
        log = LogId(MEMBERS[-1], chain.federation_id, Lane.LIVE)
        for node in others:
            await until_held(node, log, statements)
        pins = dict.fromkeys(Lane, EMPTY_PIN)
        changes: tuple[tuple[str, bool, Callable[[Member], Member]], ...] = (
            ("gone_ms", False, lambda member: suspended(member, pins)),
            ("back_ms", True, lifted),
        )
        for _ in range(ROUNDS):
            for name, matched, change in changes:
                chain = decide(chain, governor, change(chain.newest.member(MEMBERS[-1])))
                began = time.perf_counter()
                await nodes[0].membership.adopt(chain.versions[-1])
                await until_answers(others, statements, matched=matched)
                told[name].append(1_000 * (time.perf_counter() - began))
    return told


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--scale", type=float, default=1.0)
    given = parser.parse_args()
    statements = max(1, round(STATEMENTS * given.scale))
    with tempfile.TemporaryDirectory() as folder:
        told = asyncio.run(measure(Path(folder), statements))
    for name, rounds in told.items():
        print(f"{name}: {[round(each, 1) for each in rounds]}", file=sys.stderr)
    worst = {name: round(max(rounds), 1) for name, rounds in told.items()}
    medians = {f"{name}_median": round(statistics.median(each), 1) for name, each in told.items()}
    print(json.dumps({"nodes": len(MEMBERS), "statements": statements, **worst, **medians}))


if __name__ == "__main__":
    main()

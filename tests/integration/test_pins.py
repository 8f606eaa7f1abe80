"""Pins on running nodes: what is cut off leaves every answer at once, and comes back whole."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AsyncExitStack

import pytest

from federation.daemon.node import Node
from federation.local_errors import LogEnded
from federation.protocol.headers import StatementId
from federation.protocol.origins import Lane, LogId
from federation.protocol.roster_amendments import lifted, propose_members, suspended
from federation.protocol.roster_chain import RosterChain
from federation.protocol.roster_members import EMPTY_PIN, Member, Pin
from federation.protocol.roster_proposals import finish, sign_proposal
from federation.provenance.view import Standing
from tests.builders import make_confirm, make_signal
from tests.integration.conftest import Found, Founded, until
from tests.integration.test_federation import until_matched
from tests.integration.test_publish_crash import open_node, until_held

A, B, C = "a.example", "b.example", "c.example"


def decide(founded: Founded, chain: RosterChain, *members: Member) -> RosterChain:
    """The chain after the governor changed these members."""
    now_ms = time.time_ns() // 1_000_000
    proposal = propose_members(chain, members, now_ms=now_ms)
    return finish(sign_proposal(proposal.proposal_bytes, founded.governor), chain)


async def adopt(nodes: Sequence[Node], chain: RosterChain) -> None:
    """Give each node the newest version."""
    for node in nodes:
        await node.membership.adopt(chain.versions[-1])


async def pin_at(node: Node, log: LogId, size: int) -> Pin:
    """What a node holds of a log, at a size."""
    return Pin(size, await node.stores.trees.root_hash(log, size)) if size else EMPTY_PIN


async def standing_of(node: Node, statement_id: StatementId) -> Standing | None:
    """What became of a confirm, as that node sees it."""
    found = await node.matcher.statement(statement_id)
    return found[1].standing if found and found[1] else None


async def test_suspended_word_leaves_every_answer_at_once_and_comes_back_when_lifted(
    found: Found,
) -> None:
    """Up to the pin it counts, beyond it nothing does, withdraws included; lifting restores all."""
    founded = found([A, B, C])
    live = LogId(A, founded.chain.federation_id, Lane.LIVE)
    async with AsyncExitStack() as stack:
        a, b, c = nodes = [await open_node(founded, member, stack) for member in (A, B, C)]
        (kept,) = await a.publisher.confirm(Lane.LIVE, [make_confirm(1)])
        await until_held(b, live, 1)  # a pin is chosen where somebody holds a checkpoint
        (later,) = await a.publisher.confirm(Lane.LIVE, [make_confirm(2)])
        await a.publisher.withdraw(kept.id, "mistake")
        for node in (b, c):
            await until_held(node, live, 3)
            await until_matched(node, make_signal(2))
            await until_matched(node, make_signal(1), matched=False)

        pins = dict.fromkeys(Lane, EMPTY_PIN) | {Lane.LIVE: await pin_at(b, live, 1)}
        chain = decide(founded, founded.chain, suspended(founded.chain.newest.member(A), pins))
        await adopt(nodes, chain)

        for node in nodes:
            (said, beyond) = await node.matcher.match([make_signal(1), make_signal(2)], 0)
            assert [kept.id] == [opinion.id for opinion in said[0].opinions]
            assert () == beyond
            assert Standing.CUT_OFF is await standing_of(node, later.id)
            assert 1 == node.replicator.held_size(live)
            assert 3 == (await node.stores.logs.load_logs())[0].held.size
        with pytest.raises(LogEnded):
            await a.publisher.confirm(Lane.LIVE, [make_confirm(3)])

        chain = decide(founded, chain, lifted(chain.newest.member(A)))
        await adopt(nodes, chain)
        for node in nodes:
            (said, beyond) = await node.matcher.match([make_signal(1), make_signal(2)], 0)
            assert () == said
            assert [later.id] == [opinion.id for opinion in beyond[0].opinions]
        (again,) = await a.publisher.confirm(Lane.LIVE, [make_confirm(4)])
        assert 3 == again.index
        for node in (b, c):
            await until_matched(node, make_signal(4))
            await node.stores.check_log(live)


async def test_a_restart_under_a_pin_finds_the_same(found: Found) -> None:
    """What is cut off stays cut off, and a node that lacks some of it catches up to the pin."""
    founded = found([A, B, C])
    live = LogId(A, founded.chain.federation_id, Lane.LIVE)
    async with AsyncExitStack() as stack:
        a, b = [await open_node(founded, member, stack) for member in (A, B)]
        for number in (1, 2, 3):
            await a.publisher.confirm(Lane.LIVE, [make_confirm(number)])
            await until_held(b, live, number)
        pins = dict.fromkeys(Lane, EMPTY_PIN) | {Lane.LIVE: await pin_at(b, live, 2)}
        chain = decide(founded, founded.chain, suspended(founded.chain.newest.member(A), pins))
        await adopt([b], chain)
    async with AsyncExitStack() as stack:
        b, c = [await open_node(founded, member, stack) for member in (B, C)]

        async def caught_up() -> bool:
            return c.membership.roster.version == 2 and c.replicator.held_size(live) == 2

        await until(caught_up)
        for node in (b, c):
            await until_matched(node, make_signal(2))
            assert ((),) == tuple(await node.matcher.match([make_signal(3)], 0))
        assert [3, 2] == [(await node.stores.logs.load_logs())[0].held.size for node in (b, c)]

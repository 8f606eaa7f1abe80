"""An erase is carried out as soon as it can be, and whoever follows the feed is told once of it."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Any

import pytest

from federation.daemon.changes import IncidentChanged, StatementsErased
from federation.daemon.node import Node
from federation.daemon.publisher import Draft
from federation.protocol.bodies import Dispute
from federation.protocol.headers import StatementId
from federation.protocol.origins import Lane, LogId
from federation.protocol.roster_amendments import propose_rulings
from federation.provenance.verdict import SignalState
from federation.provenance.verifier import VerifiedStatement
from tests.builders import make_signal
from tests.integration.conftest import Found, until
from tests.integration.test_erasure import ERASE, publish, stored_at, until_erased, withhold
from tests.integration.test_federation import A, B, C, until_matched
from tests.integration.test_members_come_and_go import decided, without
from tests.integration.test_publish_crash import open_node, until_held
from tests.integration.test_teller import Ear, listening


def erasures(ear: Ear) -> list[StatementsErased]:
    """What an ear was told to let go of."""
    return [each for each in ear.changes if isinstance(each, StatementsErased)]


async def say_erase(node: Node, target: StatementId) -> VerifiedStatement:
    """Publish an erase, beside what the publisher lets its member say."""
    (erase,) = await node.publisher._lanes[Lane.LIVE].publish([Draft(ERASE, (target,))])
    return erase


async def is_open(node: Node, said: VerifiedStatement) -> bool:
    """Whether a node has salt and body of a statement."""
    found = await stored_at(node, said.id)
    return found is not None and found.opening is not None


async def test_an_erase_that_a_roster_makes_valid_is_carried_out_at_once_and_told_once(
    found: Found,
) -> None:
    """It stood in its log without effect until its member became the successor."""
    founded, ears = found([A, B, C]), [Ear(), Ear()]
    async with AsyncExitStack() as stack:
        a = await listening(founded, A, stack, ears[0])
        c = await listening(founded, C, stack, ears[1])
        async with AsyncExitStack() as first:
            b = await open_node(founded, B, first)
            said, kept = await publish(b, 1), await publish(b, 2)
            for node in (a, c):
                await until_held(node, said.log, 2)
        erase = await say_erase(a, said.id)
        await until_held(c, erase.log, 1)
        assert await is_open(a, said)
        assert await is_open(c, said)
        await a.membership.adopt(without(founded, B, a, A).versions[-1])
        for node, ear in zip((a, c), ears, strict=True):
            await until_erased(node, said.id)
            await until_matched(node, make_signal(1), matched=False)
            await until_told(node, ear)
            assert [StatementsErased((said.id,), (erase.id,))] == erasures(ear)
            assert await is_open(node, kept)
    later = Ear()
    async with AsyncExitStack() as stack:
        a = await listening(founded, A, stack, later)
        await a.platform.teller.until_idle()
        assert [] == erasures(later)


@pytest.mark.parametrize("held_up", ["before it is looked at", "between the look and the commit"])
async def test_an_erase_that_came_before_its_target_is_carried_out_and_told_once(
    found: Found, held_up: str
) -> None:
    founded, ear, gate, came = found([A, C]), Ear(), asyncio.Event(), asyncio.Event()
    async with AsyncExitStack() as stack:
        a = await open_node(founded, A, stack)
        c = await listening(founded, C, stack, ear)
        room, name = (c.eraser, "prepare") if "before" in held_up else (c.stores.logs, "append")
        honest = getattr(room, name)

        async def held(step: Any, *arguments: Any, **more: Any) -> Any:
            if step.view.log.lane is Lane.BULK:
                came.set()
                await gate.wait()
            return await honest(step, *arguments, **more)

        setattr(room, name, held)
        said = await publish(a, 1, Lane.BULK)
        await came.wait()
        by = await a.publisher.say_about(said.id, ERASE)
        await until_held(c, LogId(A, founded.chain.federation_id, Lane.LIVE), 1)
        await c.platform.teller.until_idle()
        assert [] == erasures(ear)
        gate.set()
        await until_held(c, said.log, 1)
        await until_erased(c, said.id)
        await until_told(c, ear)
        assert [StatementsErased((said.id,), (by,))] == erasures(ear)
        assert 0 == c.replicator.engine.missing_count()


async def until_told(node: Node, ear: Ear) -> None:
    """Wait until an ear was told to let go of something, and of all that is known."""

    async def is_told() -> bool:
        return bool(erasures(ear))

    await until(is_told)
    await node.platform.teller.until_idle()


async def test_an_erase_whose_body_comes_later_is_carried_out_then_and_told_once(
    found: Found,
) -> None:
    founded, ear = found([A, C]), Ear()
    live = LogId(A, founded.chain.federation_id, Lane.LIVE)
    async with AsyncExitStack() as stack:
        async with AsyncExitStack() as first:
            a = await open_node(founded, A, first)
            async with AsyncExitStack() as second:
                c = await listening(founded, C, second, Ear())
                said = await publish(a, 1)
                await until_held(c, live, 1)
                await c.platform.teller.until_idle()
            by = await a.publisher.say_about(said.id, ERASE)
        async with AsyncExitStack() as third:
            a = await open_node(founded, A, third)
            withhold(a)
            c = await listening(founded, C, stack, ear)
            await until_held(c, live, 2)
            await c.platform.teller.until_idle()
            assert await is_open(c, said)
            assert [] == erasures(ear)
        await open_node(founded, A, stack)
        await until_erased(c, said.id)
        await until_told(c, ear)
        assert [StatementsErased((said.id,), (by,))] == erasures(ear)


async def test_what_a_body_says_that_comes_later_is_told_then(found: Found) -> None:
    founded, ear = found([A, C]), Ear()
    live = LogId(A, founded.chain.federation_id, Lane.LIVE)
    async with AsyncExitStack() as stack:
        async with AsyncExitStack() as first:
            a = await open_node(founded, A, first)
            await publish(a, 1)
        async with AsyncExitStack() as second:
            a = await open_node(founded, A, second)
            withhold(a)
            c = await listening(founded, C, stack, ear)
            await until_held(c, live, 1)
            await c.platform.teller.until_idle()
            assert [] == ear.states_of(make_signal(1))
        await open_node(founded, A, stack)
        await until_matched(c, make_signal(1))

        async def is_told() -> bool:
            return bool(ear.states_of(make_signal(1)))

        await until(is_told)
        await c.platform.teller.until_idle()
        assert [(SignalState.UNKNOWN, SignalState.POSITIVE)] == ear.states_of(make_signal(1))


@pytest.mark.parametrize("who", ["its member", "governance"])
async def test_what_was_carried_out_and_not_told_before_a_crash_is_told_once_at_the_next_start(
    found: Found, who: str
) -> None:
    founded, deaf = found([A]), Ear()
    by: tuple[StatementId, ...] = ()
    async with AsyncExitStack() as stack:
        a = await listening(founded, A, stack, deaf)
        said = await publish(a, 1)
        await a.platform.teller.until_idle()
        deaf.failures = 1_000_000
        if who == "governance":
            now_ms = time.time_ns() // 1_000_000
            proposal = propose_rulings(founded.chain, erased=[said.id], now_ms=now_ms)
            chain = decided(founded, founded.chain, proposal.proposal_bytes)
            await a.membership.adopt(chain.versions[-1])
        else:
            by = (await a.publisher.say_about(said.id, ERASE),)
        await until_erased(a, said.id)
    for expected in ([StatementsErased((said.id,), by)], []):
        ear = Ear()
        async with AsyncExitStack() as stack:
            a = await listening(founded, A, stack, ear)
            await a.platform.teller.until_idle()
            assert expected == erasures(ear)


async def test_what_a_review_was_about_is_told_when_the_review_is_erased(found: Found) -> None:
    """Its words are gone by then, and what it refers to is known."""
    founded, ear = found([A, B]), Ear()
    async with AsyncExitStack() as stack:
        a = await listening(founded, A, stack, ear)
        b = await open_node(founded, B, stack)
        said = await publish(a, 1)
        await until_held(b, said.log, 1)
        disputed = await b.publisher.say_about(said.id, Dispute("benign"))
        by = await b.publisher.say_about(disputed, ERASE)
        await until_erased(a, disputed)
        await until_told(a, ear)
        assert [StatementsErased((disputed,), (by,))] == erasures(ear)

        async def stands_again() -> bool:
            return (None, SignalState.POSITIVE) == ear.states_of(make_signal(1))[-1]

        await until(stands_again)


async def test_an_incident_whose_erase_a_roster_makes_valid_is_told_to_be_gone(
    found: Found,
) -> None:
    founded, ear = found([A, B]), Ear()
    async with AsyncExitStack() as stack:
        a = await listening(founded, A, stack, ear)
        async with AsyncExitStack() as first:
            b = await open_node(founded, B, first)
            made = (await b.incidents.open("a title", "major")).id
            stored = await b.stores.logs.statement(made)
            assert stored is not None
            await until_held(a, stored.log, 1)
        await say_erase(a, made)
        assert a.incidents.state(made) is not None
        await a.membership.adopt(without(founded, B, a, A).versions[-1])
        assert a.incidents.state(made) is None
        await a.platform.teller.until_idle()
        assert 1 == ear.changes.count(IncidentChanged(made, None))


async def test_where_nobody_listens_no_note_of_what_was_erased_stays(found: Found) -> None:
    async with AsyncExitStack() as stack:
        a = await open_node(found([A]), A, stack)
        said = await publish(a, 1)
        await a.publisher.say_about(said.id, ERASE)
        await until_erased(a, said.id)
        await a.platform.teller.until_idle()
        assert await a.stores.erasures.untold() is None

"""Pins on running nodes: what is cut off leaves every answer at once, and comes back whole."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress

import pytest

from federation.daemon.node import DATABASE_FILE, Node
from federation.daemon.own_keys import make_next_keys, request_with_all_keys
from federation.daemon.pin_choice import choose_pins
from federation.local_errors.askers import LogEnded
from federation.protocol.headers import StatementId
from federation.protocol.keys import check_ed25519
from federation.protocol.origins import Lane, LogId
from federation.protocol.policy import Quorum
from federation.protocol.roster_amendments import (
    PURPOSES,
    lifted,
    propose_members,
    rekeyed,
    restored,
    suspended,
)
from federation.protocol.roster_chain import RosterChain
from federation.protocol.roster_members import EMPTY_PIN, Member, Pin
from federation.protocol.roster_proposals import finish, sign_proposal
from federation.provenance.bundle_judge import judge_bundle
from federation.provenance.verifier import Head
from federation.provenance.view import Standing
from federation.store.stores import open_stores
from tests.builders import make_confirm, make_signal
from tests.integration.conftest import Found, Founded, until
from tests.integration.test_federation import until_matched
from tests.integration.test_publish_crash import open_node, until_held

NO_QUORUM = Quorum(0)
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
            assert 3 == await node.stores.logs.size(live)
        with pytest.raises(LogEnded):
            await a.publisher.confirm(Lane.LIVE, [make_confirm(3)])

        chain = decide(founded, chain, lifted(chain.newest.member(A)))
        await adopt(nodes, chain)
        for node in nodes:
            (said, beyond) = await node.matcher.match([make_signal(1), make_signal(2)], 0)
            assert () == said
            assert [later.id] == [opinion.id for opinion in beyond[0].opinions]
        (again,) = await a.publisher.confirm(Lane.LIVE, [make_confirm(4)])
        assert again.index in {3, 4}  # its node also says that it acts under the new version
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
        assert [3, 2] == [await node.stores.logs.size(live) for node in (b, c)]


async def test_an_index_written_before_a_pin_moved_is_not_believed_after_a_crash(
    found: Found,
) -> None:
    """What was withdrawn beyond the pin matches again, though the files on disk lack it."""
    founded = found([A, B])
    live = LogId(A, founded.chain.federation_id, Lane.LIVE)
    async with AsyncExitStack() as stack:
        a, b = [await open_node(founded, member, stack) for member in (A, B)]
        (kept,) = await a.publisher.confirm(Lane.LIVE, [make_confirm(1)])
        await until_held(b, live, 1)
        await a.publisher.withdraw(kept.id, "mistake")
        await until_held(b, live, 2)
        pins = dict.fromkeys(Lane, EMPTY_PIN) | {Lane.LIVE: await pin_at(b, live, 1)}
    # Both are closed, their indexes written without the signal; the roster moves behind their back.
    chain = decide(founded, founded.chain, suspended(founded.chain.newest.member(A), pins))
    async with AsyncExitStack() as stack:
        stores = await stack.enter_async_context(
            await open_stores(
                founded.config(B).path(founded.config(B).data_directory) / DATABASE_FILE,
                member=B,
                federation_id=chain.federation_id,
            )
        )
        await stores.rosters.keep(chain.newest)
    async with AsyncExitStack() as stack:
        b = await open_node(founded, B, stack)
        ((match,),) = await b.matcher.match([make_signal(1)], 0)
        assert [kept.id] == [opinion.id for opinion in match.opinions]


async def test_a_log_key_is_renewed_under_load_and_nothing_is_refused(found: Found) -> None:
    """The roster pins where the next key starts; what was said meanwhile is under its head."""
    founded = found([A, B])
    live = LogId(A, founded.chain.federation_id, Lane.LIVE)
    config = founded.config(A)
    async with AsyncExitStack() as stack:
        a, b = nodes = [await open_node(founded, member, stack) for member in (A, B)]
        await a.publisher.confirm(Lane.LIVE, [make_confirm(1)])
        make_next_keys(config, ["live", "mirror", "tls"])
        request = request_with_all_keys(config, founded.chain.newest.member(A).urls)
        start = {Lane.LIVE: await pin_at(a, live, 1)}
        number = 1

        async def load() -> None:
            nonlocal number
            while True:
                number += 1
                await a.publisher.confirm(Lane.LIVE, [make_confirm(number)])

        under_load = asyncio.create_task(load())
        await until_held(b, live, 20)
        changed = rekeyed(founded.chain.newest.member(A), request, start)
        chain = decide(founded, founded.chain, changed)
        await adopt([b, a], chain)
        before = number

        async def has_gone_on() -> bool:
            return number > before + 20 or under_load.done()

        await until(has_gone_on)
        under_load.cancel()
        with suppress(asyncio.CancelledError):
            await under_load
        held = a.replicator.held_size(live)
        assert held > before
        await until_held(b, live, held)
        view = b.replicator.engine.logs[live].view
        assert view.head is not None
        assert request.keys["live"] == view.head.vkey.public
        await until_matched(b, make_signal(before))
        assert not b.membership.cuts.ends
        (said,) = await b.publisher.confirm(Lane.LIVE, [make_confirm(10_000)])

        async def receipt_by_the_new_key() -> bool:
            kept = await b.stores.receipts.receipts(said.log, 1)
            return [each.member for each in kept] == [A]

        await until_held(a, said.log, 1)
        await until(receipt_by_the_new_key)
        for node in nodes:
            assert not node.replicator.alarms
    async with AsyncExitStack() as stack:
        a = await open_node(founded, A, stack)
        held = a.replicator.held_size(live)
        (again,) = await a.publisher.confirm(Lane.LIVE, [make_confirm(20_000)])
        assert held == again.index
        bundle = await a.prover.bundle(again.id)
        assert judge_bundle(bundle, chain.versions[0], NO_QUORUM, check_ed25519).is_verified


async def test_a_view_that_was_read_before_the_last_batch_moves_no_open_log_back(
    found: Found,
) -> None:
    """A roster is applied while this node goes on publishing."""
    founded = found([A, B])
    live = LogId(A, founded.chain.federation_id, Lane.LIVE)
    async with AsyncExitStack() as stack:
        a = await open_node(founded, A, stack)
        lane = a.roster_changes._lanes[Lane.LIVE]
        await a.publisher.confirm(Lane.LIVE, [make_confirm(1)])
        read = lane.view
        await a.publisher.confirm(Lane.LIVE, [make_confirm(2)])
        lane.move(live, read)
        (said,) = await a.publisher.confirm(Lane.LIVE, [make_confirm(3)])
        assert read.size + 1 <= said.index


async def test_a_lane_whose_disk_refuses_holds_no_roster_up(
    found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    founded = found([A, B])
    live = LogId(A, founded.chain.federation_id, Lane.LIVE)
    async with AsyncExitStack() as stack:
        a = await open_node(founded, A, stack)
        signed, is_called, is_free = a.guard.signed, asyncio.Event(), asyncio.Event()

        async def waiting(before: Head | None, head: Head) -> None:
            is_called.set()
            await is_free.wait()
            await signed(before, head)

        monkeypatch.setattr(a.guard, "signed", waiting)
        saying = asyncio.create_task(a.publisher.confirm(Lane.LIVE, [make_confirm(1)]))
        await is_called.wait()
        pins = dict.fromkeys(Lane, EMPTY_PIN)
        chain = decide(founded, founded.chain, suspended(founded.chain.newest.member(A), pins))
        async with asyncio.timeout(60):
            await adopt([a], chain)
        assert a.membership.is_applied
        assert chain.newest == a.replicator.engine._reconciliation.verifier.roster
        is_free.set()
        (said,) = await saying
        assert Standing.CUT_OFF is await standing_of(a, said.id)
        assert 0 == a.replicator.held_size(live)
        with pytest.raises(LogEnded):
            await a.publisher.confirm(Lane.LIVE, [make_confirm(2)])


async def a_second_after_its_receipt(node: Node, log: LogId) -> int:
    """Wait until the clock has gone beyond the receipts on a log's first head; POSIX seconds."""

    async def has_come() -> bool:
        receipts = await node.stores.receipts.receipts(log, 1)
        return bool(receipts) and time.time() >= receipts[-1].at_seconds + 1

    await until(has_come)
    return (await node.stores.receipts.receipts(log, 1))[-1].at_seconds + 1


async def test_a_stolen_key_is_distrusted_from_a_time_and_its_owner_comes_back(
    found: Found,
) -> None:
    """The pin comes from receipts before T; the thief's withdraw is undone; a new epoch opens."""
    founded = found([A, B, C])
    live = LogId(A, founded.chain.federation_id, Lane.LIVE)
    async with AsyncExitStack() as stack:
        a, b, c = nodes = [await open_node(founded, member, stack) for member in (A, B, C)]
        (kept,) = await a.publisher.confirm(Lane.LIVE, [make_confirm(1)])

        await until_held(b, live, 1)
        stolen_at = await a_second_after_its_receipt(b, live)
        await a.publisher.withdraw(kept.id, "mistake")
        (forged,) = await a.publisher.confirm(Lane.LIVE, [make_confirm(2)])
        for node in (b, c):
            await until_held(node, live, 3)
            await until_matched(node, make_signal(2))

        choices = await choose_pins(b.stores, b.membership, A, stolen_at)
        by_lane = {each.log.lane: each for each in choices}
        assert {Lane.CRISIS: 0, Lane.LIVE: 1, Lane.BULK: 0} == {
            lane: each.pin.size for lane, each in by_lane.items()
        }
        assert ({"confirm": 1, "withdraw": 1}, (kept.id,)) == (
            by_lane[Lane.LIVE].falls,
            by_lane[Lane.LIVE].undone,
        )
        member = founded.chain.newest.member(A)
        pins = {lane: each.pin for lane, each in by_lane.items()}
        chain = decide(founded, founded.chain, suspended(member, pins))
        await adopt(nodes, chain)
        for node in nodes:
            (said, beyond) = await node.matcher.match([make_signal(1), make_signal(2)], 0)
            assert [kept.id] == [opinion.id for opinion in said[0].opinions]
            assert () == beyond

        config = founded.config(A)
        make_next_keys(config, PURPOSES)
        request = request_with_all_keys(config, member.urls)
        chain = decide(founded, chain, restored(chain.newest.member(A), request))
        await adopt(nodes, chain)
        (new,) = await a.publisher.confirm(Lane.LIVE, [make_confirm(3)])
        assert LogId(A, live.federation_id, Lane.LIVE, 1) == new.log
        for node in nodes:
            await until_matched(node, make_signal(3))
            assert Standing.CUT_OFF is await standing_of(node, forged.id)
            assert Standing.ACTIVE is await standing_of(node, kept.id)
        bundle = await b.prover.bundle(kept.id)
        assert judge_bundle(bundle, chain.versions[0], NO_QUORUM, check_ed25519).is_verified
        await a.publisher.withdraw(kept.id, "mistake")
        for node in nodes:
            await until_matched(node, make_signal(1), matched=False)


async def test_a_member_that_came_back_after_a_pin_signs_on_after_a_restart(found: Found) -> None:
    """Its old log stands up to the pin only, and holds all that was signed: no older database."""
    founded = found([A])
    live = LogId(A, founded.chain.federation_id, Lane.LIVE)
    config = founded.config(A)
    async with AsyncExitStack() as stack:
        a = await open_node(founded, A, stack)
        for number in (1, 2, 3):
            await a.publisher.confirm(Lane.LIVE, [make_confirm(number)])
        member = founded.chain.newest.member(A)
        pins = dict.fromkeys(Lane, EMPTY_PIN) | {Lane.LIVE: await pin_at(a, live, 1)}
        chain = decide(founded, founded.chain, suspended(member, pins))
        await adopt([a], chain)
        make_next_keys(config, PURPOSES)
        request = request_with_all_keys(config, member.urls)
        chain = decide(founded, chain, restored(chain.newest.member(A), request))
        await adopt([a], chain)
        await a.publisher.confirm(Lane.LIVE, [make_confirm(4)])
    async with AsyncExitStack() as stack:
        a = await open_node(founded, A, stack)
        assert {} == a.guard.stops
        (said,) = await a.publisher.confirm(Lane.LIVE, [make_confirm(5)])
        assert 1 == said.log.epoch

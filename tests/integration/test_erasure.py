"""What is erased is gone at every node and on every disk, and nothing else loses its proof."""

from __future__ import annotations

import shutil
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from federation.daemon.desk import Desk
from federation.daemon.node import DATABASE_FILE, Node
from federation.local_errors.askers import NotYourStatement, StatementNotOpen
from federation.net.mailboxes import Mailboxes
from federation.protocol import roster_proposals
from federation.protocol.bodies import Dispute, Endorse, Erase
from federation.protocol.headers import StatementId
from federation.protocol.keys import check_ed25519
from federation.protocol.messages import decode_range
from federation.protocol.origins import Lane, LogId
from federation.protocol.policy import Quorum
from federation.protocol.statements import Opening, Statement, commitment_of
from federation.provenance.bundle_judge import judge_bundle
from federation.provenance.verifier import VerifiedStatement
from federation.provenance.view import Standing
from tests.builders import make_confirm, make_signal
from tests.integration.conftest import Found, Founded, until
from tests.integration.test_federation import A, B, C, until_matched
from tests.integration.test_publish_crash import open_node, until_held

ERASE = Erase("data-protection")


async def publish(node: Node, number: int, lane: Lane = Lane.LIVE) -> VerifiedStatement:
    """Confirm the content of that number."""
    (said,) = await node.publisher.confirm(lane, [make_confirm(number)])
    return said


async def stored_at(node: Node, statement_id: StatementId) -> Statement | None:
    """The statement as that node stores it."""
    found = await node.stores.logs.statement(statement_id)
    return found.statement if found else None


async def until_erased(node: Node, statement_id: StatementId) -> None:
    """Wait until a node has nothing but header and C."""

    async def is_so() -> bool:
        found = await stored_at(node, statement_id)
        return found is not None and found.opening is None

    await until(is_so)


async def served(node: Node, said: VerifiedStatement) -> Statement:
    """The statement as that node serves it to a peer."""
    at = said.index
    boxes = Mailboxes(lambda _member: None)
    desk = Desk(node.replicator, node.stores, node.membership, boxes, node.attester)
    raw = await desk.statements(B, said.log.sha256, at, at + 1, at + 1)
    (statement,) = decode_range(raw).statements
    return statement


def bytes_on_disk(founded: Founded, member: str) -> bytes:
    """All that a node's database files hold."""
    folder = founded.config_path(member).parent / "data"
    return b"".join(path.read_bytes() for path in sorted(folder.glob(f"{DATABASE_FILE}*")))


def watch_listening(node: Node, statement_id: StatementId) -> list[Statement | None]:
    """What the node stores of a statement at the moment when it begins to serve peers."""
    seen: list[Statement | None] = []
    start = node.listener.start

    async def look_first(host: str, port: int) -> Any:
        seen.append(await stored_at(node, statement_id))
        return await start(host, port)

    node.listener.start = look_first  # type: ignore[method-assign]
    return seen


async def reopen(founded: Founded, member: str, stack: AsyncExitStack, said: StatementId) -> Node:
    """Start a node that must have erased a statement before it listens."""
    node = await Node.open(founded.config(member))
    stack.push_async_callback(node.close)
    seen = watch_listening(node, said)
    await node.start()
    assert [None] == [each.opening for each in seen if each is not None]
    return node


async def test_erased_at_one_is_gone_at_all_and_everything_else_still_proven(found: Found) -> None:
    founded = found([A, B, C])
    async with AsyncExitStack() as stack:
        nodes = [await open_node(founded, member, stack) for member in (A, B, C)]
        others = [await publish(nodes[0], number) for number in (1, 2)]
        said = await publish(nodes[0], 3)
        after = await publish(nodes[0], 4)
        opening = said.statement.opening
        assert opening is not None
        for node in nodes:
            await until_matched(node, make_signal(3))
        await nodes[0].publisher.say_about(said.id, ERASE)
        for node, member in zip(nodes, (A, B, C), strict=True):
            await until_erased(node, said.id)
            await until_matched(node, make_signal(3), matched=False)
            assert (await served(node, said)).opening is None
            told = await node.matcher.statement(said.id)
            assert told is not None
            assert told[1] is not None
            assert Standing.ERASED is told[1].standing
            await node.eraser.scrub()
            disk = bytes_on_disk(founded, member)
            assert (opening.salt in disk, opening.body in disk) == (False, False)
            assert make_signal(3).value not in disk
            assert make_signal(2).value in disk
            await node.stores.check_log(said.log)
        root = founded.chain.versions[0]
        for each in (*others, said, after):
            await until_matched(nodes[1], make_signal(4))
            bundle = await nodes[1].prover.bundle(each.id)
            report = judge_bundle(bundle, root, Quorum(1), check_ed25519)
            assert report.is_verified, report.failed_step


async def test_a_node_that_was_offline_erases_before_it_serves(found: Found) -> None:
    founded = found([A, B])
    async with AsyncExitStack() as stack:
        a = await open_node(founded, A, stack)
        async with AsyncExitStack() as first:
            b = await open_node(founded, B, first)
            said = await publish(a, 1)
            await until_matched(b, make_signal(1))
        await a.publisher.say_about(said.id, ERASE)
        b = await reopen(founded, B, stack, said.id)
        await until_matched(b, make_signal(1), matched=False)


async def test_a_restored_backup_erases_before_it_serves(found: Found, tmp_path: Path) -> None:
    founded = found([A, B])
    data = founded.config_path(B).parent / "data"
    async with AsyncExitStack() as stack:
        a = await open_node(founded, A, stack)
        async with AsyncExitStack() as first:
            b = await open_node(founded, B, first)
            said = await publish(a, 1, Lane.BULK)
            await until_matched(b, make_signal(1))
        shutil.copytree(data, tmp_path / "backup")
        async with AsyncExitStack() as second:
            b = await open_node(founded, B, second)
            await a.publisher.say_about(said.id, ERASE)
            await until_erased(b, said.id)
        shutil.rmtree(data)
        shutil.copytree(tmp_path / "backup", data)
        opening = said.statement.opening
        assert opening is not None
        assert opening.body in bytes_on_disk(founded, B)
        await reopen(founded, B, stack, said.id)
        assert opening.body not in bytes_on_disk(founded, B)


async def test_a_node_cut_off_before_it_applied_an_erase_applies_it_at_its_start(
    found: Found,
) -> None:
    """The crash came between the erase's commit and what it orders."""
    founded = found([A])
    async with AsyncExitStack() as first:
        a = await open_node(founded, A, first)
        said = await publish(a, 1)

        async def crash(*_step: Any) -> None:
            return

        a.eraser.absorb = crash  # type: ignore[method-assign, assignment]
        await a.publisher.say_about(said.id, ERASE)
        kept = await stored_at(a, said.id)
        assert kept is not None
        assert kept.opening is not None
    async with AsyncExitStack() as stack:
        await reopen(founded, A, stack, said.id)


def withhold(node: Node) -> None:
    """Make a node serve header and C of everything, as if it had been erased."""
    honest = node.stores.logs.statement_parts

    async def bare(*arguments: Any, **more: Any) -> list[tuple[bytes, ...]]:
        return [
            (parts[0], commitment_of(Opening(*parts[1:])))
            for parts in await honest(*arguments, **more)
        ]

    node.stores.logs.statement_parts = bare  # type: ignore[method-assign]


async def test_a_withheld_body_is_missing_until_somebody_gives_it(found: Found) -> None:
    """It stalls nothing, is not receipted, and is asked for at others until it is here."""
    founded = found([A, B, C])
    live = LogId(A, founded.chain.federation_id, Lane.LIVE)
    async with AsyncExitStack() as stack:
        async with AsyncExitStack() as first:
            a = await open_node(founded, A, first)
            b = await open_node(founded, B, first)
            said = [await publish(a, number) for number in range(3)]
            await until_held(b, live, 3)
        b = await open_node(founded, B, stack)  # it restarts, and keeps back what it has
        withhold(b)
        c = await open_node(founded, C, stack)
        await until_held(c, live, 3)

        async def three_are_missing() -> bool:
            return c.replicator.engine.missing_count() == 3

        await until(three_are_missing)
        assert (
            [] == await c.matcher.match([make_signal(1)], 31)
            or not (await c.matcher.match([make_signal(1)], 31))[0]
        )
        assert await c.stores.erasures.is_missing(live, 1)
        assert C not in [kept.member for kept in await c.stores.receipts.receipts(live, 3)]
        assert 0 == c.replicator.engine.peers[B].faults
        a = await open_node(founded, A, stack)
        await until_matched(c, make_signal(1))
        assert said[1].statement == await stored_at(c, said[1].id)

        async def is_receipted() -> bool:
            return C in [kept.member for kept in await a.stores.receipts.receipts(live, 3)]

        await until(is_receipted)
        assert 0 == c.replicator.engine.missing_count()
        await c.stores.check_log(live)


async def test_an_erase_makes_what_was_missing_erased_and_receipted(found: Found) -> None:
    """One range brings header and C, and later in the same log the erase of it."""
    founded = found([A, B])
    live = LogId(A, founded.chain.federation_id, Lane.LIVE)
    async with AsyncExitStack() as stack:
        a = await open_node(founded, A, stack)
        said = await publish(a, 1)
        bulk = await publish(a, 2, Lane.BULK)
        await a.publisher.say_about(said.id, ERASE)
        await a.publisher.say_about(bulk.id, ERASE)
        b = await open_node(founded, B, stack)
        for log, size in ((live, 3), (bulk.log, 1)):
            await until_held(b, log, size)

        async def is_receipted() -> bool:
            reach = await a.stores.receipts.receipts_by_member()
            held = {(each.log, each.size) for each in reach if each.member == B}
            return {(live, 3), (bulk.log, 1)} <= held

        await until(is_receipted)
        assert not await b.stores.erasures.is_missing(live, 0)
        assert not await b.stores.erasures.is_missing(bulk.log, 0)


async def test_what_governance_lists_is_erased_at_every_node(found: Found) -> None:
    founded = found([A, B])
    async with AsyncExitStack() as stack:
        a, b = [await open_node(founded, member, stack) for member in (A, B)]
        said = await publish(a, 1, Lane.BULK)
        await until_matched(b, make_signal(1))
        facts = roster_proposals.roster_facts(founded.chain)
        facts["erased"] = [str(said.id)]
        now_ms = time.time_ns() // 1_000_000
        proposal = roster_proposals.propose_facts(
            founded.chain, facts, now_ms=now_ms, expires_days=30
        )
        signed = roster_proposals.sign_proposal(proposal.proposal_bytes, founded.governor)
        chain = roster_proposals.finish(signed, founded.chain)
        await a.membership.adopt(chain.versions[-1])
        for node in (a, b):
            await until_erased(node, said.id)
            await until_matched(node, make_signal(1), matched=False)


async def test_endorses_and_disputes_are_told_with_a_match_until_they_are_taken_back(
    found: Found,
) -> None:
    founded = found([A, B, C])
    async with AsyncExitStack() as stack:
        a, b, c = [await open_node(founded, member, stack) for member in (A, B, C)]
        said = await publish(a, 1)
        for node in (b, c):
            await until_matched(node, make_signal(1))
        endorse = await b.publisher.say_about(said.id, Endorse("agrees"))
        assert endorse == await b.publisher.say_about(said.id, Endorse("agrees"))
        await c.publisher.say_about(said.id, Dispute("benign"))

        async def reviewed(by: tuple[tuple[str, ...], tuple[str, ...]]) -> bool:
            ((match,),) = await a.matcher.match([make_signal(1)], 0)
            (opinion,) = match.opinions
            return by == (opinion.endorsed_by, opinion.disputed_by)

        await until(lambda: reviewed(((B,), (C,))))
        await b.publisher.withdraw(endorse, "mistake")
        await until(lambda: reviewed(((), (C,))))
        again = await b.publisher.say_about(said.id, Endorse("agrees"))
        assert again != endorse
        await until(lambda: reviewed(((B,), (C,))))
        await b.publisher.say_about(again, ERASE)
        await until(lambda: reviewed(((), (C,))))


async def test_what_may_not_be_said_is_refused_at_the_local_door(found: Found) -> None:
    founded = found([A, B])
    async with AsyncExitStack() as stack:
        a, b = [await open_node(founded, member, stack) for member in (A, B)]
        said = await publish(a, 1)
        await until_matched(b, make_signal(1))
        with pytest.raises(NotYourStatement):
            await b.publisher.say_about(said.id, ERASE)
        with pytest.raises(NotYourStatement):
            await a.publisher.say_about(said.id, Endorse("agrees"))
        withdraw = await a.publisher.withdraw(said.id, "mistake")
        with pytest.raises(StatementNotOpen):
            await a.publisher.say_about(withdraw, ERASE)
        erase = await a.publisher.say_about(said.id, ERASE)
        assert erase == await a.publisher.say_about(said.id, Erase("court-order"))
        with pytest.raises(StatementNotOpen):
            await a.publisher.say_about(erase, ERASE)

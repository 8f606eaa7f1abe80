"""Status attestations between real nodes: in force by other members' word, or not at all."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from federation.daemon import attester as attesting
from federation.daemon.convictor import Convictor
from federation.daemon.keyring import load_keyring
from federation.daemon.node import Node
from federation.daemon.publisher import Draft
from federation.errors import NotInForce, QuorumUnmet, RequestMalformed
from federation.local_errors.askers import (
    AttestationNotGiven,
    NothingToConvict,
    RangeNotHeld,
    SigningStopped,
    TooBusy,
)
from federation.protocol.attestations import Finding, State, parse_attestation
from federation.protocol.attestations_signing import sign_attestation
from federation.protocol.bodies import Erase, Withdraw
from federation.protocol.headers import StatementId
from federation.protocol.keys import check_ed25519
from federation.protocol.notes import parse_note
from federation.protocol.origins import Lane
from federation.protocol.policy import Quorum, parse_quorum
from federation.protocol.signals import SignalType
from federation.provenance.attestation_convicting import judge_conviction
from federation.provenance.attestation_judge import open_attestation
from federation.provenance.bundle_judge import claims_of, judge_bundle
from federation.provenance.verifier import VerifiedStatement
from tests.builders import make_confirm, make_signal
from tests.integration.conftest import Found, Founded, until
from tests.integration.test_publish_crash import open_node, until_held

A, B, C = "a.example", "b.example", "c.example"


async def running(found: Found, stack: AsyncExitStack) -> tuple[Founded, list[Node]]:
    founded = found([A, B, C])
    return founded, [await open_node(founded, member, stack) for member in (A, B, C)]


async def said(
    nodes: list[Node], number: int = 1, expires_at_ms: int | None = None
) -> VerifiedStatement:
    """A confirm by A that everybody holds and receipts."""
    (statement,) = await nodes[0].publisher.confirm(
        Lane.LIVE, [make_confirm(number, expires_at_ms=expires_at_ms)]
    )
    for node in nodes[1:]:
        await until_held(node, statement.log, statement.index + 1)

    async def is_receipted() -> bool:
        kept = await nodes[0].stores.receipts.receipts_by_member()
        sizes = {each.member for each in kept if each.size > statement.index}
        return {B, C} <= sizes

    await until(is_receipted)
    return statement


async def test_in_force_is_proven_by_two_other_members_and_judged_offline(found: Found) -> None:
    async with AsyncExitStack() as stack:
        founded, nodes = await running(found, stack)
        statement = await said(nodes)
        bundle = await nodes[0].prover.bundle(statement.id, in_force=2)
        root = founded.chain.versions[0]
        report = judge_bundle(bundle, root, Quorum(2), check_ed25519, in_force=2)
        assert report.is_verified, report.failed_step
        assert {"stated": True, "in_force": True} == claims_of(report, is_force_asked=True)
        # The own member's word is not among them, whoever makes the bundle.
        theirs = await nodes[1].prover.bundle(statement.id, in_force=2)
        assert judge_bundle(theirs, root, Quorum(1), check_ed25519, in_force=2).is_verified


async def test_an_omitted_withdraw_never_verifies_as_in_force(found: Found) -> None:
    """The prover leaves out the withdraw; whoever holds it says so, and one is enough."""
    async with AsyncExitStack() as stack:
        founded, nodes = await running(found, stack)
        statement = await said(nodes)
        before = await nodes[0].prover.bundle(statement.id, in_force=2)
        withdraw = await nodes[0].publisher.withdraw(statement.id, "mistake")
        for node in nodes[1:]:
            await until_held(node, statement.log, 2)
        with pytest.raises(NotInForce):
            await nodes[0].prover.bundle(statement.id, in_force=1)
        for node in nodes:
            note = parse_note(await node.attester.attest(str(statement.id)))
            (finding,) = parse_attestation(note.text).findings
            assert (State.WITHDRAWN, (withdraw,)) == (finding.state, finding.by)
        # What was true stays provable as of then, and claims nothing about now.
        root = founded.chain.versions[0]
        report = judge_bundle(before, root, Quorum(1), check_ed25519, in_force=2)
        assert report.is_verified
        assert "IN FORCE as of" in report.conclusion
        bare = await nodes[0].prover.bundle(statement.id)
        report = judge_bundle(bare, root, Quorum(1), check_ed25519, in_force=1)
        assert {"stated": True, "in_force": False} == claims_of(report, is_force_asked=True)


async def test_a_node_that_signs_nothing_attests_nothing(found: Found) -> None:
    async with AsyncExitStack() as stack:
        _, nodes = await running(found, stack)
        statement = await said(nodes)
        own = next(log for log in nodes[1].membership.roster.logs if log.member == B)
        await nodes[1].guard.stop(own, "peer-ahead", "somebody must look")
        with pytest.raises(SigningStopped):
            await nodes[1].attester.attest(str(statement.id))
        with pytest.raises(SigningStopped):
            nodes[1].attester.second_line(statement.log, 1)
        # And another member's word is still to be had.
        assert await nodes[0].prover.bundle(statement.id, in_force=1)


async def test_an_erased_and_an_expired_statement_are_not_in_force(found: Found) -> None:
    async with AsyncExitStack() as stack:
        _, nodes = await running(found, stack)
        erased = await said(nodes, 1)
        expired = await said(nodes, 2, expires_at_ms=1)
        await nodes[0].publisher.say_about(erased.id, Erase("data-protection"))
        for node in nodes[1:]:
            await until_held(node, erased.log, 3)
        for statement in (erased, expired):
            with pytest.raises(NotInForce):
                await nodes[1].prover.bundle(statement.id, in_force=1)
        note = parse_note(await nodes[2].attester.attest(str(erased.id)))
        assert State.ERASED is parse_attestation(note.text).findings[0].state


async def test_a_silent_member_is_named_and_does_not_count(found: Found) -> None:
    async with AsyncExitStack() as stack:
        founded = found([A, B, C])
        a, b = [await open_node(founded, member, stack) for member in (A, B)]
        (statement,) = await a.publisher.confirm(Lane.LIVE, [make_confirm(1)])
        await until_held(b, statement.log, 1)
        with pytest.raises(QuorumUnmet, match=f"not by {C}"):
            await a.prover.bundle(statement.id, in_force=2)
        assert b"attestations" in await a.prover.bundle(statement.id, in_force=1)


async def test_a_signal_is_attested_with_everyones_heads(found: Found) -> None:
    async with AsyncExitStack() as stack:
        _, nodes = await running(found, stack)
        signal = make_signal(7, quality=80)
        first = await said(nodes, 7)
        (second,) = await nodes[1].publisher.confirm(
            Lane.CRISIS, [make_confirm(8, signals=[signal])]
        )
        await until_held(nodes[2], second.log, 1)
        about = f"{SignalType.PDQ} {signal.identity.hex()}"
        raw = await nodes[2].attester.attest(about)
        member, attestation = open_attestation(raw, nodes[2].membership.verifier)
        assert (C, about) == (member, attestation.about)
        assert {first.id, second.id} == {found.id for found in attestation.findings}
        assert {State.ACTIVE} == {found.state for found in attestation.findings}
        assert len(nodes[2].membership.roster.logs) == len(attestation.heads)


async def test_what_cannot_be_attested_is_refused_in_words(found: Found) -> None:
    async with AsyncExitStack() as stack:
        founded = found([A])
        node = await open_node(founded, A, stack)
        (statement,) = await node.publisher.confirm(Lane.LIVE, [make_confirm(1)])
        unknown = parse_note(await node.attester.attest(str(StatementId(bytes(32)))))
        assert State.UNKNOWN is parse_attestation(unknown.text).findings[0].state
        for about in ("", "st_00", "pdq", "pdq zz", "smell 00", str(statement.id) + "\n"):
            with pytest.raises(RequestMalformed):
                await node.attester.attest(about)
        node.eraser.lacking.add(statement.log)
        with pytest.raises(AttestationNotGiven):
            await node.attester.attest(str(statement.id))
        node.eraser.lacking.clear()
        node.stores.evidence.accused |= {statement.log}
        with pytest.raises(AttestationNotGiven):
            await node.attester.attest(str(statement.id))


async def test_a_member_that_asks_too_often_waits_and_the_others_do_not(found: Found) -> None:
    async with AsyncExitStack() as stack:
        founded = found([A])
        node = await open_node(founded, A, stack)
        (statement,) = await node.publisher.confirm(Lane.LIVE, [make_confirm(1)])
        about = str(statement.id)
        node.attester._monotonic = lambda: 1_000.0
        for _ in range(attesting.ASKED_BURST):
            await node.attester.answer(B, about)
        with pytest.raises(TooBusy):
            await node.attester.answer(B, about)
        await node.attester.answer(C, about)
        node.attester._monotonic = lambda: 1_001.0
        await asyncio.gather(*(node.attester.answer(B, about) for _ in range(10)))
        with pytest.raises(TooBusy):
            await node.attester.answer(B, about)


async def test_who_left_out_a_withdraw_that_it_holds_is_convicted_and_nobody_else(
    found: Found,
) -> None:
    """The signer's own node tells the truth; its key, in other hands, says what convicts it."""
    async with AsyncExitStack() as stack:
        founded, nodes = await running(found, stack)
        statement = await said(nodes)
        before = await nodes[1].attester.attest(str(statement.id))
        await nodes[0].publisher.withdraw(statement.id, "mistake")
        for node in nodes[1:]:
            await until_held(node, statement.log, 2)
        honest = await nodes[1].attester.attest(str(statement.id))
        read = parse_attestation(parse_note(honest).text)
        lie = replace(read, findings=(Finding(statement.id, State.ACTIVE),))
        name = parse_note(honest).signatures[0].name
        mirror = load_keyring(founded.config(B)).mirror
        assert mirror is not None
        lied = sign_attestation(lie, name, mirror).decode()
        convictor = Convictor(nodes[2].stores, nodes[2].membership)
        made = await convictor.convict(lied)
        report = judge_conviction(made, founded.chain.versions[0], check_ed25519)
        assert report.is_verified, report.failed_step
        assert report.conclusion.startswith(f"CONVICTED: {B} attested")
        for told in (before, honest):
            with pytest.raises(NothingToConvict):
                await convictor.convict(told.decode())


async def test_a_withdraw_that_was_withdrawn_stands_and_convicts_nobody_who_says_so(
    found: Found,
) -> None:
    """Nothing resurrects, so the second withdraw has no effect, and "active" is the truth."""
    async with AsyncExitStack() as stack:
        _, nodes = await running(found, stack)
        statement = await said(nodes)
        withdraw = await nodes[0].publisher.withdraw(statement.id, "mistake")
        lane = nodes[0].publisher._lanes[Lane.LIVE]
        await lane.publish([Draft(Withdraw("mistake"), (withdraw,))])
        for node in nodes[1:]:
            await until_held(node, statement.log, 3)
        told = await nodes[1].attester.attest(str(withdraw))
        (finding,) = parse_attestation(parse_note(told).text).findings
        assert (State.ACTIVE, ()) == (finding.state, finding.by)
        convictor = Convictor(nodes[2].stores, nodes[2].membership)
        with pytest.raises(NothingToConvict):
            await convictor.convict(told.decode())


async def test_second_lines_of_log_and_mirrors_are_collected_where_the_policy_asks_for_them(
    found: Found,
) -> None:
    async with AsyncExitStack() as stack:
        founded = found([A, B, C], post_quantum=True)
        nodes = [await open_node(founded, member, stack) for member in (A, B, C)]
        statement = await said(nodes)
        root = founded.chain.versions[0]
        asked = parse_quorum("2+mldsa44")
        bare = await nodes[0].prover.bundle(statement.id)
        failed = judge_bundle(bare, root, asked, check_ed25519).failed_step
        assert failed is not None
        assert (8, "quorum-unmet") == (failed.number, failed.code)
        bundle = await nodes[0].prover.bundle(statement.id, second_lines=True)
        report = judge_bundle(bundle, root, asked, check_ed25519)
        assert report.is_verified, report.failed_step
        refused = judge_bundle(bundle, root, asked, check_ed25519, check_second=lambda *_: False)
        assert refused.failed_step is not None
        assert (7, "signature-invalid") == (refused.failed_step.number, refused.failed_step.code)
        with pytest.raises(RangeNotHeld):
            nodes[1].attester.second_line(statement.log, 7)

"""Three nodes over real TLS and SQLite: what one says, all act on; what was missed is repaired."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from federation.daemon.node import Node
from federation.errors import RosterUnproven
from federation.local_errors.askers import NotYourStatement, StatementNotFound
from federation.local_errors.config import (
    DataDirectoryBusy,
    DataDirectoryForeign,
    KeyFileInvalid,
    RosterMissing,
)
from federation.protocol.bodies import Confirm
from federation.protocol.headers import StatementId
from federation.protocol.keys import check_ed25519
from federation.protocol.origins import Lane, LogId
from federation.protocol.policy import Quorum
from federation.protocol.signals import Signal, SignalType
from federation.provenance.bundle_judge import judge_bundle
from tests.builders import make_confirm, make_signal
from tests.integration.conftest import Found, Founded, until
from tests.integration.test_publish_crash import open_node, until_held

A, B, C = "a.example", "b.example", "c.example"


async def until_matched(node: Node, signal: Signal, *, matched: bool = True) -> None:
    """Wait until a node blocks a signal, or lets it pass again."""

    async def is_so() -> bool:
        return bool((await node.matcher.match([signal], 31))[0]) is matched

    await until(is_so)


def flipped(signal: Signal, bits: int) -> Signal:
    """A PDQ signal at that Hamming distance."""
    value = int.from_bytes(signal.value, "big") ^ ((1 << bits) - 1)
    return Signal(signal.type, value.to_bytes(len(signal.value), "big"))


async def test_confirmed_at_one_is_blocked_at_all_and_passes_again_when_withdrawn(
    found: Found,
) -> None:
    """The main job, near matches included: distance 31 is the same picture and 32 is not."""
    founded = found([A, B, C])
    async with AsyncExitStack() as stack:
        nodes = [await open_node(founded, member, stack) for member in (A, B, C)]
        signal = make_signal(1)
        (statement,) = await nodes[0].publisher.confirm(
            Lane.LIVE, [make_confirm(1, signals=[signal])]
        )
        for node in nodes:
            await until_matched(node, flipped(signal, 31))
            assert ((),) == tuple(await node.matcher.match([flipped(signal, 32)], 31))
        await nodes[0].publisher.withdraw(statement.id, "mistake")
        for node in nodes:
            await until_matched(node, signal, matched=False)


async def test_two_members_confirm_and_one_withdraws_leaves_the_other_ones_word(
    found: Found,
) -> None:
    """Withdrawing never touches another member's statement."""
    founded = found([A, B])
    async with AsyncExitStack() as stack:
        a, b = [await open_node(founded, member, stack) for member in (A, B)]
        signal = make_signal(2)
        (first,) = await a.publisher.confirm(Lane.LIVE, [make_confirm(2, signals=[signal])])
        (second,) = await b.publisher.confirm(Lane.CRISIS, [make_confirm(3, signals=[signal])])
        await until_held(a, second.log, 1)
        with pytest.raises(NotYourStatement):
            await a.publisher.withdraw(second.id, "mistake")
        await a.publisher.withdraw(first.id, "mistake")

        async def only_b_is_left() -> bool:
            (matches,) = await b.matcher.match([signal], 0)
            return [opinion.member for opinion in matches[0].opinions] == [B]

        await until(only_b_is_left)


async def test_withdrawing_twice_is_one_withdrawal_and_of_nothing_is_refused(
    found: Found,
) -> None:
    """The second call gives the first one's statement back."""
    founded = found([A])
    async with AsyncExitStack() as stack:
        a = await open_node(founded, A, stack)
        (statement,) = await a.publisher.confirm(Lane.BULK, [make_confirm(4)])
        once = await a.publisher.withdraw(statement.id, "mistake")
        assert once == await a.publisher.withdraw(statement.id, "benign")
        live = LogId(A, founded.chain.federation_id, Lane.LIVE)
        assert 1 == a.replicator.held_size(live)
        with pytest.raises(StatementNotFound):
            await a.publisher.withdraw(StatementId(bytes(32)), "mistake")


async def test_a_node_that_was_down_catches_up_on_more_than_one_range(found: Found) -> None:
    """3,000 statements: three ranges, pulled, judged, and receipted to the issuer."""
    founded = found([A, B])
    log = LogId(A, founded.chain.federation_id, Lane.BULK)
    async with AsyncExitStack() as stack:
        a = await open_node(founded, A, stack)
        for start in range(0, 3_000, 1_000):
            confirms = [make_confirm(number) for number in range(start, start + 1_000)]
            await a.publisher.confirm(Lane.BULK, confirms)
        b = await open_node(founded, B, stack)
        await until_held(b, log, 3_000)
        await until_matched(b, make_signal(2_999))
        await b.stores.check_log(log)

        async def receipt_is_here() -> bool:
            reach = await a.stores.receipts.receipts_by_member()
            return (B, log, 3_000) in [(each.member, each.log, each.size) for each in reach]

        await until(receipt_is_here)


async def test_restarted_node_answers_and_goes_on_where_it_was(found: Found) -> None:
    """Index, views and logs come back from the store; the next publish follows."""
    founded = found([A])
    log = LogId(A, founded.chain.federation_id, Lane.LIVE)
    async with AsyncExitStack() as stack:
        a = await open_node(founded, A, stack)
        await a.publisher.confirm(Lane.LIVE, [make_confirm(number) for number in range(300)])
    async with AsyncExitStack() as stack:
        a = await open_node(founded, A, stack)
        assert 300 == a.replicator.held_size(log)
        await until_matched(a, make_signal(299))
        (statement,) = await a.publisher.confirm(Lane.LIVE, [make_confirm(300)])
        assert 300 == statement.index
        await a.stores.check_log(log)


async def test_bundle_from_a_peer_proves_what_the_issuer_said(found: Found) -> None:
    """Any node that holds a statement can prove it, with the receipts it has."""
    founded = found([A, B])
    async with AsyncExitStack() as stack:
        a, b = [await open_node(founded, member, stack) for member in (A, B)]
        signal = make_signal(5)
        (statement,) = await a.publisher.confirm(Lane.LIVE, [make_confirm(5, signals=[signal])])
        await until_matched(b, signal)
        bundle = await b.prover.bundle(statement.id)
        report = judge_bundle(bundle, founded.chain.versions[0], Quorum(1), check_ed25519)
        assert report.is_verified, report.failed_step


async def test_one_bad_draft_fails_alone_in_a_shared_batch(found: Found) -> None:
    """Requests that share a checkpoint do not share each other's mistakes."""
    founded = found([A])
    async with AsyncExitStack() as stack:
        a = await open_node(founded, A, stack)
        signals = tuple(make_signal(number, SignalType.SHA256) for number in range(1_500))
        oversized = Confirm("too-large", signals)
        good, bad = await asyncio.gather(
            a.publisher.confirm(Lane.LIVE, [make_confirm(6)]),
            a.publisher.confirm(Lane.LIVE, [oversized]),
            return_exceptions=True,
        )
        assert isinstance(good, tuple)
        assert "body-malformed" == getattr(bad, "code", None)


async def test_a_second_node_on_one_data_directory_is_refused(found: Found) -> None:
    """Two writers of one log would sign two histories."""
    founded = found([A])
    async with AsyncExitStack() as stack:
        await open_node(founded, A, stack)
        with pytest.raises(DataDirectoryBusy):
            await Node.open(founded.config(A))


async def _refused(founded: Founded, member: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        await Node.open(founded.config(member))


async def test_foreign_and_missing_files_are_told_apart(found: Found) -> None:
    """Another member's data, another federation's root, another member's keys, no root at all."""
    founded = found([A, B])
    async with AsyncExitStack() as stack:
        await open_node(founded, A, stack)
        await open_node(founded, B, stack)
    data = founded.folder / B / "data"
    data.rename(founded.folder / "aside")
    (founded.folder / A / "data").rename(data)
    await _refused(founded, B, DataDirectoryForeign)
    data.rename(founded.folder / A / "data")
    key = founded.folder / A / "keys" / "mirror.key"
    own = key.read_bytes()
    key.write_bytes((founded.folder / B / "keys" / "mirror.key").read_bytes())
    await _refused(founded, A, KeyFileInvalid)
    key.write_bytes(own)
    key.chmod(0o644)
    await _refused(founded, A, KeyFileInvalid)
    key.chmod(0o600)
    root = founded.folder / A / "1.root.json"
    kept = root.read_bytes()
    root.unlink()
    await _refused(founded, A, RosterMissing)
    root.write_bytes(kept.replace(b'"public_delay_seconds":900', b'"public_delay_seconds":901'))
    await _refused(founded, A, RosterUnproven)

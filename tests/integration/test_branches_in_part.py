"""Logs with two histories in a running node: what of each branch counts, and since when."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

import pytest

from federation.daemon.changes import ChangeBatch, HistoryCut, IssuersChanged, VerdictChanged
from federation.daemon.keyring import load_keyring
from federation.daemon.node import DATABASE_FILE, Node
from federation.daemon.pinning import find_cuts
from federation.daemon.restore import restore_forked, restore_views
from federation.gossip.fork_events import ForkedLog, KeepBranchHead, KeepEvidence
from federation.local_errors.disk import StoreConflict, StoreCorrupt, StoreFull
from federation.protocol.bodies_incident import Incident
from federation.protocol.evidence import encode_evidence, make_evidence
from federation.protocol.keys import check_ed25519
from federation.protocol.merkle_growth import CompactRange
from federation.protocol.merkle_proofs import consistency_proof
from federation.protocol.origins import Lane, LogId
from federation.protocol.roster_amendments import lifted, propose_members, suspended
from federation.protocol.roster_members import EMPTY_PIN, Member, MemberLog, Pin
from federation.protocol.roster_proposals import finish, sign_proposal
from federation.provenance.convicting import Conviction, open_evidence
from federation.provenance.log_view import Advance, LogView
from federation.provenance.verdict import SignalState
from federation.store.places import StoredStatement
from federation.store.stores import open_stores
from tests import builders
from tests.builders import MadeLog, make_member, make_signal, make_statement, make_withdraw
from tests.integration.conftest import Found, Founded
from tests.integration.test_publish_crash import open_node

A, B = "a.example", "b.example"
SHARED = 3


class Ear:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.batches: list[ChangeBatch] = []

    async def keep(self, batch: ChangeBatch) -> None:
        self.batches.append(batch)


@dataclass
class Forked:
    """A node of B's that runs alone, and two histories of A's live log, with A's own key.

    Attributes:
        node: holds nothing of them yet.
        first: 3 statements, then those numbered 10 to 13.
        second: the same 3, then those numbered 20 to 25.
        ear: hears what changed.
    """

    founded: Founded
    node: Node
    first: MadeLog
    second: MadeLog
    ear: Ear

    @property
    def log(self) -> LogId:
        return self.first.log

    def in_bulk(self) -> Forked:
        """Two histories of A's bulk log, in the same node: other numbers, as many of each."""
        log, made = LogId(A, self.log.federation_id, Lane.BULK), []
        for own in (range(110, 114), range(120, 126)):
            made.append(MadeLog(log, self.first.founded))
            made[-1].say_numbers(range(100, 100 + SHARED))
            made[-1].say_numbers(own)
        return replace(self, first=made[0], second=made[1])

    async def matches(self, numbers: Collection[int]) -> set[int]:
        """Which of these signals the node knows as confirmed."""
        wanted = list(numbers)
        found = await self.node.matcher.match([make_signal(number) for number in wanted], 0)
        return {number for number, near in zip(wanted, found, strict=True) if near}

    async def hold(self, step: Advance) -> None:
        """A step of the first branch is durable."""
        await self.node.stores.logs.append(step)
        await self.node.platform.absorb(step)

    async def branch(self, view: LogView, count: int) -> LogView:
        """So many statements more of the second history are durable."""
        to, head = view.size + count, self.second.head()
        proof = consistency_proof(to, head.size, self.second.node)
        said = self.second.said[view.size : to]
        step = view.advance(head, said, proof, self.second.verifier)
        await self.node.stores.logs.append(step, branch=1)
        await self.node.platform.absorb_branch(step)
        return step.view

    async def open_second(self, size: int | None = None) -> LogView:
        """The second history, when it was so long, begins with the first's statements."""
        held = CompactRange().extend(self.second.leaves[:SHARED])
        head = self.second.head(size)
        await self.node.stores.branches.open(self.log, 1, base=0, held=held, head=head)
        return LogView(self.log, held)

    async def accuse(self) -> Conviction:
        """There is evidence."""
        size = SHARED + 1
        made = make_evidence(self.first.head(size).note, self.second.head(size).note)
        roster = self.node.membership.roster
        conviction = open_evidence(encode_evidence(made), roster, check_ed25519)
        await self.node.stores.evidence.keep(conviction, 0)
        await self.node.platform.accused(self.log)
        return conviction

    async def heard(self) -> tuple[set[bytes], list[IssuersChanged]]:
        """What was told since this was last asked: signals that somebody speaks of, and members."""
        await self.node.platform.teller.until_idle()
        batches, self.ear.batches = self.ear.batches, []
        changes = [change for batch in batches for change in batch.changes]
        moved = [each for each in changes if isinstance(each, VerdictChanged)]
        return (
            {each.mark[1] for each in moved if each.verdict.state is not SignalState.UNKNOWN},
            [each for each in changes if isinstance(each, IssuersChanged)],
        )


@pytest.fixture
async def forked(found: Found) -> AsyncIterator[Forked]:
    async with AsyncExitStack() as stack:
        yield await fork(found([A, B]), stack)


async def fork(founded: Founded, stack: AsyncExitStack) -> Forked:
    keys = {str(lane): key for lane, key in load_keyring(founded.config(A)).logs.items()}
    company = replace(make_member(A), keys=keys)
    secrets = builders.Founded(founded.chain, {A: company}, (founded.governor,))
    log = LogId(A, founded.chain.federation_id, Lane.LIVE)
    first, second = MadeLog(log, secrets), MadeLog(log, secrets)
    for made, own in ((first, range(10, 14)), (second, range(20, 26))):
        made.say_numbers(range(SHARED))
        made.say_numbers(own)
    node, ear = await open_node(founded, B, stack), Ear()
    node.platform.teller.listen(ear)
    return Forked(founded, node, first, second, ear)


async def test_half_of_a_second_history_counts_when_the_other_half_is_here(
    forked: Forked,
) -> None:
    await forked.hold(forked.first.advance())
    await forked.accuse()
    await forked.heard()
    view = await forked.branch(await forked.open_second(), 2)
    assert {0, 1, 2, 10, 11, 12, 13} == await forked.matches([*range(30)])
    assert (set(), []) == await forked.heard()
    view = await forked.branch(view, 3)
    assert set() == await forked.matches([*range(20, 26)])
    await forked.branch(view, 1)
    assert {*range(20, 26)} == await forked.matches([*range(20, 26)])
    values = {make_signal(number).value for number in range(20, 26)}
    assert (values, []) == await forked.heard()


async def test_what_was_held_in_part_ceases_to_count_with_the_evidence(forked: Forked) -> None:
    await forked.hold(forked.first.advance(2))  # all under no head
    assert {0, 1} == await forked.matches([*range(30)])
    await forked.heard()
    await forked.accuse()
    assert set() == await forked.matches([*range(30)])
    assert (set(), [IssuersChanged((), (A,))]) == await forked.heard()
    await forked.hold(forked.first.advance())
    assert {0, 1, 2, 10, 11, 12, 13} == await forked.matches([*range(30)])


async def test_a_node_that_starts_again_counts_and_tells_the_same(forked: Forked) -> None:
    """Of the branch that is held in part it has the last head that was whole still."""
    stores, membership = forked.node.stores, forked.node.membership
    short = replace_said(forked.second, SHARED + 2)
    await forked.hold(forked.first.advance())
    conviction = await forked.accuse()
    view = await forked.open_second(SHARED + 2)
    whole = view.advance(short.head(), short.said[SHARED:], (), short.verifier)
    await stores.logs.append(whole, branch=1)
    await forked.node.platform.absorb_branch(whole)
    assert {20, 21} == await forked.matches([*range(20, 26)])
    view = await forked.branch(whole.view, 2)
    assert {20, 21} == await forked.matches([*range(20, 26)])
    assert short.head() == view.whole
    found = await find_cuts(stores, membership.roster, await stores.logs.load_logs())
    assert found == membership.cuts
    assert {(forked.log, 1): SHARED + 2} == found.limits
    await restore_views(stores, membership)
    (again,) = await restore_forked(stores, membership, [conviction])
    assert {1: view} == again.branches


def replace_said(made: MadeLog, size: int) -> MadeLog:
    """The log when it was shorter."""
    return replace(made, said=made.said[:size])


async def test_a_head_within_what_is_held_in_part_counts_once_it_is_kept(forked: Forked) -> None:
    """And after a restart; others hold just that, and the rest may be given to nobody."""
    stores, membership = forked.node.stores, forked.node.membership
    await forked.hold(forked.first.advance())
    conviction = await forked.accuse()
    view = await forked.branch(await forked.open_second(), 4)
    forked.node.replicator.engine.forks.restore(ForkedLog(conviction, {1: view}))
    await forked.heard()
    head = forked.second.head(SHARED + 2)
    with pytest.raises(StoreConflict):
        await stores.receipts.keep_head(head, 0)
    command = KeepBranchHead(1, head)
    await forked.node.histories.brancher.carry()[KeepBranchHead](command)
    assert {20, 21} == await forked.matches([*range(20, 26)])
    assert ({make_signal(number).value for number in (20, 21)}, []) == await forked.heard()
    assert await find_cuts(stores, membership.roster, await stores.logs.load_logs()) == (
        membership.cuts
    )
    (again,) = await restore_forked(stores, membership, [conviction])
    assert head == again.branches[1].whole


async def test_what_a_linear_step_makes_whole_after_the_evidence_is_told(forked: Forked) -> None:
    """It was under way when the evidence came; what was before it had ceased to count."""
    await forked.hold(forked.first.advance(2))
    await forked.accuse()
    await forked.heard()
    await forked.hold(forked.first.advance())
    told, _ = await forked.heard()
    assert {make_signal(number).value for number in (0, 1, 2, 10, 11, 12, 13)} == told


async def test_whatever_counts_anew_is_told_once(forked: Forked) -> None:
    await forked.hold(forked.first.advance())
    await forked.accuse()
    view = await forked.branch(await forked.open_second(), 2)
    await forked.heard()
    await forked.branch(view, 4)
    await forked.node.platform.teller.until_idle()
    changes = [change for batch in forked.ear.batches for change in batch.changes]
    marks = [each.mark for each in changes if isinstance(each, VerdictChanged)]
    assert len(set(marks)) == len(marks) == 6


async def test_what_a_log_makes_count_is_told_whatever_another_does_meanwhile(
    forked: Forked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one's telling may end, or fail for good at a damaged row, at any moment."""
    other = forked.in_bulk()
    views = []
    for each in (forked, other):
        await each.hold(each.first.advance())
        await each.accuse()
        views.append(await each.branch(await each.open_second(), 2))
    await forked.heard()
    logs = forked.node.stores.logs
    pages = logs.pages

    async def damaged(
        log: LogId, branch: int, first: int, until: int
    ) -> AsyncIterator[list[StoredStatement]]:
        if log == other.log:
            raise StoreCorrupt("a row")
        async for page in pages(log, branch, first, until):
            yield page

    monkeypatch.setattr(logs, "pages", damaged)
    await other.branch(views[1], 4)
    await forked.node.platform.teller.until_idle()
    changes = [change for batch in forked.ear.batches for change in batch.changes]
    assert [HistoryCut()] == changes
    await forked.branch(views[0], 4)
    told, _ = await forked.heard()
    assert {make_signal(number).value for number in range(20, 26)} == told


async def test_evidence_against_another_log_of_the_same_member_is_told(forked: Forked) -> None:
    """The member was accused before; what is held of this log in part ceases to count now."""
    other = forked.in_bulk()
    await forked.hold(forked.first.advance())
    await forked.accuse()
    await other.hold(other.first.advance(2))
    await forked.heard()
    await other.accuse()
    await forked.node.platform.teller.until_idle()
    changes = [change for batch in forked.ear.batches for change in batch.changes]
    moved = {
        each.mark[1]: each.verdict.state for each in changes if isinstance(each, VerdictChanged)
    }
    assert dict.fromkeys(moved, SignalState.UNKNOWN) == moved
    assert 2 == len(moved) == len(changes)


async def test_evidence_that_the_disk_refuses_is_kept_later(
    forked: Forked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine orders it once, and tells by it."""
    await forked.hold(forked.first.advance(2))
    made = make_evidence(forked.first.head(SHARED + 1).note, forked.second.head(SHARED + 1).note)
    roster = forked.node.membership.roster
    conviction = open_evidence(encode_evidence(made), roster, check_ed25519)
    monkeypatch.setattr("federation.daemon.after_commit.PAUSE_SECONDS_FIRST", 0.001)
    evidence = forked.node.stores.evidence
    keep = evidence.keep
    refused: list[Conviction] = []

    async def full_once(kept: Conviction, seen_at_ms: int) -> bool:
        if not refused:
            refused.append(kept)
            raise StoreFull("no room")
        return await keep(kept, seen_at_ms)

    monkeypatch.setattr(evidence, "keep", full_once)
    await forked.node.histories.brancher.carry()[KeepEvidence](KeepEvidence(conviction))
    assert {forked.log} == evidence.accused
    assert set() == await forked.matches([0, 1])


async def test_an_index_written_before_the_evidence_is_not_believed_after_a_crash(
    found: Found,
) -> None:
    """What was withdrawn under a head held in part matches again, though the files lack it."""
    founded = found([A, B])
    async with AsyncExitStack() as stack:
        forked = await fork(founded, stack)
        bulk, live = forked.in_bulk().first, MadeLog(forked.log, forked.first.founded)
        await forked.hold(bulk.advance())
        taken = make_withdraw(1, bulk.said[0].id, member=A, federation_id=forked.log.federation_id)
        live.say(taken)
        live.say_numbers(range(SHARED + 1))
        await forked.hold(live.advance(2))
        assert {101} == await forked.matches([100, 101])
        second = forked.second.head(SHARED + 2)
    made = make_evidence(live.head().note, second.note)
    conviction = open_evidence(encode_evidence(made), founded.chain.newest, check_ed25519)
    path = founded.config(B).path(founded.config(B).data_directory) / DATABASE_FILE
    federation = forked.log.federation_id
    async with await open_stores(path, member=B, federation_id=federation) as stores:
        await stores.evidence.keep(conviction, 0)
    async with AsyncExitStack() as stack:
        again = replace(forked, node=await open_node(founded, B, stack))
        assert {100, 101} == await again.matches([100, 101])
        assert not again.node.platform.index_keeper.restored
    async with AsyncExitStack() as stack:
        again = replace(forked, node=await open_node(founded, B, stack))
        assert {100, 101} == await again.matches([100, 101])
        assert again.node.platform.index_keeper.restored


async def test_an_incident_is_there_as_long_as_what_opens_it_counts(forked: Forked) -> None:
    """In part under evidence it is not, when whole it is, and cut off by a pin it is not again."""
    opened = make_statement(
        1, Incident("high", 0, "x"), member=A, federation_id=forked.log.federation_id
    )
    incidents = forked.node.incidents
    forked.first.say(opened)
    step = forked.first.advance(8)
    forked.first.say_numbers([14])
    await forked.hold(step)
    await incidents.absorb(step.statements)
    assert [opened.id] == [each.id for each in incidents.all()]
    await forked.hold(forked.first.advance())
    await forked.accuse()
    assert [opened.id] == [each.id for each in incidents.all()]
    forked.second.say(
        other := make_statement(
            2, Incident("high", 0, "y"), member=A, federation_id=forked.log.federation_id
        )
    )
    forked.second.say_numbers([26])
    view = await forked.branch(await forked.open_second(), 7)
    assert [opened.id] == [each.id for each in incidents.all()]
    await forked.branch(view, 1)
    assert {opened.id, other.id} == {each.id for each in incidents.all()}
    pin = Pin(SHARED + 2, forked.first.head(SHARED + 2).root_hash)
    await forked.node.membership.adopt(decide(forked, pin))
    assert () == tuple(incidents.all())


async def test_up_to_a_pin_a_log_under_evidence_counts_without_a_head_there(
    forked: Forked,
) -> None:
    """As at a node that had it whole and further: the governors' word stands for the head."""
    await forked.hold(forked.first.advance(6))
    await forked.accuse()
    assert set() == await forked.matches([*range(30)])
    pin = Pin(SHARED + 2, forked.first.head(SHARED + 2).root_hash)
    await forked.node.membership.adopt(decide(forked, pin))
    assert {0, 1, 2, 10, 11} == await forked.matches([*range(30)])


async def test_a_pinned_branch_ends_at_the_pin_in_a_node_that_goes_on_and_in_one_that_starts(
    forked: Forked,
) -> None:
    """Or the two told other heads for as long as the one ran, and the other wrote no more of it."""
    stores, membership = forked.node.stores, forked.node.membership
    step = forked.first.advance()
    await forked.hold(step)
    conviction = await forked.accuse()
    view = await forked.branch(await forked.open_second(), 6)
    await stores.receipts.keep_head(forked.second.head(SHARED + 2), 1)
    forks = forked.node.replicator.engine.forks
    forks.cases.reconciliation.hold(step.view)
    forks.restore(ForkedLog(conviction, {1: view}))
    whole = forks.cases.heads_of(forked.log)
    assert (step.view.head, view.head) == whole
    head = forked.second.head(SHARED + 2)
    pins = dict.fromkeys(Lane, EMPTY_PIN) | {Lane.LIVE: Pin(SHARED + 2, head.root_hash)}
    await membership.adopt(amend(forked, suspended(membership.roster.member(A), pins)))
    assert (head,) == forks.cases.heads_of(forked.log)
    (again,) = await restore_forked(stores, membership, [conviction])
    assert forks.cases.case(forked.log).branches == again.branches
    await membership.adopt(amend(forked, lifted(membership.roster.member(A))))
    assert whole == forks.cases.heads_of(forked.log)


async def test_a_step_before_a_pin_is_applied_leaves_the_engine_to_be_told_of_it(
    forked: Forked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A branch's step becomes durable while peers are connected anew under the next roster."""
    step = forked.first.advance()
    await forked.hold(step)
    await forked.accuse()
    engine = forked.node.replicator.engine
    engine._reconciliation.hold(step.view)
    changes, view = forked.node.roster_changes, await forked.open_second()
    reconnect = changes._reconnect

    async def meanwhile() -> None:
        await forked.branch(view, 6)
        await reconnect()

    monkeypatch.setattr(changes, "_reconnect", meanwhile)
    pin = Pin(SHARED + 2, forked.first.head(SHARED + 2).root_hash)
    await forked.node.membership.adopt(decide(forked, pin))
    assert SHARED + 2 == engine.logs[forked.log].view.size


async def test_what_a_branch_off_the_pin_shares_with_the_one_on_it_counts(forked: Forked) -> None:
    """The pin stands behind where they part; what is before that is both their word."""
    await forked.hold(forked.first.advance())
    await forked.accuse()
    await forked.branch(await forked.open_second(), 6)
    pin = Pin(SHARED + 4, forked.second.head(SHARED + 4).root_hash)
    await forked.node.membership.adopt(decide(forked, pin))
    assert {0, 1, 2, 20, 21, 22, 23} == await forked.matches([*range(30)])


def decide(forked: Forked, pin: Pin) -> bytes:
    """The roster in which A is suspended, its live log pinned there."""
    member = forked.founded.chain.newest.member(A)
    logs: list[MemberLog] = [
        replace(log, pin=pin if log.lane is Lane.LIVE else EMPTY_PIN) for log in member.logs
    ]
    return amend(forked, replace(member, logs=tuple(logs)))


def amend(forked: Forked, member: Member) -> bytes:
    """The next roster of the node, in which a member stands so."""
    chain = forked.node.membership.chain
    proposal = propose_members(chain, [member], now_ms=builders.NEW_YEAR_2026_MS)
    signed = sign_proposal(proposal.proposal_bytes, forked.founded.governor)
    return finish(signed, chain).versions[-1]

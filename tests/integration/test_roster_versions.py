"""Roster versions on running nodes: caught up, refused, forked, expired; nothing half applied."""

from __future__ import annotations

import threading
import time
from contextlib import AsyncExitStack

import pytest

from federation.daemon import membership, roster_changes, roster_watch
from federation.daemon.node import Node
from federation.errors import RosterMalformed, RosterUnproven, TooLarge
from federation.local_errors.askers import NotFound
from federation.local_errors.disk import StoreFull
from federation.local_errors.proofs import RosterExpired, RosterForked
from federation.protocol.bodies import ActsUnder
from federation.protocol.keys_signing import SigningKey
from federation.protocol.limits import ROSTER_BYTES_MAX
from federation.protocol.origins import Lane, LogId
from federation.protocol.roster import Roster, parse_roster
from federation.protocol.roster_amendments import propose_members, readdressed
from federation.protocol.roster_chain import RosterChain
from federation.protocol.roster_proposals import finish, propose_refresh, sign_proposal
from federation.provenance.reading import body_of
from federation.provenance.view import encode_view, facts_of
from tests.builders import make_confirm, make_signal
from tests.integration.conftest import Found, Founded, until
from tests.integration.test_federation import until_matched
from tests.integration.test_publish_crash import open_node, until_held

A, B = "a.example", "b.example"
DAY_MS = 24 * 3_600 * 1_000


def refreshed(
    founded: Founded, chain: RosterChain, days: int = 90, *, at_ms: int | None = None
) -> RosterChain:
    """The chain with one more version, which only expires at another time."""
    now_ms = time.time_ns() // 1_000_000 if at_ms is None else at_ms
    proposal = propose_refresh(chain, now_ms=now_ms, expires_days=days)
    return finish(sign_proposal(proposal.proposal_bytes, founded.governor), chain)


def readdressed_chain(founded: Founded, chain: RosterChain) -> RosterChain:
    """Another next version: the second founder is reached at one more address."""
    member = chain.newest.member(B)
    changed = readdressed(member, (*member.urls, "https://elsewhere.example"))
    proposal = propose_members(chain, [changed], now_ms=time.time_ns() // 1_000_000)
    return finish(sign_proposal(proposal.proposal_bytes, founded.governor), chain)


async def test_a_roster_is_judged_beside_the_event_loop(
    found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever answers a question for the roster may answer with 4 MiB that nobody signed."""
    judges: list[threading.Thread] = []
    follow = RosterChain.follow

    def read(root: bytes) -> Roster:
        judges.append(threading.current_thread())
        return parse_roster(root)

    def followed(chain: RosterChain, offered: Roster) -> RosterChain:
        judges.append(threading.current_thread())
        return follow(chain, offered)

    async with AsyncExitStack() as stack:
        founded = found([A, B])
        node = await open_node(founded, A, stack)
        second = refreshed(founded, founded.chain)
        monkeypatch.setattr(membership, "parse_roster", read)
        monkeypatch.setattr(RosterChain, "follow", followed)
        assert 2 == (await node.membership.adopt(second.versions[1])).version
        assert len(judges) >= 2
        assert threading.current_thread() not in judges


async def view_of(node: Node, federation_id: str) -> bytes:
    """The merged view of all that a node holds, as bytes."""
    statements = []
    for kept in await node.stores.logs.load_logs():
        for index, said in enumerate(
            await node.stores.logs.statements(kept.log, 0, kept.held.size, 1 << 20)
        ):
            statements.append(node.membership.verifier.open_statement(kept.log, index, said))
    assert federation_id == node.membership.roster.federation_id
    return encode_view(facts_of(statements))


async def test_a_node_that_slept_through_ten_versions_ends_with_the_same_view(
    found: Found,
) -> None:
    """Each step is verified; those in between may have expired; roster and view are equal."""
    founded = found([A, B])
    chain = founded.chain
    live = LogId(A, chain.federation_id, Lane.LIVE)
    async with AsyncExitStack() as stack:
        b = await open_node(founded, B, stack)
    async with AsyncExitStack() as stack:
        a = await open_node(founded, A, stack)
        now_ms = time.time_ns() // 1_000_000
        for number in range(10):
            at_ms = now_ms if number == 9 else now_ms - 40 * DAY_MS
            chain = refreshed(founded, chain, 30, at_ms=at_ms)
            await a.membership.adopt(chain.versions[-1])
            await a.publisher.confirm(Lane.LIVE, [make_confirm(number)])
        await until_says(a, 11)
        b = await open_node(founded, B, stack)

        async def caught_up() -> bool:
            held = a.replicator.held_size(live)
            return b.membership.chain == a.membership.chain and b.replicator.held_size(live) == held

        await until(caught_up)
        await until_says(b, 11)
        theirs = LogId(B, chain.federation_id, Lane.LIVE)
        await until_held(a, theirs, b.replicator.held_size(theirs))
        assert chain.versions == b.membership.chain.versions
        assert await view_of(a, chain.federation_id) == await view_of(b, chain.federation_id)


async def until_says(node: Node, version: int) -> None:
    """Wait until a node's own live log says that it acts under a version."""
    log = LogId(node.config.member, node.membership.roster.federation_id, Lane.LIVE)

    async def has_said() -> bool:
        size = node.replicator.held_size(log)
        said = await node.stores.logs.statements(log, 0, size, 1 << 20) if size else []
        verified = [
            node.membership.verifier.open_statement(log, at, s) for at, s in enumerate(said)
        ]
        bodies = [body_of(each) for each in verified]
        return any(isinstance(body, ActsUnder) and body.version == version for body in bodies)

    await until(has_said)


async def test_two_rosters_of_one_version_are_seen_kept_and_settled_by_a_person(
    found: Found,
) -> None:
    """Each node stays on its own, says so, takes nothing further, and follows what is pinned."""
    founded = found([A, B])
    ours, theirs = (
        refreshed(founded, founded.chain),
        readdressed_chain(founded, founded.chain),
    )
    async with AsyncExitStack() as stack:
        a, b = [await open_node(founded, member, stack) for member in (A, B)]
        await a.membership.adopt(ours.versions[-1])
        with pytest.raises(RosterForked):
            await a.membership.adopt(theirs.versions[-1])
        assert ours.versions == a.membership.chain.versions
        await a.publisher.confirm(Lane.LIVE, [make_confirm(1)])
        await until_matched(b, make_signal(1))
        with pytest.raises(RosterForked):
            await a.membership.adopt(refreshed(founded, ours).versions[-1])
        assert ["roster-forked"] == [code for code, _ in a.roster_changes.watch.alarms()]
        with pytest.raises(NotFound):
            await a.membership.pin(2, bytes(32))
    async with AsyncExitStack() as stack:
        a = await open_node(founded, A, stack)
        assert [theirs.newest.decision_sha256] == [r.decision_sha256 for r in a.membership.rivals]
        await a.membership.pin(2, theirs.newest.decision_sha256)
        assert theirs.versions == a.membership.chain.versions
        assert not list(a.roster_changes.watch.alarms())
    async with AsyncExitStack() as stack:
        a = await open_node(founded, A, stack)
        assert theirs.versions == a.membership.chain.versions
        await a.membership.adopt(refreshed(founded, theirs).versions[-1])
        assert 3 == a.membership.roster.version


async def test_the_log_of_a_member_on_another_roster_gives_the_fork_away(found: Found) -> None:
    """Nobody handed the other file over: its statement names it, and its node shows it."""
    founded = found([A, B])
    ours, theirs = (
        refreshed(founded, founded.chain),
        readdressed_chain(founded, founded.chain),
    )
    async with AsyncExitStack() as stack:
        a = await open_node(founded, A, stack)
        await a.membership.adopt(ours.versions[-1])
        await until_says(a, 2)
    async with AsyncExitStack() as stack:
        b = await open_node(founded, B, stack)
        await b.membership.adopt(theirs.versions[-1])
        await until_says(b, 2)
        a = await open_node(founded, A, stack)

        async def both_know() -> bool:
            return bool(a.membership.rivals and b.membership.rivals)

        await until(both_know)
        assert ours.versions == a.membership.chain.versions
        assert theirs.versions == b.membership.chain.versions


async def test_what_is_no_next_version_is_refused_and_changes_nothing(found: Found) -> None:
    """Too few signatures, a gap, a replay, too large, expired: a code each, and no change."""
    founded = found([A])
    chain = founded.chain
    async with AsyncExitStack() as stack:
        a = await open_node(founded, A, stack)
        second = refreshed(founded, chain)
        third = refreshed(founded, second)
        now_ms = time.time_ns() // 1_000_000
        unsigned = propose_refresh(chain, now_ms=now_ms).proposal_bytes
        stranger = SigningKey.from_seed(bytes(32))
        with pytest.raises(RosterUnproven):
            sign_proposal(unsigned, stranger)
        with pytest.raises(RosterUnproven):
            await a.membership.adopt(unsigned)
        with pytest.raises(RosterUnproven):
            await a.membership.adopt(third.versions[-1])
        with pytest.raises(TooLarge):
            await a.membership.adopt(b" " * (ROSTER_BYTES_MAX + 1))
        with pytest.raises(RosterMalformed):
            await a.membership.adopt(second.versions[-1].replace(b'"format":1', b'"farmat":1'))
        old = refreshed(founded, chain, 30, at_ms=now_ms - 40 * DAY_MS)
        with pytest.raises(RosterExpired):
            await a.membership.adopt(old.versions[-1], now_ms=now_ms)
        assert 1 == a.membership.roster.version
        await a.membership.adopt(second.versions[-1])
        assert 2 == (await a.membership.adopt(chain.versions[0])).version
        assert not a.membership.rivals


async def test_expiry_is_told_early_and_an_expired_roster_goes_on_matching(
    found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three weeks before, then after: alarms; confirming and matching work all the same."""
    founded = found([A])
    async with AsyncExitStack() as stack:
        a = await open_node(founded, A, stack)
        watch = a.roster_changes.watch
        assert [] == watch.alarms()
        expires = a.membership.roster.expires_at_ms
        for before_ms, codes in (
            (roster_watch.EXPIRY_ALARM_DAYS * DAY_MS, ["roster-expires"]),
            (0, ["roster-expired"]),
        ):
            monkeypatch.setattr(watch, "_unix_ms", lambda at=expires - before_ms: at)
            assert codes == [code for code, _ in watch.alarms()]
        await a.publisher.confirm(Lane.LIVE, [make_confirm(1)])
        await until_matched(a, make_signal(1))


def failing_eraser(node: Node, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """The last step of applying a roster meets a full disk so often."""
    real, left = node.eraser.apply_roster, [times]

    async def apply_roster() -> None:
        if left[0]:
            left[0] -= 1
            raise StoreFull("no space is left")
        await real()

    monkeypatch.setattr(node.eraser, "apply_roster", apply_roster)


def alarms_of(node: Node) -> list[str]:
    return [code for code, _ in node.roster_changes.watch.alarms()]


async def test_a_version_applied_halfway_is_no_success_until_it_is_applied_to_its_end(
    found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    founded = found([A, B])
    following = refreshed(founded, founded.chain).versions[-1]
    async with AsyncExitStack() as stack:
        a = await open_node(founded, A, stack)
        failing_eraser(a, monkeypatch, 2)
        for _ in range(2):
            with pytest.raises(StoreFull):
                await a.membership.adopt(following)
            assert 2 == a.membership.roster.version
            assert ["roster-unapplied"] == alarms_of(a)
        await a.membership.adopt(following)
        assert [] == alarms_of(a)
        await until_says(a, 2)


async def test_a_version_applied_halfway_is_applied_again_without_being_asked(
    found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roster_changes, "APPLY_AGAIN_SECONDS", 0.0)
    founded = found([A, B])
    async with AsyncExitStack() as stack:
        a = await open_node(founded, A, stack)
        failing_eraser(a, monkeypatch, 3)
        with pytest.raises(StoreFull):
            await a.membership.adopt(refreshed(founded, founded.chain).versions[-1])

        async def is_applied() -> bool:
            return a.membership.is_applied

        await until(is_applied)
        assert [] == alarms_of(a)
        await until_says(a, 2)

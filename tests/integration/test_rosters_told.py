"""Whoever follows the feed is told what a roster version changed about what the federation says."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack

import pytest

from federation.daemon import verdict_changes
from federation.daemon.changes import HistoryCut
from federation.daemon.own_keys import make_next_keys, request_with_all_keys
from federation.daemon.publisher import Draft
from federation.local_errors.disk import StoreCorrupt
from federation.protocol.bodies import Withdraw
from federation.protocol.origins import Lane
from federation.protocol.roster_amendments import propose_rulings, rekeyed, suspended
from federation.protocol.roster_members import EMPTY_PIN
from federation.provenance.verdict import SignalState
from tests.builders import make_signal
from tests.integration.conftest import Found
from tests.integration.test_erasure import publish
from tests.integration.test_federation import A, B
from tests.integration.test_members_come_and_go import decided, without
from tests.integration.test_pins import adopt, decide, pin_at
from tests.integration.test_publish_crash import open_node, until_held
from tests.integration.test_teller import Ear, listening

CONFIRMED = (SignalState.UNKNOWN, SignalState.POSITIVE)


async def test_what_governance_withdraws_is_told(found: Found) -> None:
    founded, ear = found([A]), Ear()
    async with AsyncExitStack() as stack:
        a = await listening(founded, A, stack, ear)
        said = await publish(a, 1)
        now_ms = time.time_ns() // 1_000_000
        proposal = propose_rulings(founded.chain, withdrawn=[said.id], now_ms=now_ms)
        chain = decided(founded, founded.chain, proposal.proposal_bytes)
        await a.membership.adopt(chain.versions[-1])
        await a.platform.teller.until_idle()
        assert [
            (SignalState.UNKNOWN, SignalState.POSITIVE),
            (None, SignalState.WITHDRAWN),
        ] == ear.states_of(make_signal(1))


async def test_who_listens_takes_a_snapshot_where_a_roster_makes_withdraws_valid(
    found: Found,
) -> None:
    """A successor may have withdrawn any number of statements before he was one."""
    founded, ear = found([A, B]), Ear()
    async with AsyncExitStack() as stack:
        a = await listening(founded, A, stack, ear)
        async with AsyncExitStack() as first:
            b = await open_node(founded, B, first)
            said = await publish(b, 1)
            await until_held(a, said.log, 1)
        await a.publisher._lanes[Lane.LIVE].publish([Draft(Withdraw("mistake"), (said.id,))])
        await a.platform.teller.until_idle()
        assert HistoryCut() not in ear.changes
        await a.membership.adopt(without(founded, B, a, A).versions[-1])
        await a.platform.teller.until_idle()
        assert 1 == ear.changes.count(HistoryCut())


async def damaged(*_: object) -> None:
    """A row on the way to what is told."""
    raise StoreCorrupt("a row is damaged")


@pytest.mark.parametrize("told", ["one by one", "too many", "a damaged row"])
async def test_what_a_pin_cuts_off_is_told_one_by_one_or_as_a_cut(
    found: Found, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    """What was withdrawn beyond the pin stands again; what was said there is said no more."""
    if told == "too many":
        monkeypatch.setattr(verdict_changes, "RECOUNTED_MAX", 1)
    founded, ear = found([A, B]), Ear()
    async with AsyncExitStack() as stack:
        a = await open_node(founded, A, stack)
        b = await listening(founded, B, stack, ear)
        kept = await publish(a, 1)
        await publish(a, 2)
        await a.publisher.withdraw(kept.id, "mistake")
        await until_held(b, kept.log, 3)
        await b.platform.teller.until_idle()
        pins = dict.fromkeys(Lane, EMPTY_PIN) | {Lane.LIVE: await pin_at(b, kept.log, 1)}
        chain = decide(founded, founded.chain, suspended(founded.chain.newest.member(A), pins))
        if told == "a damaged row":
            monkeypatch.setattr(b.platform.verdict_changes, "_touched_by", damaged)
        await adopt([b], chain)
        await b.platform.teller.until_idle()
        if told != "one by one":
            assert 1 == ear.changes.count(HistoryCut())
            return
        assert HistoryCut() not in ear.changes
        assert (None, SignalState.UNKNOWN) == ear.states_of(make_signal(2))[-1]
        (before, after) = ear.states_of(make_signal(1))[-1]
        assert before is None
        assert after is not SignalState.WITHDRAWN


async def test_what_waits_for_the_next_key_is_told_when_it_counts(found: Found) -> None:
    """A roster that came early lets it wait; the first head by the next key says it."""
    founded, ear = found([A, B]), Ear()
    config = founded.config(A)
    async with AsyncExitStack() as stack:
        a = await open_node(founded, A, stack)
        b = await listening(founded, B, stack, ear)
        said = [await publish(a, number) for number in (1, 2)]
        await until_held(b, said[0].log, 2)
        make_next_keys(config, ["live"])
        request = request_with_all_keys(config, founded.chain.newest.member(A).urls)
        start = {Lane.LIVE: await pin_at(a, said[0].log, 1)}
        changed = rekeyed(founded.chain.newest.member(A), request, start)
        chain = decide(founded, founded.chain, changed)
        await adopt([b], chain)
        await b.platform.teller.until_idle()
        waits = [CONFIRMED, (None, SignalState.UNKNOWN)]
        assert waits == ear.states_of(make_signal(2))
        await adopt([a], chain)
        await until_held(b, said[0].log, 3)
        await b.platform.teller.until_idle()
        assert [*waits, (None, SignalState.POSITIVE)] == ear.states_of(make_signal(2))
        assert [CONFIRMED] == ear.states_of(make_signal(1))

"""What changed is told once, in the order of local commit, and after a crash again."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import cast

import pytest

from federation.daemon import teller as teller_module
from federation.daemon.changes import (
    Change,
    ChangeBatch,
    HistoryCut,
    SignalQuarantined,
    Sink,
    StatementsErased,
    VerdictChanged,
)
from federation.daemon.erasures import Erasures
from federation.daemon.membership import Membership
from federation.daemon.node import Node
from federation.daemon.publisher import Draft
from federation.daemon.teller import Teller
from federation.local_errors.disk import StoreUnavailable
from federation.protocol.bodies import Dispute, Erase
from federation.protocol.origins import Lane
from federation.protocol.signals import Signal
from federation.provenance.verdict import SignalState
from federation.store.change_store import ChangeStore
from federation.store.log_store import LogStore
from tests.builders import make_confirm, make_signal
from tests.integration.conftest import Found, Founded, until
from tests.integration.test_publish_crash import open_node, until_held

A, B = "a.example", "b.example"


class Ear:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.batches: list[ChangeBatch] = []
        self.failures = 0

    async def keep(self, batch: ChangeBatch) -> None:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("no")
        self.batches.append(batch)

    @property
    def changes(self) -> list[Change]:
        return [change for batch in self.batches for change in batch.changes]

    def states_of(self, signal: Signal) -> list[tuple[SignalState | None, SignalState]]:
        mark = (signal.type, signal.identity)
        return [
            (change.before, change.verdict.state)
            for change in self.changes
            if isinstance(change, VerdictChanged) and change.mark == mark
        ]


async def listening(founded: Founded, member: str, stack: AsyncExitStack, ear: Ear) -> Node:
    """A running node that tells the ear what changed."""
    node = await Node.open(founded.config(member))
    stack.push_async_callback(node.close)
    node.platform.teller.listen(ear)
    await node.start()
    return node


async def test_a_verdict_is_told_each_time_it_moves_here_and_at_the_other_node(
    found: Found,
) -> None:
    founded = found([A, B])
    ears = [Ear(), Ear()]
    async with AsyncExitStack() as stack:
        a = await listening(founded, A, stack, ears[0])
        b = await listening(founded, B, stack, ears[1])
        signal, other = make_signal(1), make_signal(2)
        (said,) = await a.publisher.confirm(Lane.LIVE, [make_confirm(1, signals=[signal, other])])
        await until_held(b, said.log, 1)
        disputed = await b.publisher.say_about(said.id, Dispute("collision"))
        stored = await b.stores.logs.statement(disputed)
        assert stored is not None
        await until_held(a, stored.log, 1)
        await b.publisher.withdraw(disputed, "mistake")
        await until_held(a, stored.log, 2)
        await a.publisher.withdraw(said.id, "collision")
        await until_held(b, said.log, 2)
        for node, ear in zip((a, b), ears, strict=True):
            await node.platform.teller.until_idle()
            moves = [
                (SignalState.UNKNOWN, SignalState.POSITIVE),
                (SignalState.POSITIVE, SignalState.DISPUTED),
                (SignalState.DISPUTED, SignalState.POSITIVE),
                (SignalState.POSITIVE, SignalState.WITHDRAWN),
            ]
            assert moves == ear.states_of(signal)
            assert moves == ear.states_of(other)
            assert signal.value.hex() not in repr(ear.changes)
            assert repr(signal.value) not in repr(ear.changes)


async def test_an_erase_is_told_by_statement_and_by_signal(found: Found) -> None:
    ear = Ear()
    async with AsyncExitStack() as stack:
        a = await listening(found([A]), A, stack, ear)
        signal = make_signal(1)
        (said,) = await a.publisher.confirm(Lane.LIVE, [make_confirm(1, signals=[signal])])
        by = await a.publisher.say_about(said.id, Erase("data-protection"))
        await a.platform.teller.until_idle()
        assert StatementsErased((said.id,), (by,)) in ear.changes
        # The erase may be looked at while the body is still there, and once more when it is gone.
        assert (None, SignalState.UNKNOWN) == ear.states_of(signal)[-1]


async def test_an_erase_of_what_another_member_said_tells_nobody_to_let_go_of_it(
    found: Found,
) -> None:
    founded = found([A, B])
    ear = Ear()
    async with AsyncExitStack() as stack:
        a = await listening(founded, A, stack, ear)
        b = await listening(founded, B, stack, Ear())
        signal = make_signal(1)
        (said,) = await a.publisher.confirm(Lane.LIVE, [make_confirm(1, signals=[signal])])
        await until_held(b, said.log, 1)
        # Beside the publisher, which says no such thing.
        lane = b.publisher._lanes[Lane.LIVE]
        (erase,) = await lane.publish([Draft(Erase("data-protection"), (said.id,))])
        await until_held(a, erase.log, 1)
        await a.platform.teller.until_idle()
        assert [] == [each for each in ear.changes if isinstance(each, StatementsErased)]
        assert [(SignalState.UNKNOWN, SignalState.POSITIVE)] == ear.states_of(signal)


async def test_what_was_committed_and_not_told_before_a_stop_is_told_at_the_next_start(
    found: Found,
) -> None:
    """Nobody ran between the commit and the telling: the store is what it is told from."""
    founded = found([A])
    signals = [make_signal(number) for number in range(3)]
    ear = Ear()
    async with AsyncExitStack() as stack:
        a = await listening(founded, A, stack, ear)
        await a.publisher.confirm(Lane.LIVE, [make_confirm(0, signals=signals[:1])])
        await a.platform.teller.until_idle()
        ear.failures = 1_000_000
        await a.publisher.confirm(Lane.LIVE, [make_confirm(1, signals=signals[1:2])])
        await a.publisher.confirm(Lane.CRISIS, [make_confirm(2, signals=signals[2:])])
    later = Ear()
    async with AsyncExitStack() as stack:
        a = await listening(founded, A, stack, later)
        await a.platform.teller.until_idle()
    moved = [(SignalState.UNKNOWN, SignalState.POSITIVE)]
    assert [moved, [], []] == [ear.states_of(signal) for signal in signals]
    assert [[], moved, moved] == [later.states_of(signal) for signal in signals]


async def test_a_sink_that_fails_holds_nobody_up_and_is_told_the_same_again(found: Found) -> None:
    ear = Ear()
    async with AsyncExitStack() as stack:
        a = await listening(found([A]), A, stack, ear)
        ear.failures = 1
        for number in range(3):
            await a.publisher.confirm(Lane.LIVE, [make_confirm(number)])

        async def is_told() -> bool:
            return 3 == len([each for each in ear.changes if isinstance(each, VerdictChanged)])

        await until(is_told)
        assert [1, 2, 3] == [batch.end for batch in ear.batches]


async def test_a_listener_that_comes_to_a_full_store_is_told_to_take_a_snapshot(
    found: Found,
) -> None:
    founded = found([A])
    async with AsyncExitStack() as stack:
        node = await Node.open(founded.config(A))
        stack.push_async_callback(node.close)
        await node.start()
        await node.publisher.confirm(Lane.LIVE, [make_confirm(1)])
    ear = Ear()
    async with AsyncExitStack() as stack:
        a = await listening(founded, A, stack, ear)
        await a.publisher.confirm(Lane.LIVE, [make_confirm(2)])
        a.platform.teller.emit(SignalQuarantined((make_signal(2).type, b""), "flood", 1))
        await a.platform.teller.until_idle()
        kinds = [type(change) for change in ear.changes]
        assert [HistoryCut, VerdictChanged, SignalQuarantined] == kinds


async def test_a_cut_that_no_sink_kept_before_a_stop_is_told_after_the_next_start(
    found: Found,
) -> None:
    founded = found([A])
    async with AsyncExitStack() as stack:
        node = await open_node(founded, A, stack)
        await node.publisher.confirm(Lane.LIVE, [make_confirm(1)])
    deaf, ear = Ear(), Ear()
    deaf.failures = 1_000_000
    async with AsyncExitStack() as stack:
        await listening(founded, A, stack, deaf)
    async with AsyncExitStack() as stack:
        a = await listening(founded, A, stack, ear)
        await a.platform.teller.until_idle()
        assert [HistoryCut()] == ear.changes


async def test_what_waits_beside_the_logs_is_told_before_the_node_stops(found: Found) -> None:
    """It is in no log from which the next start could tell it."""
    founded, ear = found([A]), Ear()
    change = SignalQuarantined((make_signal(2).type, b""), "flood", 1)
    kept: list[bool] = []
    async with AsyncExitStack() as stack:
        a = await listening(founded, A, stack, ear)
        await a.platform.teller.until_idle()
        ear.failures = 1
        a.platform.teller.emit(change, kept=lambda: kept.append(change in ear.changes))

        async def has_failed() -> bool:
            return not ear.failures

        await until(has_failed)
        assert [] == kept
    assert [change] == ear.changes
    assert [True] == kept


def alone(*sinks: Sink) -> Teller:
    """It tells of what is in no log, so it needs none."""
    none = cast("ChangeStore", None), cast("LogStore", None), cast("Membership", None)
    teller = Teller(*none, cast("Erasures", None))
    for sink in sinks:
        teller.listen(sink)
    return teller


class Committing(Ear):
    """Its commit is done, and it has not heard of that yet."""

    def __init__(self) -> None:
        super().__init__()
        self.began, self.hears = asyncio.Event(), asyncio.Event()

    async def keep(self, batch: ChangeBatch) -> None:
        await super().keep(batch)
        self.began.set()
        await self.hears.wait()


class Buggy(Ear):
    """Cannot take what changed, and takes a cut."""

    async def keep(self, batch: ChangeBatch) -> None:
        if HistoryCut() not in batch.changes:
            raise RuntimeError("a bug")
        await super().keep(batch)


QUARANTINED = SignalQuarantined((make_signal(2).type, b""), "flood", 1)


async def test_what_a_sink_was_committing_at_the_stop_is_told_once() -> None:
    first, second, kept = Committing(), Ear(), list[bool]()
    teller = alone(first, second)
    running = asyncio.create_task(teller.run())
    teller.emit(QUARANTINED, kept=lambda: kept.append(True))
    await first.began.wait()
    running.cancel()
    await asyncio.wait([running])
    first.hears.set()
    await teller.close()
    assert [[QUARANTINED], [QUARANTINED]] == [first.changes, second.changes]
    assert [True] == kept


async def test_a_sink_that_has_it_is_not_told_again_because_another_one_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(teller_module, "RETRY_SECONDS", 0.0)
    first, second = Ear(), Ear()
    second.failures = 2
    teller = alone(first, second)
    running = asyncio.create_task(teller.run())
    teller.emit(QUARANTINED)
    await teller.until_idle()
    running.cancel()
    assert [[QUARANTINED], [QUARANTINED]] == [first.changes, second.changes]


async def test_whoever_emitted_what_a_bug_keeps_from_being_told_hears_of_it() -> None:
    ear, ends = Buggy(), list[str]()
    teller = alone(ear)
    running = asyncio.create_task(teller.run())
    teller.emit(QUARANTINED, kept=lambda: ends.append("kept"), dropped=lambda: ends.append("no"))
    await teller.until_idle()
    running.cancel()
    assert ["no"] == ends
    assert [HistoryCut()] == ear.changes


async def test_a_burst_longer_than_memory_allows_is_read_back_from_the_store(
    found: Found, monkeypatch: object
) -> None:
    ear = Ear()
    async with AsyncExitStack() as stack:
        a = await listening(found([A]), A, stack, ear)
        ear.failures = 1
        a.platform.teller._statements_waiting = 10**9  # as if so many waited already
        for number in range(5):
            await a.publisher.confirm(Lane.LIVE, [make_confirm(number)])
            await asyncio.sleep(0)
        await a.platform.teller.until_idle()
        moved = [(SignalState.UNKNOWN, SignalState.POSITIVE)]
        assert [moved] * 5 == [ear.states_of(make_signal(number)) for number in range(5)]

"""After a commit a statement is held or said: what fails behind it is tried until it is done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from threading import get_ident
from typing import Any

import pytest

from federation.daemon import after_commit, own_step
from federation.daemon.after_commit import AfterCommit
from federation.daemon.eraser import Eraser
from federation.daemon.guard import Guard
from federation.daemon.membership import Membership
from federation.daemon.openings import Openings
from federation.daemon.publisher import Draft, LanePublisher
from federation.daemon.replicator import Replicator
from federation.daemon.restore import restore_step
from federation.daemon.turns import Turns
from federation.gossip import events
from federation.gossip.engine import GossipEngine, GossipSettings
from federation.local_errors.askers import SigningStopped
from federation.local_errors.disk import StoreConflict, StoreCorrupt, StoreFull
from federation.net.asking import PeerCall, PeerCalls
from federation.protocol.checkpoints_signing import sign_checkpoint
from federation.protocol.messages import AnnouncedHead, Announcement
from federation.protocol.origins import Lane, LogId
from federation.provenance.log_view import Advance, LogView
from federation.provenance.taking_back import without_opening
from federation.provenance.verifier import Head, Receipt
from federation.store import late_rows, log_store
from federation.store.late_rows import LATE_STATEMENTS_MIN, LateRows
from federation.store.stores import Stores, open_stores
from tests.builders import (
    ACME,
    NOVA,
    MadeLog,
    make_confirm,
    make_erase,
    make_log,
    make_roster,
    make_salt,
)

FOUNDED = make_roster()
FID = FOUNDED.roster.federation_id
FULL = "no space is left"


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(after_commit, "PAUSE_SECONDS_FIRST", 0.0)


class FailingOnce:
    """Stands before a step: the first call of it fails as it is told to."""

    def __init__(self, error: Exception | None) -> None:
        self.error, self.calls = error, 0

    async def __call__(self, *_: object) -> None:
        self.calls += 1
        error, self.error = self.error, None
        if error is not None:
            raise error


class FailingAlways(FailingOnce):
    """Every call of it fails."""

    async def __call__(self, *_: object) -> None:
        self.calls += 1
        assert self.error is not None
        raise self.error


class Broken(PeerCalls):
    """A way to a peer that meets a bug; its words must not be repeated."""

    async def ask(self, call: PeerCall) -> bytes:
        raise UnicodeError("label empty in secret.example")

    async def close(self) -> None:
        pass


async def nothing(*_: object) -> None:
    pass


class Holding:
    """Nova's replicator over a real store, and what it told operators."""

    def __init__(
        self,
        stores: Stores,
        guard: Guard,
        *steps: Callable[[Advance], Awaitable[None]],
        about_bodies: Callable[..., Awaitable[None]],
    ) -> None:
        membership = Membership(FOUNDED.chain, stores.rosters)
        mirror = FOUNDED.companies[NOVA].keys["mirror"]
        self.eraser = Eraser(
            stores,
            membership,
            erased=about_bodies,
            index=about_bodies,
            before_erase=lambda: None,
            receipt=self.receipt_on,
            receipted=guard.receipted,
            tell=self.tell,
        )
        self.replicator = Replicator(
            GossipEngine(NOVA, membership.verifier, GossipSettings(1e9)),
            Broken,
            stores=stores,
            membership=membership,
            key_of=lambda _public: mirror,
            member=NOVA,
            following=lambda move: [partial(step, move) for step in steps],
            eraser=self.eraser,
            guard=guard,
            monotonic=asyncio.get_running_loop().time,
            unix_seconds=lambda: 1_000,
            rng=Random(1),
        )

    async def receipt_on(self, log: LogId) -> Receipt | None:
        return await self.replicator.receipt_on(log)

    def tell(self, event: events.Event) -> None:
        self.replicator.feed(event)

    @property
    def alarms(self) -> list[str]:
        return [alarm.code for alarm in self.replicator.alarms]

    async def hear(self, made: MadeLog) -> int:
        """Acme announces all of a log; how much of it is held when that is answered."""
        head = AnnouncedHead(made.head().note, tuple(made.said))
        answer = await self.replicator.announced(ACME, Announcement((head,), 1))
        return answer.held[0].size


@asynccontextmanager
async def holding(
    folder: Path,
    *steps: Callable[[Advance], Awaitable[None]],
    about_bodies: Callable[..., Awaitable[None]] = nothing,
) -> AsyncIterator[tuple[Holding, Stores, Guard]]:
    async with await open_stores(folder / "node", member=NOVA, federation_id=FID) as stores:
        guard = await Guard.open(folder / "guard", stores, NOVA, FID, lambda: 1_000)
        guard.ready.set()
        held = Holding(stores, guard, *steps, about_bodies=about_bodies)
        try:
            yield held, stores, guard
        finally:
            await held.replicator.close()
            await guard.close()


@contextmanager
def failing(
    monkeypatch: pytest.MonkeyPatch, owner: object, name: str, count: int = 1
) -> Iterator[list[int]]:
    """The named step fails so often before it works."""
    real, left = getattr(owner, name), [count]

    async def step(*given: object, **named: object) -> object:
        if left[0]:
            left[0] -= 1
            raise StoreFull(FULL)
        return await real(*given, **named)

    with monkeypatch.context() as patched:
        patched.setattr(owner, name, step)
        yield left


# --- what others said -----------------------------------------------------------------------------


async def test_a_full_disk_behind_the_commit_strands_no_log(tmp_path: Path) -> None:
    index = FailingOnce(StoreFull(FULL))
    async with holding(tmp_path, index) as (node, stores, _):
        made = make_log(3, founded=FOUNDED)
        assert 3 == await node.hear(made)
        assert 2 == index.calls
        made.say_numbers([3])
        assert 4 == await node.hear(made)
        assert 4 == await stores.logs.size(made.log)
        assert ["commit-unfinished"] == node.alarms


async def test_a_receipt_leaves_only_when_the_guard_has_it_and_then_it_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with holding(tmp_path, FailingOnce(None)) as (node, _, guard):
        made = make_log(3, founded=FOUNDED)
        with failing(monkeypatch, guard, "receipted", 3) as left:
            head = AnnouncedHead(made.head().note, tuple(made.said))
            answer = await node.replicator.announced(ACME, Announcement((head,), 1))
            assert [0] == left
        assert answer.held[0].receipt is not None


async def test_a_bug_behind_the_commit_is_told_by_its_kind_and_the_log_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with holding(tmp_path, FailingOnce(ValueError("secret.example"))) as (node, _, _guard):
        made = make_log(3, founded=FOUNDED)
        assert 3 == await node.hear(made)
        made.say_numbers([3])
        assert 4 == await node.hear(made)
        assert ["internal-error"] == node.alarms
    assert "ValueError" in caplog.text
    assert "secret.example" not in caplog.text


async def test_what_no_waiting_mends_stops_no_log(tmp_path: Path) -> None:
    damaged, following = FailingAlways(StoreCorrupt("a row is damaged")), FailingOnce(None)
    async with asyncio.timeout(60), holding(tmp_path, damaged, following) as (node, _, _guard):
        made = make_log(3, founded=FOUNDED)
        assert 3 == await node.hear(made)
        made.say_numbers([3])
        assert 4 == await node.hear(made)
        assert (2, 2) == (damaged.calls, following.calls)
        assert ["internal-error"] * 2 == node.alarms


async def test_what_is_done_is_not_done_again_because_of_what_follows_it(tmp_path: Path) -> None:
    counted, following = FailingOnce(None), FailingOnce(StoreFull(FULL))
    async with holding(tmp_path, counted, following) as (node, _, _guard):
        assert 3 == await node.hear(make_log(3, founded=FOUNDED))
        assert (1, 2) == (counted.calls, following.calls)


async def test_an_erase_that_the_disk_interrupted_goes_on_from_where_it_was(
    tmp_path: Path,
) -> None:
    reconsider = FailingOnce(StoreFull(FULL))
    async with holding(tmp_path, about_bodies=reconsider) as (node, stores, _):
        made = make_log(1, founded=FOUNDED)
        assert 1 == await node.hear(made)
        made.say(make_erase(1, made.said[0].id, federation_id=FID))
        assert 2 == await node.hear(made)
        kept = await stores.logs.statement(made.said[0].id)
        assert kept is not None
        assert kept.statement.opening is None
        assert 2 == reconsider.calls
        assert ["commit-unfinished"] == node.alarms


async def with_missing_bodies(stores: Stores) -> MadeLog:
    """A log that is held without its bodies, which no erase accounts for."""
    made = make_log(2, founded=FOUNDED)
    step = made.moves[0]
    bare = tuple(map(without_opening, step.statements))
    await stores.logs.append(replace(step, statements=bare))
    return made


async def carried_out(
    node: Holding,
    stores: Stores,
    command: events.FetchOpenings | events.Reopen,
    link: Callable[[str], PeerCalls] | None = None,
) -> list[events.Event | None]:
    """An order about missing bodies is carried out; what the engine is told."""
    fed: list[events.Event | None] = []
    rooms = Openings(
        NOVA,
        stores.trees,
        node.eraser,
        link=link or node.replicator.link,
        after_commit=node.replicator.after_commit,
        feed=fed.append,
    )
    await rooms.carry()[type(command)](command)
    return fed


async def put_back(node: Holding, stores: Stores, made: MadeLog) -> list[events.Event | None]:
    """A peer had the bodies; what the engine is told."""
    return await carried_out(node, stores, events.Reopen(made.log, dict(enumerate(made.said))))


async def test_a_body_that_is_back_matches_even_if_the_disk_refuses_for_a_while(
    tmp_path: Path,
) -> None:
    index = FailingOnce(StoreFull(FULL))
    async with holding(tmp_path, about_bodies=index) as (node, stores, _):
        made = await with_missing_bodies(stores)
        assert [] == await put_back(node, stores, made)
        assert {} == await stores.erasures.missing_counts()
        assert 2 == index.calls
        assert ["commit-unfinished"] == node.alarms


async def test_a_disk_that_does_not_say_what_is_missing_is_no_bug(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with holding(tmp_path) as (node, stores, _):
        made = await with_missing_bodies(stores)
        with failing(monkeypatch, stores.erasures, "missing"):
            assert [events.ReopenFailed(made.log)] == await put_back(node, stores, made)
        assert [] == node.alarms


async def test_what_the_store_holds_beyond_the_view_is_gone_on_from(tmp_path: Path) -> None:
    async with holding(tmp_path, FailingOnce(None)) as (node, stores, _):
        made = make_log(3, founded=FOUNDED)
        await stores.logs.append(made.moves[0])  # as after a commit that was reported as failed
        made.say_numbers([3])
        assert 3 == await node.hear(made)
        assert ["store-conflict"] == node.alarms
        assert 4 == await node.hear(made)


async def test_a_command_that_meets_a_bug_is_waited_for_no_longer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with holding(tmp_path, FailingOnce(None)) as (node, _, _guard):
        node.replicator.feed(events.Started(()))
        peers = node.replicator.engine.peers.values()
        assert all(peer.comparing for peer in peers)
        async with asyncio.timeout(10):
            while any(peer.comparing for peer in peers):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0)
        assert "internal-error" in node.alarms
    assert "secret.example" not in caplog.text


async def test_late_rows_that_cannot_be_written_fail_no_append(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late_rows, "LATE_ROWS_MAX", LATE_STATEMENTS_MIN)
    async with await open_stores(tmp_path / "node", member=NOVA, federation_id=FID) as stores:
        made = make_log(LATE_STATEMENTS_MIN, founded=FOUNDED)
        with failing(monkeypatch, LateRows, "_write_stretch"):
            await stores.logs.append(made.moves[0])
        assert await stores.logs.statement(made.said[7].id) is not None
        assert len(made.said) == await stores.check_log(made.log)


# --- what this member says ------------------------------------------------------------------------


@asynccontextmanager
async def speaking(
    folder: Path, tell: Callable[[Advance], Awaitable[None]] = nothing
) -> AsyncIterator[tuple[LanePublisher, Stores, Guard, list[str]]]:
    async with await open_stores(folder / "node", member=ACME, federation_id=FID) as stores:
        guard = await Guard.open(folder / "guard", stores, ACME, FID, lambda: 1_000)
        guard.ready.set()
        membership = Membership(FOUNDED.chain, stores.rosters)
        made, alarms = make_log(founded=FOUNDED), list[str]()
        lane = LanePublisher(
            made.log,
            lambda _public: FOUNDED.companies[ACME].keys[Lane.LIVE],
            LogView(made.log),
            membership=membership,
            store=stores.logs,
            guard=guard,
            clock_ms=lambda: 1_000,
            salts=lambda _count: make_salt(),
            tell=tell,
            after_step=lambda _step: None,
            after_commit=AfterCommit(lambda code, _text: alarms.append(code)),
            look_again=lambda known: restore_step(stores, membership, known),
            alarm=lambda code, _text: alarms.append(code),
            turns=Turns(),
        )
        writing = asyncio.create_task(lane.run())
        try:
            yield lane, stores, guard, alarms
        finally:
            writing.cancel()
            await guard.close()


async def test_what_is_said_takes_the_turn_of_its_lane(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = list[Lane]()
    monkeypatch.setattr(Turns, "note", lambda _turns, lane: noted.append(lane))
    async with speaking(tmp_path) as (lane, _stores, _guard, _alarms):
        await lane.publish([Draft(make_confirm(0))])
    assert [lane.log.lane] == noted


async def test_a_long_list_is_signed_and_laid_out_beside_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = dict[str, int]()

    def note(module: object, name: str) -> None:
        whole = getattr(module, name)

        def noting(*arguments: Any) -> Any:
            threads[name] = get_ident()
            return whole(*arguments)

        monkeypatch.setattr(module, name, noting)

    note(own_step, "sign_checkpoint")
    note(log_store, "append_steps")
    async with speaking(tmp_path) as (lane, stores, _guard, _alarms):
        await lane.publish([Draft(make_confirm(0))])
        assert {get_ident()} == set(threads.values())
        said = await lane.publish([Draft(make_confirm(n)) for n in range(LATE_STATEMENTS_MIN)])
        assert get_ident() not in threads.values()
        assert 1 + len(said) == await stores.check_log(lane.log)


async def test_what_stops_signing_while_a_list_is_signed_keeps_it_from_being_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with speaking(tmp_path) as (lane, stores, guard, _alarms):
        loop, whole = asyncio.get_running_loop(), sign_checkpoint

        def signing(*arguments: Any) -> Any:
            stopped = guard.stop(lane.log, "own-head-unknown", "a peer holds more")
            asyncio.run_coroutine_threadsafe(stopped, loop).result()
            return whole(*arguments)

        monkeypatch.setattr(own_step, "sign_checkpoint", signing)
        with pytest.raises(SigningStopped):
            await lane.publish([Draft(make_confirm(n)) for n in range(LATE_STATEMENTS_MIN)])
        assert [] == await stores.logs.load_logs()


async def test_what_is_stored_is_said_even_if_the_guards_disk_refuses_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with speaking(tmp_path) as (lane, stores, guard, alarms):
        with failing(monkeypatch, guard, "signed", 2):
            (first,) = await lane.publish([Draft(make_confirm(0))])
        (second,) = await lane.publish([Draft(make_confirm(1))])
        assert [0, 1] == [first.index, second.index]
        assert 2 == lane.view.size == await stores.logs.size(lane.log)
        last = guard.last_of(lane.log)
        assert last is not None
        assert 2 == last.size
        assert ["commit-unfinished"] == alarms


async def test_a_lane_whose_disk_refuses_moves_when_its_batch_is_done_and_nobody_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with speaking(tmp_path) as (lane, stores, guard, _):
        signed, is_called, is_free = guard.signed, asyncio.Event(), asyncio.Event()

        async def refused(before: Head | None, head: Head) -> None:
            is_called.set()
            if not is_free.is_set():
                raise StoreFull(FULL)
            await signed(before, head)

        monkeypatch.setattr(guard, "signed", refused)
        saying = asyncio.create_task(lane.publish([Draft(make_confirm(0))]))
        await is_called.wait()
        first, other = lane.log, make_log(founded=FOUNDED, lane=Lane.BULK).log
        lane.move(other, LogView(other))
        assert (other, first) == (lane.log, lane.view.log)
        is_free.set()
        (said,) = await saying
        assert first == said.log
        assert 1 == await stores.logs.size(first)
        assert other == lane.view.log


async def test_a_lane_goes_on_from_what_its_store_holds_and_that_comes_into_use(
    tmp_path: Path,
) -> None:
    told: list[Advance] = []

    async def tell(step: Advance) -> None:
        told.append(step)

    async with speaking(tmp_path, tell) as (lane, stores, guard, alarms):
        made = make_log(1, founded=FOUNDED)
        await stores.logs.append(made.moves[0])
        with pytest.raises(StoreConflict):
            await lane.publish([Draft(make_confirm(5))])
        assert [(0, 1, made.said)] == [
            (step.before.size, step.view.size, [each.statement for each in step.statements])
            for step in told
        ]
        assert ["store-conflict"] == alarms
        last = guard.last_of(lane.log)
        assert last is not None
        assert 1 == last.size
        (said,) = await lane.publish([Draft(make_confirm(6))])
        assert 1 == said.index
        assert 2 == await stores.logs.size(lane.log)

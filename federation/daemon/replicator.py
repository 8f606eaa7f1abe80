"""The engine's hands: carries its commands out on real links, disk and clock.

Nothing is decided here. Each command becomes one task, and what comes of it goes back in as an
event; how many run at once is bounded by the engine (one announcement per peer and lane, one range
and one write per log). The store writes one at a time, the most urgent lane's first. Writes
end in this order: commit, index, then tell the engine, so that whoever hears of a statement from
this node can already match it here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import partial
from random import Random
from typing import Any, Final

from federation.daemon.after_commit import AfterCommit, tell_bug
from federation.daemon.eraser import Eraser
from federation.daemon.failures import failure_of
from federation.daemon.guard import Guard
from federation.daemon.membership import Membership
from federation.daemon.openings import Openings
from federation.daemon.own_keys import KeyOf
from federation.daemon.receipt_keeper import ReceiptKeeper
from federation.daemon.restore import restore_view
from federation.daemon.roster_fetch import RosterFetch
from federation.daemon.turns import Turns
from federation.errors import FederationError
from federation.gossip import events, joining_events
from federation.gossip.engine import GossipEngine
from federation.gossip.fork_events import KeepBranchHead, PersistBranch
from federation.local_errors.askers import TooBusy
from federation.local_errors.disk import StoreConflict, StoreError
from federation.local_errors.peers import PeerError
from federation.net.asking import PeerCalls
from federation.protocol.checkpoints_signing import cosign
from federation.protocol.merkle_growth import CompactRange
from federation.protocol.messages import (
    Announcement,
    AnnouncementAnswer,
    Comparison,
    ComparisonAnswer,
    decode_announcement_answer,
    decode_comparison_answer,
    decode_range,
    encode_announcement,
    encode_comparison,
)
from federation.protocol.messages_hashes import decode_hashes
from federation.protocol.notes import format_signature_line
from federation.protocol.origins import Cosigner, Lane, LogId
from federation.provenance.log_view import Advance, LogView
from federation.provenance.verifier import Head, Receipt
from federation.store.stores import Stores

log_lines = logging.getLogger(__name__)

ASKS_MAX: Final = 512
"""Peer requests waiting for the engine; the listener's connection limit, and a second lock."""

ALARMS_KEPT_MAX: Final = 100
"""Newest alarms shown to operators; all of them are in the log."""


class Replicator:
    """Drives one engine.

    Args:
        engine: decides.
        links: how each peer is reached; looked up at the moment of need.
        stores: where other members' logs, receipts and evidence are kept.
        membership: the roster in force.
        key_of: gives this node's mirror key, which signs receipts, by its public half.
        member: this node's name.
        following: what is to be done about a durable step, in order; it counts for matching first.
        eraser: takes out of each step what must go.
        guard: says whether a receipt may be signed, and keeps what was.
        monotonic: the engine's clock, seconds.
        unix_seconds: the clock that receipts are stamped with.
        rng: the engine's chance.

    Attributes:
        after_commit: sees to it that what is durable comes into use.
        turns: when the next piece of bulk is worked on.
    """

    def __init__(
        self,
        engine: GossipEngine,
        links: Callable[[str], PeerCalls | None],
        *,
        stores: Stores,
        membership: Membership,
        key_of: KeyOf,
        member: str,
        following: Callable[[Advance], Sequence[Callable[[], Awaitable[object]]]],
        eraser: Eraser,
        guard: Guard,
        monotonic: Callable[[], float],
        unix_seconds: Callable[[], int],
        rng: Random,
    ) -> None:
        self.engine = engine
        self.after_commit = AfterCommit(self.raise_alarm)
        self.alarms: list[events.RaiseAlarm] = []
        self._links, self._stores = links, stores
        self._membership, self._key_of, self._member = membership, key_of, member
        self._following, self._eraser, self._guard = following, eraser, guard
        self._monotonic, self._unix_seconds, self._rng = monotonic, unix_seconds, rng
        self.turns = Turns()
        stores.late.give_way = partial(self.turns.wait, Lane.BULK)
        self._tasks: set[asyncio.Task[None]] = set()
        self._asks: dict[int, asyncio.Future[Any]] = {}
        self._ask_next = 0
        self._wake: asyncio.TimerHandle | None = None
        self._carry: Mapping[type, Callable[[Any], Coroutine[Any, Any, None]]] = {
            events.Announce: self._announce,
            events.Compare: self._compare,
            events.FetchRange: self._fetch_range,
            joining_events.FetchHashes: self._fetch_hashes,
            joining_events.FetchPiece: self._fetch_piece,
            events.FetchRoster: RosterFetch(
                engine,
                membership,
                link=self.link,
                unix_seconds=unix_seconds,
                alarm=self.raise_alarm,
                feed=self.feed,
            ).fetch,
            events.Persist: self._persist,
            **ReceiptKeeper(stores.receipts).carry(),
            **Openings(
                member, stores.trees, eraser, self.link, self.after_commit, self.feed
            ).carry(),
        }

    def also_carry(
        self, carried: Mapping[type, Callable[[Any], Coroutine[Any, Any, None]]]
    ) -> None:
        """Let another room carry out some commands; before the first event."""
        self._carry = {**self._carry, **carried}

    # --- in -------------------------------------------------------------------------------------

    def feed(self, event: events.Event | None) -> None:
        """Give the engine an event, where there is one, and start carrying out what it orders."""
        if event is None:
            return
        now = self._monotonic()
        for command in self.engine.handle(event, now, self._rng):
            self._begin(command, now)

    async def announced(self, peer: str, message: Announcement) -> AnnouncementAnswer:
        """A peer's announcement, until the engine answers it.

        Raises:
            TooBusy: too many requests wait.
        """
        ask, future = self._new_ask()
        self.feed(events.AnnouncementReceived(peer, ask, message))
        answer: AnnouncementAnswer = await self._await_answer(ask, future)
        return answer

    async def compared(self, peer: str, message: Comparison) -> ComparisonAnswer:
        """A peer's comparison, until the engine answers it.

        Raises:
            TooBusy: too many requests wait.
        """
        ask, future = self._new_ask()
        self.feed(events.ComparisonReceived(peer, ask, message))
        answer: ComparisonAnswer = await self._await_answer(ask, future)
        return answer

    def raise_alarm(self, code: str, text: str) -> None:
        """Show operators something that a room beside the engine found."""
        self._begin(events.RaiseAlarm(code, text), 0.0)

    def held_size(self, log: LogId) -> int:
        """Statements durably held of a log."""
        sync = self.engine.logs.get(log)
        return sync.view.size if sync else 0

    def held(self, log: LogId) -> CompactRange | None:
        """The size and right edge of what is durably held of a log; None where nothing is."""
        sync = self.engine.logs.get(log)
        return sync.view.held if sync else None

    def newest_note(self, log: LogId) -> bytes | None:
        """The newest checkpoint of a log under which everything is held."""
        sync = self.engine.logs.get(log)
        view = sync.view if sync else None
        return view.head.note if view and view.head and view.is_complete else None

    async def close(self) -> None:
        """Stop asking and telling; writes under way end first."""
        self.after_commit.close()
        if self._wake is not None:
            self._wake.cancel()
        for task in self._tasks:
            if task.get_name() != _WRITE:
                task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for future in self._asks.values():
            future.cancel()

    def _new_ask(self) -> tuple[int, asyncio.Future[Any]]:
        if len(self._asks) >= ASKS_MAX:
            raise TooBusy("too many peers' requests wait for an answer")
        self._ask_next += 1
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asks[self._ask_next] = future
        return self._ask_next, future

    async def _await_answer(self, ask: int, future: asyncio.Future[Any]) -> Any:
        try:
            return await future
        finally:
            self._asks.pop(ask, None)

    # --- out ------------------------------------------------------------------------------------

    def _begin(self, command: events.Command, now: float) -> None:
        match command:
            case events.WakeAt(at):
                if self._wake is not None:
                    self._wake.cancel()
                loop = asyncio.get_running_loop()
                self._wake = loop.call_later(max(0.0, at - now), self.feed, events.Woke())
            case events.AnswerAnnouncement(ask, message) | events.AnswerComparison(ask, message):
                future = self._asks.get(ask)
                if future is not None and not future.done():
                    future.set_result(message)
            case events.RaiseAlarm(code, text):
                log_lines.error("alarm %s: %s", code, text)
                self.alarms = [*self.alarms, command][-ALARMS_KEPT_MAX:]
            case _:
                writes = isinstance(command, _WRITING)
                task = asyncio.create_task(
                    self._carry[type(command)](command), name=_WRITE if writes else None
                )
                self._tasks.add(task)
                task.add_done_callback(lambda done: self._ended(done, command))

    def _ended(self, task: asyncio.Task[None], command: events.Command) -> None:
        """A command that ended in an error is a bug: the engine waits for it no longer."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.raise_alarm("internal-error", tell_bug(error))
            self.feed(failure_of(command, FederationError("this node met a bug")))

    async def _announce(self, command: events.Announce) -> None:
        self.turns.note(command.lane)
        try:
            body = encode_announcement(command.message)
            raw = await self.link(command.peer).announce(body, command.lane)
            answer = decode_announcement_answer(raw)
        except FederationError as error:
            self.feed(failure_of(command, error))
            return
        self.turns.note(command.lane)  # it spreads still: others answer later
        self.feed(events.AnnouncementAnswered(command.peer, command.lane, answer))

    async def _compare(self, command: events.Compare) -> None:
        try:
            raw = await self.link(command.peer).digest(encode_comparison(command.message))
            answer = decode_comparison_answer(raw)
        except FederationError as error:
            self.feed(failure_of(command, error))
            return
        self.feed(events.ComparisonAnswered(command.peer, answer))

    async def _fetch_range(self, command: events.FetchRange) -> None:
        try:
            raw = await self.link(command.peer).statements(
                command.log.sha256,
                command.start,
                command.end,
                command.head_size,
                lane=command.log.lane,
            )
            await self.turns.wait(command.log.lane)
            message = decode_range(raw)
        except FederationError as error:
            self.feed(failure_of(command, error))
            return
        self.feed(events.RangeReceived(command.peer, command.log, message, command))

    async def _fetch_hashes(self, command: joining_events.FetchHashes) -> None:
        try:
            raw = await self.link(command.peer).hashes(
                command.log.sha256,
                command.start,
                command.end,
                command.at,
                lane=command.log.lane,
            )
            message = decode_hashes(raw)
        except FederationError as error:
            self.feed(failure_of(command, error))
            return
        self.feed(joining_events.HashesReceived(command.peer, command.log, message, command))

    async def _fetch_piece(self, command: joining_events.FetchPiece) -> None:
        start = command.start
        try:
            raw = await self.link(command.peer).statements(
                command.log.sha256, start, command.end, command.end, lane=command.log.lane
            )
            await self.turns.wait(command.log.lane)
            message = decode_range(raw)
        except FederationError as error:
            self.feed(failure_of(command, error))
            return
        self.feed(joining_events.PieceReceived(command.peer, command.log, start, message))

    async def _persist(self, command: events.Persist) -> None:
        step = command.step
        try:
            step, erased = await self._eraser.prepare(step)
            log = step.view.log
            is_whole = step.view.is_complete and log not in self._eraser.lacking
            receipt = await self._receipt(step.view.head, step.before) if is_whole else None
            receipts = [receipt] if receipt else []
            await self.turns.wait(log.lane)
            seconds = await self._stores.logs.append(step, receipts, erased=erased)
        except StoreConflict as error:
            await self._look_again(step.view.log, error)
            return
        except StoreError as error:
            log_lines.error("cannot keep %s: %s", step.view.log, error)
            self.feed(failure_of(command, error))
            return
        # It is held from here on, whatever becomes of the rest.
        await self.after_commit.through(
            log, *self._following(step), lambda: self._eraser.absorb(step, erased)
        )
        if receipt is not None and not await self._receipted(receipt):
            receipt = None
        await self.turns.wait(log.lane)  # the next step is judged when it is told of this one
        self.feed(events.Persisted(step, receipt, seconds))
        if receipt is None and (step.view.is_complete or step.view.log in self._eraser.lacking):
            try:
                await self._eraser.settle(step.view.log)
            except StoreError as error:
                log_lines.error("cannot say what is missing of %s: %s", step.view.log, error)

    async def _receipted(self, receipt: Receipt) -> bool:
        """Whether a durable receipt may leave; not before the guard has it."""
        log = receipt.head.log
        try:
            return await self.after_commit.until_done(log, lambda: self._guard.receipted(receipt))
        except StoreError as error:  # what was stored is told all the same
            self.after_commit.pass_over(log, error)
            return False

    async def _look_again(self, log: LogId, error: StoreConflict) -> None:
        """The store holds something else than the step was judged from: go on from what it holds.

        A commit that was reported as failed and was durable all the same leads here.
        """
        text = f"the database moved {log} without this node: restart it, so that all of it matches"
        self.raise_alarm("store-conflict", text)
        view = None
        try:
            view = await restore_view(self._stores, self._membership, log)
        except StoreError as failed:
            log_lines.error("cannot read how much of %s is held: %s", log, failed)
        self.feed(events.PersistFailed(log, error.message, view))

    async def receipt_on(self, log: LogId) -> Receipt | None:
        """This node's receipt on the newest head of another member's log, where all is held.

        Raises:
            StoreError: the disk.
        """
        sync = self.engine.logs.get(log)
        if sync is None or log.member == self._member or not sync.view.is_complete:
            return None
        return await self._receipt(sync.view.head, sync.view)

    async def _receipt(self, head: Head | None, view: LogView) -> Receipt | None:
        """This node's mirror cosignature; it leaves the process only after the commit.

        None of a log under evidence, and none that its last word on the log does not lead to.
        """
        if head is None or self.engine.forks.is_accused(head.log):
            return None
        if not await self._guard.may_receipt(head, view):
            return None
        verifier = self._membership.verifier
        if not verifier.roster.member(self._member).mirror_keys:
            return None  # an observer holds everything and vouches for nothing
        vkey = verifier.roster.cosigner_vkey(self._member, Cosigner.MIRROR)
        mirror = self._key_of(vkey.public)
        if mirror is None or not verifier.stands(head):
            return None  # the next roster, or its own next key, is not here yet
        line = cosign(head.checkpoint.text, vkey.name, mirror, self._unix_seconds())
        text = format_signature_line(line).removesuffix("\n")
        return verifier.open_receipt(head, self._member, Cosigner.MIRROR, text)

    def link(self, peer: str) -> PeerCalls:
        """The way to a peer.

        Raises:
            PeerError: it is none any more.
        """
        link = self._links(peer)
        if link is None:
            raise PeerError(f"{peer} is no longer a peer")
        return link


_WRITE: Final = "write"
_WRITING: Final = (events.Persist, events.KeepReceipt, events.Reopen, PersistBranch, KeepBranchHead)

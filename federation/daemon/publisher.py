"""Publishing: what this member says, from draft to durable.

    draft → statement → signed head → judged like any peer's → one transaction → told

Store, then tell: the index and the peers learn of a statement only after the commit that holds it,
the tree and the checkpoint. Requests that arrive together share one checkpoint: whatever waits for
a lane when it becomes free is one batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from federation.daemon.after_commit import AfterCommit
from federation.daemon.guard import Guard
from federation.daemon.membership import Membership
from federation.daemon.own_keys import KeyOf
from federation.daemon.own_step import sign_step
from federation.daemon.turns import Turns
from federation.errors import TooLarge
from federation.local_errors.askers import (
    LogEnded,
    NotYourStatement,
    StatementNotFound,
    StatementNotOpen,
    TooBusy,
)
from federation.local_errors.disk import StoreConflict
from federation.protocol.bodies import ERASABLE_KINDS, About, Confirm, Kind, Readable, Withdraw
from federation.protocol.bodies_incident import Incident
from federation.protocol.headers import Header, StatementId, decode_header
from federation.protocol.keys_signing import SigningKey
from federation.protocol.limits import SALT_BYTES
from federation.protocol.origins import Lane, LogId
from federation.protocol.signals_local import check_publishable
from federation.protocol.statements import Statement
from federation.protocol.statements_writing import kind_of, make_statement
from federation.provenance.log_view import Advance, LogView
from federation.provenance.taking_back import rulings_of
from federation.provenance.verifier import Head, VerifiedStatement
from federation.store.log_store import LogStore
from federation.store.signal_store import SignalStore

BATCH_STATEMENTS_MAX: Final = 2_048
"""Statements under one checkpoint: 11 ms of judging, then 10 to 14 ms in which they have the writer
(measured; half as many take four fifths of it, twice as many three times). An urgent commit
waits for one such batch, and a writer is not to be held for more than 20 ms."""

QUEUE_STATEMENTS_MAX: Final = 16_384
"""Statements waiting for a lane: 8 batches; beyond it the caller is told to slow down."""

_TAKING_BACK: Final = frozenset({Kind.WITHDRAW, Kind.ERASE})


@dataclass(frozen=True, slots=True)
class Draft:
    """Something to be said.

    Attributes:
        body: what.
        references: about which statements.
    """

    body: Readable
    references: tuple[StatementId, ...] = ()


@dataclass(slots=True)
class _Order:
    statements: Sequence[Statement]
    done: asyncio.Future[tuple[VerifiedStatement, ...]]


class LanePublisher:
    """One own log: a queue, and the only writer that ever appends to it.

    Args:
        log: the log's name.
        key_of: gives the key that signs its checkpoints, by its public half.
        view: what is durable of it.
        membership: the roster in force.
        store: where it is appended.
        guard: says whether anything may be signed, and keeps what was.
        clock_ms: Unix milliseconds.
        salts: n random bytes.
        tell: called with each durable step.
        after_step: called after "made", "signed", "stored", "appended" and "told": where crash
            tests cut.
        after_commit: sees to it that what is durable is signed for and told.
        look_again: the step from a view to what the store holds; None where that is no more.
        alarm: tells operators: code and sentence.
        turns: when a batch of bulk may be said.
    """

    def __init__(
        self,
        log: LogId,
        key_of: KeyOf,
        view: LogView,
        *,
        membership: Membership,
        store: LogStore,
        guard: Guard,
        clock_ms: Callable[[], int],
        salts: Callable[[int], bytes],
        tell: Callable[[Advance], Awaitable[None]],
        after_step: Callable[[str], None],
        after_commit: AfterCommit,
        look_again: Callable[[LogView], Awaitable[Advance | None]],
        alarm: Callable[[str, str], None],
        turns: Turns,
    ) -> None:
        self.view = view
        self._log, self._key_of = log, key_of
        self._membership, self._store, self._guard = membership, store, guard
        self._clock_ms, self._salts = clock_ms, salts
        self._tell, self._after_step = tell, after_step
        self._after_commit, self._look_again, self._alarm = after_commit, look_again, alarm
        self._turns = turns
        self._moving: tuple[LogId, LogView] | None = None
        self._waiting: list[_Order] = []
        self._statements_waiting, self._is_writing = 0, False
        self._wake = asyncio.Event()

    def move(self, log: LogId, view: LogView) -> None:
        """Go on in another log, or from where a pin leaves it.

        A batch under way ends first, and nobody waits for it; what waits behind is written there.
        """
        self._moving = log, view
        if not self._is_writing:
            self._take_place()

    def _take_place(self) -> None:
        if self._moving is None:
            return
        (log, view), self._moving = self._moving, None
        said = self._membership.roster.logs.get(log)
        is_open = said is not None and said.is_open
        if log == self._log and is_open and view.size <= self.view.size:
            return  # what is known elsewhere of this log is behind what was written here
        self._log, self.view = log, view

    @property
    def log(self) -> LogId:
        """The log it appends to, from the next batch on."""
        return self._moving[0] if self._moving is not None else self._log

    async def publish(self, drafts: Sequence[Draft]) -> tuple[VerifiedStatement, ...]:
        """Say something; returns once it is durable, signed and on its way to the peers.

        Raises:
            HeaderMalformed, BodyMalformed, TooLarge: a draft that no node would take.
            TooBusy: too many statements wait for this lane.
            LogEnded: governance ended this log.
            SigningStopped: a person must look at this node first; nothing was said to anybody.
            StoreError: it could not be made durable; nothing was said.
        """
        self._check_room(len(drafts))
        # Made alone first: a bad draft must not take the batch it would ride in with it.
        return await self.say([self.make(draft) for draft in drafts])

    async def say(self, statements: Sequence[Statement]) -> tuple[VerifiedStatement, ...]:
        """Say what :meth:`make` made, under one checkpoint; as :meth:`publish`.

        Raises:
            TooBusy, LogEnded, StoreError: see there.
        """
        await self._turns.wait(self.log.lane)
        self._check_room(len(statements))
        order = _Order(statements, asyncio.get_running_loop().create_future())
        self._waiting.append(order)
        self._statements_waiting += len(statements)
        self._wake.set()
        return await order.done

    async def run(self) -> None:
        """Write batch after batch until cancelled; none before the peers were asked."""
        await self._guard.ready.wait()
        while True:
            await self._wake.wait()
            batch, self._is_writing = self._take_batch(), True
            try:
                said = await self._commit([each for order in batch for each in order.statements])
            except Exception as error:  # noqa: BLE001 - each waiting caller gets the error
                for order in batch:
                    if not order.done.cancelled():
                        order.done.set_exception(error)
                continue
            finally:
                self._is_writing = False
                self._take_place()
            at = 0
            for order in batch:
                if not order.done.cancelled():
                    order.done.set_result(said[at : at + len(order.statements)])
                at += len(order.statements)

    def _take_batch(self) -> list[_Order]:
        """Whole orders, in order, up to the batch limit; a larger single order goes alone."""
        batch = [self._waiting.pop(0)]
        count = len(batch[0].statements)
        while self._waiting and count + len(self._waiting[0].statements) <= BATCH_STATEMENTS_MAX:
            batch.append(self._waiting.pop(0))
            count += len(batch[-1].statements)
        self._statements_waiting -= count
        if not self._waiting:
            self._wake.clear()
        return batch

    def _check_room(self, count: int) -> None:
        self._open_key(self.log)
        if self._guard.stops:
            self._guard.check_may_sign()
        if self._statements_waiting + count > QUEUE_STATEMENTS_MAX:
            raise TooBusy(
                f"{self._statements_waiting} statements wait for the {self._log.lane} lane",
                hint="send again after a moment, in batches",
            )

    def _open_key(self, log: LogId) -> SigningKey:
        """The key that the roster in force lets sign for a log.

        Raises:
            LogEnded: none, or none that this node has.
        """
        said = self._membership.roster.logs.get(log)
        if said is None or not said.is_open:
            raise LogEnded(f"the roster in force has no open log {log}")
        key = self._key_of(said.public)
        if key is None:
            raise LogEnded(f"no file holds the key that the roster holds for {log}")
        return key

    async def _commit(self, statements: Sequence[Statement]) -> tuple[VerifiedStatement, ...]:
        self._after_step("made")
        self._guard.check_may_sign()
        key, verifier = self._open_key(self._log), self._membership.verifier
        step = await sign_step(self.view, statements, key, verifier)
        self._guard.check_may_sign()  # what was heard meanwhile may have stopped it
        self._after_step("signed")
        # Shielded: a caller that gives up must not leave the view behind its store.
        await asyncio.shield(self._append(step))
        self._after_step("appended")
        await self._tell(step)
        self._after_step("told")
        return step.statements

    async def _append(self, step: Advance) -> None:
        head = step.view.head
        try:
            await self._store.append(step, aside=True)
        except StoreConflict:
            await self._go_on_from_store()
            raise
        self._after_step("stored")
        self.view = step.view  # so it is in the store, whatever the guard's disk says
        # In this order: what the guard does not know of must not have left; a crash in between left
        # the store ahead, and nobody was told.
        if head is not None:
            await self._signed(step.before.head, head)

    async def _signed(self, before: Head | None, head: Head) -> None:
        await self._after_commit.until_done(self._log, lambda: self._guard.signed(before, head))

    async def _go_on_from_store(self) -> None:
        """The store holds more than was known here: a commit that was reported as failed was none.

        Raises:
            SigningStopped: it is not what this node signed.
            StoreError: the disk.
        """
        step = await self._look_again(self.view)
        if step is not None and step.view.head is not None:
            text = f"the database moved {self._log} without this node, which goes on from there"
            self._alarm("store-conflict", text)
            await self._signed(step.before.head, step.view.head)
            self.view = step.view
            await self._tell(step)

    def make(self, draft: Draft) -> Statement:
        """Encode and commit a statement of this log's member, to be said or thrown away.

        Raises:
            HeaderMalformed, BodyMalformed, TooLarge: a draft that no node would take.
        """
        header = Header(
            federation_id=self._log.federation_id,
            member=self._log.member,
            kind=kind_of(draft.body),
            references=draft.references,
            claimed_at_ms=self._clock_ms(),
        )
        statement = make_statement(header, draft.body, self._salts(SALT_BYTES))
        body_bytes_max = self._membership.roster.limits.body_bytes
        if statement.opening is not None and len(statement.opening.body) > body_bytes_max:
            raise TooLarge(f"the federation agreed on bodies of at most {body_bytes_max} bytes")
        return statement


class Publisher:
    """All of this member's lanes, and the rules of the local door.

    Args:
        member: this member.
        lanes: the publisher of each lane.
        store: to look up what is spoken about.
        signals: to look up what was said about it.
        membership: the roster in force: whom this member may speak for.
    """

    def __init__(
        self,
        member: str,
        lanes: dict[Lane, LanePublisher],
        store: LogStore,
        signals: SignalStore,
        membership: Membership,
    ) -> None:
        self._member, self._membership, self._lanes = member, membership, lanes
        self._store, self._signals = store, signals

    async def confirm(
        self, lane: Lane, confirms: Sequence[Confirm]
    ) -> tuple[VerifiedStatement, ...]:
        """Publish confirms.

        Raises:
            SignalMalformed, SignalDegenerate, SignalLowQuality: a signal nobody should sign for.
            BodyMalformed: a body over its limit.
            TooBusy, StoreError: see :meth:`LanePublisher.publish`.
        """
        for confirm in confirms:
            for signal in confirm.signals:
                check_publishable(signal)
        return await self._lanes[lane].publish([Draft(confirm) for confirm in confirms])

    async def incident(
        self, body: Incident, references: tuple[StatementId, ...] = ()
    ) -> StatementId:
        """Open an incident, or say how the one referred to stands now; in the crisis lane.

        Raises:
            HeaderMalformed, BodyMalformed: what no node would read.
            TooBusy, LogEnded, StoreError: see :meth:`LanePublisher.publish`.
        """
        (statement,) = await self._lanes[Lane.CRISIS].publish([Draft(body, references)])
        return statement.id

    async def withdraw(self, target: StatementId, reason: str) -> StatementId:
        """Take back a statement of this member; see :meth:`say_about`.

        Raises:
            StatementNotFound, NotYourStatement, BodyMalformed, TooBusy, StoreError: see there.
        """
        return await self.say_about(target, Withdraw(reason))

    async def say_about(self, target: StatementId, body: About) -> StatementId:
        """Withdraw, endorse, dispute or erase a statement; saying it twice is saying it once.

        It travels in the crisis lane when its target did, else in the live lane: never behind bulk.

        Returns:
            The statement that says so: the one that stands already, where there is one.

        Raises:
            StatementNotFound: this node holds no such statement.
            NotYourStatement: another member made it, and only its own may do this to it; or this
                member made it, and this takes another's eyes.
            StatementNotOpen: it is of a kind that this cannot be said about.
            BodyMalformed: the reason is no code.
            TooBusy, StoreError: see :meth:`LanePublisher.publish`.
        """
        stored = await self._store.statement(target)
        if stored is None:
            raise StatementNotFound(f"this node holds no statement {target}")
        kind = kind_of(body)
        self._check_target(decode_header(stored.statement.header_bytes), kind, target)
        cuts = self._membership.cuts
        for said in await self._signals.references_to([target]):
            if not cuts.counts(said.log, said.branch, said.index):
                continue
            header = decode_header(said.statement.header_bytes)
            if header.member != self._member or header.kind != kind:
                continue
            if kind in _TAKING_BACK or not await self._is_taken_back(said.statement.id):
                return said.statement.id
        lane = Lane.CRISIS if stored.log.lane is Lane.CRISIS else Lane.LIVE
        (statement,) = await self._lanes[lane].publish([Draft(body, (target,))])
        return statement.id

    def _check_target(self, header: Header, kind: Kind, target: StatementId) -> None:
        """What may be said about a statement of that header."""
        if header.kind not in ERASABLE_KINDS or (
            kind not in _TAKING_BACK and header.kind in {Kind.ENDORSE, Kind.DISPUTE}
        ):
            raise StatementNotOpen(f"{target} is of the kind {header.kind}: no {kind} is about it")
        is_own = rulings_of(self._membership.roster).may_take_back(self._member, header.member)
        if kind in _TAKING_BACK and not is_own:
            raise NotYourStatement(
                f"{target} was made by {header.member}",
                hint=f"only its own member can {kind} it; you can dispute it",
            )
        if kind not in _TAKING_BACK and header.member == self._member:
            raise NotYourStatement(
                f"{target} is this member's own",
                hint="a second opinion is another member's; you can withdraw it",
            )

    async def _is_taken_back(self, statement_id: StatementId) -> bool:
        """Whether this member withdrew or erased an earlier endorse or dispute of its own."""
        about = await self._signals.references_to([statement_id])
        headers = [decode_header(each.statement.header_bytes) for each in about]
        return any(each.member == self._member and each.kind in _TAKING_BACK for each in headers)

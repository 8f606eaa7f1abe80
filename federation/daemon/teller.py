"""What changed, told once and in order: the one place that feeds, webhooks and alarms listen to.

Whatever changes what a platform should do passes here as a value of ``daemon/changes``: verdicts
that moved, statements that were erased, quarantines, uploads found after the fact.

**Order.** Steps are taken in the order in which they were committed here, one at a time, and what
they changed is told before the next one is looked at. A verdict is read from the store when its
turn comes, so the last thing told of a signal is always its newest state, whatever came between.

**Nothing is lost.** A sink is told of a step with the step's log and end; how far each log was told
is kept in the store afterwards. After a crash the steps since then are read from the store and told
again: at least once, and a sink that keeps ``(log, end)`` with what it writes has each once.
A node that has never told anything, or is more than ``BEHIND_STATEMENTS_MAX`` behind, tells
``HistoryCut`` instead: consumers take a snapshot.

What was erased is told from the store as well, which notes it with the erase itself: an erasure has
a number, which names it for a sink as log and end name a step.

What else changed beside the logs is in no log to be told again from: whoever emits it is called
once every sink has kept it, and what waits when the node stops is told before it does.

**Bounded.** Waiting steps hold their statements up to ``WAITING_STATEMENTS_MAX``; beyond that only
their places are remembered, and they are read back from the store. Nobody who publishes or
replicates ever waits for a sink.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from federation.daemon.changes import Change, ChangeBatch, Deriver, HistoryCut, Sink
from federation.daemon.erasures import Erasures
from federation.daemon.membership import Membership
from federation.errors import FederationError
from federation.protocol.origins import LogId
from federation.provenance.log_view import Advance
from federation.provenance.verifier import VerifiedStatement
from federation.store.change_store import ChangeStore
from federation.store.log_store import LogStore

log_lines = logging.getLogger(__name__)

WAITING_STATEMENTS_MAX: Final = 16_384
"""Statements that wait in memory, about 20 MB: sixteen full batches of a burst."""

BEHIND_STATEMENTS_MAX: Final = 100_000
"""Untold statements of all logs, beyond which a snapshot is quicker for everybody."""

READ_STATEMENTS: Final = 1_024
"""Read back at a time: one batch of a publisher."""

READ_BYTES_MAX: Final = 8 * 1024 * 1024

KEEP_SECONDS: Final = 1.0
"""How often it is written down how far was told: a crash tells so much again, at most."""

RETRY_SECONDS: Final = 1.0
"""Between two tries of a sink that failed, or of a store that could not be read."""

CLOSE_SECONDS: Final = 5.0
"""How long a stop waits for sinks that have not kept yet what is told beside the logs."""


@dataclass(slots=True)
class _Step:
    log: LogId
    start: int
    end: int
    statements: tuple[VerifiedStatement, ...] | None


@dataclass(slots=True)
class _Beside:
    batch: ChangeBatch
    kept: Callable[[], None]
    dropped: Callable[[], None]
    sinks_done: int = 0
    keeping: asyncio.Task[None] | None = None  # the next sink's: what it commits cannot be unsaid


@dataclass(frozen=True, slots=True)
class _Erased:
    """The store has erasures that are not told."""


_Waiting: TypeAlias = _Step | _Beside | _Erased


def _nothing() -> None:
    """Nobody waits for what was kept."""


class Teller:
    """Tells sinks what changed; see the module.

    Args:
        store: how far each log was told.
        logs: where steps are read back.
        membership: judges what the store gives back.
        erasures: what was erased and is not told.
    """

    def __init__(
        self, store: ChangeStore, logs: LogStore, membership: Membership, erasures: Erasures
    ) -> None:
        self._store, self._logs, self._membership = store, logs, membership
        self._erasures = erasures
        self._derivers: list[Deriver] = []
        self._sinks: list[Sink] = []
        self._waiting: deque[_Waiting] = deque()
        self._statements_waiting = 0
        self._told: dict[LogId, int] = {}
        self._told_unkept: dict[LogId, int] = {}
        self._kept_at = 0.0
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def is_listened_to(self) -> bool:
        """Whether anybody is told: where nobody is, nothing is derived and nothing is kept."""
        return bool(self._sinks)

    def derive(self, deriver: Deriver) -> None:
        """Add what finds out what a step changed; asked in the order in which they were added."""
        self._derivers.append(deriver)

    def listen(self, sink: Sink) -> None:
        """Add a sink; before :meth:`start`, so that it is told from the same place on as others."""
        self._sinks.append(sink)

    async def start(self, held: Mapping[LogId, int]) -> None:
        """Find out what was committed and not told before the node stopped.

        Args:
            held: how many statements of each log are durable now.

        Raises:
            StoreError: the disk.
        """
        if self.is_listened_to:
            await self._queue_untold(held)
        self.erased()

    async def _queue_untold(self, held: Mapping[LogId, int]) -> None:
        self._told = await self._store.told()
        behind = {log: size - self._told.get(log, 0) for log, size in held.items()}
        is_new = not self._told and any(held.values())
        if is_new or sum(behind.values()) > BEHIND_STATEMENTS_MAX:
            self._told = dict(held)
            # Before a sink has the cut, nothing says that what it stands for was told.
            self._queue(_cut(lambda: self._told_unkept.update(held)))
            return
        for log in sorted(held, key=str):
            if behind[log] > 0:
                self._queue(_Step(log, self._told.get(log, 0), held[log], None))

    def absorbed(self, step: Advance) -> None:
        """A step is durable: it is told when its turn comes."""
        if not self.is_listened_to:
            return
        statements = step.statements
        is_room = self._statements_waiting + len(statements) <= WAITING_STATEMENTS_MAX
        self._queue(
            _Step(step.view.log, step.before.size, step.view.size, statements if is_room else None)
        )

    def erased(self) -> None:
        """Something was erased, and noted in the store: it is told when its turn comes.

        Where nobody listens, that goes over it once and lets go of the notes.
        """
        if not isinstance(self._waiting[-1] if len(self._waiting) > 1 else None, _Erased):
            self._queue(_Erased())

    def emit(
        self,
        *changes: Change,
        kept: Callable[[], None] = _nothing,
        dropped: Callable[[], None] = _nothing,
    ) -> None:
        """Something changed beside the logs; what it is about is durable already.

        Args:
            changes: what.
            kept: called when every sink has kept it; at once where there is none.
            dropped: called instead where a bug kept a sink from it: it is told no more.
        """
        if not self.is_listened_to:
            kept()
        elif changes:
            self._queue(_Beside(ChangeBatch(changes), kept, dropped))

    async def until_idle(self) -> None:
        """Wait until everything known so far has been told."""
        await self._idle.wait()

    async def run(self) -> None:
        """Tell, one after the other, until cancelled."""
        while True:
            if not self._waiting:
                await self._keep_told()
                if not self._waiting:  # nothing came while that was written down
                    self._idle.set()
                    self._wake.clear()
                    await self._wake.wait()
                continue
            following = self._waiting[0]
            try:
                await self._tell(following)
            except FederationError as error:
                log_lines.error("cannot tell what changed yet: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            except Exception:
                # A bug: it must not silence everything behind it, nor be told as if nothing was.
                log_lines.exception("what a step changed could not be found out")
                self._waiting[0] = _cut()
                self._forget(following)
                if isinstance(following, _Beside):
                    following.dropped()
                continue
            self._waiting.popleft()
            self._forget(following)
            if time.monotonic() - self._kept_at > KEEP_SECONDS:
                await self._keep_told()

    async def close(self) -> None:
        """Tell what no start tells again, and write down how far was told.

        After :meth:`run` was cancelled. Steps wait in the store.
        """
        beside = [each for each in self._waiting if isinstance(each, _Beside)]
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                for following in beside:
                    await self._tell(following)
        except (FederationError, TimeoutError) as error:
            log_lines.error("something that changed could not be told before the end: %s", error)
        except Exception:  # a bug must not keep the node from closing its database
            log_lines.exception("something that changed could not be told before the end")
        for following in beside:
            if following.keeping is not None:
                following.keeping.cancel()
        await self._keep_told()

    def _queue(self, following: _Waiting) -> None:
        last = self._waiting[-1] if len(self._waiting) > 1 else None  # the first is under way
        if (
            isinstance(following, _Step)
            and isinstance(last, _Step)
            and following.statements is last.statements is None
            and (last.log, last.end) == (following.log, following.start)
        ):
            last.end = following.end
            return
        if isinstance(following, _Step) and following.statements is not None:
            self._statements_waiting += len(following.statements)
        self._waiting.append(following)
        self._idle.clear()
        self._wake.set()

    def _forget(self, following: _Waiting) -> None:
        if isinstance(following, _Step) and following.statements is not None:
            self._statements_waiting -= len(following.statements)

    async def _tell(self, following: _Waiting) -> None:
        if isinstance(following, _Beside):
            await self._tell_beside(following)
            return
        if isinstance(following, _Erased):
            while (batch := await self._erasures.following()) is not None:
                await self._keep(batch)
                await self._erasures.told(batch)
            return
        # A step told in part before the node stopped, or before a retry, goes on where it was.
        start = max(following.start, self._told.get(following.log, 0))
        while start < following.end:
            statements = await self._read(following, start)
            changes = [change for derive in self._derivers for change in await derive(statements)]
            start += len(statements)
            await self._keep(ChangeBatch(tuple(changes), following.log, start))
            self._told[following.log] = self._told_unkept[following.log] = start

    async def _tell_beside(self, beside: _Beside) -> None:
        """Tell each sink once: no place in a log says which of them has it."""
        while beside.sinks_done < len(self._sinks):
            if beside.keeping is None:
                keep = self._sinks[beside.sinks_done].keep(beside.batch)
                beside.keeping = asyncio.ensure_future(keep)
            try:
                await asyncio.shield(beside.keeping)  # one who is cancelled here asks it again
            except Exception:
                beside.keeping = None
                raise
            beside.keeping = None
            beside.sinks_done += 1
        beside.kept()

    async def _read(self, step: _Step, start: int) -> Sequence[VerifiedStatement]:
        if step.statements is not None:
            return step.statements[start - step.start :]
        end = min(step.end, start + READ_STATEMENTS)
        verifier = self._membership.verifier
        return [
            verifier.open_statement(step.log, start + offset, statement)
            for offset, statement in enumerate(
                await self._logs.statements(step.log, start, end, READ_BYTES_MAX)
            )
        ]

    async def _keep(self, batch: ChangeBatch) -> None:
        for sink in self._sinks:
            await sink.keep(batch)

    async def _keep_told(self) -> None:
        if not self._told_unkept:
            return
        told, self._told_unkept = self._told_unkept, {}
        self._kept_at = time.monotonic()
        try:
            await self._store.keep_told(told)
        except FederationError as error:
            self._told_unkept = {**told, **self._told_unkept}
            log_lines.error("cannot write down how far was told: %s", error)


def _cut(kept: Callable[[], None] = _nothing) -> _Beside:
    return _Beside(ChangeBatch((HistoryCut(),)), kept, _nothing)

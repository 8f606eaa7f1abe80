"""The platform's own side of a node: what matches, what changed, and what is done about it.

Joins these rooms, starts and stops them; nothing is decided here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Final

from federation.config import NodeConfig
from federation.daemon.changes import PolicyReplaced, StatementsErased
from federation.daemon.decider import Decider
from federation.daemon.enforcer import Enforcement, Enforcer
from federation.daemon.index_keeper import IndexKeeper
from federation.daemon.live import LiveStreams
from federation.daemon.live_index import LiveIndex
from federation.daemon.matcher import Matcher, Span
from federation.daemon.membership import Membership
from federation.daemon.pinning import note_log
from federation.daemon.quarantine import Quarantine, values_of
from federation.daemon.retroactive import Retroactive
from federation.daemon.sightings import Sightings
from federation.daemon.teller import Teller
from federation.daemon.verdict_changes import VerdictChanges
from federation.daemon.view_reader import ViewReader
from federation.protocol.headers import StatementId
from federation.protocol.origins import LogId
from federation.protocol.signals import SignalType
from federation.provenance.log_view import Advance
from federation.provenance.verifier import VerifiedStatement
from federation.store.index_files import IndexFiles
from federation.store.index_source import IndexSource
from federation.store.stores import Stores
from federation.store.upload_ring import UploadRing

INDEX_FOLDER: Final = "index"
RING_FILE: Final = "uploads.ring"
"""In the data directory."""


class Platform:
    """One node's matching, enforcing and telling.

    Args:
        config: the node's settings.
        stores: what it holds.
        membership: the roster in force.
        unix_ms: the clock, Unix milliseconds.
        monotonic: a clock that does not go back, seconds.
        alarm: tells operators: code and sentence.

    Attributes:
        reader: what the federation says, from the store.
        index: the signals that match.
        index_folder: where their files are.
        index_keeper: keeps it on disk.
        matcher: what matches uploaded content.
        teller: tells what changed, in order.
        verdict_changes: finds out which verdicts moved.
        enforcer: the policy: what is done about matches.
        decider: matches content and decides about it.
        quarantine: signals that are held back until a person decides.
        sightings: what matched here lately.
        retroactive: finds what was uploaded before its signal came; None where that is off.
        live: streams that are on.
    """

    def __init__(
        self,
        config: NodeConfig,
        stores: Stores,
        membership: Membership,
        unix_ms: Callable[[], int],
        monotonic: Callable[[], float],
        alarm: Callable[[str, str], None],
    ) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self._untold: dict[LogId, dict[Span, None]] = {}
        self._recount_listeners: list[Callable[[], Awaitable[None]]] = []
        self._stores, self._membership = stores, membership
        self.reader = ViewReader(stores.signals, stores.evidence, membership, unix_ms)
        self.index_folder = config.path(config.data_directory) / INDEX_FOLDER
        self.index = LiveIndex()
        self.index_keeper = IndexKeeper(
            self.index,
            IndexFiles(self.index_folder),
            IndexSource(stores.database, stores.stems),
            stores.trees,
            (membership.roster.federation_id, config.member),
            lambda: membership.roster.version,
            lambda: stores.evidence.accused,
        )
        self.matcher = Matcher(self.index, stores.signals, stores.logs, self.reader, unix_ms)
        self.teller = Teller(stores.changes, stores.logs, membership)
        self.verdict_changes = VerdictChanges(self.reader, stores.logs)
        self.teller.derive(self.verdict_changes.derive)
        self.enforcer = Enforcer(config, stores.decisions, membership, unix_ms)
        self.decider = Decider(self.matcher, self.enforcer)
        self.quarantine = Quarantine(
            config,
            self.enforcer,
            stores.decisions,
            self.reader,
            self.teller,
            alarm,
            unix_ms,
            monotonic,
        )
        self.retroactive = self._look_back(config, unix_ms, monotonic)
        remember = self.retroactive.remember if self.retroactive else None
        self.sightings = Sightings(unix_ms, self.quarantine.count, remember)
        self.live = LiveStreams(
            config.live,
            config.matching.distance_max,
            self.decider,
            self.sightings,
            self.teller,
            unix_ms,
        )

    def _look_back(
        self, config: NodeConfig, unix_ms: Callable[[], int], monotonic: Callable[[], float]
    ) -> Retroactive | None:
        """Open the ring of remembered uploads, where the config asks for one."""
        settings = config.remembering
        if not settings.signals_max:
            return None
        ring = UploadRing.open(config.path(config.data_directory) / RING_FILE, settings.signals_max)
        return Retroactive(
            ring,
            self.index,
            self.enforcer,
            self.reader,
            self.teller,
            distance_max=config.matching.distance_max,
            hours_max=settings.hours_max,
            clock_ms=unix_ms,
            monotonic=monotonic,
        )

    async def start(self, held: Mapping[LogId, int]) -> None:
        """Fill the index, and tell what was committed and not told before the node stopped.

        Args:
            held: how many statements of each log are durable.

        Raises:
            ConfigError: the policy or the benign set is missing or wrong.
            StoreError: the disk.
        """
        await self.enforcer.reload()
        await self.index_keeper.fill(self.matcher.absorb_stored, self.matcher.fill)
        await self.index_keeper.upkeep()
        await self.quarantine.start(self.index)
        await self.teller.start(held)
        self._tasks = [asyncio.create_task(each.run()) for each in (self.teller, self.live)]
        if self.retroactive is not None:
            self._tasks.append(asyncio.create_task(self.retroactive.run()))

    async def absorb(self, step: Advance) -> None:
        """A step is durable: it matches from now on, and what it changed will be told."""
        await self.quarantine.look_at(step.statements)
        await self.recounted(await self._hold_against(step.view.log))
        await self.matcher.absorb(step)
        self.index_keeper.absorbed(step)
        self._arrived(step.statements)
        self.teller.absorbed(step)
        await self._tell_begun(step.view.log, step.statements)

    async def absorb_branch(self, step: Advance) -> None:
        """The same for a step of a branch of a forked log: the union of what is whole counts."""
        await self.matcher.recount(await self._hold_against(step.view.log))
        await self.matcher.absorb(step)
        await self._tell_recount()
        if self.teller.is_listened_to:
            self.teller.emit(*await self.verdict_changes.derive(step.statements))
        await self._tell_begun(step.view.log, step.statements)

    async def recount(self, log: LogId) -> None:
        """A head of a log under evidence is held whole: what is under it counts now."""
        await self.recounted(await self._hold_against(log))
        await self._tell_begun(log)

    async def accused(self, log: LogId) -> None:
        """There is evidence against a log: of what is held of it in part, nothing counts now."""
        try:
            spans = await self._hold_against(log)
            if spans:
                # Also of a member under evidence before: nothing else tells what ceased to count.
                self.teller.emit(self.verdict_changes.issuers_stand())
        finally:
            self.issuers_changed()
        await self.recounted(spans)
        self.index_keeper.accused_counted(log)
        await self._tell_begun(log)

    def on_recounted(self, listener: Callable[[], Awaitable[None]]) -> None:
        """Have a room look again when other statements count than before."""
        self._recount_listeners.append(listener)

    async def recounted(self, spans: Iterable[Span]) -> None:
        """Statements began or ceased to count: have that in every room that counts.

        Raises:
            StoreError: the disk.
        """
        moved = tuple(spans)
        await self.matcher.recount(moved)
        if moved:
            await self._tell_recount()

    async def _tell_recount(self) -> None:
        for listener in self._recount_listeners:
            await listener()

    async def _hold_against(self, log: LogId) -> Sequence[Span]:
        """Find what counts of a log; returns what counts otherwise than before."""
        recount = await note_log(self._stores, self._membership, log)
        if recount.begun and self.teller.is_listened_to:
            self._untold.setdefault(log, {}).update(dict.fromkeys(recount.begun))
        return recount.spans

    async def _tell_begun(self, log: LogId, told: Sequence[VerifiedStatement] = ()) -> None:
        """Tell what statements of a log changed that were told when they came, and count now."""
        spans = self._untold.get(log, {})
        ids = {each.id for each in told} if spans else set()
        for span in list(spans):
            async for page in self.matcher.pages(span):
                later = [each for each in page if each.statement.id not in ids]
                self.teller.emit(*await self.verdict_changes.counted(later))
            spans.pop(span, None)  # last: what a failing disk interrupts is told once more

    async def erased(
        self, values: Sequence[tuple[SignalType, bytes]], governed: Collection[StatementId]
    ) -> None:
        """Statements were erased that carried these signals, each a type and a value.

        Args:
            values: those.
            governed: the statements that governance erased; of the others, logs tell.
        """
        await self.matcher.reconsider(values)
        await self.quarantine.forget(values)
        if self.teller.is_listened_to:
            ids = tuple(sorted(governed, key=lambda each: each.entry))
            erased = [StatementsErased(ids, ())] if ids else []
            self.teller.emit(*erased, *await self.verdict_changes.without(values))

    async def reopened(self, statements: Sequence[VerifiedStatement]) -> None:
        """Statements have their bodies back that had been missing."""
        await self.quarantine.look_at(statements)
        await self.matcher.absorb_statements(statements)
        self._arrived(statements)

    def _arrived(self, statements: Sequence[VerifiedStatement]) -> None:
        if self.retroactive is not None:
            self.retroactive.arrived(
                value for statement in statements for value in values_of(statement)
            )

    async def reload(self) -> Enforcement:
        """Read the policy and the benign set again; what is refused leaves the old in force.

        Raises:
            ConfigError: the policy or the benign set is missing or wrong.
            StoreError: the disk.
        """
        benign = await self.quarantine.read_benign()  # before anything is put in force
        before = self.enforcer.enforcement.sha256
        taken = await self.enforcer.reload()
        if taken.sha256 != before:
            self.teller.emit(PolicyReplaced(taken.sha256))
        await self.quarantine.take_benign(benign, self.index)
        return taken

    def alarms(self) -> list[tuple[str, str]]:
        """What operators are told as long as it stands: code and sentence."""
        alarms = []
        if held := self.quarantine.count_held():
            alarms.append(
                ("quarantine", f"{held} signals wait for a person: federation quarantine list")
            )
        if strangers := self.enforcer.strangers():
            told = ", ".join(strangers)
            alarms.append(("policy-stranger", f"the policy names members that left: {told}"))
        return alarms

    def issuers_changed(self) -> None:
        """Members may stand otherwise than before."""
        self.enforcer.roster_changed()
        self.teller.emit(*self.verdict_changes.issuers_changed())

    def roster_applied(self) -> None:
        """A new roster is in force, and all that it changes has been applied."""
        self.index_keeper.roster_counted()
        self.issuers_changed()

    async def close(self) -> None:
        """Stop; what was not told is told after the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.quarantine.close()
        await self.teller.close()
        if self.retroactive is not None:
            self.retroactive.close()
        await self.index_keeper.close()

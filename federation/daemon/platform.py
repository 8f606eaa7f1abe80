"""The platform's own side of a node: what matches, what changed, and what is done about it.

Joins these rooms, starts and stops them; nothing is decided here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final

from federation.config import NodeConfig
from federation.daemon.changes import PolicyReplaced
from federation.daemon.decider import Decider
from federation.daemon.enforcer import Enforcement, Enforcer
from federation.daemon.erasures import Erasures
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
from federation.protocol.bodies import Kind
from federation.protocol.origins import LogId
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
        self._looking_again: list[Callable[[], Awaitable[None]]] = []
        self._recounted: set[Span] = set()
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
        erasures = Erasures(stores.erasures, membership)
        self.teller = Teller(stores.changes, stores.logs, membership, erasures)
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
        await self.count_anew(step.view.log)
        await self.matcher.absorb(step)
        self.index_keeper.absorbed(step)
        self._arrived(step.statements)
        self.teller.absorbed(step)

    async def absorb_branch(self, step: Advance) -> None:
        """The same for a step of a branch of a forked log: the union of what is whole counts."""
        is_told = await self.count_anew(step.view.log)
        await self.matcher.absorb(step)
        if not is_told and self.teller.is_listened_to:
            self.teller.emit(*await self.verdict_changes.derive(step.statements))
        await self._look_again()

    async def count_anew(self, log: LogId) -> bool:
        """More is held of a log, or a head of one under evidence is held whole: does more count?

        Returns:
            Whether it does, or less: all that a step moved is told then.

        Raises:
            StoreError: the disk; may be repeated.
        """
        recount = await note_log(self._stores, self._membership, log)
        await self.recount(recount.spans)
        return bool(recount.spans)

    async def accused(self, log: LogId) -> None:
        """There is evidence against a log: of what is held of it in part, nothing counts now.

        Raises:
            StoreError: the disk; may be repeated.
        """
        try:
            await self.count_anew(log)
        finally:
            self.issuers_changed()
        self.index_keeper.accused_counted(log)

    async def recount(self, spans: Collection[Span]) -> None:
        """Statements began or ceased to count: a pin moved, a head came, or there is evidence.

        Args:
            spans: (log, branch, from, to): those.

        Raises:
            StoreFull, StoreUnavailable: the disk; what was not counted or told is with the next
                ones.
        """
        self._recounted.update(spans)
        moved = frozenset(self._recounted)
        await self.matcher.recount(spans)
        if moved:
            if self.teller.is_listened_to:
                self.teller.emit(*await self.verdict_changes.recounted(moved))
            await self._look_again()
        self._recounted -= moved

    async def erased(self, said: Sequence[VerifiedStatement]) -> None:
        """Statements were erased.

        Args:
            said: those that had said something here, as they were; none where they came erased.
        """
        if values := sorted({value for each in said for value in values_of(each)}):
            await self.matcher.reconsider(values)
            await self.quarantine.forget(values)
        self.teller.erased()
        if self.teller.is_listened_to:
            self.teller.emit(*await self.verdict_changes.without(said))
        if any(each.header.kind == Kind.INCIDENT for each in said):
            await self._look_again()

    async def reopened(self, statements: Sequence[VerifiedStatement]) -> None:
        """Statements have their bodies back that had been missing: they say something only now."""
        await self.quarantine.look_at(statements)
        await self.matcher.absorb_statements(statements)
        self._arrived(statements)
        if self.teller.is_listened_to:
            self.teller.emit(*await self.verdict_changes.derive(statements))
        if statements:
            await self._look_again()

    def look_again_with(self, look: Callable[[], Awaitable[None]]) -> None:
        """Add who has to look again where more than a step moved what is said."""
        self._looking_again.append(look)

    async def _look_again(self) -> None:
        for look in self._looking_again:
            await look()

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

    async def roster_applied(self) -> None:
        """A new roster is in force, and all that it changes has been applied.

        Raises:
            StoreError: the disk; may be repeated.
        """
        self.index_keeper.roster_counted()
        self.issuers_changed()
        if self.teller.is_listened_to:
            self.teller.emit(*await self.verdict_changes.rulings_changed())
        await self._look_again()

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

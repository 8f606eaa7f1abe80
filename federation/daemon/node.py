"""One running node: builds every room, joins them, starts and stops them in order.

Everything is built in :meth:`Node.open`, which touches no network; :meth:`Node.start` listens and
speaks; :meth:`Node.close` stops in the reverse order, and loses nothing that was acknowledged.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from random import SystemRandom
from typing import IO, Final

from federation.config import NodeConfig
from federation.daemon.attester import Attester
from federation.daemon.data_directory import lock_directory
from federation.daemon.eraser import Eraser
from federation.daemon.findings import Findings
from federation.daemon.guard import Guard
from federation.daemon.histories import Histories
from federation.daemon.importing import Importer
from federation.daemon.incidents import Incidents
from federation.daemon.keyring import Keyring, check_keys, load_keyring
from federation.daemon.membership import Membership, read_root_of_trust
from federation.daemon.outlets import Outlets
from federation.daemon.outside import Outside
from federation.daemon.own_keys import KeyOf, OwnKeys
from federation.daemon.peer_side import PeerSide
from federation.daemon.platform import Platform
from federation.daemon.prover import Prover
from federation.daemon.publisher import LanePublisher, Publisher
from federation.daemon.quotas import Quotas
from federation.daemon.recovery import Recovery
from federation.daemon.replicator import Replicator
from federation.daemon.restore import restore_receipts, restore_views
from federation.daemon.roster_changes import RosterChanges, find_own_membership
from federation.daemon.roster_watch import RosterWatch
from federation.daemon.standing import PeerStanding, known_by_answers, peer_standings
from federation.daemon.upkeep import Upkeep, tell_progress, watched
from federation.gossip import events
from federation.gossip.engine import GossipEngine, GossipSettings
from federation.gossip.pace import Pace
from federation.matching.index import warm_up
from federation.protocol.origins import Cosigner, Lane, LogId
from federation.protocol.roster_directory import newest_log
from federation.provenance.log_view import Advance, LogView
from federation.provenance.verifier import Receipt
from federation.store.stores import Stores, open_stores

log_lines = logging.getLogger(__name__)

DATABASE_FILE: Final = "federation.sqlite3"


def _unix_seconds() -> int:
    return int(time.time())


def _unix_ms() -> int:
    return time.time_ns() // 1_000_000


def _no_step(_step: str) -> None:
    """Nobody watches the steps of a publish but crash tests."""


class Node:
    """One member's node. Made by :meth:`open` only.

    Attributes:
        config: its settings.
        membership: the roster in force.
        publisher: what this member says.
        importer: what it takes over from lists.
        findings: what people here found who looked at matches.
        platform: what matches here, what is done about it, and what changed.
        matcher, decider, enforcer, sightings: the platform's, where the APIs look for them.
        attester: this member's word on what is in force.
        prover: bundles.
        replicator: the gossip engine's hands.
        stores: what it keeps; for reading.
        peer_side: all that faces its peers.
        listener: the peer listener.
        links: how peers are reached.
        outside: the public log and the witnesses.
        outlets: the feed and the webhooks.
        guard: what it signed last, and whether it may sign.
        histories: evidence, and both histories of forked logs.
        is_filled: whether all that is stored matches.
        recovery: what a person decides when signing has stopped.
    """

    def __init__(
        self,
        config: NodeConfig,
        keyring: Keyring,
        stores: Stores,
        membership: Membership,
        views: dict[LogId, LogView],
        lock: IO[bytes],
        after_step: Callable[[str], None],
        guard: Guard,
    ) -> None:
        self.config, self.membership, self.stores = config, membership, stores
        self.guard, self._views, self._lock, self.is_filled = guard, views, lock, False
        keys = OwnKeys(config, keyring)
        self._tasks: list[asyncio.Task[None]] = []
        self.peer_side = PeerSide(
            config,
            keyring.identity,
            membership,
            lambda member: self._tell(events.PeerCame(member)),
            self._raise_alarm,
        )
        self.links = self.peer_side.links
        self.platform = Platform(
            config, stores, membership, _unix_ms, time.monotonic, self._raise_alarm
        )
        self.matcher, self.decider = self.platform.matcher, self.platform.decider
        self.enforcer, self.sightings = self.platform.enforcer, self.platform.sightings
        self.eraser = self._make_eraser()
        self.replicator = self._make_replicator(keys.key_of)
        self.histories = Histories(
            stores, membership, guard, self.replicator, self.eraser, self.platform, _unix_ms
        )
        self.outside = Outside(
            config,
            keyring,
            keys.key_of,
            stores,
            membership,
            _unix_ms,
            self.replicator.raise_alarm,
            self.histories,
        )
        self.outlets = Outlets(config, stores, self.platform, _unix_ms, self.replicator.raise_alarm)
        self._lanes = self._make_lanes(keys.key_of, after_step)
        self._make_speakers()
        self.findings = Findings(config.member, stores, self.platform, self.publisher, _unix_ms)
        ways = self.replicator, self.eraser, self.outside.second, self.guard
        self.attester = Attester(config.member, keyring.mirror, stores, membership, *ways)
        self.prover = Prover(config.member, stores, membership, self.attester, self.links.to)
        self.peer_side.answer_with(self.replicator, stores, self.attester)
        self.listener = self.peer_side.listener
        self.roster_changes = self._follow_roster(keys)
        membership.on_changed(self.roster_changes.apply)

    def _make_speakers(self) -> None:
        """What speaks for this member, and what counts how much the others say."""
        self.pace, member, stores = Pace(), self.config.member, self.stores
        self.publisher = Publisher(
            member, self._lanes, stores.logs, stores.signals, self.membership
        )
        self.importer = Importer(member, self._lanes, stores.signals, self.replicator.turns)
        self.incidents = Incidents(
            member,
            stores.incidents,
            stores.signals,
            self.membership,
            self.publisher,
            _unix_ms,
            self.platform.teller.emit,
        )
        self.platform.look_again_with(self.incidents.look_again)
        settings, alarm = self.config.quotas, self._raise_alarm
        self.quotas = Quotas(member, settings, stores.quotas, time.monotonic, _unix_ms, alarm)
        self.recovery = Recovery(
            self.histories,
            stores,
            self.membership,
            self._lanes,
            self.links.to,
            member,
            self._published,
        )

    @classmethod
    async def open(
        cls, config: NodeConfig, *, after_step: Callable[[str], None] = _no_step
    ) -> Node:
        """Read keys, roster and store; touches no network.

        Args:
            config: the settings.
            after_step: see :class:`LanePublisher`; for crash tests.

        Raises:
            ConfigError: a file is missing, malformed, foreign or in use; the text says which.
            RosterMalformed, RosterUnproven: the root of trust is none.
            StoreError: the database cannot be opened, or does not verify.
        """
        keyring = load_keyring(config)
        first = read_root_of_trust(config.path(config.root_file))
        folder = config.path(config.data_directory)
        async with AsyncExitStack() as undo:
            lock = lock_directory(folder)
            undo.callback(lock.close)
            stores = await open_stores(
                folder / DATABASE_FILE, member=config.member, federation_id=first.federation_id
            )
            undo.push_async_callback(stores.close)
            # What an older release could not read may be plain to this one.
            await stores.signals.read_again()
            await stores.evidence.load()
            membership = await Membership.restore(first, stores.rosters)
            mine = membership.roster.members.get(config.member)
            if mine is not None and OwnKeys(config, keyring).settle(mine):
                keyring = load_keyring(config)
            check_keys(config.member, keyring, membership.roster)
            views = await restore_views(stores, membership)
            guard_folder, owner = config.path(config.guard_directory), config.member
            whose = owner, first.federation_id
            guard = await Guard.open(guard_folder, stores, *whose, _unix_seconds)
            undo.push_async_callback(guard.close)
            node = cls(config, keyring, stores, membership, views, lock, after_step, guard)
            undo.pop_all()  # it is the node's to close now
            return node

    async def start(self) -> None:
        """Erase what must go, fill the index, catch up with the peers, and listen for them.

        It matches once the index is filled (``is_filled``). What waits for the peers is what they
        must be asked for first: to sign, and to serve them.

        Raises:
            PortInUse: the peer listener's address is taken.
            RosterMissing: no roster at hand or at any peer holds this member.
            StoreError: the index could not be filled.
        """
        await find_own_membership(self.config.member, self.membership, self.links.to)
        self.platform.index_keeper.begin()
        await asyncio.to_thread(warm_up)
        gaps = await self.eraser.start()
        await self.incidents.start()
        await self.outlets.start()
        held = {log: view.size for log, view in self._views.items()}
        await self.platform.start(held)
        await self.quotas.start(held)
        self.is_filled = True
        endless = [lane.run() for lane in self._lanes.values()]
        endless += [self._upkeep().run(), tell_progress(self.replicator.engine, self.pace)]
        self._tasks = [watched(asyncio.create_task(each), self._raise_alarm) for each in endless]
        receipts = await restore_receipts(
            self.stores.receipts, self.membership, self.config.member, self._views
        )
        await self.outside.start(self._views)
        has_url = bool(self.membership.roster.member(self.config.member).urls)
        own = self.links.to(self.config.member) if has_url else None
        await self.histories.begin(self._views, receipts, gaps, own, self.config.member)
        await self.histories.catch_up(self._views)
        await self._compare_quotas()
        await self.eraser.scrub()
        await self._settle_receipts(receipts)
        self._views = {}
        await self.peer_side.start()

    async def _settle_receipts(self, receipts: Sequence[Receipt]) -> None:
        """Give the receipts that a crash came before, or that came before signing was allowed."""
        receipted = {(each.head.log, each.head.size) for each in receipts}
        held = {log: sync.view.size for log, sync in self.replicator.engine.logs.items()}
        for log in held.keys() - self.eraser.lacking:
            is_due = held[log] and (log, held[log]) not in receipted
            if is_due and log.member != self.config.member:
                await self.eraser.settle(log)

    async def close(self) -> None:
        """Stop listening, let writes end, close the database. What was acknowledged is safe."""
        await self.peer_side.stop_listening()
        await self.outside.close()
        await self.roster_changes.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.replicator.close()
        await self.platform.close()
        await self.outlets.close()
        await self.peer_side.close()
        await self.guard.close()
        await self.stores.close()
        self._lock.close()

    async def peer_standings(self) -> list[PeerStanding]:
        """How every peer stands, for operators."""
        receipts = {
            (kept.member, kept.log): kept.size
            for kept in await self.stores.receipts.receipts_by_member()
            if kept.cosigner is Cosigner.MIRROR
        }
        engine, roster = self.replicator.engine, self.membership.roster
        return peer_standings(engine, roster, receipts, time.monotonic())

    # --- joining the rooms ----------------------------------------------------------------------

    def _follow_roster(self, keys: OwnKeys) -> RosterChanges:
        return RosterChanges(
            self.config,
            keys,
            membership=self.membership,
            stores=self.stores,
            recount=self.platform.recount,
            eraser=self.eraser,
            replicator=self.replicator,
            lanes=self._lanes,
            reconnect=self.peer_side.follow_roster,
            tell=self.platform.roster_applied,
            watch=RosterWatch(self.membership, self.links.to, _unix_ms),
        )

    def _make_replicator(self, key_of: KeyOf) -> Replicator:
        config = self.config
        settings = GossipSettings(config.peers.anti_entropy_seconds)
        return Replicator(
            GossipEngine(config.member, self.membership.verifier, settings),
            self.links.to,
            stores=self.stores,
            membership=self.membership,
            key_of=key_of,
            member=config.member,
            following=self._following,
            eraser=self.eraser,
            guard=self.guard,
            monotonic=time.monotonic,
            unix_seconds=_unix_seconds,
            rng=SystemRandom(),
        )

    def _make_eraser(self) -> Eraser:
        return Eraser(
            self.stores,
            self.membership,
            erased=self.platform.erased,
            index=self.platform.reopened,
            before_erase=self.platform.index_keeper.discard,
            receipt=self._receipt_on,
            receipted=self.guard.receipted,
            tell=self._tell,
        )

    def _make_lanes(
        self, key_of: KeyOf, after_step: Callable[[str], None]
    ) -> dict[Lane, LanePublisher]:
        lanes = {}
        for lane in Lane:
            log = newest_log(self.membership.roster, self.config.member, lane)
            lanes[lane] = LanePublisher(
                log,
                key_of,
                self._views.get(log, LogView(log)),
                membership=self.membership,
                store=self.stores.logs,
                guard=self.guard,
                clock_ms=_unix_ms,
                salts=secrets.token_bytes,
                tell=self._published,
                after_step=after_step,
                after_commit=self.replicator.after_commit,
                look_again=self.histories.durable_step,
                alarm=self._raise_alarm,
                turns=self.replicator.turns,
            )
        return lanes

    async def _receipt_on(self, log: LogId) -> Receipt | None:
        return await self.replicator.receipt_on(log)

    def _raise_alarm(self, code: str, text: str) -> None:
        self.replicator.raise_alarm(code, text)

    def _tell(self, event: events.Event) -> None:
        self.replicator.feed(event)

    async def _published(self, step: Advance) -> None:
        """A publish is durable: it counts here first, then the peers are told."""
        await self.replicator.after_commit.through(
            step.view.log,
            lambda: self.platform.absorb(step),
            lambda: self.incidents.absorb(step.statements),
            lambda: self.eraser.absorb(step),
        )
        self.replicator.feed(events.Published(step))
        self.outside.published(step)

    async def _compare_quotas(self) -> None:
        await self.quotas.compared(known_by_answers(self.replicator.engine))

    def _following(self, step: Advance) -> Sequence[Callable[[], Awaitable[None]]]:
        """A step of another member's log is durable: what makes it count here."""

        async def note() -> None:
            self.pace.note(time.monotonic(), len(step.statements))
            self.roster_changes.watch.absorb(step.statements)
            self.outside.accepted(step)

        return (
            lambda: self.platform.absorb(step),
            lambda: self.incidents.absorb(step.statements),
            lambda: self.quotas.absorb(step),
            note,
        )

    def _upkeep(self) -> Upkeep:
        async def renew_leaf() -> None:
            self.peer_side.renew_leaf()

        async def follow_time() -> None:
            self.platform.issuers_changed()

        jobs = {
            "TLS leaf": renew_leaf,
            "index": self.platform.index_keeper.upkeep,
            "verdicts": follow_time,
            "feed": self.outlets.keep_up,
            "quotas": self._compare_quotas,
            "erased bytes": self.eraser.scrub,
        }
        return Upkeep(jobs, self._raise_alarm)

"""Never roll back: what this node signed last, and whether it may sign at all.

A restored backup, a second copy of the node and a thief of its keys look alike: somebody signed
what this node does not know. Which it is, a person decides (``federation recover``); until then
nothing is signed, neither own heads nor receipts nor witness lines, and everything else goes on.

Before the first signature after a start the guard's file, the store and what every reachable peer
holds are compared, and this node's own address is called: whoever answers there with its identity
is another copy of it. A signature leaves the process only after its row in the guard's file is
durable.

Source: docs/internals/store.md. The order of writing, and that the guard is a file of its own,
follow Sunlight's lock.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeAlias

from federation.local_errors.askers import LogNotFound, RangeNotHeld, SigningStopped
from federation.local_errors.disk import StoreConflict, StoreError, StoreUnavailable
from federation.protocol.merkle import EMPTY_ROOT
from federation.protocol.origins import LogId
from federation.provenance.log_view import LogView
from federation.provenance.verifier import Head, Receipt
from federation.store.guard_store import GUARD_FILE, GuardStore, Signed, SignedAs, Stop
from federation.store.stores import Stores
from federation.store.witness_store import WitnessedHead

log_lines = logging.getLogger(__name__)

_Clock: TypeAlias = Callable[[], int]

CACHE_TAG_FILE: Final = "CACHEDIR.TAG"
CACHE_TAG: Final = """\
Signature: 8a477f597d28d172789f06886806bc55
# What a federation node signed last. Leave this folder out of every backup: put back, it would let
# the node sign sizes it has signed before. tar --exclude-caches, borg and restic know this file.
"""
"""The Cache Directory Tagging specification (bford.info/cachedir): backup programs pass it over."""


class Guard:
    """What this node may sign. Made by :meth:`open`.

    Attributes:
        is_lost: whether the file was not there although this node has signed before.
        stops: own log -> why nothing is signed.
        ready: set once the peers were asked; nothing is signed before.
    """

    def __init__(
        self,
        store: GuardStore,
        stores: Stores,
        member: str,
        unix_seconds: Callable[[], int],
        signed: Mapping[tuple[SignedAs, LogId], Signed],
        stops: Mapping[LogId, Stop],
    ) -> None:
        self.is_lost = False
        self.stops = dict(stops)
        self.ready = asyncio.Event()
        self._store, self._stores, self._member = store, stores, member
        self._unix_seconds = unix_seconds
        self._lifting: dict[LogId, Stop] = {}  # the stops that a person is lifting now
        self._signed = dict(signed)
        self._alarm: Callable[[str, str], None] = lambda code, text: log_lines.error(
            "%s: %s", code, text
        )

    @classmethod
    async def open(
        cls, folder: Path, stores: Stores, member: str, federation_id: str, unix_seconds: _Clock
    ) -> Guard:
        """Open the guard's file, or make it.

        Args:
            folder: where it is; made where it is not.
            stores: what this node holds.
            member: this node's member.
            federation_id: 32 hex digits.
            unix_seconds: the clock, POSIX seconds.

        Raises:
            DataDirectoryForeign: it is another member's or federation's.
            StoreError: it cannot be opened or made.
        """
        _make_folder(folder)
        store = await GuardStore.open(
            folder / GUARD_FILE, member=member, federation_id=federation_id
        )
        try:
            signed = {(each.role, each.log): each for each in await store.all()}
            stops = {each.log: each for each in await store.stops()}
        except BaseException:
            await store.close()
            raise
        return cls(store, stores, member, unix_seconds, signed, stops)

    def on_alarm(self, alarm: Callable[[str, str], None]) -> None:
        """Whom to tell: code and sentence."""
        self._alarm = alarm

    async def close(self) -> None:
        """Close the file."""
        await self._store.close()

    # --- at the start ---------------------------------------------------------------------------

    async def compare(self, views: Mapping[LogId, LogView]) -> frozenset[LogId]:
        """Hold the guard's file against the store.

        Args:
            views: what is held of every log.

        Returns:
            Own logs of which the store holds another history than was signed: nothing of them may
            be shown to anybody.

        Raises:
            StoreError: the disk.
        """
        await self._raise_witness()
        try:
            await self._begin_feed()
        except StoreError as error:
            log_lines.error("the feed cannot begin anew: %s", error)
        own = {log: view for log, view in views.items() if log.member == self._member}
        known = {log for role, log in self._signed if role is SignedAs.LOG}
        self.is_lost = bool(own) and not known
        apart: set[LogId] = set()
        for log in sorted(known | own.keys(), key=str):
            view, last = own.get(log, LogView(log)), self.last_of(log)
            if last is None or not last.size:
                if view.head is not None and view.is_complete and not self.is_lost:
                    await self._advance_own(view.head, None)
                continue
            # What stands may end at a governance's pin, while all that was signed is still held.
            held = await self._held(log)
            if last.size > held:
                text = (
                    f"this node signed {last.size} statements of {log}, and its database holds "
                    f"{held}: an older database was put back"
                )
                await self.stop(log, "rolled-back", text, note=last.note)
                continue
            if await self._stores.trees.root_hash(log, last.size) != last.root_hash:
                apart.add(log)
                text = f"the database holds another history of {log} than this node signed"
                await self.stop(log, "guard-conflict", text, note=last.note)
            elif view.head is not None and view.size > last.size and view.is_complete:
                await self._advance_own(view.head, last)  # a crash came between the two writes
        return frozenset(apart)

    async def _held(self, log: LogId) -> int:
        try:
            return await self._stores.logs.size(log)
        except LogNotFound:
            return 0

    async def _raise_witness(self) -> None:
        """What this node's witness signed does not go back with the database."""
        for (role, log), last in self._signed.items():
            if role is not SignedAs.WITNESS:
                continue
            head = WitnessedHead(
                last.size,
                last.root_hash,
                last.note,
                last.line,
                last.at_seconds,
                last.at_seconds * 1_000,
            )
            await self._stores.witness.raise_to(log, head)

    async def open_for_signing(
        self, views: Mapping[LogId, LogView], answered: int, of: int
    ) -> None:
        """The peers were asked: from now on what is signed is signed, or stopped.

        Args:
            views: what is held of every log.
            answered: how many peers said what they hold.
            of: how many there are.

        Raises:
            StoreError: the disk.
        """
        own = {log: view for log, view in views.items() if log.member == self._member}
        if self.is_lost and not self.stops:
            # Nothing here says what was signed: at least half of the others must agree.
            if 2 * answered < of:
                text = (
                    f"the guard's file is gone, and {answered} of {of} other members said what "
                    f"they hold of this node's logs"
                )
                for log in own:
                    await self.stop(log, "guard-lost", text)
            else:
                for view in own.values():
                    if view.head is not None and view.is_complete:
                        await self._advance_own(view.head, None)
                self.is_lost = False
        self.ready.set()

    # --- asking ---------------------------------------------------------------------------------

    def last_of(self, log: LogId, role: SignedAs = SignedAs.LOG) -> Signed | None:
        """What was signed last of a log."""
        return self._signed.get((role, log))

    def check_may_sign(self) -> None:
        """Whether anything may be signed now.

        Raises:
            SigningStopped: a person must look first, or the peers were not asked yet.
        """
        for stop in self.stops.values():
            raise SigningStopped(stop.text)
        if not self.ready.is_set():
            raise SigningStopped(
                "this node is asking its peers what they hold of its logs",
                hint="try again in a moment",
            )

    @property
    def may_sign(self) -> bool:
        """Whether anything may be signed now."""
        return self.ready.is_set() and not self.stops

    # --- signing --------------------------------------------------------------------------------

    async def signed(self, before: Head | None, head: Head) -> None:
        """An own head is durable in the store; when this returns it may leave.

        Args:
            before: the head that it follows.
            head: the new one.

        Raises:
            SigningStopped: something else was signed after the one before; nothing may leave.
            StoreError: the disk.
        """
        place = (0, EMPTY_ROOT) if before is None else (before.size, before.root_hash)
        try:
            await self._advance(self._own_row(head), place)
        except StoreConflict:
            text = f"another process signed {head.log} with this node's guard beside it"
            await self.stop(head.log, "guard-conflict", text, note=head.note)
            raise SigningStopped(text) from None

    async def may_receipt(self, head: Head, view: LogView) -> bool:
        """Whether the mirror's word on a head follows from its last word on that log.

        Args:
            head: under which everything is durable, or will be.
            view: what is durable of the log.

        Raises:
            StoreError: the disk.
        """
        if not self.may_sign:
            return False
        last = self.last_of(head.log, SignedAs.MIRROR)
        if last is None or (last.size, last.root_hash) == (head.size, head.root_hash):
            return True
        if head.size <= last.size:
            return False
        own = view.head
        if own is not None and (last.size, last.root_hash) == (own.size, own.root_hash):
            return True
        try:
            root_hash = await self._stores.trees.root_hash(head.log, last.size)
        except (RangeNotHeld, LogNotFound):
            return False  # asked again when what is missing has come
        return root_hash == last.root_hash

    async def receipted(self, receipt: Receipt) -> bool:
        """The mirror's word is durable in the store; True when it may leave.

        Raises:
            StoreError: the disk.
        """
        return await self._advanced(_row(SignedAs.MIRROR, receipt.head, receipt))

    async def witnessed(self, log: LogId, head: WitnessedHead) -> None:
        """The witness's word is durable in the store; when this returns it may leave.

        Raises:
            SigningStopped: nothing may be signed.
            StoreConflict: the witness said something else meanwhile.
            StoreError: the disk.
        """
        self.check_may_sign()
        signed = Signed(
            SignedAs.WITNESS,
            log,
            head.size,
            head.root_hash,
            head.note,
            head.line,
            head.at_seconds,
        )
        await self._advance(signed, None)

    # --- stopping and going on ------------------------------------------------------------------

    async def stop(
        self, log: LogId, code: str, text: str, *, peer: str = "", note: bytes = b""
    ) -> None:
        """Sign nothing from now on, until a person has decided.

        Args:
            log: the own log that says so.
            code: see :class:`Stop`.
            text: what is known, for the operator.
            peer: who holds a head that is not known here.
            note: that head.
        """
        if log in self.stops and self.stops[log] is not self._lifting.get(log):
            return
        stop = Stop(log, code, text, peer, note, self._unix_seconds())
        self.stops[log] = stop  # before anything is waited for
        self._alarm("signing-stopped", text)
        try:
            await self._store.stop(stop)
            await self._begin_feed()
        except StoreError as error:
            log_lines.error("cannot keep why signing stopped: %s", error)

    async def _begin_feed(self) -> None:
        """Let the feed begin anew where that is due: the database may have been full until now."""
        if await self._store.is_feed_due():
            await self._stores.feed.begin_anew()
            await self._store.feed_begun()

    async def go_on(self, heads: Mapping[LogId, Head | None]) -> None:
        """A person has looked: own logs are what these heads say, and signing goes on.

        Args:
            heads: each own log's head as it is in the store now.

        Raises:
            StoreConflict: something larger was signed: that has to be taken in first.
            StoreError: the disk.
        """
        await self._begin_feed()
        lifted = self._lifting = dict(self.stops)
        try:
            for head in heads.values():
                if head is not None:
                    await self._advance(self._own_row(head), None)
            await self._store.lift(lifted)
        finally:
            self._lifting = {}
        for log, seen in lifted.items():
            stop = self.stops.pop(log, seen)
            if stop is not seen:  # it came meanwhile, and no person has seen it
                self.stops[log] = stop
                await self._store.stop(stop)
                await self._begin_feed()
        self.is_lost = False

    def alarms(self) -> list[tuple[str, str]]:
        """What operators are told as long as it stands: code and sentence."""
        return [(stop.code, stop.text) for stop in self.stops.values()]

    # --- rows -----------------------------------------------------------------------------------

    def _own_row(self, head: Head) -> Signed:
        return Signed(
            SignedAs.LOG,
            head.log,
            head.size,
            head.root_hash,
            head.note,
            "",
            self._unix_seconds(),
        )

    async def _advance_own(self, head: Head, last: Signed | None) -> None:
        await self._advance(
            self._own_row(head), None if last is None else (last.size, last.root_hash)
        )

    async def _advance(self, signed: Signed, before: tuple[int, bytes] | None) -> None:
        await self._store.advance(signed, before)
        self._signed[signed.role, signed.log] = signed

    async def _advanced(self, signed: Signed) -> bool:
        try:
            await self._advance(signed, None)
        except StoreConflict:
            return False
        return True


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        tag = folder / CACHE_TAG_FILE
        if not tag.exists():
            tag.write_text(CACHE_TAG, encoding="ascii")
    except OSError as error:
        raise StoreUnavailable(f"cannot make {folder}: {error.strerror}") from None


def _row(role: SignedAs, head: Head, receipt: Receipt) -> Signed:
    return Signed(
        role, head.log, head.size, head.root_hash, head.note, receipt.line, receipt.at_seconds
    )

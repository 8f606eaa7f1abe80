"""The index on disk, so that a restart answers within seconds and several processes share one copy.

Of each signal type the sorted rows with their tables are one file, which never changes and is
mapped; ``changes`` is a small file that says what distinguishes the index from them, and which
statements it was made from: log, branch, size and root of each. At a start the files are checked,
mapped, held against the logs in the store, and brought up to date with the statements behind those
sizes. Whatever does not fit is said in the log, and the index is made anew from the store.

The index may hold a signal too many, never one too few: sizes are taken before the index is copied,
and statements that were missing their bodies are looked at again.

An erase takes the files away before it takes the body out of the store (``discard``), and the next
upkeep writes them without it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from federation.daemon.background import Background
from federation.daemon.live_index import Change, LiveIndex
from federation.errors import FederationError, OriginMalformed
from federation.local_errors.disk import IndexFileInvalid, StoreError
from federation.matching.index import RebuiltSignals, SignalRebuild
from federation.matching.sections import Sections, describe_sections, read_sections
from federation.matching.sorted_rows import SortedRows
from federation.protocol.origins import LogId, parse_origin
from federation.protocol.signals import SignalType
from federation.provenance.log_view import Advance
from federation.store.index_files import IndexFile, IndexFiles
from federation.store.index_source import Branch, IndexSource, Missing
from federation.store.places import StoredStatement
from federation.store.readings import READER_VERSION
from federation.store.tree_store import TreeStore

log_lines = logging.getLogger(__name__)

CHANGES: Final = "changes"

Absorb = Callable[[Sequence[StoredStatement]], Awaitable[None]]

_Read: TypeAlias = tuple[int, IndexFile, Sections, dict[SignalType, SortedRows[Any]]]
"""Since when the files were read, and what they hold."""


class IndexKeeper:
    """Writes the index to disk, and restores it.

    Args:
        index: the index in memory.
        files: where its files are.
        source: what it is made from.
        trees: the roots of the logs.
        whose: federation and member: another's files are of no use.
        roster_version: of the roster in force. Another one may count what this one does not.
        accused: the logs under evidence: of these less may count than of others.

    Attributes:
        restored: whether the index came from disk at this start; None before.
    """

    def __init__(
        self,
        index: LiveIndex,
        files: IndexFiles,
        source: IndexSource,
        trees: TreeStore,
        whose: tuple[str, str],
        roster_version: Callable[[], int],
        accused: Callable[[], Collection[LogId]],
    ) -> None:
        self.restored: bool | None = None
        self._index, self._files = index, files
        self._source, self._trees, self._whose = source, trees, whose
        self._roster_version, self._accused = roster_version, accused
        self._counted_roster = 0
        self._counted_accused: list[str] = []
        self._known: dict[Branch, int] = {}
        self._roots: dict[tuple[Branch, int], bytes] = {}
        self._missing: list[Missing] = []
        self._kept_in: dict[SignalType, str] = {}
        self._is_filled = False
        self._is_changed = False
        self._purging: set[SignalType] = set()
        self._saving = asyncio.Lock()
        self._background = Background()
        self._reading: asyncio.Task[_Read] | None = None
        index.listen(self)

    # --- what the index says ---------------------------------------------------------------------

    def changed(self, _change: Change, _type: SignalType, _values: tuple[bytes, ...]) -> None:
        """Signals were added or removed."""
        self._is_changed = True

    def rearranged(self, _types: Iterable[SignalType]) -> None:
        """Some type has another immutable part."""
        self._is_changed = True

    def absorbed(self, step: Advance) -> None:
        """A step of a log (branch 0) is in the index, with all that it takes back."""
        branch, before, after = (step.view.log, 0), step.before.size, step.view.size
        if self._known.get(branch, 0) == before:
            self._known[branch] = after
            self._is_changed = True

    def roster_counted(self) -> None:
        """The index is what the roster in force makes of the store, its pins and lists included."""
        if self._counted_roster != self._roster_version():
            self._counted_roster = self._roster_version()
            self._is_changed = True

    def accused_counted(self, log: LogId) -> None:
        """The index holds what evidence against a log makes count again: less is taken back."""
        if log.origin not in self._counted_accused:
            self._counted_accused = sorted([*self._counted_accused, log.origin])
            self._is_changed = True

    def _origins_accused(self) -> list[str]:
        return sorted(log.origin for log in self._accused())

    def file_of(self, signal_type: SignalType) -> str | None:
        """The name of the file that a type's sorted rows are mapped from; None in memory only."""
        return self._kept_in.get(signal_type)

    # --- starting -------------------------------------------------------------------------------

    def begin(self) -> None:
        """Begin to read the files, for :meth:`fill`; while other rooms start."""
        self._reading = asyncio.create_task(self._read_beside())

    async def _read_beside(self) -> _Read:
        epoch = self._files.epoch
        return epoch, *await asyncio.to_thread(self._read)

    async def fill(self, absorb: Absorb, read_all: Callable[[], Awaitable[None]]) -> None:
        """Fill the index: from its files and what came since, or from the whole store.

        Args:
            absorb: counts stored statements, and what they take back.
            read_all: loads every signal of the store.

        Raises:
            StoreError: the store cannot be read.
        """
        try:
            known, missing = await self._restore()
        except IndexFileInvalid as error:
            is_first = not self._files.path_of(CHANGES).exists()
            level = logging.INFO if is_first else logging.WARNING
            log_lines.log(level, "the index is made anew from the store: %s", error.message)
            self.restored = False
            self._index.clear()
            known, missing = await self._source.sizes(), await self._still_missing()
            await read_all()
            self._filled(known, missing)
            self._is_changed = True
            return
        self.restored = True
        sizes = await self._source.sizes()
        async for page in self._source.later(known):
            await absorb(page)
        await absorb(await self._source.opened(missing))
        self._filled(sizes, [*missing, *await self._still_missing()])
        log_lines.info("the index is from its files, with %d signals", len(self._index))

    def _filled(self, known: dict[Branch, int], missing: list[Missing]) -> None:
        """The index holds all that it is said to; before that, nothing of it may be written."""
        self._known, self._missing = known, missing
        self._counted_roster = self._roster_version()
        self._counted_accused = self._origins_accused()
        self._is_filled = True

    async def _restore(self) -> tuple[dict[Branch, int], list[Missing]]:
        """Install what the files hold.

        Raises:
            IndexFileInvalid: there are none, or they do not fit this node, its store or each other.
        """
        try:
            return await self._install_files()
        except (KeyError, TypeError, ValueError):
            raise IndexFileInvalid("it is described in words of another program") from None

    async def _install_files(self) -> tuple[dict[Branch, int], list[Missing]]:
        reading = self._reading or asyncio.create_task(self._read_beside())
        self._reading = None
        epoch, file, sections, settled = await reading
        if epoch != self._files.epoch:
            raise IndexFileInvalid("something that it holds was erased")
        known, missing = await self._check_origin(file.description)
        names = file.description["files"]
        whole = self._index.settled() | settled
        self._index.install(whole, sections)
        self._kept_in = {SignalType(kind): name for kind, (name, _) in names.items()}
        self._is_changed = False
        return known, missing

    def _read(self) -> tuple[IndexFile, Sections, dict[SignalType, SortedRows[Any]]]:
        """Map and check all files; in a thread, as checking reads them once."""
        file = self._files.read(CHANGES)
        about = file.description
        if (about["federation"], about["member"]) != self._whose:
            raise IndexFileInvalid("it is another node's")
        if about["reader"] != READER_VERSION:
            raise IndexFileInvalid("another release read the statements that it is made from")
        if about["roster"] != self._roster_version():
            raise IndexFileInvalid("another version of the roster is in force now")
        if about["accused"] != self._origins_accused():
            raise IndexFileInvalid("other logs are under evidence now")
        sections = read_sections(about["sections"], file.parts)
        settled = {
            SignalType(kind): self._map(SignalType(kind), name, bytes.fromhex(digest))
            for kind, (name, digest) in about["files"].items()
        }
        return file, sections, settled

    def _map(
        self, kind: SignalType, name: str, digest: bytes, *, is_checked: bool = True
    ) -> SortedRows[Any]:
        file = self._files.read(name, is_checked=is_checked)
        if file.sha256 != digest:
            raise IndexFileInvalid(f"{name} is not the file that the index was written with")
        sections = read_sections(file.description["sections"], file.parts)
        return self._index.restore_sorted(kind, sections)

    async def _check_origin(
        self, about: Mapping[str, Any]
    ) -> tuple[dict[Branch, int], list[Missing]]:
        """The store holds all that the index was made from: the same logs, or longer ones."""
        known: dict[Branch, int] = {}
        sizes = await self._source.sizes()
        for origin, number, size, root in about["logs"]:
            branch = (_log_of(origin), number)
            if size > sizes.get(branch, 0):
                raise IndexFileInvalid(f"the store holds less of {branch[0]} than it was made from")
            if (await self._root(branch, size)).hex() != root:
                raise IndexFileInvalid(f"it was made from another history of {branch[0]}")
            known[branch] = size
        missing = [Missing(_log_of(origin), *at) for origin, *at in about["missing"]]
        return known, missing

    # --- upkeep ---------------------------------------------------------------------------------

    async def upkeep(self) -> None:
        """Rebuild what is due, off the event loop, and write what has changed."""
        async with self._saving:
            purging, self._purging = self._purging, set()
            for kind in sorted(purging | self._in_memory_only()):
                await self._rebuild(self._index.prepare_rebuild_of(kind))
            while (work := self._index.prepare_rebuild()) is not None:
                await self._rebuild(work)
            if self._is_changed:
                await self._save()

    async def close(self) -> None:
        """Write what has changed, for the next start; nothing changes any more."""
        if self._reading is not None:  # stopped before it had started
            await asyncio.gather(self._reading, return_exceptions=True)
        if self._purging:
            await self.upkeep()  # or the next start would read the whole store
        elif self._is_changed:
            async with self._saving:
                await self._save()
        self._background.close()

    def discard(self) -> None:
        """Something is about to be erased: take the files away before it is.

        The index in memory goes on, mapped files included, until the next upkeep rebuilds it.

        Raises:
            StoreUnavailable: the disk; the erase has to wait.
        """
        self._files.discard()
        self._kept_in.clear()
        self._purging.update(SignalType)
        self._is_changed = True

    def _in_memory_only(self) -> set[SignalType]:
        """The types with sorted rows that no file holds: the disk was full, for example."""
        rows = self._index.settled()
        return {kind for kind, each in rows.items() if len(each.rows) and kind not in self._kept_in}

    async def _rebuild(self, work: SignalRebuild | None) -> None:
        """Rebuild one type and put it in place, from a file where the disk allows it."""
        if work is None:
            return  # a list of documents
        epoch, kind = self._files.epoch, work.signal_type
        rebuilt = await self._background.run(work.run)
        try:
            name, settled = await self._background.run(self._settle, rebuilt, epoch)
        except StoreError as error:
            log_lines.warning("the index of %s stays in memory only: %s", kind, error.message)
            self._kept_in.pop(kind, None)
            self._index.adopt(rebuilt)
            return
        self._kept_in[kind] = name
        self._index.adopt(rebuilt.moved_to(settled))

    def _settle(self, rebuilt: RebuiltSignals, epoch: int) -> tuple[str, SortedRows[Any]]:
        """Write rebuilt rows to a file of their own, and map it."""
        kind = rebuilt.signal_type
        described, parts = describe_sections(rebuilt.settled.sections())
        name = f"{kind}-{rebuilt.rebuilt.generation:08x}"
        taken = {self._kept_in.get(kind), None}
        name = name if name not in taken else f"{name}-b"
        digest = self._files.write(name, {"sections": described}, parts, epoch)
        return name, self._map(kind, name, digest, is_checked=False)

    async def _save(self) -> None:
        """Write what distinguishes the index from its files; a failure is said and tried again."""
        if not self._is_filled:
            return  # stopped, or failed, before it knew all of the store
        if self._in_memory_only():
            return  # said when that happened, and tried again by the next upkeep
        known = dict(self._known)
        missing = await self._source.missing()
        if missing is None:
            log_lines.warning("too many statements lack their bodies to keep the index on disk")
            return
        try:
            logs = [
                [log.origin, number, size, (await self._root((log, number), size)).hex()]
                for (log, number), size in known.items()
            ]
            # From here to the copy nothing else runs: the index holds at least what is said of it.
            self._is_changed = False
            sections, kept_in = self._index.changes(), dict(self._kept_in)
            listed = {(each.log.origin, each.branch, each.index) for each in missing}
            listed |= {(each.log.origin, each.branch, each.index) for each in self._missing}
            about = {"logs": logs, "missing": sorted(listed), "roster": self._counted_roster}
            about["accused"] = self._counted_accused
            epoch = self._files.epoch
            await self._background.run(self._write, about, sections, kept_in, epoch)
            self._missing = missing
        except FederationError as error:
            self._is_changed = True
            log_lines.warning("the index could not be written: %s", error.message)

    def _write(
        self,
        about: dict[str, Any],
        sections: Sections,
        kept_in: Mapping[SignalType, str],
        epoch: int,
    ) -> None:
        described, parts = describe_sections(sections)
        about |= {
            "federation": self._whose[0],
            "member": self._whose[1],
            "reader": READER_VERSION,
            "sections": described,
            "files": {
                kind.value: (name, self._files.read(name, is_checked=False).sha256.hex())
                for kind, name in kept_in.items()
            },
        }
        self._files.write(CHANGES, about, parts, epoch)
        self._files.keep_only({CHANGES, *kept_in.values()})

    async def _still_missing(self) -> list[Missing]:
        return await self._source.missing() or []

    async def _root(self, branch: Branch, size: int) -> bytes:
        if (branch, size) not in self._roots:
            # Of each branch the last one asked for: logs grow, and an idle one is not read again.
            self._roots = {key: root for key, root in self._roots.items() if key[0] != branch}
            log, number = branch
            self._roots[branch, size] = await self._trees.root_hash(log, size, branch=number)
        return self._roots[branch, size]


def _log_of(origin: str) -> LogId:
    try:
        return parse_origin(origin)
    except OriginMalformed:
        raise IndexFileInvalid("it was made from a log that has no such name") from None

"""The feed: everything that changed for this platform, numbered in the order of local commit.

A consumer takes the snapshot once, then changes from a cursor on, and comes back with its last
cursor after any interruption. Each entry says what is so now, not what to add to what was before:
taking one twice, or one that a snapshot had already, changes nothing.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

from federation.daemon.changes import ChangeBatch, StatementsErased
from federation.daemon.feed_entries import entry_of, marks_asked, snapshot_entry
from federation.daemon.view_reader import ViewReader
from federation.errors import RequestMalformed
from federation.local_errors.askers import CursorUnknown
from federation.protocol.signals import identity_of
from federation.provenance.verdict import SignalState
from federation.store.feed_store import FeedBounds, FeedEntry, FeedStore, StoredEntry
from federation.store.signal_store import SignalStore

PAGE_ENTRIES: Final = 256
"""Entries read at a time: about 128 kB, so that a consumer of a long history holds no memory."""

_CURSOR: Final = re.compile(r"([0-9a-f]{16})-(0|[1-9][0-9]{0,18})\Z")

_TOLD_STATES: Final = frozenset(SignalState) - {SignalState.UNKNOWN}


@dataclass(frozen=True, slots=True)
class FeedLimits:
    """How much history is kept.

    Attributes:
        age_ms: entries older than this go.
        entries_max: and whatever is over so many.
    """

    age_ms: int
    entries_max: int


class Feed:
    """The feed of one node; a sink of the teller.

    Args:
        store: where it is kept.
        reader: what is said of a signal now.
        signals: every signal, for the snapshot.
        clock_ms: Unix milliseconds.
        limits: how much history is kept.
    """

    def __init__(
        self,
        store: FeedStore,
        reader: ViewReader,
        signals: SignalStore,
        clock_ms: Callable[[], int],
        limits: FeedLimits,
    ) -> None:
        self._store, self._reader, self._signals = store, reader, signals
        self._clock_ms, self._limits = clock_ms, limits
        self._news = asyncio.Event()

    # --- in -------------------------------------------------------------------------------------

    async def keep(self, batch: ChangeBatch) -> None:
        """Take what changed, durably and once; see :class:`federation.daemon.changes.Sink`.

        Raises:
            StoreError: the disk; the same batch comes again.
        """
        for change in batch.changes:
            if isinstance(change, StatementsErased):
                await self._store.blank(change.ids)
        marks = [mark for change in batch.changes for mark in marks_asked(change)]
        verdicts = await self._reader.verdicts(marks) if marks else {}
        entries = [entry_of(change, verdicts) for change in batch.changes]
        names = batch.log, batch.end, batch.erasure
        if await self._store.append(entries, self._clock_ms(), *names):
            news, self._news = self._news, asyncio.Event()
            news.set()

    async def upkeep(self) -> None:
        """Let go of what is too old or too much.

        Raises:
            StoreError: the disk.
        """
        await self._store.cut(self._clock_ms() - self._limits.age_ms, self._limits.entries_max)

    # --- out ------------------------------------------------------------------------------------

    async def bounds(self) -> FeedBounds:
        """Where the feed begins and ends now."""
        return await self._store.bounds()

    async def number_of(self, cursor: str) -> int:
        """The entry that a cursor points behind.

        Raises:
            RequestMalformed: not a cursor.
            CursorUnknown: of another feed, or of entries that are no longer kept, or not yet given.
        """
        found = _CURSOR.match(cursor)
        if found is None:
            raise RequestMalformed("a cursor is what an earlier answer called so, unchanged")
        bounds = await self._store.bounds()
        number = int(found[2])
        if found[1] != bounds.feed_id:
            raise CursorUnknown("the cursor is of another node, or of a database that is gone")
        if number > bounds.newest:
            raise CursorUnknown("the cursor is ahead of this feed: an older database was restored")
        if number < bounds.cut:
            raise CursorUnknown("entries behind the cursor are no longer kept")
        return number

    async def read(self, after: int) -> list[StoredEntry]:
        """The next entries behind a number, at most ``PAGE_ENTRIES``."""
        return await self._store.entries(after, PAGE_ENTRIES)

    async def entry(self, number: int) -> StoredEntry | None:
        """One entry, or None where it is no longer kept."""
        return await self._store.entry(number)

    def news(self) -> asyncio.Event:
        """Set once the feed has grown; take it before reading, so that nothing comes between."""
        return self._news

    async def snapshot(self) -> AsyncIterator[list[FeedEntry]]:
        """What is said of every signal that anything is said of, page by page, as of now.

        A signal that several statements carry may come more than once, each time with all of them.
        """
        async for page in self._signals.signals_pages():
            marks = sorted({(kind, identity_of(kind, value)) for kind, value in page})
            verdicts = await self._reader.verdicts(marks)
            yield [
                snapshot_entry(mark, verdict)
                for mark, verdict in verdicts.items()
                if verdict.state in _TOLD_STATES
            ]


def format_cursor(feed_id: str, number: int) -> str:
    """The cursor that points behind an entry."""
    return f"{feed_id}-{number}"

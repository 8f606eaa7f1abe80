"""Backwards in time: what was uploaded before its signal came is found when the signal comes.

Every upload that the platform named is remembered by its signals, in a ring of fixed size. When a
signal is durable here, the ring is searched for it, beside the event loop; what is found is judged
by the policy like any match, and told as ``FoundEarlier``.

**Nothing slips between.** A request that was searched before a signal was indexed may be remembered
after the ring was searched for that signal. So the rows that came since are searched once more,
``LATE_SECONDS`` later: no request takes that long.

**A flood of signals** (an import, a first synchronisation) waits in bounded memory. What does not
fit is not lost but swept for: remembered uploads are then looked up in the index of all known
signals, as they are after a crash.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from federation.daemon.changes import FoundEarlier, Mark
from federation.daemon.enforcer import Enforcer
from federation.daemon.policy_trial import Near
from federation.daemon.sightings import Upload
from federation.daemon.teller import Teller
from federation.daemon.view_reader import ViewReader
from federation.errors import FederationError
from federation.matching.index import VIDEO_DEFAULTS, SignalIndex
from federation.matching.policy_terms import Action
from federation.matching.upload_search import (
    Found,
    UploadColumns,
    rows_of,
    search_exact,
    search_pictures,
    sweep_pictures,
    warm_up,
)
from federation.protocol.limits_content import VIDEO_FRAMES_MAX
from federation.protocol.signals import Signal, SignalType, identity_of
from federation.protocol.signals_frames import QUALITY_MAX, Frame, decode_frames, encode_frames
from federation.store.upload_ring import (
    LENGTHS,
    REMEMBERED_TYPES,
    VALUE_BYTES,
    Remembered,
    UploadRing,
)

log_lines = logging.getLogger(__name__)

WAITING_BYTES_MAX: Final = 10 * 1024 * 1024
"""New signals that wait in memory, some 65,000 pictures; beyond it the ring is swept."""

SIGNAL_BYTES: Final = 128
"""What a waiting signal takes beside its value."""

LATE_SECONDS: Final = 10.0
"""After so long every request that was searched before a signal came has been remembered."""

FLUSH_SECONDS: Final = 60.0
"""How much of what was uploaded a crash of the machine may take from the ring."""

PART_ROWS: Final = 32_768
"""Rows swept at a time: about a second, after which newly arrived signals have their turn."""

_EXACT: Final = (SignalType.SHA256, SignalType.MD5, SignalType.URL)

JUDGED_AT_ONCE: Final = 256
"""Known signals whose statements are read at a time."""


@dataclass(slots=True)
class _Late:
    due: float
    since: int
    values: tuple[tuple[SignalType, bytes], ...]


@dataclass(frozen=True, slots=True)
class _Hit:
    mark: Mark
    slot: int
    distance: int


class Retroactive:
    """Remembers uploads and finds them.

    Args:
        ring: where they are remembered.
        index: all signals that match.
        enforcer: what is done about a match.
        reader: what the federation says of a signal.
        teller: tells what was found.
        distance_max: of PDQ, in bits.
        hours_max: how long an upload is remembered.
        clock_ms: Unix milliseconds.
        monotonic: seconds.
    """

    def __init__(
        self,
        ring: UploadRing,
        index: SignalIndex,
        enforcer: Enforcer,
        reader: ViewReader,
        teller: Teller,
        *,
        distance_max: int,
        hours_max: float,
        clock_ms: Callable[[], int],
        monotonic: Callable[[], float],
    ) -> None:
        self._ring, self._index = ring, index
        self._enforcer, self._reader, self._teller = enforcer, reader, teller
        self._distance_max, self._hours_max = distance_max, hours_max
        self._clock_ms, self._monotonic = clock_ms, monotonic
        self._waiting: list[tuple[SignalType, bytes]] = []
        self._waiting_bytes = 0
        self._late: deque[_Late] = deque()
        self._sweep_from: int | None = None if ring.was_closed else 0
        self._sweeps_asked = 0
        # Rows that are being told, as often as they are: a sweep passes them over.
        self._telling: Counter[Remembered] = Counter()
        self._has_untold = False  # some were dropped: a sweep, now or after a start, finds them
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()

    @property
    def ring(self) -> UploadRing:
        """Where uploads are remembered."""
        return self._ring

    def remember(self, upload: Upload) -> None:
        """Remember an upload; its reference was checked where it came in."""
        self._ring.append(upload.reference, upload.signals, upload.at_ms // 1000)

    def arrived(self, values: Iterable[tuple[SignalType, bytes]]) -> None:
        """Signals are durable and indexed here: look for them, soon."""
        wanted = [value for value in values if value[0] in REMEMBERED_TYPES]
        if not wanted or not self._ring.written:
            return
        wanted_bytes = sum(len(value) + SIGNAL_BYTES for _, value in wanted)
        if self._waiting_bytes + wanted_bytes > WAITING_BYTES_MAX:
            self._sweep_anew()
        else:
            self._waiting += wanted
            self._waiting_bytes += wanted_bytes
        self._idle.clear()
        self._wake.set()

    def forget(self, references: Iterable[str]) -> int:
        """Erase what is remembered under some references; returns how many signals that was.

        Raises:
            RequestMalformed: one is no reference.
        """
        return sum(self._ring.erase(reference) for reference in references)

    def forget_old(self) -> int:
        """Erase what is older than it may be remembered; returns how many signals that was."""
        return self._ring.erase_before(int(self._clock_ms() / 1000 - self._hours_max * 3_600))

    async def until_idle(self) -> None:
        """Wait until every signal that arrived so far was looked for."""
        await self._idle.wait()

    async def run(self) -> None:
        """Look for what arrives, until cancelled."""
        await asyncio.to_thread(warm_up)
        flush_at = self._monotonic() + FLUSH_SECONDS
        while True:
            try:
                if not await self._do_next():
                    self._idle.set()
                    await self._rest(flush_at)
                if self._monotonic() >= flush_at:
                    flush_at = self._monotonic() + FLUSH_SECONDS
                    self.forget_old()
                    await asyncio.to_thread(self._ring.flush)
            except FederationError as error:
                # What was looked for is looked for again by the sweep.
                log_lines.error("cannot look back now: %s", error)
                self._sweep_anew()
                await asyncio.sleep(1.0)

    def close(self) -> None:
        """Keep what is remembered, and whether something was left to look for or to tell."""
        is_left = self._waiting or self._late or self._telling or self._has_untold
        if is_left or self._sweep_from is not None:
            self._ring.flush()
        else:
            self._ring.close()

    def _sweep_anew(self) -> None:
        self._sweep_from = 0
        self._sweeps_asked += 1

    async def _rest(self, flush_at: float) -> None:
        due = min([flush_at, *(late.due for late in list(self._late)[:1])])
        try:
            async with asyncio.timeout(max(0.0, due - self._monotonic())):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _do_next(self) -> bool:
        """The most urgent thing there is to do; False where there is nothing."""
        self._wake.clear()
        if self._waiting:
            # In one go: the more there are, the less each costs.
            values = tuple(dict.fromkeys(self._waiting))
            self._waiting, self._waiting_bytes = [], 0
            self._late.append(_Late(self._monotonic() + LATE_SECONDS, self._ring.written, values))
            await self._look_for(values, 0)
            return True
        if self._late and self._late[0].due <= self._monotonic():
            late = self._late.popleft()
            await self._look_for(late.values, late.since)
            return True
        if self._sweep_from is not None:
            await self._sweep(self._sweep_from)
            return True
        return False

    async def _look_for(self, values: Sequence[tuple[SignalType, bytes]], since: int) -> None:
        columns = UploadColumns(*self._ring.columns())
        for rows in self._ring.slots_since(since):
            for kind, code in REMEMBERED_TYPES.items():
                asked = [value for each, value in values if each is kind]
                if not asked:
                    continue
                if kind is SignalType.VPDQ:
                    await self._tell(await self._look_for_videos(columns, rows, asked))
                    continue
                marks = [identity_of(kind, value) for value in asked]
                padded = [mark.ljust(VALUE_BYTES, b"\0") for mark in marks]
                if kind is SignalType.PDQ:
                    async for found in self._pictures(columns, rows, code, padded):
                        await self._tell(_hits(kind, marks, found))
                else:
                    found = await asyncio.to_thread(search_exact, columns, rows, code, padded)
                    await self._tell(_hits(kind, marks, found))

    async def _pictures(
        self, columns: UploadColumns, rows: range, code: int, values: Sequence[bytes]
    ) -> AsyncIterator[list[Found]]:
        """What is remembered near some values, in parts that memory can hold."""
        while rows:
            found, rows = await asyncio.to_thread(
                search_pictures, columns, rows, code, values, self._distance_max
            )
            yield found

    async def _look_for_videos(
        self, columns: UploadColumns, rows: range, videos: Sequence[bytes]
    ) -> list[_Hit]:
        """Remembered videos of which a frame is near to one of some new videos'."""
        frames = {frame.pdq for video in videos for frame in decode_frames(video)}
        code = REMEMBERED_TYPES[SignalType.VPDQ]
        new = {identity_of(SignalType.VPDQ, video) for video in videos}
        slots: set[int] = set()
        async for found in self._pictures(columns, rows, code, sorted(frames)):
            slots.update(row for _, row, _ in found)
        return await self._match_videos(slots, new)

    async def _match_videos(self, slots: Iterable[int], new: set[bytes] | None) -> list[_Hit]:
        """The remembered videos that some rows are of, looked up among all known videos."""
        rows = (self._ring.read(slot) for slot in slots)
        # A sweep tells nothing twice; a signal that is new is told whatever was before.
        references = {
            row.reference
            for row in rows
            if row is not None and not (new is None and self._is_told(row))
        }
        hits: list[_Hit] = []
        for reference in sorted(references):
            frames = self._ring.of_reference(reference, SignalType.VPDQ)
            if not frames:
                continue
            value = encode_frames(
                [
                    Frame(frame.value, QUALITY_MAX, 1_000 * at)
                    for at, frame in enumerate(frames[:VIDEO_FRAMES_MAX])
                ]
            )
            search = self._index.prepare_videos([value], VIDEO_DEFAULTS, matches_max=16)
            (matches,) = await asyncio.to_thread(search.run)
            hits += [
                _Hit((SignalType.VPDQ, each.value), frames[0].slot, each.distance)
                for each in matches
                if new is None or each.value in new
            ]
        return hits

    async def _sweep(self, start: int) -> None:
        """Look up a part of what is remembered in the index of everything known."""
        asked = self._sweeps_asked
        columns = UploadColumns(*self._ring.columns())
        rows = range(start, min(start + PART_ROWS, columns.rows))
        code, most = REMEMBERED_TYPES[SignalType.PDQ], self._distance_max
        pictures = self._index.view_of_pictures()
        slots = await asyncio.to_thread(sweep_pictures, columns, rows, code, pictures, most)
        exact = [slot for kind in _EXACT for slot in await self._sweep_exact(columns, rows, kind)]
        hits: list[_Hit] = []
        for slot in [*slots, *exact]:
            row = self._ring.read(slot)
            if row is None or self._is_told(row):
                continue
            if row.signal_type is not SignalType.PDQ:
                hits.append(_Hit((row.signal_type, row.value), slot, 0))
                continue
            near = self._index.search(row.signal_type, row.value, most, matches_max=16)
            hits += [_Hit((SignalType.PDQ, each.value), slot, each.distance) for each in near]
        code = REMEMBERED_TYPES[SignalType.VPDQ]
        frames = await asyncio.to_thread(rows_of, columns, rows, code)
        hits += await self._match_videos([slot for slot, _ in frames], None)
        await self._tell(hits)
        if self._sweeps_asked == asked:  # not begun anew meanwhile
            self._sweep_from = rows.stop if rows.stop < columns.rows else None

    async def _sweep_exact(
        self, columns: UploadColumns, rows: range, kind: SignalType
    ) -> list[int]:
        known = await asyncio.to_thread(rows_of, columns, rows, REMEMBERED_TYPES[kind])
        length = LENGTHS.get(kind, VALUE_BYTES)
        return [slot for slot, value in known if self._index.holds_identity(kind, value[:length])]

    async def _tell(self, hits: Sequence[_Hit]) -> None:
        """Judge what was found by the policy, and tell what there is something to do about."""
        by_mark: dict[Mark, list[tuple[Remembered, int]]] = {}
        for hit in hits:
            row = self._ring.read(hit.slot)
            if row is not None and _is_near(row, hit):
                by_mark.setdefault(hit.mark, []).append((row, hit.distance))
        marks = sorted(by_mark)
        for at in range(0, len(marks), JUDGED_AT_ONCE):
            verdicts = await self._reader.verdicts(marks[at : at + JUDGED_AT_ONCE])
            for mark, verdict in verdicts.items():
                for row, distance in by_mark[mark]:
                    # Read again: it may have been erased or overwritten meanwhile.
                    now = self._ring.read(row.slot)
                    if now is not None and replace(now, is_told=row.is_told) == row:
                        self._tell_one(row, Near(mark, distance, verdict))
                await asyncio.sleep(0)  # a flood of copies is told of for a while

    def _tell_one(self, row: Remembered, near: Near) -> None:
        matching = [each for each in near.verdict.voices if each.word.can_match]
        if not matching:
            return
        # Of a link its identity is remembered, and of a video some frames: no exception is near.
        is_whole = row.signal_type not in {SignalType.URL, SignalType.VPDQ}
        signal = Signal(row.signal_type, row.value) if is_whole else None
        decision = self._enforcer.decide(signal, [near])
        if decision.action is Action.ALLOW:
            return
        rows = [row]
        if row.signal_type is SignalType.VPDQ:
            rows = self._ring.of_reference(row.reference, row.signal_type)
        telling = [replace(each, is_told=False) for each in rows]
        self._telling.update(telling)
        self._teller.emit(
            FoundEarlier(
                row.reference,
                row.at_seconds * 1000,
                near.mark,
                near.distance,
                decision.action.value,
                decision.rule,
                tuple(each.opinion.id for each in matching),
            ),
            kept=lambda: self._mark_told(telling),
            dropped=lambda: self._drop(telling),
        )

    def _mark_told(self, rows: Sequence[Remembered]) -> None:
        """What was found is kept by everybody who is told: a sweep need not tell it again."""
        for row in rows:
            now = self._ring.read(row.slot)
            if now is not None and replace(now, is_told=False) == row:
                self._ring.mark_told(row.slot)
            self._end_telling(row)

    def _drop(self, rows: Sequence[Remembered]) -> None:
        """A bug kept what was found from being told: the next sweep does not pass it over."""
        for row in rows:
            self._end_telling(row)
        self._has_untold = True

    def _end_telling(self, row: Remembered) -> None:
        self._telling[row] -= 1
        if self._telling[row] <= 0:
            del self._telling[row]

    def _is_told(self, row: Remembered) -> bool:
        return row.is_told or replace(row, is_told=False) in self._telling


def _hits(kind: SignalType, marks: Sequence[bytes], found: Iterable[Found]) -> list[_Hit]:
    return [_Hit((kind, marks[at]), row, far) for at, row, far in found]


def _is_near(row: Remembered, hit: _Hit) -> bool:
    """Whether the row is what was found, and no other one that took its place meanwhile."""
    if row.signal_type is not hit.mark[0]:
        return False
    if row.signal_type is SignalType.VPDQ:
        return True  # looked up by what was read here
    if row.signal_type is not SignalType.PDQ:
        return row.value == hit.mark[1]
    differing = int.from_bytes(row.value, "big") ^ int.from_bytes(hit.mark[1], "big")
    return differing.bit_count() == hit.distance

"""Matching: what the federation says about content that somebody just uploaded.

The index finds candidates in memory; one read of the store brings the statements behind them; the
merged view says which are in force. The index may hold a signal too many (one whose withdrawal is
on its way), never one too few: the answer always comes from the statements. Nothing about a query
is kept.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from federation.daemon.changes import Mark
from federation.daemon.searching import Thresholds, search_index
from federation.daemon.view_reader import ViewReader
from federation.errors import FederationError
from federation.local_errors.disk import StoreError, StoreFull, StoreUnavailable
from federation.matching.found import Found, Matches
from federation.matching.index import SignalIndex
from federation.matching.video_search import VideoFound
from federation.protocol.bodies import Confirm, Kind, Withdraw
from federation.protocol.headers import StatementId, decode_header
from federation.protocol.origins import LogId
from federation.protocol.signals import Signal, SignalType, identity_of
from federation.provenance.log_view import Advance
from federation.provenance.reading import body_of, plain_signals
from federation.provenance.verdict import Verdict
from federation.provenance.verifier import VerifiedStatement
from federation.provenance.view import Opinion, opinions_on
from federation.store.log_store import LogStore
from federation.store.places import StoredStatement
from federation.store.signal_store import SignalStore

log_lines = logging.getLogger(__name__)

MATCHES_MAX: Final = 64
"""Nearest matching signals in one answer, and looked at first: where they decide, and nearly always
they do, no more are read."""

WIDER: Final = (512, 4_096)
"""How many of the nearest are looked at where fewer do not decide: the last takes some 0.7 s of one
core. Beyond it nobody can tell, and the decision is at least review."""

LOOKED_AT_MAX: Final = 32_768
"""The same for all signals of a request together, so that none takes longer than some seconds."""

READ_MARKS: Final = 512
"""Signals whose statements are read at a time: some 75 ms, then other tasks have their turn."""

Span: TypeAlias = tuple[LogId, int, int, int]
"""Log, branch, and the indexes from which and up to which statements stand."""


@dataclass(frozen=True, slots=True)
class Match:
    """One known signal near the one asked about.

    Attributes:
        type: its type.
        found: its identity and distance: bits for PDQ, 0 for exact types, TLSH's own for TLSH,
            and for vpdq (a ``VideoFound``) the percent of the asked video that is not in it.
        verdict: what the federation says of it, with every member's statement behind it.
    """

    type: SignalType
    found: Found
    verdict: Verdict

    @property
    def identity(self) -> bytes:
        """The known signal's."""
        return self.found.value

    @property
    def distance(self) -> int:
        """How far it is from what was asked about; of a frame, its nearest frame."""
        frame = self._frame_distance
        return self.found.distance if frame is None else frame

    @property
    def is_frame(self) -> bool:
        """Whether the distance is that of two frames, in bits."""
        return self._frame_distance is not None

    @property
    def _frame_distance(self) -> int | None:
        return self.found.frame_distance if isinstance(self.found, VideoFound) else None

    @property
    def opinions(self) -> tuple[Opinion, ...]:
        """The confirms behind it that are neither taken back nor expired, in order of ids."""
        return tuple(voice.opinion for voice in self.verdict.voices if voice.word.can_match)


@dataclass(frozen=True, slots=True)
class Near:
    """What was looked at of what is near one signal.

    Attributes:
        matches: the known signals in force, nearest first.
        is_cut: whether there may be more.
    """

    matches: tuple[Match, ...]
    is_cut: bool


class Matcher:
    """The index, kept in step with the store.

    Args:
        index: in memory; empty at first.
        signals: where the signals to index are read.
        logs: where statements are looked up by id.
        reader: the merged view, read from the store.
        clock_ms: Unix milliseconds; expiry is asked with it.
    """

    def __init__(
        self,
        index: SignalIndex,
        signals: SignalStore,
        logs: LogStore,
        reader: ViewReader,
        clock_ms: Callable[[], int],
    ) -> None:
        self._index, self._signals, self._logs = index, signals, logs
        self._reader, self._clock_ms = reader, clock_ms
        self._uncounted: dict[Span, None] = {}
        # Each a reconsidering under way: the identities that were added since it began.
        self._reconsidering: list[set[Mark]] = []

    def signals_held(self) -> int:
        """How many signals can match."""
        return len(self._index)

    async def fill(self) -> None:
        """Load the index from the store, page by page."""
        async for page in self._signals.signals_pages():
            for signal_type in SignalType:
                self._index.add_many(signal_type, [v for kind, v in page if kind is signal_type])

    async def absorb(self, step: Advance) -> None:
        """Count a durable step: confirms at once, and what withdraws leave without support."""
        await self.absorb_statements(step.statements)

    async def absorb_statements(self, statements: Sequence[VerifiedStatement]) -> None:
        """Count durable statements; see :meth:`absorb`."""
        doubtful: set[tuple[SignalType, bytes]] = set()
        targets: list[StatementId] = []
        fresh: dict[SignalType, list[bytes]] = {}
        for statement in statements:
            marks = plain_signals(statement)
            if marks is None:
                body = body_of(statement)
                if isinstance(body, Withdraw):
                    targets += statement.header.references
                if not isinstance(body, Confirm):
                    continue
                marks = tuple((signal.type, signal.value) for signal in body.signals)
            for signal_type, value in marks:
                fresh.setdefault(signal_type, []).append(value)
        for signal_type, values in fresh.items():
            self._add(signal_type, values)
        for target in targets:
            stored = await self._logs.statement(target)
            if stored is None:
                continue  # it waits, inert; the answer is decided when it is asked for
            body = body_of(self._reader.judge(stored))
            if isinstance(body, Confirm):
                doubtful.update((signal.type, signal.value) for signal in body.signals)
        if doubtful:
            await self.reconsider(sorted(doubtful))

    async def absorb_stored(self, stored: Sequence[StoredStatement]) -> None:
        """Count statements of the store that the index does not know yet; see :meth:`absorb`."""
        await self.absorb_statements(self._reader.judge_all(stored))

    async def recount(self, spans: Iterable[Span]) -> None:
        """Have everything in the index that counts again because a pin moved.

        That is what was taken back where nothing counts now. Confirms that are cut off stay in the
        index all the time: answers come from the statements.

        Args:
            spans: (log, branch, from, to): the statements that a pin reached or let go.

        Raises:
            StoreFull, StoreUnavailable: the disk, at one of these spans. What was not counted is
                counted with the next ones; what fails then stops nobody else.
        """
        asked = set(spans)
        self._uncounted.update(dict.fromkeys(asked))
        failed: StoreError | None = None
        for span in list(self._uncounted):
            try:
                await self._recount(span)
            except FederationError as error:
                log_lines.error("cannot count again what a pin moved of %s: %s", span[0], error)
                if span in asked and isinstance(error, StoreFull | StoreUnavailable):
                    failed = error
            else:
                self._uncounted.pop(span, None)
        if failed is not None:
            raise failed

    async def _recount(self, span: Span) -> None:
        async for page in self._logs.pages(*span):
            for statement in page:
                header = decode_header(statement.statement.header_bytes)
                if header.kind == Kind.WITHDRAW:
                    await self._count_again(header.references)

    async def _count_again(self, targets: Iterable[StatementId]) -> None:
        """What these statements confirm."""
        for target in targets:
            stored = await self._logs.statement(target)
            body = None if stored is None else body_of(self._reader.judge(stored))
            if isinstance(body, Confirm):
                for signal in body.signals:
                    self._add(signal.type, [signal.value])

    def _add(self, signal_type: SignalType, values: Sequence[bytes]) -> None:
        self._index.add_many(signal_type, values)
        for added in self._reconsidering:
            added.update((signal_type, identity_of(signal_type, value)) for value in values)

    async def reconsider(self, marks: Sequence[tuple[SignalType, bytes]]) -> None:
        """Drop from the index what nothing supports any more.

        Args:
            marks: types and values that may have lost their support.
        """
        added: set[Mark] = set()
        self._reconsidering.append(added)
        try:
            opinions = await self._reader.opinions(
                [(kind, identity_of(kind, value)) for kind, value in marks]
            )
        finally:
            self._reconsidering = [each for each in self._reconsidering if each is not added]
        for signal_type, value in marks:
            if (signal_type, identity_of(signal_type, value)) in added:
                continue  # somebody confirmed it while the store was read
            on_it = opinions_on(opinions, signal_type, identity_of(signal_type, value))
            if not any(opinion.standing.counts or opinion.is_cut_off for opinion in on_it):
                self._index.remove(signal_type, value)

    async def match(
        self, signals: Sequence[Signal], thresholds: Thresholds | int
    ) -> list[tuple[Match, ...]]:
        """What is known near each signal, and in force now.

        Args:
            signals: what was uploaded.
            thresholds: what counts as near; a number is a PDQ distance beside the defaults.

        Returns:
            For each signal its matches, nearest first, at most ``MATCHES_MAX``.
        """
        wanted = Thresholds(thresholds) if isinstance(thresholds, int) else thresholds
        looked = await self.look(signals, wanted, lambda _at, near: bool(near.matches))
        return [near.matches[:MATCHES_MAX] for near in looked]

    async def look(
        self, signals: Sequence[Signal], wanted: Thresholds, is_enough: Callable[[int, Near], bool]
    ) -> list[Near]:
        """Look at what is near each signal: at the nearest, and at more while that is not enough.

        Args:
            signals: what was uploaded.
            wanted: what counts as near.
            is_enough: of a signal, by its number, whether no more need be looked at.

        Returns:
            For each signal what was looked at.
        """
        known: dict[Mark, Verdict | None] = {}
        places = list(range(len(signals)))
        looked: dict[int, Near] = {}
        for most in (MATCHES_MAX, *WIDER):
            if most > MATCHES_MAX:
                places = places[: LOOKED_AT_MAX // most]
            if not places:
                break
            asked = [signals[at] for at in places]
            found = await search_index(self._index, asked, wanted, most)
            await self._read(asked, found, known)
            for at, nears in zip(places, found, strict=True):
                looked[at] = _near(signals[at].type, nears, known)
            places = [at for at in places if looked[at].is_cut and not is_enough(at, looked[at])]
        return [looked[at] for at in range(len(signals))]

    async def _read(
        self,
        signals: Sequence[Signal],
        found: Sequence[Matches],
        known: dict[Mark, Verdict | None],
    ) -> None:
        """Add to ``known`` the verdicts on what was found; None of what is not in force."""
        marks = sorted(
            {
                mark
                for signal, nears in zip(signals, found, strict=True)
                for near in nears
                if (mark := (signal.type, near.value)) not in known
            }
        )
        for start in range(0, len(marks), READ_MARKS):
            some = marks[start : start + READ_MARKS]
            in_force = await self._in_force(some)
            known.update((mark, in_force.get(mark)) for mark in some)

    async def _in_force(self, marks: Sequence[Mark]) -> dict[Mark, Verdict]:
        verdicts = await self._reader.verdicts(marks)
        return {
            mark: verdict
            for mark, verdict in verdicts.items()
            if any(voice.word.can_match for voice in verdict.voices)
        }

    async def statement(
        self, statement_id: StatementId
    ) -> tuple[VerifiedStatement, Opinion | None] | None:
        """One statement and, of a confirm, what became of it; None where it is not held."""
        stored = await self._logs.statement(statement_id)
        if stored is None:
            return None
        opinions = await self._reader.opinions_among([stored])
        on_it = next((each for each in opinions if each.id == statement_id), None)
        return self._reader.judge(stored), on_it


def _near(signal_type: SignalType, nears: Matches, known: Mapping[Mark, Verdict | None]) -> Near:
    return Near(
        tuple(
            Match(signal_type, near, verdict)
            for near in nears
            if (verdict := known[signal_type, near.value]) is not None
        ),
        nears.is_truncated,
    )

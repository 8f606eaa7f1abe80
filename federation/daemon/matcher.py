"""Matching: what the federation says about content that somebody just uploaded.

The index finds candidates in memory; one read of the store brings the statements behind them; the
merged view says which are in force. The index may hold a signal too many (one whose withdrawal is
on its way), never one too few: the answer always comes from the statements. Nothing about a query
is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from federation.daemon.changes import Mark
from federation.daemon.searching import Thresholds, search_index
from federation.daemon.view_reader import ViewReader
from federation.matching.found import Found
from federation.matching.index import SignalIndex
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

MATCHES_MAX: Final = 64
"""Nearest matching signals in one answer: more would not change what the platform does."""

PAGE_STATEMENTS: Final = 1_024
PAGE_BYTES_MAX: Final = 1 << 20
"""Read at a time when a pin moved: a few tens of milliseconds, then other tasks have their turn."""

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
        """How far it is from what was asked about."""
        return self.found.distance

    @property
    def opinions(self) -> tuple[Opinion, ...]:
        """The confirms behind it that are neither taken back nor expired, in order of ids."""
        return tuple(voice.opinion for voice in self.verdict.voices if voice.word.can_match)


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
            opening = statement.statement.opening
            if opening is None:
                continue
            marks = plain_signals(statement.header, opening.body)
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
        """
        for log, branch, start, end in spans:
            at = start
            while at < end:
                page = await self._logs.statements(
                    log, at, min(end, at + PAGE_STATEMENTS), PAGE_BYTES_MAX, branch=branch
                )
                for statement in page:
                    header = decode_header(statement.header_bytes)
                    if header.kind == Kind.WITHDRAW:
                        await self._count_again(header.references)
                at += len(page)

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
        answers = await self._answer(signals, wanted, MATCHES_MAX)
        crowded = [at for at, answer in enumerate(answers) if answer is None]
        if crowded:
            # Everything near was expired or withdrawn and hid what is behind it: look at all.
            again = [signals[at] for at in crowded]
            for at, answer in zip(crowded, await self._answer(again, wanted), strict=True):
                answers[at] = answer
        return [(answer or ())[:MATCHES_MAX] for answer in answers]

    async def _answer(
        self, signals: Sequence[Signal], wanted: Thresholds, matches_max: int | None = None
    ) -> list[tuple[Match, ...] | None]:
        """The matches in force; None where there are none among the nearest and more beyond."""
        found = await search_index(self._index, signals, wanted, matches_max)
        marks = sorted(
            {
                (signal.type, near.value)
                for signal, nears in zip(signals, found, strict=True)
                for near in nears
            }
        )
        if not marks:
            return [() for _ in signals]
        in_force = await self._in_force(marks)
        answers: list[tuple[Match, ...] | None] = []
        for signal, nears in zip(signals, found, strict=True):
            matches = tuple(
                Match(signal.type, near, verdict)
                for near in nears
                if (verdict := in_force.get((signal.type, near.value)))
            )
            answers.append(None if not matches and nears.is_truncated else matches)
        return answers

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

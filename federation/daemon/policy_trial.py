"""What another policy would change, before it is taken on.

Two things are asked twice, of the policy in force and of the one on trial: every stored signal, as
if content with exactly that signal were uploaded now, or shown in a live stream where that makes
another difference, and what matched here lately, as near as it was. What people here decided
(findings, quarantine) counts for both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from federation.daemon.changes import Mark
from federation.daemon.enforcer import Enforcement, Enforcer
from federation.daemon.sightings import Sightings
from federation.daemon.view_reader import ViewReader
from federation.matching.decisions import Decision
from federation.matching.policy import CompiledPolicy
from federation.matching.policy_terms import Action, Stage
from federation.protocol.headers import StatementId
from federation.protocol.signals import Signal, SignalType, identity_of
from federation.provenance.verdict import Verdict
from federation.store.signal_store import SignalStore

PAGE_STATEMENTS: Final = 2_048
"""Stored statements looked at in one page: some 200 ms."""

EXAMPLES_MAX: Final = 20
"""Changed decisions that are shown one by one: a person looks at those."""

READ_MARKS: Final = 512
"""Signals whose verdicts are read at a time."""


@dataclass(frozen=True, slots=True)
class Near:
    """A known signal as near as it was, with what the federation says of it now."""

    mark: Mark = field(repr=False)
    distance: int
    verdict: Verdict
    is_frame: bool = False

    @property
    def type(self) -> SignalType:
        """Its type."""
        return self.mark[0]

    @property
    def identity(self) -> bytes:
        """Its identity."""
        return self.mark[1]


@dataclass(frozen=True, slots=True)
class Changed:
    """A decision that would be another one.

    Attributes:
        statement: one behind the signal.
        before: by the policy in force.
        after: by the one on trial.
    """

    statement: StatementId
    before: Decision
    after: Decision


@dataclass(slots=True)
class Trial:
    """What was asked twice.

    Attributes:
        asked: how often.
        moves: (action before, action after) and how often, those that stay among them.
        examples: some of those that would change.
    """

    asked: int = 0
    moves: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: list[Changed] = field(default_factory=list)

    def add(self, statement: StatementId, before: Decision, after: Decision) -> None:
        """Count one."""
        self.asked += 1
        self.moves[before.action.value, after.action.value] += 1
        if before.action is not after.action and len(self.examples) < EXAMPLES_MAX:
            self.examples.append(Changed(statement, before, after))


class PolicyTrial:
    """Tries policies.

    Args:
        enforcer: the policy in force.
        reader: verdicts.
        signals: what is stored.
        sightings: what matched lately.
    """

    def __init__(
        self, enforcer: Enforcer, reader: ViewReader, signals: SignalStore, sightings: Sightings
    ) -> None:
        self._enforcer, self._reader = enforcer, reader
        self._signals, self._sightings = signals, sightings

    async def stored(self, policy: CompiledPolicy, after: int = -1) -> tuple[Trial, int | None]:
        """Ask about one page of the stored signals.

        Each is asked about once in all pages, and once more for live streams where something else
        would be done there.

        Args:
            policy: on trial.
            after: where the page before ended; -1 for the first.

        Returns:
            What came of it, and where the page ended; None where it was the last.
        """
        page, end = await self._signals.signals_after(after, PAGE_STATEMENTS)
        values = {(kind, identity_of(kind, value)): value for _, kind, value in page}
        at = {(made, kind, identity_of(kind, value)) for made, kind, value in page}
        trial, enforcement = Trial(), self._enforcer.enforcement
        for mark, verdict in await self._verdicts(list(values)):
            matching = [each for each in verdict.voices if each.word.can_match]
            # A signal that several statements carry belongs to the page of the first of them.
            if matching and (verdict.voices[0].opinion.id, *mark) in at:
                signal = Signal(mark[0], values[mark])
                nears = [Near(mark, 0, verdict)]
                told = _both(enforcement, policy, signal, nears, Stage.UPLOAD)
                trial.add(matching[0].opinion.id, *told)
                if mark[0] in _SHOWN_LIVE:
                    nears = [_near_of(mark, 0, verdict, Stage.LIVE)]
                    shown = _both(enforcement, policy, signal, nears, Stage.LIVE)
                    if _actions(shown) != _actions(told):
                        trial.add(matching[0].opinion.id, *shown)
        return trial, end

    async def recent(self, policy: CompiledPolicy) -> Trial:
        """Ask about what matched here lately; the policy's exceptions of content are not asked.

        Args:
            policy: on trial.
        """
        sightings = self._sightings.recent
        marks = {mark for sighting in sightings for mark, _ in sighting.nears}
        verdicts = dict(await self._verdicts(sorted(marks)))
        trial, enforcement = Trial(), self._enforcer.enforcement
        for sighting in sightings:
            nears = [
                _near_of(mark, distance, verdicts[mark], sighting.stage)
                for mark, distance in sighting.nears
                if any(voice.word.can_match for voice in verdicts[mark].voices)
            ]
            if nears:
                first = nears[0].verdict.voices[0].opinion.id
                trial.add(first, *_both(enforcement, policy, None, nears, sighting.stage))
        return trial

    async def _verdicts(self, marks: Sequence[Mark]) -> Iterable[tuple[Mark, Verdict]]:
        found: dict[Mark, Verdict] = {}
        for at in range(0, len(marks), READ_MARKS):
            found.update(await self._reader.verdicts(marks[at : at + READ_MARKS]))
        return found.items()


_SHOWN_LIVE: Final = frozenset({SignalType.PDQ, SignalType.VPDQ})


def _near_of(mark: Mark, distance: int, verdict: Verdict, stage: Stage) -> Near:
    """As near as it was; of a video in a live stream it was one frame that was near."""
    is_frame = stage is Stage.LIVE and mark[0] is SignalType.VPDQ
    return Near(mark, distance, verdict, is_frame=is_frame)


def _actions(decisions: tuple[Decision, Decision]) -> tuple[Action, Action]:
    return decisions[0].action, decisions[1].action


def _both(
    enforcement: Enforcement,
    policy: CompiledPolicy,
    signal: Signal | None,
    nears: Sequence[Near],
    stage: Stage,
) -> tuple[Decision, Decision]:
    findings = enforcement.findings
    before = enforcement.policy.decide(signal, nears, stage, findings)
    return before, policy.decide(signal, nears, stage, findings)

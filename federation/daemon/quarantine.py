"""Quarantine: signals that go to review here, whatever the policy says, until a person decides.

Two guards put signals there. The flood guard counts matches, and catches what matches far above its
usual. The benign guard looks at signals when they arrive, before they act, and catches what comes
too near to content that the platform holds up as harmless. A person releases a signal or excepts
it, and what a person decided no guard decides again.

Quarantine is this platform's alone: it publishes nothing and touches no statement.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from federation.config import NodeConfig
from federation.daemon.benign import BenignSet, read_benign_file
from federation.daemon.changes import Mark, QuarantineEnded, SignalQuarantined
from federation.daemon.enforcer import Enforcer
from federation.daemon.sightings import Sighting
from federation.daemon.teller import Teller
from federation.daemon.view_reader import ViewReader
from federation.errors import FederationError
from federation.local_errors.askers import StatementNotFound, TooBusy
from federation.matching.floods import FloodCounters
from federation.matching.index import SignalIndex
from federation.protocol.bodies import Confirm
from federation.protocol.signals import SignalType, identity_of
from federation.provenance.reading import body_of, plain_signals
from federation.provenance.verdict import Verdict
from federation.provenance.verifier import VerifiedStatement
from federation.store.decision_store import DecisionStore, Hold, HoldReason, HoldState

log_lines = logging.getLogger(__name__)

HOLDS_MAX: Final = 100_000
"""Decided and undecided: one for every ten thousandth of a thousand million matches."""


class Quarantine:
    """The guards, and what people decide about what they caught.

    Args:
        config: the node's settings.
        enforcer: is told what is held back.
        decisions: where that is kept.
        reader: what the federation says of a signal.
        teller: tells what was held back and decided.
        alarm: tells operators: code and sentence.
        clock_ms: Unix milliseconds.
        monotonic: seconds; counts windows.
    """

    def __init__(
        self,
        config: NodeConfig,
        enforcer: Enforcer,
        decisions: DecisionStore,
        reader: ViewReader,
        teller: Teller,
        alarm: Callable[[str, str], None],
        clock_ms: Callable[[], int],
        monotonic: Callable[[], float],
    ) -> None:
        self._config, self._enforcer, self._decisions = config, enforcer, decisions
        self._reader, self._teller, self._alarm = reader, teller, alarm
        self._clock_ms, self._monotonic = clock_ms, monotonic
        self._counters = FloodCounters()
        self._benign = BenignSet()
        self._holds: dict[Mark, Hold] = {}
        self._alarmed: set[Mark] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._holding = asyncio.Lock()  # a guard and a person may be about one signal at once
        self._is_full = False

    async def start(self, known: SignalIndex) -> None:
        """Read what is held back, and hold the known signals against the benign set.

        Args:
            known: the signals that match here.

        Raises:
            ConfigError: the benign file is missing or malformed.
            StoreError: the disk.
        """
        self._holds = {hold.mark: hold for hold in await self._decisions.holds()}
        await self.take_benign(await self.read_benign(), known)

    async def close(self) -> None:
        """Let what is being held back be written."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def holds(self) -> list[Hold]:
        """Everything that is or was held back, newest first."""
        return sorted(self._holds.values(), key=lambda hold: -hold.since_ms)

    def count_held(self) -> int:
        """How many signals wait for a person."""
        return len(self._enforcer.enforcement.findings.quarantined)

    # --- the flood guard ------------------------------------------------------------------------

    def count(self, sighting: Sighting) -> None:
        """Count the matches of one sighting; what floods is held back at once."""
        guard = self._enforcer.enforcement.policy.policy.flood
        now = self._monotonic()
        for mark, _distance in sighting.nears:
            matches = self._counters.count(mark, now, guard)
            if matches and mark not in self._holds and mark not in self._alarmed:
                self._alarmed.add(mark)
                task = asyncio.get_running_loop().create_task(self._flooded(mark, matches))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _flooded(self, mark: Mark, matches: int) -> None:
        guard = self._enforcer.enforcement.policy.policy.flood
        try:
            verdict = (await self._reader.verdicts([mark]))[mark]
            members = set(verdict.members)
            told = (
                f"a {mark[0]} signal of {', '.join(sorted(members)) or 'nobody any more'} matched "
                f"{matches} times within {guard.window_seconds // 60} minutes"
            )
            is_own = self._config.company in members
            if is_own or len(members) >= guard.unless_members_min:
                # An attack's own video floods too: it goes on acting, and a person is told.
                self._alarm("signal-floods", f"{told}; it goes on acting{_named(verdict)}")
                return
            if await self.hold([mark], HoldReason.FLOOD, matches):
                review = "goes to review until you decide"
                self._alarm("signal-quarantined", f"{told} and {review}{_named(verdict)}")
        except FederationError as error:
            self._alarmed.discard(mark)
            log_lines.error("cannot hold a flooding signal back: %s", error)

    # --- the benign guard -----------------------------------------------------------------------

    async def read_benign(self) -> BenignSet:
        """The benign file, which is not put in force.

        Raises:
            ConfigError: it is missing or malformed.
        """
        name = self._config.policy.benign_file
        if not name:
            return BenignSet()
        file = self._config.path(Path(name))
        return await asyncio.to_thread(lambda: BenignSet(read_benign_file(file)))

    async def take_benign(self, benign: BenignSet, known: SignalIndex) -> None:
        """Put a benign set in force, and hold back known signals that come too near.

        Args:
            benign: as it was read.
            known: the signals that match here.

        Raises:
            StoreError: the disk.
        """
        self._benign = benign
        if len(benign):
            await self._hold_benign(await benign.near_known(known, self._benign_distance()))

    async def look_at(self, statements: Sequence[VerifiedStatement]) -> None:
        """Hold back those of some arriving signals that come too near to harmless content."""
        if not len(self._benign):
            return
        values = [value for statement in statements for value in values_of(statement)]
        near = self._benign.hits(values, self._benign_distance())
        await self._hold_benign({(kind, identity_of(kind, value)) for kind, value in near})

    async def _hold_benign(self, near: Iterable[Mark]) -> None:
        held = await self.hold(sorted(near), HoldReason.BENIGN)
        if not held:
            return
        self._alarm(
            "signal-quarantined",
            f"{len(held)} signals come too near to content that you hold up as harmless: they go "
            "to review until you decide (federation quarantine list)",
        )

    def _benign_distance(self) -> int:
        return self._enforcer.enforcement.policy.policy.benign_distance_max

    # --- deciding -------------------------------------------------------------------------------

    async def hold(self, marks: Sequence[Mark], reason: HoldReason, matches: int = 0) -> list[Mark]:
        """Hold signals back until a person decides; what was held or decided stays as it is.

        Where ``HOLDS_MAX`` are held the others go on acting, and operators are told once.

        Returns:
            Those that are held back from now on.

        Raises:
            StoreError: the disk; nothing changed.
        """
        now_ms = self._clock_ms()
        async with self._holding:
            fresh = [mark for mark in marks if mark not in self._holds]
            held = fresh[: max(0, HOLDS_MAX - len(self._holds))]
            if len(held) < len(fresh):
                self._tell_full()
            if not held:
                return []
            await self._keep(
                [Hold(mark, HoldState.QUARANTINED, reason, now_ms, None, matches) for mark in held]
            )
        self._teller.emit(*[SignalQuarantined(mark, reason.value, now_ms) for mark in held])
        return held

    def _tell_full(self) -> None:
        if not self._is_full:
            self._is_full = True
            self._alarm(
                "quarantine-full",
                f"{HOLDS_MAX} signals are held back or decided about: no further one is held back, "
                "and what floods or comes too near to harmless content acts",
            )

    async def decide(self, marks: Sequence[Mark], state: HoldState) -> list[Hold]:
        """A person's decision: released signals act again, excepted ones never act here.

        Any known signal can be excepted; only one that was held back can be released.

        Raises:
            StatementNotFound: a signal to release was never held back.
            TooBusy: a signal to except was not, and too many are held back or decided already.
            StoreError: the disk; nothing changed.
        """
        now_ms = self._clock_ms()
        async with self._holding:
            decided = [
                replace(self._hold_of(mark, state, now_ms), state=state, decided_at_ms=now_ms)
                for mark in marks
            ]
            fresh = set(marks) - self._holds.keys()
            if fresh and len(self._holds) + len(fresh) > HOLDS_MAX:
                raise TooBusy(f"{HOLDS_MAX} signals are held back or decided about already")
            await self._keep(decided)
        for mark in marks:
            self._counters.accept(mark)
        self._teller.emit(*[QuarantineEnded(mark, state.value, now_ms) for mark in marks])
        return decided

    async def forget(self, values: Iterable[tuple[SignalType, bytes]]) -> None:
        """Statements were erased that carried these: what nobody says any more is let go of.

        Raises:
            StoreError: the disk; it is tried again when they are next erased.
        """
        marks = {(kind, identity_of(kind, value)) for kind, value in values}
        findings = self._enforcer.enforcement.findings
        known = {*self._holds, *findings.rejected, *findings.confirmed} & marks
        for mark in marks:
            self._counters.forget(mark)
        if not known:
            return
        verdicts = await self._reader.verdicts(sorted(known))
        gone = [mark for mark, verdict in verdicts.items() if not verdict.voices]
        async with self._holding:
            await self._decisions.forget(gone)
            for mark in gone:
                self._holds.pop(mark, None)
        self._is_full = self._is_full and len(self._holds) >= HOLDS_MAX
        await self._enforcer.reload_findings()

    def _hold_of(self, mark: Mark, state: HoldState, now_ms: int) -> Hold:
        hold = self._holds.get(mark)
        if hold is not None:
            return hold
        if state is not HoldState.EXCEPTED:
            raise StatementNotFound(
                "that signal is not in quarantine", hint="see federation quarantine list"
            )
        return Hold(mark, state, HoldReason.PERSON, now_ms)

    async def _keep(self, holds: Sequence[Hold]) -> None:
        await self._decisions.keep_holds(holds)
        self._holds.update({hold.mark: hold for hold in holds})
        await self._enforcer.reload_findings()


def values_of(statement: VerifiedStatement) -> Sequence[tuple[SignalType, bytes]]:
    """Type and value of every signal that a confirm carries; none of other statements."""
    plain = plain_signals(statement)
    if plain is not None:
        return plain
    body = body_of(statement)
    if not isinstance(body, Confirm):
        return ()
    return [(signal.type, signal.value) for signal in body.signals]


def _named(verdict: Verdict) -> str:
    """The statement by which an operator finds the signal; never the signal."""
    return f" ({verdict.voices[0].opinion.id})" if verdict.voices else ""

"""Incidents at this node: which are known, what this member says of its own, and who is told.

Incidents are few, so all of them are held, read from the store again whenever a step has something
about one. Statements that open, change or close one travel in the crisis lane.

Source: docs/guides/an_incident.md; ``provenance/incidents`` for what follows from statements.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from federation.daemon.changes import IncidentChanged
from federation.daemon.membership import Membership
from federation.daemon.publisher import Publisher
from federation.local_errors.askers import IncidentClosed, NotYourStatement, StatementNotFound
from federation.protocol.bodies import Kind
from federation.protocol.bodies_incident import Incident
from federation.protocol.headers import StatementId
from federation.provenance.incidents import IncidentState, incidents_of
from federation.provenance.taking_back import rulings_of
from federation.provenance.verifier import VerifiedStatement
from federation.store.incident_store import IncidentStore
from federation.store.signal_store import SignalStore

_ABOUT_INCIDENTS: Final = frozenset({Kind.INCIDENT, Kind.WITHDRAW, Kind.ERASE})


class Incidents:
    """The incidents of the federation, as this node knows them.

    Args:
        member: this member.
        store: where incident statements are found.
        signals: where it is looked up what refers to them.
        membership: the roster in force, and its judge.
        publisher: says what this member has to say.
        clock_ms: Unix milliseconds.
        emit: tells the platform's sinks what changed.
    """

    def __init__(
        self,
        member: str,
        store: IncidentStore,
        signals: SignalStore,
        membership: Membership,
        publisher: Publisher,
        clock_ms: Callable[[], int],
        emit: Callable[[IncidentChanged], None],
    ) -> None:
        self._member, self._store, self._signals = member, store, signals
        self._membership, self._publisher = membership, publisher
        self._clock_ms, self._emit = clock_ms, emit
        self._states: dict[StatementId, IncidentState] = {}
        self._reading, self._is_started = asyncio.Lock(), False

    def all(self) -> list[IncidentState]:
        """Every incident, those that are open first, and the newest first."""
        return sorted(
            self._states.values(), key=lambda each: (not each.is_open, -each.opened_at_ms)
        )

    def state(self, incident: StatementId | None) -> IncidentState | None:
        """An incident; None where it is not known here, or was taken back."""
        return None if incident is None else self._states.get(incident)

    def is_open(self, incident: StatementId | None) -> bool:
        """Whether it is known and going on: what belongs to it travels in the crisis lane."""
        state = self.state(incident)
        return state is not None and state.is_open

    # --- what is known --------------------------------------------------------------------------

    async def start(self) -> None:
        """Read what is known; nobody is told.

        Raises:
            StoreError: the disk.
        """
        self._states, self._is_started = await self._read(), True

    async def absorb(self, statements: Iterable[VerifiedStatement]) -> None:
        """Some statements are durable: where one is about an incident, look at all of them again.

        Raises:
            StoreError: the disk.
        """
        if any(each.header.kind in _ABOUT_INCIDENTS for each in statements):
            await self.look_again()

    async def look_again(self) -> None:
        """What counts may have changed, by a roster or evidence, or an erase came late.

        Raises:
            StoreError: the disk.
        """
        if not self._is_started:  # all is read then
            return
        async with self._reading:  # or what was read first could come last
            before, self._states = self._states, await self._read()
        for made in sorted(before.keys() | self._states.keys(), key=lambda each: each.entry):
            if before.get(made) != self._states.get(made):
                self._emit(IncidentChanged(made, self._states.get(made)))

    async def _read(self) -> dict[StatementId, IncidentState]:
        stored = await self._store.statements()
        about = await self._signals.references_to(each.statement.id for each in stored)
        verifier, cuts = self._membership.verifier, self._membership.cuts
        statements = [
            verifier.open_statement(each.log, each.index, each.statement)
            for each in (*stored, *about)
            if cuts.counts(each.log, each.branch, each.index)
        ]
        rulings = rulings_of(self._membership.roster)
        return {each.id: each for each in incidents_of(statements, rulings)}

    # --- what is said ---------------------------------------------------------------------------

    async def open(self, title: str, level: str) -> IncidentState:
        """Open an incident.

        Raises:
            BodyMalformed: a title or level that no node would read.
            TooBusy, LogEnded, StoreError: see :meth:`LanePublisher.publish`.
        """
        made = await self._publisher.incident(Incident(level, self._clock_ms(), title))
        return self._states[made]

    async def change(
        self, incident: StatementId, level: str | None, *, closes: bool = False
    ) -> IncidentState:
        """Say that an incident has another level, or is over; saying it again says nothing new.

        Args:
            incident: one of this member's own.
            level: how grave it is now; None: as before.
            closes: whether it is over.

        Raises:
            StatementNotFound: no such incident is known here.
            NotYourStatement: another member opened it.
            IncidentClosed: it is over, and stays so.
            BodyMalformed: a level that no node would read.
            TooBusy, LogEnded, StoreError: see :meth:`LanePublisher.publish`.
        """
        state = self._states.get(incident)
        if state is None:
            raise StatementNotFound(f"this node knows no incident {incident}")
        rulings = rulings_of(self._membership.roster)
        if not rulings.may_take_back(self._member, state.member):
            raise NotYourStatement(
                f"{incident} was opened by {state.member}",
                hint="only its own member can change or close it; you can open one of your own",
            )
        if not state.is_open:
            if closes and level in {None, state.level}:
                return state
            raise IncidentClosed(f"{incident} was closed, and stays closed", hint="open another")
        if not closes and level in {None, state.level}:
            return state
        body = Incident(level or state.level, self._clock_ms(), is_closed=closes)
        await self._publisher.incident(body, (incident,))
        return self._states[incident]

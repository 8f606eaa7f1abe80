"""Publishing whole lists: many confirms under one checkpoint, and none of them twice.

A list is read again from its beginning after whatever interrupted it. What of it stands in this
member's logs already is recognised there, by its own name for the content and its signals, so there
is no note of progress that could be lost or lie. Names are given to lines without one by their
content, the same every time.

Source: docs/guides/importing_a_list.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, TypeAlias

from federation.daemon.publisher import BATCH_STATEMENTS_MAX, Draft, LanePublisher
from federation.daemon.turns import Turns
from federation.errors import FederationError
from federation.protocol.bodies import Confirm, Kind, check_body
from federation.protocol.headers import decode_header
from federation.protocol.origins import Lane
from federation.protocol.signals import Signal, SignalType
from federation.protocol.signals_local import check_publishable
from federation.protocol.statements import Statement
from federation.store.signal_store import SignalStore

IMPORT_BATCH: Final = BATCH_STATEMENTS_MAX
"""Lines of a list that are one order to the publisher, so one checkpoint: 489 for a million."""

SLICE: Final = 64
"""Statements read or made before other tasks get their turn: about 2 ms."""

_Key: TypeAlias = tuple[str, frozenset[tuple[SignalType, bytes]]]
"""What makes two lines the same content: its name and its signals."""

_Said: TypeAlias = tuple[frozenset[str], bool, int | None]
"""What is said of it: labels, whether the context is educational, and until when."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one batch.

    Attributes:
        published: how many were said now.
        known: how many this member has said before.
        refused: place in the batch -> why it cannot be said.
        differing: places of known ones of which this member said something else, with other
            labels, context or expiry.
    """

    published: int
    known: int
    refused: dict[int, FederationError]
    differing: tuple[int, ...]


def name_listed(signals: Sequence[Signal]) -> str:
    """The name of content that its list does not name: the same whenever it is read."""
    marks = sorted(b"%b\0%b" % (signal.type.encode(), signal.value) for signal in signals)
    return f"list-{sha256(b''.join(sha256(mark).digest() for mark in marks)).hexdigest()[:32]}"


class Importer:
    """Takes batches of one list after another.

    Args:
        member: this member.
        lanes: the publisher of each lane.
        signals: where it is looked up what stands already.
        turns: when the next slice of a list is read or made.
    """

    def __init__(
        self,
        member: str,
        lanes: dict[Lane, LanePublisher],
        signals: SignalStore,
        turns: Turns,
    ) -> None:
        self._member, self._lanes, self._signals = member, lanes, signals
        self.turns = turns
        self._taking = asyncio.Lock()

    async def take(self, lane: Lane, confirms: Sequence[Confirm]) -> Imported:
        """Publish those of a batch that this member has not published before.

        Args:
            lane: of the log they go to.
            confirms: at most ``IMPORT_BATCH``, under one checkpoint.

        Raises:
            TooBusy, LogEnded, StoreError: see :meth:`LanePublisher.publish`; nothing of the batch
                was said.
        """
        # One batch at a time: what two lists have in common must be seen by the second.
        async with self._taking:
            standing = await self._standing(confirms)
            refused: dict[int, FederationError] = {}
            made: list[Statement] = []
            differing: list[int] = []
            publisher = self._lanes[lane]
            known = 0
            for place, confirm in enumerate(confirms):
                if place % SLICE == 0:
                    await self.turns.wait(lane)
                try:
                    for signal in confirm.signals:
                        check_publishable(signal)
                    key, said = _key_of(confirm), _said_of(confirm)
                    if key in standing:
                        known += 1
                        if said not in standing[key]:
                            differing.append(place)
                        continue
                    made.append(publisher.make(Draft(confirm)))
                except FederationError as error:
                    refused[place] = error
                    continue
                standing[key] = {said}
            if made:
                await publisher.say(made)
            return Imported(len(made), known, refused, tuple(differing))

    async def _standing(self, confirms: Sequence[Confirm]) -> dict[_Key, set[_Said]]:
        """What this member has said of the same signals, taken back or not."""
        marks = {
            (signal.type, signal.identity) for confirm in confirms for signal in confirm.signals[:1]
        }
        found: dict[_Key, set[_Said]] = {}
        read = 0
        async for statement in self._signals.said_with(self._member, marks):
            read += 1
            if read % SLICE == 0:
                await asyncio.sleep(0)
            if statement.opening is None:
                continue
            header = decode_header(statement.header_bytes)
            body = check_body(Kind(header.kind), statement.opening.body)
            if isinstance(body, Confirm):
                found.setdefault(_key_of(body), set()).add(_said_of(body))
        return found


def _key_of(confirm: Confirm) -> _Key:
    return confirm.item, frozenset((signal.type, signal.value) for signal in confirm.signals)


def _said_of(confirm: Confirm) -> _Said:
    return frozenset(confirm.labels), confirm.educational, confirm.expires_at_ms

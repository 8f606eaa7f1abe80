"""What the indexes hold of a statement: a reading of its header and body, never stored as such.

A statement is stored as the bytes that were signed. What this release understands of them decides
which index rows it gets; what it does not understand is flagged, and read again by a later one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from federation.protocol.bodies import Body, Confirm, Inert, Kind, read_body
from federation.protocol.bodies_incident import Incident
from federation.protocol.headers import Header, StatementId
from federation.protocol.signals import SignalType
from federation.protocol.statements import Opening
from federation.provenance.reading import plain_signals_of

READER_VERSION: Final = 5
"""One more with every kind, signal type or format version that the readers of ``protocol/`` learn;
a database that an earlier one filled is then read again where it was not understood."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one statement is found by, apart from its id.

    Attributes:
        is_whole: whether this release could read all of it.
        signals: the signals it carries, as type and value.
        references: the statements its header refers to.
        is_erase: whether it may be what orders them to be erased.
        is_incident: whether it opens, changes or closes an incident.
    """

    is_whole: bool
    signals: tuple[tuple[SignalType, bytes], ...] = ()
    references: tuple[StatementId, ...] = ()
    is_erase: bool = False
    is_incident: bool = False

    def __repr__(self) -> str:
        """Without the signals."""
        return f"Reading({len(self.signals)} signals, {len(self.references)} references)"


def reading_of_opening(header: Header, opening: Opening | None) -> Reading:
    """The reading of a header and its opening; None where it is erased or missing."""
    if opening is None:
        return reading_of(header, None)
    marks = plain_signals_of(header, opening.body)
    if marks is not None:
        return Reading(is_whole=True, signals=marks)
    return reading_of(header, read_body(header, opening.body))


def reading_of(header: Header, body: Body | None) -> Reading:
    """The reading of a header and of what its body says; None where it is erased or missing."""
    if isinstance(body, Inert):
        # Not even its references: what they mean depends on a kind that cannot be read.
        return Reading(is_whole=False)
    if isinstance(body, Confirm):
        signals = tuple((signal.type, signal.value) for signal in body.signals)
        return Reading(body.signals_unknown == 0, signals, header.references)
    is_erase = header.kind == Kind.ERASE
    return Reading(
        is_whole=True,
        references=header.references,
        is_erase=is_erase,
        is_incident=isinstance(body, Incident),
    )

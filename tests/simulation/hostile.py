"""Members who do harm: one who alters what passes through his hands, one who says two things."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any, Final

from federation.protocol.evidence import Prefix
from federation.protocol.limits import SALT_BYTES
from federation.protocol.messages import (
    AnnouncedHead,
    Announcement,
    AnnouncementAnswer,
    ComparisonAnswer,
    StatementRange,
    encode_announcement,
)
from federation.protocol.origins import Lane, LogId
from federation.protocol.statements import Opening, Statement, commitment_of, erased_statement
from federation.provenance.log_view import LogView
from federation.provenance.verifier import VerifiedStatement
from tests.simulation.world import Node, Reply

JUNK_LINE: Final = "\u2014 nobody.example AAAAAAAA"
"""A signature line that is well-formed and by nobody."""


def alter_statement(statement: Statement, rng: Random) -> Statement:
    """The statement with another header or another salt."""
    header, opening = statement.header_bytes, statement.opening
    if opening is None or rng.random() < 0.5:
        at = rng.randrange(len(header))
        header = header[:at] + bytes([header[at] ^ 1]) + header[at + 1 :]
        return erased_statement(header, statement.commitment)
    opening = Opening(bytes(SALT_BYTES), opening.body)
    return Statement(header, commitment_of(opening), opening)


def alter_some(statements: Sequence[Statement], rng: Random) -> tuple[Statement, ...]:
    """The statements without their bodies, out of order, one short, one twice, or one altered."""
    altered = list(statements)
    if not altered:
        return ()
    at, choice = rng.randrange(len(altered)), rng.randrange(5)
    if choice == 0:
        # Nothing of this can be proven wrong: an erase may be on its way.
        return tuple(erased_statement(each.header_bytes, each.commitment) for each in altered)
    if choice == 1:
        altered.reverse()
    elif choice == 2:
        altered.pop(at)
    elif choice == 3:
        altered.append(altered[at])
    else:
        altered[at] = alter_statement(altered[at], rng)
    return tuple(altered)


def alter_note(note: bytes, rng: Random) -> bytes:
    """The note cut, with a changed byte, or with much under it that nobody vouches for."""
    choice = rng.randrange(3)
    at = rng.randrange(len(note))
    if choice == 0:
        return note[:at]
    if choice == 1:
        return note[:at] + bytes([note[at] ^ (1 << rng.randrange(8))]) + note[at + 1 :]
    # Each by another key, whose id the base64 begins with: two lines by one are no note at all.
    lines = (JUNK_LINE.replace(" AA", f" {number:02}") + "\n" for number in range(0, 100, 4))
    return note + "".join(lines).encode()


def alter_head(head: AnnouncedHead, rng: Random) -> AnnouncedHead:
    """A head with another note, other statements beside it, or a receipt by nobody."""
    choice = rng.randrange(3)
    if choice == 0:
        return replace(head, note=alter_note(head.note, rng))
    if choice == 1:
        return replace(head, inline=alter_some(head.inline, rng))
    return replace(head, receipt=JUNK_LINE)


def alter_range(message: StatementRange, rng: Random) -> StatementRange:
    """A range from elsewhere, with a longer proof, or of other statements."""
    choice = rng.randrange(3)
    if choice == 0:
        return replace(message, start=message.start + 1)
    if choice == 1:
        return replace(message, proof=(*message.proof, bytes(32)))
    statements = alter_some(message.statements, rng) or message.statements[:1]
    return replace(message, statements=statements)


class Tamperer(Node):
    """A relay whose every other message is altered on its way out. It publishes nothing."""

    is_honest = False

    def outgoing(self, message: Any) -> Any:
        if self.rng.random() < 0.5:
            return message
        self.world.seen["altered"] += 1
        if isinstance(message, Announcement | ComparisonAnswer):
            heads = message.heads or ()
            return replace(message, heads=tuple(alter_head(head, self.rng) for head in heads))
        if isinstance(message, AnnouncementAnswer):
            held = tuple(
                replace(each, size=each.size + 1, receipt=JUNK_LINE) for each in message.held
            )
            return replace(message, held=held)
        if isinstance(message, StatementRange):
            return alter_range(message, self.rng)
        if isinstance(message, Prefix):
            return Prefix(bytes(32), message.hashes)
        return message


class Stripper(Node):
    """Passes statements on without their salts and bodies."""

    is_honest = False

    def outgoing(self, message: Any) -> Any:
        if isinstance(message, StatementRange):
            self.world.seen["stripped"] += 1
            return replace(message, statements=stripped(message.statements))
        if isinstance(message, Announcement | ComparisonAnswer):
            bare = tuple(
                replace(head, inline=stripped(head.inline)) for head in message.heads or ()
            )
            return replace(message, heads=bare) if bare else message
        return message


def stripped(statements: Sequence[Statement]) -> tuple[Statement, ...]:
    """The statements as they are where they were erased."""
    return tuple(erased_statement(each.header_bytes, each.commitment) for each in statements)


class TwoFaced(Node):
    """An issuer who signs two histories of one size and shows each to half of the others."""

    is_honest = False

    def start(self) -> None:
        """Run no engine: what it says is said by :meth:`speak`."""
        self.is_up = True

    def serve(self, kind: str, sender: str, raw: bytes, reply: Reply) -> None:
        """Refuse everything."""
        reply(None)

    def shows(self, _log: LogId, _peer: str) -> Sequence[VerifiedStatement]:
        """Nothing: it says a thing once."""
        return ()

    def lie(self, statements: Sequence[Statement], _shared: float | None = None) -> None:
        """Two histories of one size: the first half of the statements, and the second."""
        self.world.seen["lied"] += 1
        half = len(statements) // 2
        self.speak(statements[:half], statements[half : 2 * half])

    def speak(self, *faces: Sequence[Statement]) -> None:
        """Announce one history to the first half of the peers and the other to the rest."""
        log = LogId(self.member, self.verifier.roster.federation_id, Lane.LIVE)
        peers = [member for member in self.world.nodes if member != self.member]
        for number, peer in enumerate(peers):
            statements = faces[number * len(faces) // len(peers)]
            head = self.sign(LogView(log), statements)
            message = Announcement((AnnouncedHead(head.note, tuple(statements)),), 1)
            raw = encode_announcement(message)
            self.world.request(self, peer, "announce", raw, lambda _answer, _reason: None)

"""Members who do harm with histories: one who keeps two and shows each to half, one who accuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from federation.errors import FederationError
from federation.protocol.checkpoints import Checkpoint
from federation.protocol.checkpoints_signing import sign_checkpoint
from federation.protocol.evidence import Prefix, encode_evidence, make_evidence
from federation.protocol.keys_signing import SigningKey
from federation.protocol.merkle import leaf_hash
from federation.protocol.messages import (
    AnnouncedHead,
    Announcement,
    AnnouncementAnswer,
    Comparison,
    ComparisonAnswer,
    encode_announcement,
    encode_announcement_answer,
    encode_comparison_answer,
)
from federation.protocol.origins import Lane, LogId
from federation.protocol.statements import Statement
from federation.provenance.log_view import LogView
from federation.provenance.verifier import Head, VerifiedStatement
from tests.builders import make_key
from tests.simulation.disk import KeptLog
from tests.simulation.wire import DECODE
from tests.simulation.world import Node, Reply

FACES: Final = 2


class Equivocator(Node):
    """An issuer with two histories of one log, which grow, each shown to half of the others.

    Attributes:
        faces: the histories.
    """

    is_honest = False

    def start(self) -> None:
        """Run no engine: what it says is said by :meth:`speak`, and served by :meth:`serve`."""
        if self.is_up:
            return  # it forgets nothing of what it began
        self.is_up = True
        log = LogId(self.member, self.verifier.roster.federation_id, Lane.LIVE)
        self.faces = [KeptLog(LogView(log)) for _ in range(FACES)]

    def crash(self) -> None:
        """It has nothing to lose."""

    def face_of(self, peer: str) -> KeptLog:
        """What a peer is shown."""
        peers = [member for member in self.world.nodes if member != self.member]
        return self.faces[peers.index(peer) * FACES // len(peers)]

    def lets_in(self, _member: str) -> bool:
        """Everybody, whatever the roster: it runs no engine, and hears of no newcomer."""
        return True

    def shows(self, log: LogId, peer: str) -> Sequence[VerifiedStatement]:
        """The history that is the peer's."""
        return self.face_of(peer).statements if log == self.faces[0].view.log else ()

    def extend(self, *added: Sequence[Statement]) -> None:
        """Add statements to each history, and sign it."""
        for kept, statements in zip(self.faces, added, strict=True):
            if statements:
                head = self.sign(kept.view, statements)
                kept.extend(kept.view.advance(head, statements, (), self.verifier))

    def lie(self, statements: Sequence[Statement], shared: float | None = None) -> None:
        """Both histories grow: alike in the beginning where chance wants it, then apart.

        Args:
            statements: what is said.
            shared: where given, one history says all of them, and the other each with this chance.
        """
        half = len(statements) // 2
        added = [statements[:half], statements[half:]]
        if shared is not None:
            added = [statements, [each for each in statements if self.rng.random() < shared]]
            self.rng.shuffle(added)
            self.world.seen["said in both histories"] += bool(min(map(len, added)))
        elif self.faces[0].view == self.faces[1].view and self.rng.random() < 0.5:
            added[1] = added[0]
        self.extend(*added)
        self.speak()

    def speak(self) -> None:
        """Announce to each peer the newest head of what it is shown."""
        for peer in self.world.nodes:
            if peer == self.member:
                continue
            head = self.face_of(peer).view.head
            if head is not None:
                message = Announcement((AnnouncedHead(head.note),), 1)
                raw = encode_announcement(message)
                self.world.request(self, peer, "announce", raw, lambda _answer, _reason: None)

    def serve(self, kind: str, sender: str, raw: bytes, reply: Reply) -> None:
        """Answer as if there were only one history: the asker's."""
        kept = self.face_of(sender)
        own = {kept.view.log: kept} if kept.view.size else {}
        self.disk.logs = own
        if kind in ("announce", "digest"):
            try:
                self.world.wire.decode(DECODE[kind][0], raw)
            except FederationError:
                reply(None)
                return
        if kind == "announce":
            reply(encode_announcement_answer(AnnouncementAnswer((), 1)))
        elif kind == "digest":
            head = kept.view.head
            heads = () if head is None else (AnnouncedHead(head.note),)
            reply(encode_comparison_answer(ComparisonAnswer(heads, 1)))
        elif kind == "heads":
            reply(b"")
        else:
            super().serve(kind, sender, raw, reply)

    def outgoing(self, message: Any) -> Any:
        """Nobody watches it."""
        return message


class Forger(Node):
    """A member whose every other message accuses somebody honest, in one of many ways."""

    is_honest = False

    def outgoing(self, message: Any) -> Any:
        """The message, with evidence that convicts nobody."""
        if isinstance(message, Comparison) or self.rng.random() < 0.5:
            return message
        if isinstance(message, Announcement) or (
            isinstance(message, ComparisonAnswer) and message.heads is not None
        ):
            files = tuple(self._forge(head) for head in self._heads()[:3])
            self.world.seen["evidence forged"] += len(files)
            return replace(message, evidence=files) if files else message
        return message

    def _heads(self) -> list[Head]:
        kept = [each.view.head for each in self.disk.logs.values()]
        return [head for head in kept if head is not None and head.log.member != self.member]

    def _forge(self, head: Head) -> bytes:
        """A file that looks like evidence against the log of a head."""
        choice = self.rng.randrange(4)
        thief: SigningKey = make_key("a thief")
        other = Checkpoint(head.log.origin, head.size, leaf_hash(b"another root"))
        if choice == 0:
            return encode_evidence(make_evidence(head.note, sign_checkpoint(other, thief)))
        if choice == 1:
            # An honest head, and a prefix that is no part of it.
            smaller = Checkpoint(head.log.origin, max(head.size - 1, 1), leaf_hash(b"smaller"))
            note = sign_checkpoint(smaller, thief)
            if smaller.size == head.size:
                return encode_evidence(make_evidence(head.note, note))
            prefix = Prefix(leaf_hash(b"invented"), (leaf_hash(b"proof"),))
            return encode_evidence(make_evidence(note, head.note, prefix))
        if choice == 2:
            line = head.note.split(b"\n\n")[1]
            forged = sign_checkpoint(other, thief).split(b"\n\n")[0] + b"\n\n" + line
            return encode_evidence(make_evidence(head.note, forged))
        return self.rng.randbytes(200)

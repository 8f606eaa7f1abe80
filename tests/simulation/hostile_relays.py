"""Members who do harm by what they do not do, do again, do too often or only pretend to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from federation.errors import FederationError
from federation.protocol.checkpoints import Checkpoint, parse_checkpoint
from federation.protocol.checkpoints_signing import sign_checkpoint
from federation.protocol.messages import (
    AnnouncedHead,
    Announcement,
    AnnouncementAnswer,
    Comparison,
    ComparisonAnswer,
    HeldLog,
    StatementRange,
    decode_announcement,
)
from federation.protocol.notes import parse_note
from federation.protocol.origins import Lane, LogId, parse_origin
from federation.protocol.statements import Statement
from tests.simulation.bounds import TIMEOUT_SECONDS
from tests.simulation.world import Node, Reply

FLOOD_SECONDS: Final = 1.5
"""Between two messages of a flooder: many times what an honest member sends."""

ABSURD_SIZE: Final = 1 << 40


class Withholder(Node):
    """Tells every head and gives nothing that stands under it."""

    is_honest = False

    def outgoing(self, message: Any) -> Any:
        if isinstance(message, Announcement | ComparisonAnswer):
            bare = tuple(replace(head, inline=()) for head in message.heads or ())
            return replace(message, heads=bare) if bare else message
        return message

    def _range(self, raw: bytes) -> bytes | None:
        self.world.seen["withheld"] += 1
        return None


class Accomplice(Node):
    """A relay in league with an issuer: passes on nothing of its logs, and no evidence at all."""

    is_honest = False

    def outgoing(self, message: Any) -> Any:
        if not isinstance(message, Announcement | ComparisonAnswer):
            return message
        friends = {node.member for node in self.world.nodes.values() if not node.is_honest} - {
            self.member
        }
        kept = tuple(
            head
            for head in message.heads or ()
            if parse_origin(head.note.split(b"\n")[0].decode()).member not in friends
        )
        self.world.seen["covered up"] += len(kept) < len(message.heads or ())
        if message.heads is None:
            return replace(message, evidence=())
        return replace(message, heads=kept, evidence=())


class Replayer(Node):
    """Says again what it said long ago, in place of what is new."""

    is_honest = False

    def start(self) -> None:
        self._before: dict[type, list[Any]] = {}
        super().start()

    def outgoing(self, message: Any) -> Any:
        if isinstance(message, StatementRange | Comparison):
            return message
        before = self._before.setdefault(type(message), [])
        before.append(message)
        if self.rng.random() < 0.5:
            return message
        self.world.seen["replayed"] += 1
        return self.rng.choice(before)


class SlowReader(Node):
    """Answers late: sometimes just in time, sometimes when nobody waits any more."""

    is_honest = False

    def serve(self, kind: str, sender: str, raw: bytes, reply: Reply) -> None:
        self.world.seen["answered slowly"] += 1
        seconds = self.rng.uniform(0, 2 * TIMEOUT_SECONDS)
        self.later(seconds, lambda: super(SlowReader, self).serve(kind, sender, raw, reply))


def heads_in(raw: bytes) -> tuple[AnnouncedHead, ...]:
    """The heads of an announcement, not judged: rubbish has none."""
    try:
        return decode_announcement(raw).heads
    except FederationError:
        return ()


class Pretender(Node):
    """Says that it has everything, stores nothing and serves nothing."""

    is_honest = False

    def start(self) -> None:
        """Run no engine."""
        self.is_up = True

    def serve(self, kind: str, sender: str, raw: bytes, reply: Reply) -> None:
        """Agree to everything."""
        self.world.seen["pretended"] += 1
        if kind == "announce":
            said = [parse_checkpoint(parse_note(head.note).text) for head in heads_in(raw)]
            held = [HeldLog(parse_origin(each.origin).sha256, each.size) for each in said]
            reply(self.world.wire.encode(AnnouncementAnswer(tuple(held), 1)))
        elif kind == "digest":
            reply(self.world.wire.encode(ComparisonAnswer(None, 1)))
        else:
            reply(None)


class Flooder(Node):
    """Beside what it should say: rubbish, the same again, and heads of a size nobody can hold."""

    is_honest = False

    def start(self) -> None:
        super().start()
        self._last: bytes | None = None
        self.later(FLOOD_SECONDS, self._flood)

    def outgoing(self, message: Any) -> Any:
        if isinstance(message, Announcement):
            self._last = self.world.wire.encode(message)
        return message

    def _flood(self) -> None:
        self.world.seen["flooded"] += 1
        peer = self.rng.choice([name for name in self.world.nodes if name != self.member])
        choice = self.rng.randrange(3)
        raw = self._last or b"" if choice == 0 else self.rng.randbytes(100)
        if choice == 1:
            raw = self.world.wire.encode(Announcement((self._absurd_head(),), 1))
        self.world.request(self, peer, "announce", raw, lambda _answer, _reason: None)
        self.later(FLOOD_SECONDS, self._flood)

    def _absurd_head(self) -> AnnouncedHead:
        log = LogId(self.member, self.verifier.roster.federation_id, Lane.BULK)
        size = min(ABSURD_SIZE, self.verifier.roster.limits.log_size)
        key = self.world.key_of(self.member, Lane.BULK)
        return AnnouncedHead(sign_checkpoint(Checkpoint(log.origin, size, bytes(32)), key))

    def lie(self, statements: Sequence[Statement]) -> None:
        """Nothing beside the flood."""

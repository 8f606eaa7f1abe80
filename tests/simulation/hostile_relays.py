"""Members who do harm by what they do not do, do again, do too often or only pretend to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from federation.errors import FederationError
from federation.protocol.checkpoints import Checkpoint, parse_checkpoint
from federation.protocol.checkpoints_signing import sign_checkpoint
from federation.protocol.keys_signing import SigningKey
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
from tests.simulation.world import RANGE_PARTS, Node, Reply

FLOOD_SECONDS: Final = 1.5
"""Between two messages of a flooder: many times what an honest member sends."""

BURST_REQUESTS: Final = 100
BURST_SECONDS: Final = 0.3
"""Once in its life a flooder sends so many in so short a time: hundreds a second."""

DRIP_SECONDS: Final = 4.0
"""Just under the timeout of whoever waits."""

VERSIONS_AHEAD: Final = 7

ABSURD_SIZE: Final = 1 << 40

NOBODY: Final = "nobody.example"
"""In no roster."""


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


def heads_in(raw: bytes) -> Iterator[tuple[LogId, int]]:
    """Log and size of each head of an announcement, not judged: rubbish is passed over."""
    with suppress(FederationError):
        for head in decode_announcement(raw).heads:
            with suppress(FederationError):
                checkpoint = parse_checkpoint(parse_note(head.note).text)
                yield parse_origin(checkpoint.origin), checkpoint.size


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
            held = tuple(HeldLog(log.sha256, size) for log, size in heads_in(raw))
            reply(self.world.wire.encode(AnnouncementAnswer(held, 1)))
        elif kind == "digest":
            reply(self.world.wire.encode(ComparisonAnswer(None, 1)))
        else:
            reply(None)


def absurd_heads(log: LogId, size_max: int, key: SigningKey) -> tuple[AnnouncedHead, ...]:
    """Signed heads of a size that nobody can hold, and of a log that no roster knows.

    Args:
        log: the liar's own.
        size_max: the largest size that anybody believes in.
        key: of that log.
    """
    size = min(ABSURD_SIZE, size_max)
    unknown = LogId(NOBODY, log.federation_id, log.lane)
    return tuple(
        AnnouncedHead(sign_checkpoint(Checkpoint(origin, size, bytes(32)), key))
        for origin in (log.origin, unknown.origin)
    )


class Flooder(Node):
    """Beside what it should say: rubbish, the same again, and heads of a size nobody can hold."""

    is_honest = False

    def start(self) -> None:
        super().start()
        self._last: bytes | None = None
        self.later(FLOOD_SECONDS, self._flood)
        if self.boot == 0:
            begin = self.rng.uniform(2.0, 25.0)
            for number in range(BURST_REQUESTS):
                self.later(begin + number * BURST_SECONDS / BURST_REQUESTS, self._send_one)

    def outgoing(self, message: Any) -> Any:
        if isinstance(message, Announcement):
            self._last = self.world.wire.encode(message)
        return message

    def _flood(self) -> None:
        self._send_one()
        self.later(FLOOD_SECONDS, self._flood)

    def _send_one(self) -> None:
        self.world.seen["flooded"] += 1
        peer = self.rng.choice([name for name in self.world.nodes if name != self.member])
        choice = self.rng.randrange(3)
        raw = self._last or b"" if choice == 0 else self.rng.randbytes(100)
        if choice == 1:
            raw = self.world.wire.encode(Announcement(self._absurd_heads(), 1))
        self.world.request(self, peer, "announce", raw, lambda _answer, _reason: None)

    def _absurd_heads(self) -> tuple[AnnouncedHead, ...]:
        roster = self.verifier.roster
        log = LogId(self.member, roster.federation_id, Lane.BULK)
        key = self.world.key_of(self.member, Lane.BULK)
        return absurd_heads(log, roster.limits.log_size, key)

    def lie(self, statements: Sequence[Statement], _shared: float | None = None) -> None:
        """Nothing beside the flood."""


class TreeOnly(Node):
    """Serves the tree of a long log, and none of the pieces."""

    is_honest = False

    def serve(self, kind: str, sender: str, raw: bytes, reply: Reply) -> None:
        if kind in ("piece", "range"):
            self.world.seen["tree served alone"] += 1
            reply(None)
        else:
            super().serve(kind, sender, raw, reply)


class Dripper(Node):
    """Serves one statement at a time, and each only just before nobody waits any more."""

    is_honest = False

    def serve(self, kind: str, sender: str, raw: bytes, reply: Reply) -> None:
        if kind not in ("piece", "range") or raw.count(b" ") != RANGE_PARTS:
            super().serve(kind, sender, raw, reply)
            return
        self.world.seen["dripped"] += 1
        origin, start, _end, size = raw.decode().split()
        little = f"{origin} {start} {int(start) + 1} {size}".encode()
        self.later(DRIP_SECONDS, lambda: super(Dripper, self).serve(kind, sender, little, reply))


class VersionLiar(Node):
    """Says that it acts under a roster that nobody has decided, and has rubbish when asked."""

    is_honest = False

    def outgoing(self, message: Any) -> Any:
        if isinstance(message, Announcement | Comparison | ComparisonAnswer | AnnouncementAnswer):
            self.world.seen["roster invented"] += 1
            version = message.roster_version + VERSIONS_AHEAD
            return replace(message, roster_version=version)
        return message

    def serve(self, kind: str, sender: str, raw: bytes, reply: Reply) -> None:
        if kind == "roster":
            reply(self.rng.choice((None, self.rng.randbytes(100), self.chain.versions[-1])))
        else:
            super().serve(kind, sender, raw, reply)

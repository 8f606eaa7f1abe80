"""A hostile member as a process: a member's own keys, real TLS both ways, and no honest word.

``python -m tests.scenarios.hostile_process KIND NODE.TOML`` listens where the member's node should
and says so with one line, as a node does. Each further line on stdout names a misdeed when it is
first done; each line on stdin is an order: ``lie COUNT``. The kinds are those of
``tests/simulation/cast.py``, played on sockets. None needs a store: what a relay passes on it asks
of whoever told it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Any, Final

from federation.config import load_config, split_listen
from federation.daemon.keyring import load_keyring
from federation.errors import FederationError
from federation.local_errors.askers import RangeNotHeld
from federation.net.link import PeerLink
from federation.net.listener import PeerListener
from federation.net.peering import PeerIdentities
from federation.net.routes import Answer
from federation.protocol.checkpoints import Checkpoint
from federation.protocol.checkpoints_signing import sign_checkpoint
from federation.protocol.merkle import leaf_hash
from federation.protocol.merkle_growth import CompactRange
from federation.protocol.messages import (
    AnnouncedHead,
    Announcement,
    AnnouncementAnswer,
    ComparisonAnswer,
    HeldLog,
    StatementRange,
    decode_announcement,
    decode_range,
    encode_announcement,
    encode_announcement_answer,
    encode_comparison_answer,
    encode_range,
)
from federation.protocol.origins import Lane, LogId
from federation.protocol.roster_chain import RosterChain
from federation.protocol.roster_directory import tls_identities
from federation.protocol.statements import Statement
from tests.builders import make_statement
from tests.simulation.hostile import alter_head, alter_range
from tests.simulation.hostile_relays import absurd_heads, heads_in

FLOOD_SECONDS: Final = 0.2
"""Between two messages of a flooder to one peer."""

DRIP_SECONDS: Final = 1.0
"""Between two bytes of a dripper."""

RUBBISH_BYTES: Final = 100


class Hostile:
    """Answers everything with a refusal; the kinds do worse. It is a ``PeerDesk``.

    Args:
        config_path: the member's ``node.toml``.
    """

    def __init__(self, config_path: Path) -> None:
        config = load_config(config_path)
        self.member, self.keyring = config.member, load_keyring(config)
        self.known = RosterChain.trust(config.path(config.root_file).read_bytes()).newest
        self.rng = Random(f"hostile {self.member}")
        self._listen = config.peers.listen
        folder = config.path(config.data_directory) / "hostile-tls"
        identities = PeerIdentities(self.member, self.keyring.identity, folder)
        identities.replace(tls_identities(self.known))
        self.links = {
            each.name: PeerLink(each.name, each.urls, identities)
            for each in self.known.members.values()
            if each.name != self.member
        }
        self._listener = PeerListener(self, identities, lambda _member, _call: None)
        self._told: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Listen, and do as ordered until stdin ends."""
        await self._listener.start(*split_listen(self._listen))
        self._say({"ready": True, "member": self.member})
        self.begin()
        orders = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
        while line := await orders.readline():
            self.lie(int(line.split()[1]))

    def begin(self) -> None:
        """It listens now."""

    def lie(self, count: int) -> None:
        """Its own misdeed, with so many statements; most have none."""

    def note(self, misdeed: str) -> None:
        """Say that it was done, the first time."""
        if misdeed not in self._told:
            self._told.add(misdeed)
            self._say({"misdeed": misdeed})

    @staticmethod
    def _say(told: Mapping[str, Any]) -> None:
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()

    def soon(self, act: Coroutine[Any, Any, None]) -> None:
        """Do something beside all else."""
        task = asyncio.create_task(act)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def tell(self, peer: str, body: bytes) -> None:
        """Send an announcement, or what is none; the answer does not matter."""
        with suppress(FederationError):
            await self.links[peer].announce(body)

    # --- the desk: what peers ask ---------------------------------------------------------------

    def lane(self, log_sha256: bytes) -> Lane | None:
        """The lane of a log."""
        return next((log.lane for log in self.known.logs if log.sha256 == log_sha256), None)

    @staticmethod
    def is_crisis(_body: bytes) -> bool:
        """Nothing is urgent."""
        return False

    async def announce(self, member: str, body: bytes) -> Answer:
        """Refuse, and so all others."""
        raise RangeNotHeld("no")

    async def digest(self, member: str, body: bytes) -> Answer:
        """Refuse."""
        raise RangeNotHeld("no")

    async def statements(
        self, member: str, log_sha256: bytes, start: int, end: int, at: int, root: bytes | None
    ) -> Answer:
        """Refuse."""
        raise RangeNotHeld("no")

    async def prefix(
        self, member: str, log_sha256: bytes, size: int, at: int, root: bytes
    ) -> Answer:
        """Refuse."""
        raise RangeNotHeld("no")

    async def hashes(self, member: str, log_sha256: bytes, start: int, end: int, at: int) -> Answer:
        """Refuse."""
        raise RangeNotHeld("no")

    async def checkpoint(self, member: str, log_sha256: bytes) -> bytes:
        """Refuse."""
        raise RangeNotHeld("no")

    async def roster(self, member: str, version: int) -> bytes | None:
        """It has none."""
        return None

    async def second_line(self, member: str, log_sha256: bytes, at: int) -> Answer:
        """Refuse."""
        raise RangeNotHeld("no")

    async def attest(self, member: str, body: bytes) -> Answer:
        """Refuse."""
        raise RangeNotHeld("no")

    async def heads(self, member: str, since: int, wait_seconds: int) -> Answer:
        """Refuse."""
        raise RangeNotHeld("no")

    def answer_bytes_max(self, member: str, number: int) -> int:
        """Nothing is waited for."""
        return 0

    async def brought(self, member: str, number: int, status: int, body: bytes) -> Answer:
        """Refuse."""
        raise RangeNotHeld("no")


class TwoFaced(Hostile):
    """Signs two histories of one size and shows each to half of the others."""

    def lie(self, count: int) -> None:
        """The first half of the statements is one history, the second the other."""
        self.note("lied")
        half, federation_id = count // 2, self.known.federation_id
        said = [
            make_statement(number, member=self.member, federation_id=federation_id)
            for number in range(2 * half)
        ]
        faces = [self._history(said[:half]), self._history(said[half:])]
        for number, peer in enumerate(sorted(self.links)):
            self.soon(self.tell(peer, faces[number * len(faces) // len(self.links)]))

    def _history(self, said: list[Statement]) -> bytes:
        log = LogId(self.member, self.known.federation_id, Lane.LIVE)
        tree = CompactRange().extend([leaf_hash(each.id.entry) for each in said])
        checkpoint = Checkpoint(log.origin, tree.size, tree.root())
        note = sign_checkpoint(checkpoint, self.keyring.logs[Lane.LIVE])
        message = Announcement((AnnouncedHead(note, tuple(said)),), self.known.version)
        return encode_announcement(message)


class Pretender(Hostile):
    """Says that it has everything, stores nothing and serves nothing."""

    async def announce(self, member: str, body: bytes) -> Answer:
        """Agree."""
        self.note("pretended")
        return self._agreed(body)

    def _agreed(self, body: bytes) -> bytes:
        held = tuple(HeldLog(log.sha256, size) for log, size in heads_in(body))
        return encode_announcement_answer(AnnouncementAnswer(held, self.known.version))

    async def digest(self, member: str, body: bytes) -> Answer:
        """Agree."""
        return encode_comparison_answer(ComparisonAnswer(None, self.known.version))


class Flooder(Pretender):
    """Rubbish, the same again, absurd sizes and heads of unknown logs, without a pause."""

    def begin(self) -> None:
        """To everybody at once."""
        key, limits = self.keyring.logs[Lane.BULK], self.known.limits
        log = LogId(self.member, self.known.federation_id, Lane.BULK)
        heads = absurd_heads(log, limits.log_size, key)
        absurd = encode_announcement(Announcement(heads, self.known.version))
        for peer in self.links:
            self.soon(self._flood(peer, absurd))

    async def _flood(self, peer: str, absurd: bytes) -> None:
        for is_rubbish in cycle((True, False, False)):
            self.note("flooded")
            await self.tell(peer, self.rng.randbytes(RUBBISH_BYTES) if is_rubbish else absurd)
            await asyncio.sleep(FLOOD_SECONDS)


class _Relay(Pretender):
    """Asks whoever announces for all of it, and offers it to everybody, in its own way."""

    def __init__(self, config_path: Path) -> None:
        super().__init__(config_path)
        self._kept: dict[bytes, tuple[AnnouncedHead, StatementRange]] = {}

    async def announce(self, member: str, body: bytes) -> Answer:
        """Agree, and pass it on."""
        with suppress(FederationError):
            for head, (log, size) in zip(
                decode_announcement(body).heads, heads_in(body), strict=True
            ):
                self.soon(self._pass_on(member, head, log, size))
        return self._agreed(body)

    async def digest(self, member: str, body: bytes) -> Answer:
        """Tell of everything."""
        heads = tuple(self.outgoing(head) for head, _ in self._kept.values())
        return encode_comparison_answer(ComparisonAnswer(heads, self.known.version))

    async def _pass_on(self, teller: str, head: AnnouncedHead, log: LogId, size: int) -> None:
        known = self._kept.get(log.sha256)
        if known is not None and len(known[1].statements) >= size:
            return
        try:
            raw = await self.links[teller].statements(log.sha256, 0, size, size, lane=log.lane)
            message = decode_range(raw)
        except FederationError:
            return
        # Of a long answer it has the beginning: enough to alter.
        head = AnnouncedHead(head.note, head.inline)
        self._kept[log.sha256] = head, message
        for peer in self.links:
            told = Announcement((self.outgoing(head),), self.known.version)
            self.soon(self.tell(peer, encode_announcement(told)))

    def outgoing(self, head: AnnouncedHead) -> AnnouncedHead:
        """What is told in place of a head."""
        return replace(head, inline=())

    async def statements(
        self, member: str, log_sha256: bytes, start: int, end: int, at: int, root: bytes | None
    ) -> Answer:
        """What it has of that, in its own way."""
        kept = self._kept.get(log_sha256)
        said = () if kept is None else kept[1].statements[start:end]
        if not said:
            raise RangeNotHeld("not here")
        return self.served(StatementRange(start, said, ()))

    def served(self, message: StatementRange) -> Answer:
        """What is served in place of a range."""
        raise NotImplementedError


class Tamperer(_Relay):
    """Alters whatever passes through its hands, so that it can be proven wrong.

    Statements without their bodies cannot: whoever keeps these back is another kind.
    """

    def outgoing(self, head: AnnouncedHead) -> AnnouncedHead:
        """Another note, other statements or a receipt by nobody."""
        self.note("altered")
        altered = alter_head(head, self.rng)
        return head if _is_bare(altered.inline) else altered

    def served(self, message: StatementRange) -> Answer:
        """Another range."""
        altered = alter_range(message, self.rng)
        return encode_range(
            replace(message, start=message.start + 1) if _is_bare(altered.statements) else altered
        )


def _is_bare(statements: Sequence[Statement]) -> bool:
    return any(each.opening is None for each in statements)


class Dripper(_Relay):
    """Tells every head, and serves what stands under it a byte a second."""

    def served(self, message: StatementRange) -> Answer:
        """All of it, and nobody lives to see the end."""
        self.note("dripped")
        return self._drip(encode_range(message))

    @staticmethod
    async def _drip(raw: bytes) -> AsyncIterator[bytes]:
        for at in range(len(raw)):
            yield raw[at : at + 1]
            await asyncio.sleep(DRIP_SECONDS)


KINDS: Final[Mapping[str, type[Hostile]]] = {
    "dripper": Dripper,
    "flooder": Flooder,
    "pretender": Pretender,
    "tamperer": Tamperer,
    "two-faced": TwoFaced,
}
"""``HOSTILE_PROCESSES`` of ``scenario.py``."""


if __name__ == "__main__":
    asyncio.run(KINDS[sys.argv[1]](Path(sys.argv[2])).run())

"""A member of a real federation that does harm over real TLS; run as a process.

``python -m tests.system.hostile_member two-faced NODE.TOML`` signs two histories of its live log
and shows each to half of the other members. ``… tamper NODE.TOML LOG_MEMBER`` asks a peer for that
member's log, and passes on forged evidence against it and altered statements under its true heads.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from federation.config import load_config
from federation.daemon.keyring import load_keyring
from federation.errors import FederationError
from federation.net.link import PeerLink
from federation.net.peering import PeerIdentities
from federation.protocol.checkpoints import Checkpoint, parse_checkpoint
from federation.protocol.checkpoints_signing import sign_checkpoint
from federation.protocol.evidence import Prefix, encode_evidence, make_evidence
from federation.protocol.merkle import leaf_hash
from federation.protocol.merkle_growth import CompactRange
from federation.protocol.messages import (
    AnnouncedHead,
    Announcement,
    decode_range,
    encode_announcement,
)
from federation.protocol.notes import parse_note
from federation.protocol.origins import Lane, LogId
from federation.protocol.roster_chain import RosterChain
from federation.protocol.roster_directory import tls_identities
from federation.protocol.statements import Statement
from tests.builders import make_key, make_statement

FACES = (range(1, 4), range(101, 106))
"""Statements of the two histories, by number: of two sizes, and nothing in common but the first."""


class Hostile:
    """One member's keys and its ways to the others.

    Args:
        config_path: its ``node.toml``; its node does not run.
    """

    def __init__(self, config_path: Path) -> None:
        config = load_config(config_path)
        self.keyring = load_keyring(config)
        self.member = config.member
        first = config.path(config.root_file).read_bytes()
        self.roster = RosterChain.trust(first).newest
        identities = PeerIdentities(
            self.member, self.keyring.identity, config.path(config.data_directory) / "hostile-tls"
        )
        identities.replace(tls_identities(self.roster))
        self.links = {
            each.name: PeerLink(each.name, each.urls, identities)
            for each in self.roster.members.values()
            if each.name != self.member
        }

    async def announce(self, peer: str, message: Announcement) -> None:
        """Tell a peer; what it answers does not matter."""
        try:
            await self.links[peer].announce(encode_announcement(message))
        except FederationError as error:
            sys.stderr.write(f"{peer}: {error}\n")

    async def two_faced(self) -> None:
        """Sign two histories, and show each to half."""
        log = LogId(self.member, self.roster.federation_id, Lane.LIVE)
        faces = [self._history(log, numbers) for numbers in FACES]
        peers = sorted(self.links)
        await asyncio.gather(
            *(
                self.announce(peer, faces[number * len(faces) // len(peers)])
                for number, peer in enumerate(peers)
            )
        )

    def _history(self, log: LogId, numbers: range) -> Announcement:
        said = [self._statement(number) for number in (0, *numbers)]
        tree = CompactRange().extend([leaf_hash(each.id.entry) for each in said])
        checkpoint = Checkpoint(log.origin, tree.size, tree.root())
        note = sign_checkpoint(checkpoint, self.keyring.logs[Lane.LIVE])
        return Announcement((AnnouncedHead(note, tuple(said)),), self.roster.version)

    def _statement(self, number: int) -> Statement:
        federation_id = self.roster.federation_id
        return make_statement(number, member=self.member, federation_id=federation_id)

    async def tamper(self, victim: str) -> None:
        """Pass on a victim's true head with other statements, and forged evidence against it."""
        log = LogId(victim, self.roster.federation_id, Lane.LIVE)
        note = await self.links[victim].checkpoint(log.sha256)
        head = parse_checkpoint(parse_note(note).text)
        thief = make_key("a thief")
        other = sign_checkpoint(Checkpoint(log.origin, head.size, bytes(32)), thief)
        larger = sign_checkpoint(Checkpoint(log.origin, head.size + 1, bytes(32)), thief)
        invented = Prefix(leaf_hash(b"invented"), (leaf_hash(b"proof"),))
        forged = (
            encode_evidence(make_evidence(note, other)),
            encode_evidence(make_evidence(note, larger, invented)),
            b"{}\n",
        )
        raw = await self.links[victim].statements(log.sha256, 0, head.size, head.size)
        altered = tuple(reversed(decode_range(raw).statements))
        message = Announcement((AnnouncedHead(note, altered),), self.roster.version, forged)
        await asyncio.gather(*(self.announce(peer, message) for peer in sorted(self.links)))

    async def close(self) -> None:
        """Close every connection."""
        for link in self.links.values():
            await link.close()


async def _run(behaviour: str, config_path: Path, *rest: str) -> None:
    hostile = Hostile(config_path)
    try:
        await (hostile.two_faced() if behaviour == "two-faced" else hostile.tamper(*rest))
    finally:
        await hostile.close()


if __name__ == "__main__":
    asyncio.run(_run(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:]))

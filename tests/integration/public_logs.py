"""What the tests of the public log share: a node's outside over a real store, without gossip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from federation.config import PublishingSettings
from federation.daemon.accusations import Accusations
from federation.daemon.guard import Guard
from federation.daemon.membership import Membership
from federation.daemon.public_desk import PublicDesk
from federation.daemon.quorum import QuorumWatch
from federation.daemon.witness import Witness
from federation.gossip.events import Event
from federation.protocol.origins import Cosigner
from federation.protocol.roster_chain import RosterChain
from federation.store.stores import Stores, open_stores
from tests.builders import NOVA, Founded, MadeLog


@dataclass
class PublicNode:
    """The rooms of nova's node that strangers meet.

    Attributes:
        stores: its database.
        membership: its roster.
        witness: its witness.
        desk: what answers the public.
        now_ms: the clock that all of them read.
        alarms: what operators were told.
        guard: what it signed last.
        told: what the engine would have been told.
    """

    stores: Stores
    membership: Membership
    founded: Founded
    now_ms: int
    guard: Guard
    publishing: PublishingSettings = field(default_factory=PublishingSettings)
    alarms: list[tuple[str, str]] = field(default_factory=list)
    member: str = NOVA
    told: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        def clock() -> int:
            return self.now_ms

        def alarm(code: str, text: str) -> None:
            self.alarms.append((code, text))

        keys = self.founded.companies[self.member].keys
        self.witness = Witness(
            lambda _: keys[Cosigner.WITNESS],
            self.member,
            self.stores,
            self.membership,
            clock,
            alarm,
            guard=self.guard,
            accusations=Accusations(self.stores, self.membership, clock, self.told.append),
        )
        self.quorum = QuorumWatch(
            self.publishing, self.member, self.stores.public, self.membership, clock
        )
        self.desk = PublicDesk(self.stores, self.membership, self.witness, self.quorum, clock)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.guard.close()
        await self.stores.close()

    async def hold(self, made: MadeLog, moves: int | None = None) -> None:
        """Append the steps of a made log that are not held yet, or so many."""
        held = await self.stores.public.held_head(made.log)
        start = held.held if held else 0
        fresh = [move for move in made.moves if move.before.size >= start]
        for move in fresh[:moves]:
            await self.stores.logs.append(move)

    async def kept_at(self, made: MadeLog, times_ms: Sequence[tuple[int, int]]) -> None:
        """Say when checkpoints were committed: pairs of size and Unix milliseconds."""
        async with self.stores.database.write() as unit:
            for size, at_ms in times_ms:
                await unit.run(
                    "UPDATE checkpoints SET kept_at_ms = ? WHERE size = ?", (at_ms, size)
                )


async def open_public_node(
    folder: Path,
    founded: Founded,
    *,
    now_ms: int,
    publishing: PublishingSettings | None = None,
    member: str = NOVA,
    guard_folder: Path | None = None,
) -> PublicNode:
    """Nova's outside over a new database; close its stores afterwards."""
    stores = await open_stores(
        folder / "node.sqlite", member=member, federation_id=founded.roster.federation_id
    )
    membership = await Membership.restore(
        RosterChain.trust(founded.chain.versions[0]), stores.rosters
    )
    guard = await Guard.open(
        guard_folder or folder / "guard",
        stores,
        member,
        founded.roster.federation_id,
        lambda: now_ms // 1_000,
    )
    await guard.compare({})
    guard.ready.set()
    return PublicNode(
        stores,
        membership,
        founded,
        now_ms,
        guard,
        publishing or PublishingSettings(),
        member=member,
    )

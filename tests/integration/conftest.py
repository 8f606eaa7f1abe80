"""Founded federations of real nodes, in folders of their own, on ports the kernel chose."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import pytest

from federation.config import NodeConfig, load_config
from federation.daemon.initialise import CONFIG_FILE, initialise
from federation.protocol.keys_signing import SigningKey
from federation.protocol.roster_chain import RosterChain
from federation.protocol.roster_proposals import finish, propose_founding, sign_proposal
from tests.ports import free_ports


@dataclass(frozen=True)
class Founded:
    """A federation on disk, not running.

    Attributes:
        folder: holds a folder for each member.
        governor: decides alone.
        chain: its roster.
    """

    folder: Path
    governor: SigningKey
    chain: RosterChain

    def config_path(self, member: str) -> Path:
        """A member's ``node.toml``."""
        return self.folder / member / CONFIG_FILE

    def config(self, member: str) -> NodeConfig:
        """A member's settings."""
        return load_config(self.config_path(member))


class Found(Protocol):
    """Founds a federation of these members; those in ``outbound`` have no URL and no listener.

    ``urls`` names what stands in the roster for a member, where it is another than its listener.
    """

    def __call__(
        self,
        members: Sequence[str],
        *,
        outbound: Collection[str] = (),
        urls: Mapping[str, str] = MappingProxyType({}),
        post_quantum: bool = False,
    ) -> Founded: ...


SECONDS_MAX = 60.0
"""A test that waits longer than this has failed; nothing here takes a tenth of it."""


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until a condition holds, or fail."""
    async with asyncio.timeout(SECONDS_MAX):
        while not await condition():  # noqa: ASYNC110 - the thing waited for is on another node
            await asyncio.sleep(0.01)


@pytest.fixture
def found(tmp_path: Path) -> Found:
    """Found a federation of these members, with quick anti-entropy."""

    def make(
        members: Sequence[str],
        *,
        outbound: Collection[str] = (),
        urls: Mapping[str, str] = MappingProxyType({}),
        post_quantum: bool = False,
    ) -> Founded:
        ports = free_ports(2 * len(members))
        requests = []
        for at, member in enumerate(members):
            requests.append(
                initialise(
                    tmp_path / member,
                    member,
                    None
                    if member in outbound
                    else urls.get(member, f"https://127.0.0.1:{ports[2 * at]}"),
                    api_listen=f"127.0.0.1:{ports[2 * at + 1]}",
                    post_quantum=post_quantum,
                )
            )
            config = tmp_path / member / CONFIG_FILE
            text = config.read_text().replace(
                "anti_entropy_seconds = 30.0", "anti_entropy_seconds = 1.0"
            )
            config.write_text(text)
        governor = SigningKey.from_seed(bytes(range(32)))
        now_ms = time.time_ns() // 1_000_000
        proposal = propose_founding(requests, [governor.public], 1, now_ms=now_ms)
        chain = finish(sign_proposal(proposal.proposal_bytes, governor), None)
        for member in members:
            (tmp_path / member / "1.root.json").write_bytes(chain.versions[0])
        return Founded(tmp_path, governor, chain)

    return make

"""Several real nodes of one federation in one process, for benchmarks that need more than one."""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from federation.config import load_config
from federation.daemon.initialise import CONFIG_FILE, initialise
from federation.daemon.node import Node
from federation.protocol.keys_signing import SigningKey
from federation.protocol.origins import LogId
from federation.protocol.roster_proposals import finish, propose_founding, sign_proposal

PATIENCE_SECONDS = 120.0


def found(folder: Path, members: Sequence[str]) -> SigningKey:
    """A federation on disk: a folder with a config for each member, on free loopback ports.

    Returns:
        The key of the one who governs it.
    """
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2 * len(members))]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    requests = [
        initialise(
            folder / member,
            member,
            f"https://127.0.0.1:{ports[2 * at]}",
            api_listen=f"127.0.0.1:{ports[2 * at + 1]}",
        )
        for at, member in enumerate(members)
    ]
    governor = SigningKey.from_seed(secrets.token_bytes(32))
    proposal = propose_founding(requests, [governor.public], 1, now_ms=time.time_ns() // 1_000_000)
    chain = finish(sign_proposal(proposal.proposal_bytes, governor), None)
    for member in members:
        (folder / member / "1.root.json").write_bytes(chain.versions[0])
    return governor


def change_config(folder: Path, member: str, changes: Mapping[str, str]) -> None:
    """Put other lines into a member's config, each instead of the one that stands there."""
    path = folder / member / CONFIG_FILE
    text = path.read_text()
    for before, after in changes.items():
        if before not in text:
            raise ValueError(f"the config has no line {before}")
        text = text.replace(before, after)
    path.write_text(text)


@asynccontextmanager
async def serving(folder: Path, members: Sequence[str]) -> AsyncIterator[list[Node]]:
    """The members' nodes, started one after the other and closed at the end."""
    async with AsyncExitStack() as stack:
        nodes = []
        for member in members:
            node = await Node.open(load_config(folder / member / CONFIG_FILE))
            stack.push_async_callback(node.close)
            await node.start()
            nodes.append(node)
        yield nodes


async def until_held(node: Node, log: LogId, size: int) -> None:
    """Wait until a node durably holds that many statements of a log."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while node.replicator.held_size(log) < size:  # noqa: ASYNC110 - it comes from another node
            await asyncio.sleep(0.005)

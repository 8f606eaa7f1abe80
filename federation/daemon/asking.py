"""Before a node serves and signs: is another copy of it alive, and what do the peers hold?

The peers are asked by the gossip engine, as at every start. Here is waited for their answers; and
this node's own address is called, which must come before its own listener is there.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Final

from federation.daemon.guard import Guard
from federation.daemon.membership import Membership
from federation.daemon.replicator import Replicator
from federation.gossip.catching_up import is_caught_up
from federation.local_errors.peers import PeerError, PeerRefused
from federation.net.asking import PeerCalls
from federation.protocol.origins import Lane, LogId
from federation.provenance.log_view import LogView

log_lines = logging.getLogger(__name__)

CATCH_UP_SECONDS_MAX: Final = 60.0
"""A peer that drips what it has shall not keep this node from serving for ever."""

CATCH_UP_LOOK_SECONDS: Final = 0.02
ERASING_LANES: Final = (Lane.CRISIS, Lane.LIVE)
"""Where erases travel; a million imported confirms in bulk are not waited for."""


async def find_second_copy(
    guard: Guard, own: PeerCalls | None, member: str, federation: str
) -> None:
    """Call this node's own address: whoever answers there with its identity is another copy.

    Args:
        guard: told of it.
        own: the way to this node's own address; None where the roster names none.
        member: this node's member.
        federation: the federation's id.
    """
    if own is None:
        return
    try:
        await own.roster(1)
    except PeerRefused:
        pass  # it answered, with this node's identity
    except PeerError as error:
        log_lines.info("nobody else is at this node's own address: %s", error)
        return
    text = (
        f"another process answers at {', '.join(own.urls)} with this node's identity: a second "
        f"copy of the node is running"
    )
    await guard.stop(LogId(member, federation, Lane.LIVE), "second-copy", text)


async def catch_up(replicator: Replicator, membership: Membership) -> None:
    """Wait until every reachable peer said what it has, and gave what erases travel in.

    What was erased while this node was away is gone before anybody can ask for it; and a head of
    this node's own that it does not know has stopped its signing.
    """
    engine, until = replicator.engine, time.monotonic() + CATCH_UP_SECONDS_MAX
    while not is_caught_up(
        engine.peers.values(),
        engine.logs.values(),
        ERASING_LANES,
        membership.roster.version,
        now := time.monotonic(),
    ):
        if now > until:
            log_lines.warning("serving before every reachable peer gave what it has")
            return
        await asyncio.sleep(CATCH_UP_LOOK_SECONDS)
    # What the last answer led to has been begun by now.
    await asyncio.sleep(CATCH_UP_LOOK_SECONDS)


async def open_for_signing(
    guard: Guard, replicator: Replicator, views: Mapping[LogId, LogView]
) -> None:
    """The peers were asked: sign from now on, unless there is a reason not to.

    Raises:
        StoreError: the disk.
    """
    peers = list(replicator.engine.peers.values())
    answered = sum(each.last_answered_at is not None for each in peers)
    await guard.open_for_signing(views, answered, len(peers))

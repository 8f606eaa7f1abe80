"""The roster in force: which chain this node trusts, and the judge made from it.

Everything that asks "who is a member, with which keys" asks here, at the moment it needs to know; a
new version takes effect for all of them at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from federation.errors import RosterUnproven
from federation.local_errors import RosterMissing
from federation.protocol.keys import check_ed25519
from federation.protocol.roster import Roster, parse_roster
from federation.protocol.roster_chain import RosterChain
from federation.protocol.roster_walk import verify_chain
from federation.provenance.pins import Cuts
from federation.provenance.verifier import Verifier
from federation.store.roster_store import RosterStore

FOUNDING_HINT = (
    "get 1.root.json from the federation's governors, or found one: "
    "federation roster propose found --help"
)


def read_root_of_trust(path: Path) -> RosterChain:
    """The chain that starts, and so far ends, at ``1.root.json``.

    Raises:
        RosterMissing: there is no such file.
        RosterMalformed, RosterUnproven: it is no root of trust.
    """
    try:
        return RosterChain.trust(path.read_bytes())
    except FileNotFoundError:
        raise RosterMissing(f"there is no root of trust {path}", hint=FOUNDING_HINT) from None
    except OSError as error:
        raise RosterMissing(f"cannot read {path}: {error.strerror}") from None


class Membership:
    """The trusted chain, kept in the store as it grows.

    Args:
        chain: as far as it is known.
        store: where versions are kept, verbatim.

    Attributes:
        chain: every version, verified.
        verifier: judges by the newest one.
        cuts: which statements held here do not count under it (``daemon.pinning`` finds them).
    """

    def __init__(self, chain: RosterChain, store: RosterStore) -> None:
        self.chain = chain
        self.verifier = Verifier(chain.newest, check_ed25519)
        self.cuts = Cuts()
        self._store = store
        self._adopting = asyncio.Lock()
        self._listeners: list[Callable[[], Awaitable[None]]] = []

    @classmethod
    async def restore(cls, first: RosterChain, store: RosterStore) -> Membership:
        """Extend the root of trust by what the store kept, judging every step again.

        Raises:
            RosterUnproven: the store was filled under another root of trust.
        """
        kept = await store.chain()
        if not kept:
            await store.keep(first.newest)
            return cls(first, store)
        if kept[0] != first.versions[0]:
            raise RosterUnproven(
                "the data directory was filled under another root of trust",
                hint="put back the 1.root.json that this node was started with",
            )
        return cls(verify_chain(kept), store)

    @property
    def roster(self) -> Roster:
        """The newest version."""
        return self.chain.newest

    def on_changed(self, listener: Callable[[], Awaitable[None]]) -> None:
        """Have a room told after each new version."""
        self._listeners.append(listener)

    def _holds(self, offered: Roster) -> bool:
        """Whether the chain has that decision already, whoever else signed it."""
        if not 1 <= offered.version <= len(self.chain.versions):
            return False
        held = parse_roster(self.chain.versions[offered.version - 1])
        return held.decision_sha256 == offered.decision_sha256

    async def adopt(self, root: bytes) -> Roster:
        """Take the next version: judge, keep, then tell everyone. One already held is no change.

        Args:
            root: an ``N.root.json``, verbatim.

        Raises:
            RosterMalformed, RosterUnproven: it does not follow from the chain.
        """
        offered = parse_roster(root)
        async with self._adopting:
            if self._holds(offered):
                return self.roster
            chain = self.chain.extend(root)
            await self._store.keep(chain.newest)
            self.chain = chain
            self.verifier = Verifier(chain.newest, check_ed25519)
            for listener in self._listeners:
                await listener()
            return self.roster

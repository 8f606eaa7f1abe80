"""The roster in force: which chain this node trusts, and the judge made from it.

Everything that asks "who is a member, with which keys" asks here, at the moment it needs to know; a
new version takes effect for all of them at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from federation.errors import RosterUnproven
from federation.local_errors.askers import NotFound
from federation.local_errors.config import RosterMissing
from federation.local_errors.proofs import RosterExpired, RosterForked
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
        unix_ms: the clock, Unix milliseconds.

    Attributes:
        chain: every version, verified.
        verifier: judges by the newest one.
        rivals: other proven files of versions it holds, until the operator pins one.
        cuts: which statements held here do not count under it (``daemon.pinning`` finds them).
        cut_by: the roster that they are found by: the newest, once its pins are in force here.
        cutting: held by whoever finds them anew.
    """

    def __init__(
        self,
        chain: RosterChain,
        store: RosterStore,
        unix_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.chain = chain
        self.verifier = Verifier(chain.newest, check_ed25519)
        self.cuts, self.cutting = Cuts(), asyncio.Lock()
        self.cut_by = chain.newest
        self.rivals: tuple[Roster, ...] = ()
        self._store, self._unix_ms = store, unix_ms
        self._adopting = asyncio.Lock()
        self._applied = chain.newest.decision_sha256
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
        membership = cls(verify_chain(kept), store)
        membership.rivals = tuple(parse_roster(root) for _, root in await store.rivals())
        return membership

    @property
    def roster(self) -> Roster:
        """The newest version."""
        return self.chain.newest

    @property
    def is_applied(self) -> bool:
        """Whether every room has followed the newest version to its end."""
        return self._applied == self.roster.decision_sha256

    def on_changed(self, listener: Callable[[], Awaitable[None]]) -> None:
        """Have a room told after each new version."""
        self._listeners.append(listener)

    def _holds(self, offered: Roster) -> bool:
        """Whether the chain has that decision already, whoever else signed it."""
        if not 1 <= offered.version <= len(self.chain.versions):
            return False
        return self.chain.decisions[offered.version - 1] == offered.decision_sha256

    async def adopt(
        self, root: bytes, *, now_ms: int | None = None, is_newest: bool = True
    ) -> Roster:
        """Take the next version: judge, keep, then tell everyone. One already held is no change.

        Args:
            root: an ``N.root.json``, verbatim.
            now_ms: Unix milliseconds; None where the version may have expired long ago.
            is_newest: whether no later version is known: of those in between, none is asked for its
                expiry (TUF 5.3).

        Raises:
            RosterMalformed, RosterUnproven: it does not follow from the chain.
            RosterExpired: it admits nobody any more.
            RosterForked: it is another one of a version held here, which is kept as evidence; or
                there is one, and the operator has not said which of them stands.
            StoreError: the disk; the version may be in force and not applied to its end yet.
        """
        # Beside the event loop: whoever is asked for the roster may answer with 4 MiB that nobody
        # signed.
        offered = await asyncio.to_thread(parse_roster, root)
        async with self._adopting:
            if self._holds(offered):
                await self._apply()
                return self.roster
            if await self._keep_if_rival(offered) or self.rivals:
                raise RosterForked(f"there are two rosters of version {self.rivals[0].version}")
            chain = await asyncio.to_thread(self.chain.follow, offered)
            if is_newest and now_ms is not None and chain.newest.is_expired(now_ms):
                raise RosterExpired(f"version {offered.version} of the roster has expired")
            await self._store.keep(chain.newest)
            await self._follow(chain)
            return self.roster

    async def pin(self, version: int, decision: bytes) -> Roster:
        """Settle a fork of the roster: one of the two decisions stands from here on.

        Args:
            version: of which there are two.
            decision: the decision digest of the one that stands, 32 bytes.

        Raises:
            NotFound: no such decision of that version is held here.
        """
        async with self._adopting:
            rivals = [each for each in self.rivals if each.version == version]
            held = parse_roster(self.chain.versions[version - 1]) if rivals else None
            found = next((each for each in rivals if each.decision_sha256 == decision), None)
            if held is None or (found is None and held.decision_sha256 != decision):
                raise NotFound(f"there is no such decision of version {version} here")
            await self._store.settle(version, found)
            self.rivals = tuple(each for each in self.rivals if each.version != version)
            if found is not None:
                await self._follow(
                    verify_chain((*self.chain.versions[: version - 1], found.root_bytes))
                )
            return self.roster

    async def _follow(self, chain: RosterChain) -> None:
        self.chain = chain
        self.verifier = Verifier(chain.newest, check_ed25519)
        await self._apply()

    async def catch_up(self) -> None:
        """Have every room follow the newest version once more, where one could not to its end.

        Raises:
            StoreError: the disk; it is not applied yet.
        """
        async with self._adopting:
            await self._apply()

    async def _apply(self) -> None:
        if self.is_applied:
            return
        for listener in self._listeners:
            await listener()
        self._applied = self.roster.decision_sha256

    async def _keep_if_rival(self, offered: Roster) -> bool:
        """Keep another proven file of a version that is held; whether it is one.

        Raises:
            RosterUnproven: it does not follow from the chain.
        """
        if not 1 < offered.version <= len(self.chain.versions):
            return False
        versions = (*self.chain.versions[: offered.version - 1], offered.root_bytes)
        await asyncio.to_thread(verify_chain, versions)
        known = {each.decision_sha256 for each in self.rivals}
        is_kept = await self._store.keep_rival(offered, self._unix_ms())
        if is_kept and offered.decision_sha256 not in known:
            self.rivals = (*self.rivals, offered)
        return bool(self.rivals)

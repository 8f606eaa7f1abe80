"""How each peer is reached: connected to, or waited for; and whom this node polls itself.

The roster decides, at every version anew. A peer with a URL is connected to. A peer without one has
a mailbox here. A node that has no URL of its own polls every peer that has one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from federation.gossip.reach import reachable_from, takes_calls
from federation.net.asking import PeerCalls
from federation.net.limits import Share
from federation.net.link import PeerLink
from federation.net.mailboxes import Mailboxes, MailboxLink
from federation.net.names import PeerNames
from federation.net.peering import PeerIdentities
from federation.net.polling import Carried, Poller
from federation.protocol.messages_calls import WaitingCall
from federation.protocol.roster import Roster


class Links:
    """One node's ways to its peers.

    Args:
        member: this node's own name.
        roster: the one in force.
        identities: gives TLS contexts.
        mailboxes: what waits for peers that cannot be connected to.
        carry_out: does what a polled peer asks; see :class:`federation.net.polling.CallDesk`.
        share_of: says which kind of place that takes.
    """

    def __init__(
        self,
        member: str,
        roster: Callable[[], Roster],
        identities: PeerIdentities,
        mailboxes: Mailboxes,
        carry_out: Callable[[str, WaitingCall], Awaitable[Carried]],
        share_of: Callable[[str, WaitingCall], Share],
    ) -> None:
        self._member, self._roster = member, roster
        self._identities, self._mailboxes = identities, mailboxes
        self._carry_out, self._share_of = carry_out, share_of
        self._names = PeerNames()
        self._links: dict[str, PeerLink] = {}
        self._polls: dict[str, asyncio.Task[None]] = {}
        self._is_started = False

    def to(self, name: str) -> PeerCalls | None:
        """How to call that peer now; None where the roster has no active member of that name."""
        roster = self._roster()
        member = roster.members.get(name)
        if member is None or not member.is_active:
            return None
        if not member.urls:
            return MailboxLink(name, self._mailboxes)
        return self._connected(name)

    def _connected(self, name: str) -> PeerLink:
        if name not in self._links:
            urls = self._roster().member(name).urls
            self._links[name] = PeerLink(name, urls, self._identities, names=self._names)
        return self._links[name]

    async def follow_roster(self) -> None:
        """Let go of whoever is a peer no more or moved; nobody removed is spoken to after this."""
        roster = self._roster()
        self._mailboxes.keep(reachable_from(roster, self._member))
        gone = []
        for name, link in list(self._links.items()):
            member = roster.members.get(name)
            if member is None or not member.is_active or link.urls != member.urls:
                gone.append(self._links.pop(name))
                if poll := self._polls.pop(name, None):
                    poll.cancel()
        for link in gone:
            await link.close()
        if self._is_started:
            self.poll()

    def poll(self) -> None:
        """Poll everybody who can be connected to, where this node itself cannot be.

        From then on every version of the roster is followed in this, too.
        """
        self._is_started = True
        roster = self._roster()
        wanted: set[str] = set()
        if not takes_calls(roster, self._member):
            wanted.update(reachable_from(roster, self._member))
        for name in self._polls.keys() - wanted:
            self._polls.pop(name).cancel()
        for name in wanted - self._polls.keys():
            poller = Poller(self._connected(name), self._carry_out, self._share_of)
            self._polls[name] = asyncio.create_task(poller.run(), name=f"poll {name}")

    def end_waiting(self) -> None:
        """Let no poll of a peer's wait here any longer: the listener is about to stop."""
        self._mailboxes.close()

    async def close(self) -> None:
        """Stop polling and close every connection."""
        self._is_started = False
        for poll in self._polls.values():
            poll.cancel()
        await asyncio.gather(*self._polls.values(), return_exceptions=True)
        self._polls.clear()
        self._mailboxes.close()
        for link in self._links.values():
            await link.close()
        await self._names.close()

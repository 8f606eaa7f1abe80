"""All of a node that faces its peers: who they are, how they are reached, what answers them.

    identities (TLS leaves) · links (to peers) · mailboxes (for peers that only call) · the listener

It follows the roster of the moment, and decides nothing about what is said.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from federation.config import NodeConfig, split_listen
from federation.daemon.attester import Attester
from federation.daemon.desk import Desk
from federation.daemon.keyring import load_identity, read_key_file
from federation.daemon.links import Links
from federation.daemon.membership import Membership
from federation.daemon.replicator import Replicator
from federation.errors import FederationError
from federation.net.identities import PemPair, identity_der
from federation.net.limits import ListenerLimits, Share
from federation.net.listener import Front, PeerListener
from federation.net.mailboxes import Mailboxes
from federation.net.peering import PeerIdentities
from federation.net.polling import CallDesk, Carried
from federation.net.proving import SignatureProving
from federation.net.public_listener import tls_context
from federation.protocol.http_signatures import SIGNED_SCHEME
from federation.protocol.messages_calls import WaitingCall
from federation.protocol.roster_directory import former_tls_identities, tls_identities
from federation.protocol.roster_roles import Call, check_may
from federation.store.stores import Stores

log_lines = logging.getLogger(__name__)

LEAVES_FOLDER: Final = "tls"


class PeerSide:
    """One node's. Made in two steps, because what answers peers needs what speaks to them.

    Args:
        config: the settings.
        identity: this member's TLS identity.
        membership: the roster in force.
        came: told the name of each peer that begins a poll.
        raise_alarm: tells operators, by code and sentence.

    Attributes:
        links: how peers are reached.
        listener: how they reach this node; after :meth:`answer_with`.
    """

    listener: PeerListener

    def __init__(
        self,
        config: NodeConfig,
        identity: PemPair,
        membership: Membership,
        came: Callable[[str], None],
        raise_alarm: Callable[[str, str], None],
    ) -> None:
        self._config, self._membership, self._raise_alarm = config, membership, raise_alarm
        peers = config.peers
        authorities = Path(peers.authorities_file) if peers.authorities_file else None
        self._identities = PeerIdentities(
            config.member,
            identity,
            config.path(config.data_directory) / LEAVES_FOLDER,
            leaf_valid_hours=peers.leaf_hours,
            authorities_file=config.path(authorities) if authorities else None,
        )
        self._mailboxes = Mailboxes(came)
        self.links = Links(
            config.member,
            lambda: membership.roster,
            self._identities,
            self._mailboxes,
            self._carry_out,
            self._share_of,
        )
        self._take_identities()

    def answer_with(self, replicator: Replicator, stores: Stores, attester: Attester) -> None:
        """Make what answers peers.

        Raises:
            ConfigMissing, KeyFileInvalid, ConfigInvalid: the certificate for the balancer is none.
        """
        rate = self._config.peers.bulk_upload_bytes_per_second
        desk = Desk(replicator, stores, self._membership, self._mailboxes, attester, rate)
        front = self._front() if self._config.peers.is_behind_balancer else None
        self.listener = PeerListener(desk, self._identities, self._permit, front=front)
        self._call_desk = CallDesk(
            desk, self._permit, self.listener.counters, ListenerLimits(), self.listener.rates
        )

    def _front(self) -> Front:
        peers = self._config.peers
        context = None
        if peers.certificate_file:
            certificate, key = (
                self._config.path(Path(path)) for path in (peers.certificate_file, peers.key_file)
            )
            read_key_file(certificate, is_secret=False)
            read_key_file(key)
            context = tls_context(certificate, key)
        return Front(SignatureProving(self._identities, self._own_urls, time.time), context)

    def _own_urls(self) -> tuple[str, ...]:
        own = self._membership.roster.members.get(self._config.member)
        return own.urls if own is not None else ()

    async def start(self) -> None:
        """Listen, where the config names an address, and poll, where the roster has no URL.

        Raises:
            PortInUse: the address is taken.
            ConfigInvalid: it is not one of this machine's.
        """
        peers = self._config.peers
        if peers.listen:
            await self.listener.start(*split_listen(peers.listen))
        self.links.poll()

    def alarms(self) -> list[tuple[str, str]]:
        """What operators are told as long as it stands: code and sentence."""
        peers, urls = self._config.peers, self._own_urls()
        signed = [url for url in urls if url.startswith(f"{SIGNED_SCHEME}://")]
        asked = signed if peers.is_behind_balancer else [url for url in urls if url not in signed]
        if not urls or not peers.listen or asked:
            return []
        text = (
            f"peers.listen_mode is {peers.listen_mode}, and no URL of this member in the roster is "
            f"for that ({', '.join(urls)}): no peer can reach this node"
        )
        return [("listen-mode", text)]

    async def follow_roster(self) -> None:
        """A newer roster: who may connect changes at once, and whom this node connects to."""
        self._take_identities()
        self.renew_leaf()
        await self.links.follow_roster()

    async def stop_listening(self) -> None:
        """Let nothing of a peer's wait here, and answer nobody any more."""
        self.links.end_waiting()
        await self.listener.close()

    async def close(self) -> None:
        """Close every connection of this node's own."""
        await self.links.close()

    def renew_leaf(self) -> None:
        """Mint the next leaf in time, and under the identity that now lies in the key files."""
        now, roster = datetime.now(UTC), self._membership.roster
        try:
            identity = load_identity(self._config)
            known = roster.members.get(self._config.member)
            if known and identity_der(identity.certificate) in known.tls_identities:
                self._identities.take_identity(identity, now)
            self._identities.renew_if_due(now)
        except FederationError as error:
            # The present leaf lives on for a third of its life: time for a person to look.
            self._raise_alarm("leaf-not-renewed", error.message)

    def _take_identities(self) -> None:
        roster = self._membership.roster
        left_out = self._identities.replace(tls_identities(roster), former_tls_identities(roster))
        for member, reason in left_out.items():
            log_lines.error("the roster's TLS identity of %s is unusable: %s", member, reason)

    def _permit(self, member: str, call: Call) -> None:
        """Asked for each request of a peer: the roster of this moment decides."""
        check_may(self._membership.roster.member(member), call)

    async def _carry_out(self, peer: str, call: WaitingCall) -> Carried:
        return await self._call_desk.carry_out(peer, call)

    def _share_of(self, peer: str, call: WaitingCall) -> Share:
        return self._call_desk.share_of(peer, call)

"""The node's outside: what strangers may read and ask, and who outside is asked to vouch.

Joins the rooms of the public log, starts and stops them; nothing is decided here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from federation.config import NodeConfig, split_listen
from federation.daemon.cosigning import ForeignWitnesses
from federation.daemon.histories import Histories
from federation.daemon.keyring import Keyring, read_key_file
from federation.daemon.membership import Membership
from federation.daemon.own_keys import KeyOf
from federation.daemon.public_desk import PublicDesk
from federation.daemon.quorum import QuorumWatch
from federation.daemon.second_lines import SecondLines
from federation.daemon.witness import Witness
from federation.net.public_listener import PublicListener, tls_context
from federation.net.witness_client import WitnessClient
from federation.protocol.origins import LogId
from federation.provenance.log_view import Advance
from federation.store.stores import Stores


class Outside:
    """The public log, the witness and the foreign witnesses of one node.

    Args:
        config: the node's settings.
        keyring: its keys.
        key_of: gives an Ed25519 key by its public half.
        stores: what it holds.
        membership: the roster in force.
        unix_ms: the clock, Unix milliseconds.
        alarm: tells operators: code and sentence.
        histories: says whether anything may be signed, and takes what convicts a log.

    Attributes:
        second: post-quantum lines.
        witness: signs heads of all logs.
        quorum: the publishing policy.
        foreign: witnesses from outside.
        desk: answers the public.
        listener: the public listener; None where the config has none.
    """

    def __init__(
        self,
        config: NodeConfig,
        keyring: Keyring,
        key_of: KeyOf,
        stores: Stores,
        membership: Membership,
        unix_ms: Callable[[], int],
        alarm: Callable[[str, str], None],
        histories: Histories,
    ) -> None:
        self._config = config
        self._tasks: list[asyncio.Task[None]] = []
        self.second = SecondLines(
            keyring.mldsa44, config.member, stores.public, membership, unix_ms
        )
        self.witness = Witness(
            key_of,
            config.member,
            stores,
            membership,
            unix_ms,
            alarm,
            self.second,
            guard=histories.guard,
            accusations=histories.accusations,
        )
        self.quorum = QuorumWatch(
            config.publishing, config.member, stores.public, membership, unix_ms
        )
        self.foreign = ForeignWitnesses(config.witnesses, stores, WitnessClient())
        self.desk = PublicDesk(stores, membership, self.witness, self.quorum, unix_ms)
        self.listener = PublicListener(self.desk) if config.public.listen else None

    async def start(self, held: Iterable[LogId]) -> None:
        """Listen, and sign what was accepted before the node stopped.

        Args:
            held: logs that something is held of.

        Raises:
            PortInUse: the public listener's address is taken.
            ConfigInvalid, ConfigMissing, KeyFileInvalid: its address or certificate is unusable.
        """
        settings = self._config.public
        if self.listener is not None:
            tls = None
            if settings.certificate_file:
                certificate, key = (
                    (self._config.folder / path).resolve()
                    for path in (settings.certificate_file, settings.key_file)
                )
                read_key_file(certificate, is_secret=False)
                read_key_file(key)
                tls = tls_context(certificate, key)
            await self.listener.start(*split_listen(settings.listen), tls)
        self._tasks = [
            asyncio.create_task(self.witness.run()),
            asyncio.create_task(self.foreign.run()),
            asyncio.create_task(self.second.run()),
        ]
        for log in held:
            self.witness.accepted(log)

    async def close(self) -> None:
        """Stop listening, asking and signing."""
        if self.listener is not None:
            await self.listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.foreign.close()

    def accepted(self, step: Advance) -> None:
        """A step of another member's log is durable."""
        if step.view.is_complete:
            self.witness.accepted(step.view.log)

    def published(self, step: Advance) -> None:
        """An own step is durable."""
        self.accepted(step)
        if step.view.head is not None:
            self.foreign.published(step.view.head)
            self.second.published(step.view.head)

    async def alarms(self) -> list[tuple[str, str]]:
        """What operators are told as long as it stands: code and sentence."""
        return [*await self.quorum.alarms(), *self.foreign.alarms()]

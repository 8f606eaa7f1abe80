"""The post-quantum switch: a second signature line, ML-DSA-44, under own heads and cosignatures.

A line is made only where this node has the key and the roster holds its public half under the same
purpose. It adds to an Ed25519 line and never stands for one: what peers believe does not depend on
it, and gossip does not carry its 3.3 kB. It stands in the public log, in exports, and in what the
witness answers, for those whose policy asks for it.

Source: docs/spec/checkpoints.md; C2SP tlog-cosignature (type 06). The library signs hedged.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from federation.daemon.membership import Membership
from federation.errors import FederationError
from federation.protocol.checkpoints import Checkpoint
from federation.protocol.checkpoints_signing import cosign_mldsa
from federation.protocol.keys import VerifierKey
from federation.protocol.keys_signing_mldsa import MldsaSigningKey
from federation.protocol.notes import format_signature_line
from federation.protocol.origins import Cosigner, LogId
from federation.protocol.roster_directory import cosigner_mldsa44_vkey, log_mldsa44_vkey
from federation.provenance.verifier import Head
from federation.store.public_store import PublicStore

log_lines = logging.getLogger(__name__)


class SecondLines:
    """Makes second lines.

    Args:
        keys: ML-DSA-44 keys by purpose: lanes and cosigners; none where the switch is off.
        member: this node's member.
        store: where lines under own checkpoints are kept.
        membership: the roster in force.
        unix_ms: the clock, Unix milliseconds.
    """

    def __init__(
        self,
        keys: Mapping[str, MldsaSigningKey],
        member: str,
        store: PublicStore,
        membership: Membership,
        unix_ms: Callable[[], int],
    ) -> None:
        self._keys, self._member, self._store = keys, member, store
        self._membership, self._unix_ms = membership, unix_ms
        self._newest: dict[LogId, Head] = {}
        self._wake = asyncio.Event()

    def cosigned(self, checkpoint: Checkpoint, cosigner: Cosigner) -> str | None:
        """A second line of this member's in that role, without its newline; None without a key."""
        vkey = cosigner_mldsa44_vkey(self._membership.roster, self._member, cosigner)
        return self._line(checkpoint, vkey, cosigner)

    def on(self, head: Head) -> str | None:
        """This member's second line on a head: as its log, else as its mirror; None without a key.

        Whoever asks has seen that this node holds all of it, and that the log is not accused.
        """
        if head.log.member == self._member:
            vkey = log_mldsa44_vkey(self._membership.roster, head.log)
            return self._line(head.checkpoint, vkey, head.log.lane)
        return self.cosigned(head.checkpoint, Cosigner.MIRROR)

    def published(self, head: Head) -> None:
        """An own head is durable: it gets its second line soon. Of one log only the newest does."""
        if self._keys:
            self._newest[head.log] = head
            self._wake.set()

    async def run(self) -> None:
        """Sign until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            heads, self._newest = self._newest, {}
            for head in heads.values():
                try:
                    await self.sign(head)
                except FederationError as error:
                    log_lines.error("no second line under %s: %s", head.log, error)

    async def sign(self, head: Head) -> bool:
        """Put the log's second line under an own head; whether there is a key to do it.

        Raises:
            StoreError: it could not be made durable.
        """
        vkey = log_mldsa44_vkey(self._membership.roster, head.log)
        line = self._line(head.checkpoint, vkey, head.log.lane)
        if line is None or vkey is None:
            return False
        signer = f"{vkey.name}+{vkey.key_id.hex()}"
        at_seconds = self._unix_ms() // 1_000
        await self._store.keep_foreign(head.log, head.size, signer, at_seconds, line)
        return True

    def _line(self, checkpoint: Checkpoint, vkey: VerifierKey | None, purpose: str) -> str | None:
        key = self._keys.get(purpose)
        if key is None or vkey is None or key.public != vkey.public:
            return None
        line = cosign_mldsa(checkpoint, vkey.name, key, self._unix_ms() // 1_000)
        return format_signature_line(line).removesuffix("\n")

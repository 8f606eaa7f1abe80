"""Evidence in the running node: judged, made durable, and told to the engine, which spreads it.

Whoever finds two heads that exclude each other (the engine, the witness) brings them here. The
judge decides whether they convict; what this node's own rows contributed is held against the
signatures there, so a damaged disk gives an alarm at home and never an accusation.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from federation.daemon.membership import Membership
from federation.errors import FederationError, ProtocolError, VerificationError
from federation.gossip.events import Event
from federation.gossip.fork_events import EvidenceFound
from federation.local_errors.disk import StoreError
from federation.protocol.evidence import Prefix, encode_evidence, make_evidence
from federation.protocol.origins import LogId
from federation.provenance.convicting import Conviction, open_evidence
from federation.store.stores import Stores

log_lines = logging.getLogger(__name__)


class Accusations:
    """What convicts whom, here.

    Args:
        stores: where evidence is kept, and what this node holds.
        membership: the roster in force.
        unix_ms: the clock, Unix milliseconds.
        tell: gives the engine an event.
    """

    def __init__(
        self,
        stores: Stores,
        membership: Membership,
        unix_ms: Callable[[], int],
        tell: Callable[[Event], None],
    ) -> None:
        self._stores, self._membership = stores, membership
        self._unix_ms, self._tell = unix_ms, tell

    async def restore(self) -> tuple[Conviction, ...]:
        """Judge again one piece of what is kept against each log.

        Raises:
            StoreError: the disk.
        """
        convictions = []
        for kept in await self._stores.evidence.first_of_each():
            try:
                convictions.append(self._judge(kept.encoded))
            except (ProtocolError, VerificationError) as error:
                log_lines.error("kept evidence against %s convicts nobody: %s", kept.log, error)
        return tuple(convictions)

    async def keep(self, conviction: Conviction) -> bool:
        """Make a conviction durable; returns whether its file is new here.

        Raises:
            StoreError: the disk; nothing was kept.
        """
        return await self._stores.evidence.keep(conviction, self._unix_ms())

    async def report(self, one: bytes, other: bytes, prefix: Prefix | None = None) -> bool:
        """Bring two notes that seem to exclude each other.

        Args:
            one: a signed checkpoint with its log's line.
            other: another of the same log.
            prefix: where their sizes differ, what the larger one says of the smaller one's size.

        Returns:
            Whether they convict their log's key. Then that is durable, and the engine knows.

        Raises:
            StoreError: the disk.
        """
        try:
            conviction = self._judge(encode_evidence(make_evidence(one, other, prefix)))
        except (ProtocolError, VerificationError) as error:
            log_lines.error("two heads of one log that convict nobody: %s", error)
            return False
        await self.keep(conviction)
        self._tell(EvidenceFound(conviction))
        return True

    async def report_against_own(self, log: LogId, size: int, note: bytes) -> bool:
        """Bring a note of a size that this node holds, whose root is not the one of its rows.

        Returns:
            As :meth:`report`; False too where this node's rows are not under a head of its own.

        Raises:
            StoreError: the disk.
        """
        held = await self._stores.public.held_head(log)
        if held is None or not size <= held.held == held.head_size:
            return False
        if size == held.head_size:
            return await self.report(note, held.head_note)
        trees = self._stores.trees
        try:
            root = await trees.root_hash(log, size)
            proof = await trees.consistency_proof(log, size, held.head_size)
        except StoreError:
            raise
        except FederationError as error:
            log_lines.error("cannot say what %s was at %d: %s", log, size, error)
            return False
        return await self.report(note, held.head_note, Prefix(root, proof))

    def _judge(self, encoded: bytes) -> Conviction:
        verifier = self._membership.verifier
        return open_evidence(encoded, verifier.roster, verifier.check_signature)

"""The hands for logs with two histories: asks where they part, fetches and keeps their branches.

What the gossip engine orders about forks is carried out here, beside the replicator's other work.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from federation.daemon.accusations import Accusations
from federation.daemon.after_commit import AfterCommit
from federation.daemon.eraser import Eraser
from federation.daemon.guard import Guard
from federation.errors import FederationError, ProtocolError, VerificationError
from federation.gossip import fork_events
from federation.gossip.events import Event
from federation.gossip.parting import AskEdge, AskPeer, AskPrefix, AskRoots, Question, find_parting
from federation.local_errors.disk import StoreError
from federation.local_errors.peers import PeerError
from federation.net.asking import PeerCalls
from federation.protocol.evidence import Prefix
from federation.protocol.messages import decode_range
from federation.protocol.messages_prefix import decode_prefix
from federation.protocol.origins import LogId
from federation.provenance.log_view import Advance
from federation.provenance.verifier import Head
from federation.store.stores import Stores

log_lines = logging.getLogger(__name__)


class Brancher:
    """Carries out what is ordered about forks.

    Args:
        stores: where branches and evidence are kept.
        accusations: makes convictions durable.
        eraser: takes out of each step what must go.
        link: how a peer is reached; raises ``PeerError`` for one that is none.
        index: counts a durable step of a branch for matching.
        recount: counts for matching that a head of a log is held whole.
        accused: counts for matching that a log is under evidence from now on.
        guard: told of an own log's head that this node did not know.
        after_commit: sees to it that what is durable comes into use.
        feed: gives the engine an event.
    """

    def __init__(
        self,
        stores: Stores,
        accusations: Accusations,
        eraser: Eraser,
        *,
        link: Callable[[str], PeerCalls],
        index: Callable[[Advance], Awaitable[None]],
        recount: Callable[[LogId], Awaitable[object]],
        accused: Callable[[LogId], Awaitable[None]],
        guard: Guard,
        after_commit: AfterCommit,
        feed: Callable[[Event], None],
    ) -> None:
        self._stores, self._accusations, self._eraser = stores, accusations, eraser
        self._link, self._index = link, index
        self._recount, self._accused = recount, accused
        self._guard, self._after_commit, self._feed = guard, after_commit, feed

    def carry(self) -> Mapping[type, Callable[[Any], Coroutine[Any, Any, None]]]:
        """Which command is carried out how."""
        return {
            fork_events.FindParting: self._find_parting,
            fork_events.FetchBranch: self._fetch_branch,
            fork_events.PersistBranch: self._persist_branch,
            fork_events.KeepBranchHead: self._keep_head,
            fork_events.KeepEvidence: self._keep_evidence,
            fork_events.StopSigning: self._stop,
        }

    async def _find_parting(self, command: fork_events.FindParting) -> None:
        head = command.head
        search = find_parting(head, command.views, is_accused=command.is_accused)
        try:
            question = next(search)
            while True:
                question = search.send(await self._answer(command, question))
        except StopIteration as end:
            self._feed(fork_events.PartingFound(head, end.value))
        except (ProtocolError, VerificationError) as error:
            failed = fork_events.PartingFailed(head, command.peer, error.message, error)
            self._feed(failed)
        except FederationError as error:
            self._feed(fork_events.PartingFailed(head, command.peer, error.message))

    async def _answer(self, command: fork_events.FindParting, question: Question) -> Any:
        log, trees = command.head.log, self._stores.trees
        match question:
            case AskRoots(size):
                return await self._stores.branches.roots(log, size)
            case AskPrefix(branch, size, later):
                root = await trees.root_hash(log, size, branch=branch)
                proof = await trees.consistency_proof(log, size, later, branch=branch)
                return Prefix(root, proof)
            case AskEdge(branch, size):
                return await trees.edge(log, size, branch=branch)
            case AskPeer(size):
                return await self.prefix(command.peer, command.head, size)

    async def prefix(self, peer: str, head: Head, size: int) -> Prefix:
        """What a peer says a head's log was at an earlier size; not judged.

        Raises:
            PeerError: it did not say.
            TooLarge, MessageMalformed: what it said is no answer.
        """
        if not peer:
            raise PeerError(f"nobody is known to hold {head.log} at {head.size}")
        link = self._link(peer)
        return decode_prefix(await link.prefix(head.log.sha256, size, head.size, head.root_hash))

    async def _fetch_branch(self, command: fork_events.FetchBranch) -> None:
        head = command.head
        try:
            raw = await self._link(command.peer).statements(
                head.log.sha256,
                command.start,
                command.end,
                head.size,
                lane=head.log.lane,
                root=head.root_hash,
            )
            message = decode_range(raw)
        except FederationError as error:
            failed = fork_events.BranchRangeFailed(command.peer, head.log, error.message)
            self._feed(failed)
            return
        self._feed(fork_events.BranchRangeReceived(command.peer, head.log, message))

    async def _persist_branch(self, command: fork_events.PersistBranch) -> None:
        step, branch = command.step, command.branch
        log, head = step.view.log, step.view.head
        try:
            if command.base is not None and head is not None:
                await self._stores.branches.open(
                    log, branch, base=command.base, held=step.before.held, head=head
                )
            step, erased = await self._eraser.prepare(step)
            await self._stores.logs.append(step, branch=branch, erased=erased)
        except StoreError as error:
            log_lines.error("cannot keep branch %d of %s: %s", branch, log, error)
            self._feed(fork_events.BranchPersistFailed(log, error.message))
            return
        await self._after_commit.through(
            log,
            lambda: self._index(step),
            lambda: self._eraser.absorb(step, erased, branch=branch),
        )
        if log in self._eraser.lacking:
            try:
                await self._eraser.settle(log)
            except StoreError as error:
                log_lines.error("cannot say what is missing of %s: %s", log, error)
        self._feed(fork_events.BranchPersisted(branch, step))

    async def _keep_head(self, command: fork_events.KeepBranchHead) -> None:
        head, branch = command.head, command.branch
        try:
            await self._stores.receipts.keep_head(head, branch)
        except StoreError as error:
            log_lines.error("cannot keep a head of branch %d of %s: %s", branch, head.log, error)
            self._feed(fork_events.BranchPersistFailed(head.log, error.message))
            return
        await self._after_commit.through(head.log, lambda: self._recount(head.log))
        self._feed(fork_events.BranchHeadKept(branch, head))

    async def _keep_evidence(self, command: fork_events.KeepEvidence) -> None:
        log = command.conviction.log
        # The engine goes by it from now on, and orders this once.
        await self._after_commit.through(
            log, lambda: self._accusations.keep(command.conviction), lambda: self._accused(log)
        )

    async def _stop(self, command: fork_events.StopSigning) -> None:
        head, peer = command.head, command.peer
        if peer:
            text = (
                f"{peer} holds {head.size} statements of {head.log}, which this node does not know"
            )
            await self._guard.stop(head.log, "own-head-unknown", text, peer=peer, note=head.note)
            return
        text = f"there is evidence that {head.log} has two histories: its key signed both"
        await self._guard.stop(head.log, "fork", text, note=head.note)

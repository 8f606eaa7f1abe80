"""Logs with two histories: what a simulated node does when its engine orders something."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from federation.errors import FederationError, ProtocolError, VerificationError
from federation.gossip import events, fork_events
from federation.gossip.parting import AskEdge, AskPeer, AskPrefix, AskRoots, Question, find_parting
from federation.protocol.evidence import Prefix
from federation.protocol.messages import StatementRange, decode_range, encode_range
from federation.protocol.messages_prefix import decode_prefix, encode_prefix
from federation.protocol.origins import LogId
from tests.simulation.disk import KeptLog
from tests.simulation.promises import STEPS_FIT, must

if TYPE_CHECKING:
    from tests.simulation.world import Node

STORE_SECONDS = 0.001
"""What a look into the store takes."""


class ForkHands:
    """One node's hands for forks.

    Args:
        node: whose.
    """

    def __init__(self, node: Node) -> None:
        self._node = node

    def carry(self) -> Mapping[type, Callable[[Any], None]]:
        """Which command is carried out how."""
        return {
            fork_events.FindParting: self._find_parting,
            fork_events.FetchBranch: self._fetch_branch,
            fork_events.PersistBranch: self._persist_branch,
            fork_events.KeepBranchHead: self._keep_head,
            fork_events.KeepEvidence: self._keep_evidence,
            fork_events.StopSigning: self._stop,
        }

    def forked(self) -> tuple[fork_events.ForkedLog, ...]:
        """What is durable of logs under evidence, for the engine's start."""
        disk = self._node.disk
        return tuple(
            fork_events.ForkedLog(
                conviction,
                {number: kept.view for number, kept in disk.branches.get(log, {}).items()},
            )
            for log, conviction in disk.evidence.items()
        )

    def branch_of(self, log: LogId, size: int, root_hash: bytes) -> KeptLog | None:
        """The branch with that root at that size."""
        for kept in self._node.disk.branches_of(log).values():
            if kept.view.size >= size and kept.root(size) == root_hash:
                return kept
        return None

    def prefix(self, raw: bytes) -> bytes | None:
        """Answer what a branch was at an earlier size."""
        origin, size, at, root = raw.decode().split()
        kept = self.branch_of(self._node.log_named(origin), int(at), bytes.fromhex(root))
        if kept is None:
            return None
        answer = Prefix(kept.root(int(size)), kept.proof(int(size), int(at)))
        return encode_prefix(self._node.outgoing(answer))

    # --- where they part ------------------------------------------------------------------------

    def _find_parting(self, command: fork_events.FindParting) -> None:
        head, node = command.head, self._node
        search = find_parting(head, command.views, is_accused=command.is_accused)

        def go_on(step: Callable[[], Question]) -> None:
            try:
                question = step()
            except StopIteration as end:
                node.feed(fork_events.PartingFound(head, end.value))
                return
            except (ProtocolError, VerificationError) as error:
                node.feed(fork_events.PartingFailed(head, command.peer, error.message, error))
                return
            if isinstance(question, AskPeer):
                self._ask(command, question, lambda answer: go_on(lambda: search.send(answer)))
                return
            answer = self._look(head.log, question)
            node.later(STORE_SECONDS, lambda: go_on(lambda: search.send(answer)))

        node.later(STORE_SECONDS, lambda: go_on(lambda: next(search)))

    def _ask(
        self, command: fork_events.FindParting, question: AskPeer, then: Callable[[Prefix], None]
    ) -> None:
        head, node = command.head, self._node

        def ended(raw: bytes | None, reason: str) -> None:
            try:
                answer = None if raw is None else decode_prefix(raw)
            except FederationError as error:
                answer, reason = None, error.message
            if answer is None:
                node.feed(fork_events.PartingFailed(head, command.peer, reason))
            else:
                then(answer)

        if not command.peer:
            node.feed(fork_events.PartingFailed(head, "", "nobody to ask"))
            return
        wanted = f"{head.log.origin} {question.size} {head.size} {head.root_hash.hex()}"
        node.world.request(node, command.peer, "prefix", wanted.encode(), ended)

    def _look(self, log: LogId, question: Question) -> Any:
        branches = self._node.disk.branches_of(log)
        match question:
            case AskRoots(size):
                return {
                    number: kept.root(size)
                    for number, kept in branches.items()
                    if kept.view.size >= size
                }
            case AskPrefix(branch, size, later):
                kept = branches[branch]
                return Prefix(kept.root(size), kept.proof(size, later))
            case AskEdge(branch, size):
                return branches[branch].edge(size)
            case _:
                raise AssertionError(question)

    # --- getting branches -----------------------------------------------------------------------

    def _fetch_branch(self, command: fork_events.FetchBranch) -> None:
        head, node = command.head, self._node
        must(command.start < command.end, STEPS_FIT, "nothing of a branch is asked for")
        node.world.seen["branch pulled"] += 1
        wanted = (
            f"{head.log.origin} {command.start} {command.end} {head.size} {head.root_hash.hex()}"
        )

        def ended(raw: bytes | None, reason: str) -> None:
            try:
                message = None if raw is None else decode_range(raw)
            except FederationError as error:
                message, reason = None, error.message
            if message is None:
                node.feed(fork_events.BranchRangeFailed(command.peer, head.log, reason))
            else:
                node.feed(fork_events.BranchRangeReceived(command.peer, head.log, message))

        node.world.request(node, command.peer, "range", wanted.encode(), ended)

    def _persist_branch(self, command: fork_events.PersistBranch) -> None:
        step, node = command.step, self._node
        log = step.view.log
        if node.disk.full:
            node.world.seen["write failed"] += 1
            failed = fork_events.BranchPersistFailed(log, "the disk is full")
            node.later(0.001, lambda: node.feed(failed))
            return

        def commit() -> None:
            if command.base is not None:
                node.disk.open_branch(log, command.branch, command.base, step.before)
            node.disk.append(step, None, branch=command.branch)
            gone = node.disk.learn(step.statements, branch=command.branch)
            if node.world.watch is not None:
                node.world.watch.appended(node, step)
            node.later(0.0005, lambda: node.feed(fork_events.BranchPersisted(command.branch, step)))
            node.erased(gone)
            node.later(0.001, lambda: node.settle(log))

        seconds = node.world.rng.uniform(*node.world.weather.write)
        node.disk.write(node.world.at, node.world.now, seconds, commit)

    def _keep_head(self, command: fork_events.KeepBranchHead) -> None:
        head, node = command.head, self._node
        if node.disk.full:
            node.world.seen["write failed"] += 1
            failed = fork_events.BranchPersistFailed(head.log, "the disk is full")
            node.later(0.001, lambda: node.feed(failed))
            return

        def commit() -> None:
            node.world.seen["head within a branch kept"] += 1
            node.disk.branch_of(head.log, command.branch).keep_head(head)
            node.later(0.0005, lambda: node.feed(fork_events.BranchHeadKept(command.branch, head)))

        seconds = node.world.rng.uniform(*node.world.weather.write)
        node.disk.write(node.world.at, node.world.now, seconds, commit)

    def look_here(self, command: events.FetchOpenings) -> None:
        """What is missing in a branch, from another place where the same statement stands."""
        node, disk = self._node, self._node.disk
        kept = disk.branches_of(command.log)[command.branch]
        found = [
            next(
                (
                    held.statement
                    for log, branch, index in disk.places[each.id]
                    if (held := disk.branches_of(log)[branch].statements[index]).statement.opening
                ),
                each.statement,
            )
            for each in kept.statements[command.start : command.end]
        ]
        node.world.seen["opened from another branch"] += any(each.opening for each in found)
        message = StatementRange(command.start, tuple(found), ())
        event = events.OpeningsReceived(node.member, command.log, message, command.branch)
        node.later(STORE_SECONDS, lambda: node.feed(event))

    # --- evidence -------------------------------------------------------------------------------

    def _keep_evidence(self, command: fork_events.KeepEvidence) -> None:
        self._node.world.seen["fork"] += 1
        if command.conviction.evidence.prefix is not None:
            self._node.world.seen["fork of two sizes"] += 1
        self._node.disk.evidence.setdefault(command.conviction.log, command.conviction)

    def _stop(self, command: fork_events.StopSigning) -> None:
        self._node.stop_signing()

    def serve_branch(self, raw: bytes) -> bytes | None:
        """Answer a range of the branch that a root names."""
        world = self._node.world
        origin, *numbers, root = raw.decode().split()
        start, end, size = map(int, numbers)
        kept = self.branch_of(self._node.log_named(origin), size, bytes.fromhex(root))
        if kept is None or world.forces("range refused"):
            return None
        if world.forces("range cut short"):
            end = start + world.rng.randint(1, end - start)
        statements = kept.serve(start, end)
        proof = kept.proof(start + len(statements), size)
        message = self._node.outgoing(StatementRange(start, statements, proof))
        return encode_range(message)


def events_of_gaps(node: Node, log: LogId) -> list[events.GapsKnown]:
    """What is missing of each branch."""
    return [
        events.GapsKnown(log, dict(kept.missing), branch=number)
        for number, kept in node.disk.branches_of(log).items()
    ]

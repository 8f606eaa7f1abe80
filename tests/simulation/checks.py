"""What must hold: some of it whenever something leaves a process, the rest when all is quiet.

Checkers look at bytes on the wire and at disks, never into the engine, so that a bug in it cannot
excuse itself. Numbers are those of docs/internals/gossip.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from federation.protocol.checkpoints import Checkpoint, parse_checkpoint
from federation.protocol.headers import StatementId
from federation.protocol.messages import (
    AnnouncedHead,
    Announcement,
    AnnouncementAnswer,
    ComparisonAnswer,
    StatementRange,
)
from federation.protocol.notes import parse_note
from federation.protocol.origins import LogId, parse_origin
from federation.protocol.statements import Statement
from federation.provenance.log_view import Advance
from federation.provenance.view import encode_view, facts_of
from tests.simulation.fork_checks import check_forks, histories, honest
from tests.simulation.world import Node, World


class Watch:
    """Looks on while a schedule runs.

    Attributes:
        acknowledgements: log -> ids whose publishing was acknowledged.
    """

    def __init__(self, world: World) -> None:
        self.acknowledgements: dict[LogId, list[StatementId]] = {}
        self._signed: dict[tuple[str, int], bytes] = {}
        self._world = world
        world.watch = self

    def acknowledged(self, log: LogId, statements: Sequence[Statement]) -> None:
        """A publish returned to its caller."""
        self.acknowledgements.setdefault(log, []).extend(each.id for each in statements)

    def appended(self, node: Node, step: Advance) -> None:
        """(1) Nothing is durable anywhere that is not durable at its honest issuer."""
        issuer = self._world.nodes[step.view.log.member]
        if issuer.is_honest:
            stated = issuer.disk.logs[step.view.log].statements
            assert step.view.size <= len(stated), "an undurable head left its issuer"
            for verified in step.statements:
                assert verified.id == stated[verified.index].id

    def leaving(self, node: Node, message: Any) -> None:
        """(2) What leaves an honest process is durable there; (3) it never signs two histories."""
        heads: Iterable[AnnouncedHead] = ()
        if isinstance(message, StatementRange):
            self._check_erased(node, message.statements)
        if isinstance(message, Announcement | ComparisonAnswer):
            heads = message.heads or ()
        elif isinstance(message, AnnouncementAnswer):
            sizes = {log.sha256: kept.view.size for log, kept in node.disk.logs.items()}
            for held in message.held:
                assert held.size <= sizes.get(held.log_sha256, 0)
                self._check_receipt(node, held.receipt)
        for head in heads:
            self._check_erased(node, head.inline)
            checkpoint = checkpoint_of(head.note)
            log = log_of(checkpoint.origin)
            branches = node.disk.branches_of(log).values()
            assert checkpoint.size <= max(kept.view.size for kept in branches)
            self._check_receipt(node, head.receipt)
            # (9) A receipt is for all of it: none is given while a body is missing.
            assert head.receipt is None or not node.disk.logs[log].missing
            if log.member == node.member:
                place = checkpoint.origin, checkpoint.size
                assert checkpoint.root_hash == self._signed.setdefault(place, checkpoint.root_hash)

    @staticmethod
    def _check_erased(node: Node, statements: Iterable[Statement]) -> None:
        """(10) What must go here is never said again."""
        for each in statements if node.disk.erases else ():
            for log, branch, index in node.disk.places.get(each.id, ()):
                kept = node.disk.branches_of(log)[branch]
                must_go = node.disk.must_go(kept.statements[index])
                assert each.opening is None or not must_go, "an erased body left its node"

    @staticmethod
    def _check_receipt(node: Node, line: str | None) -> None:
        assert line is None or line in node.disk.lines, "a receipt left before it was durable"


@lru_cache(maxsize=4_096)
def checkpoint_of(note: bytes) -> Checkpoint:
    """What a note says, not judged."""
    return parse_checkpoint(parse_note(note).text)


log_of = lru_cache(maxsize=4_096)(parse_origin)


def heads_of(node: Node) -> dict[str, set[tuple[int, bytes]]]:
    """What a node durably holds, by log: of a forked one the heads of all its histories."""
    return {
        log.origin: heads
        for log in node.disk.logs.keys() | node.disk.branches.keys()
        if (heads := histories([node], log))
    }


def view_of(node: Node) -> bytes:
    """The merged view of what a node durably holds: the union of every history."""
    return encode_view(
        facts_of(
            verified
            for log in node.disk.logs.keys() | node.disk.branches.keys()
            for kept in node.disk.branches_of(log).values()
            for verified in kept.statements
        ),
        accused=node.disk.evidence,
    )


def is_converged(world: World) -> bool:
    """Whether all honest nodes have equal heads."""
    first, *others = [heads_of(node) for node in honest(world)]
    return all(first == other for other in others)


def check_quiet(world: World, watch: Watch) -> None:
    """Everything that must hold when the network has been whole for three periods."""
    nodes = honest(world)
    check_forks(world)
    # (4) Equal heads and byte-equal views, forked logs included.
    for node in nodes[1:]:
        assert heads_of(nodes[0]) == heads_of(node)
        assert view_of(nodes[0]) == view_of(node)
    # (5) Nothing acknowledged is lost, anywhere.
    for log, ids in watch.acknowledgements.items():
        for node in nodes:
            assert set(ids) <= {each.id for each in node.disk.logs[log].statements}
    for node in nodes:
        # (9) What a relay kept back was asked of others.
        for log in node.disk.logs:
            assert all(not kept.missing for kept in node.disk.branches_of(log).values())
    # (10) What one honest node was told to erase is gone at every one.
    orders = {each for node in nodes for each in node.disk.erases}
    for node in nodes:
        for log in node.disk.logs:
            for kept in node.disk.branches_of(log).values():
                for verified in kept.statements:
                    if verified.id in orders and node.disk.must_go(verified):
                        assert verified.statement.opening is None
    # (6) Nobody honest is blamed by peers.
    for node in nodes:
        blamed = {peer.member for peer in node.engine.peers.values() if peer.faults}
        innocent = {member for member in blamed - world.rotten if world.nodes[member].is_honest}
        assert not innocent, f"{node.member} blames {sorted(innocent)}"


def missing_receipts(world: World) -> Iterator[str]:
    """(7) Every honest peer's receipt on a newest head reaches the head's issuer, at last."""
    for issuer in honest(world):
        for log, kept in issuer.disk.logs.items():
            if log.member != issuer.member:
                continue
            for peer in honest(world):
                receipt = issuer.disk.receipts.get((log, peer.member))
                if peer is not issuer and (receipt is None or receipt.head != kept.view.head):
                    yield f"{issuer.member} lacks the receipt of {peer.member} on {log}"

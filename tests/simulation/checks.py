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
            assert checkpoint.size <= node.disk.logs[log].view.size
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
            for log, index in node.disk.places.get(each.id, ()):
                must_go = node.disk.must_go(node.disk.logs[log].statements[index])
                assert each.opening is None or not must_go, "an erased body left its node"

    @staticmethod
    def _check_receipt(node: Node, line: str | None) -> None:
        assert line is None or line in node.disk.lines, "a receipt left before it was durable"


@lru_cache(maxsize=4_096)
def checkpoint_of(note: bytes) -> Checkpoint:
    """What a note says, not judged."""
    return parse_checkpoint(parse_note(note).text)


log_of = lru_cache(maxsize=4_096)(parse_origin)


def honest(world: World) -> list[Node]:
    """The nodes that promises are made about."""
    return [node for node in world.nodes.values() if node.is_honest]


def forked_logs(world: World) -> set[LogId]:
    """Logs that somebody honest holds evidence against."""
    return {log for node in honest(world) for log in node.disk.evidence}


def heads_of(node: Node, apart_from: set[LogId]) -> dict[str, tuple[int, bytes]]:
    """What a node durably holds, by log."""
    return {
        log.origin: (kept.view.size, kept.view.held.root())
        for log, kept in node.disk.logs.items()
        if log not in apart_from
    }


def view_of(node: Node, apart_from: set[LogId]) -> bytes:
    """The merged view of what a node durably holds."""
    return encode_view(
        facts_of(
            verified
            for log, kept in node.disk.logs.items()
            if log not in apart_from
            for verified in kept.statements
        )
    )


def is_converged(world: World) -> bool:
    """Whether all honest nodes have equal heads."""
    first, *others = [heads_of(node, forked_logs(world)) for node in honest(world)]
    return all(first == other for other in others)


def check_quiet(world: World, watch: Watch) -> None:
    """Everything that must hold when the network has been whole for three periods."""
    forked = forked_logs(world)
    nodes = honest(world)
    # (4) Equal heads and byte-equal views.
    for node in nodes[1:]:
        assert heads_of(nodes[0], forked) == heads_of(node, forked)
        assert view_of(nodes[0], forked) == view_of(node, forked)
    # (5) Nothing acknowledged is lost, anywhere.
    for log, ids in watch.acknowledgements.items():
        for node in nodes:
            assert log in forked or set(ids) <= {each.id for each in node.disk.logs[log].statements}
        # (9) What a relay kept back was asked of others.
        assert all(not kept.missing for log, kept in node.disk.logs.items() if log not in forked)
    # (10) What one honest node was told to erase is gone at every one.
    orders = {each for node in nodes for each in node.disk.erases}
    for node in nodes:
        for log, kept in node.disk.logs.items():
            for verified in kept.statements:
                if verified.id in orders and log not in forked and node.disk.must_go(verified):
                    assert verified.statement.opening is None
    # (6) Nobody honest is blamed, by peers or by evidence.
    for node in nodes:
        blamed = {peer.member for peer in node.engine.peers.values() if peer.faults}
        assert all(not world.nodes[member].is_honest for member in blamed), blamed
        for log, (first, second) in node.disk.evidence.items():
            check_evidence(node, log, first, second)
            assert not world.nodes[log.member].is_honest


def missing_receipts(world: World) -> Iterator[str]:
    """(7) Every honest peer's receipt on a newest head reaches the head's issuer, at last."""
    for issuer in honest(world):
        for log, kept in issuer.disk.logs.items():
            if log.member != issuer.member or log in forked_logs(world):
                continue
            for peer in honest(world):
                receipt = issuer.disk.receipts.get((log, peer.member))
                if peer is not issuer and (receipt is None or receipt.head != kept.view.head):
                    yield f"{issuer.member} lacks the receipt of {peer.member} on {log}"


def check_evidence(node: Node, log: LogId, first: bytes, second: bytes) -> None:
    """(8) Evidence stands alone: one key, one size, two roots."""
    heads = [node.verifier.open_head(note) for note in (first, second)]
    assert {log} == {head.log for head in heads}
    assert heads[0].size == heads[1].size
    assert heads[0].root_hash != heads[1].root_hash

"""What must hold: some of it whenever something leaves a process, the rest when all is quiet.

Checkers look at bytes on the wire and at disks, never into the engine, so that a bug in it cannot
excuse itself. Numbers are those of docs/internals/gossip.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

from federation.gossip.reach import callers_of
from federation.protocol.checkpoints import Checkpoint, parse_checkpoint
from federation.protocol.headers import StatementId
from federation.protocol.merkle import leaf_hash
from federation.protocol.merkle_growth import CompactRange
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
from federation.provenance.pins import HeldBranch, limits_of
from federation.provenance.verifier import VerifiedStatement
from federation.provenance.view import encode_view, facts_of
from tests.simulation.disk import KeptLog
from tests.simulation.fork_checks import broken_forks, histories, honest
from tests.simulation.promises import (
    ACKNOWLEDGED,
    CONVERGED,
    DURABLE_AT_ISSUER,
    DURABLE_FIRST,
    ERASED_IS_GONE,
    NO_STORM,
    NOBODY_HONEST,
    ONE_HISTORY,
    QUIESCENT,
    RECEIPT_FOR_ALL,
    ROOT_IS_HELD,
    Broken,
    must,
)
from tests.simulation.world import Node, World


class Watch:
    """Looks on while a schedule runs.

    Attributes:
        acknowledgements: log -> ids whose publishing was acknowledged.
    """

    def __init__(self, world: World) -> None:
        self.acknowledgements: dict[LogId, list[StatementId]] = {}
        self._named: dict[bytes, LogId] = {}
        self._signed: dict[tuple[str, int], bytes] = {}
        self._world = world
        world.watch = self

    def acknowledged(self, log: LogId, statements: Sequence[Statement]) -> None:
        """A publish returned to its caller."""
        self.acknowledgements.setdefault(log, []).extend(each.id for each in statements)

    def appended(self, node: Node, step: Advance) -> None:
        """(1) Nothing is durable anywhere that is not durable at its honest issuer."""
        issuer = self._world.nodes[step.view.log.member]
        if issuer.is_honest and not issuer.was_put_back:
            own = issuer.disk.logs.get(step.view.log)
            stated = [] if own is None else own.statements
            must(step.view.size <= len(stated), DURABLE_AT_ISSUER, "an undurable head left")
            for verified in step.statements:
                if verified.id.entry != stated[verified.index].id.entry:
                    raise Broken(DURABLE_AT_ISSUER, "its issuer has another statement there")

    def started(self, node: Node) -> None:
        """(13) What a process begins with is what its heads say."""
        if node.is_honest:
            for broken in broken_roots(node):
                raise broken

    def leaving(self, node: Node, message: Any) -> None:
        """(2) What leaves an honest process is durable there; (3) it never signs two histories."""
        heads: Iterable[AnnouncedHead] = ()
        kind = type(message)
        if kind is Announcement or kind is ComparisonAnswer:
            heads = message.heads or ()
        elif kind is AnnouncementAnswer:
            for held in message.held:
                kept = self._kept(node, held.log_sha256)
                must(
                    held.size <= (kept.view.size if kept else 0),
                    DURABLE_FIRST,
                    "a size was told before it was durable",
                )
                self._check_receipt(node, held.receipt, kept, held.size)
        elif kind is StatementRange:
            self._check_erased(node, message.statements)
        for head in heads:
            if head.inline:
                self._check_erased(node, head.inline)
            checkpoint = checkpoint_of(head.note)
            log = log_of(checkpoint.origin)
            kept = node.disk.logs.get(log)
            if kept is None or checkpoint.size > kept.view.size:
                must(
                    checkpoint.size <= node.disk.size_of(log),
                    DURABLE_FIRST,
                    "a head left before it was durable",
                )
            self._check_receipt(node, head.receipt, kept, checkpoint.size)
            if log.member == node.member:
                place = checkpoint.origin, checkpoint.size
                known = self._signed.setdefault(place, checkpoint.root_hash)
                must(checkpoint.root_hash == known, ONE_HISTORY, "two roots of one size are signed")

    def _kept(self, node: Node, log_sha256: bytes) -> KeptLog | None:
        """What is durable at a node of the log that goes by that hash."""
        log = self._named.get(log_sha256)
        if log is None:
            self._named |= {each.sha256: each for each in node.disk.logs}
            log = self._named.get(log_sha256)
        return None if log is None else node.disk.logs.get(log)

    @staticmethod
    def _check_erased(node: Node, statements: Iterable[Statement]) -> None:
        """(10) What must go here is never said again."""
        for each in statements if node.disk.erases else ():
            for log, branch, index in node.disk.places.get(each.id, ()):
                kept = node.disk.branch_of(log, branch)
                if each.opening is not None and node.disk.must_go(kept.statements[index]):
                    raise Broken(ERASED_IS_GONE, "an erased body left its node")

    @staticmethod
    def _check_receipt(node: Node, line: str | None, kept: KeptLog | None, size: int) -> None:
        """(9) None says more than is held; what followed its head may be missing."""
        if line is None:
            return
        must(line in node.disk.lines, DURABLE_FIRST, "a receipt left before it was durable")
        is_whole = kept is None or not lacks_body(kept, size)
        must(is_whole, RECEIPT_FOR_ALL, "one while a body is missing")


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


def held_of(node: Node) -> tuple[tuple[bytes, bool], ...]:
    """Every statement that a node durably holds, by log and branch, and whether it is opened."""
    statements = [
        each.statement
        for log in sorted(node.disk.logs.keys() | node.disk.branches.keys(), key=str)
        for _, kept in sorted(node.disk.branches_of(log).items())
        for each in kept.statements
    ]
    return tuple([(each.id.entry, each.opening is not None) for each in statements])


def view_of(node: Node, held: tuple[tuple[bytes, bool], ...] | None = None) -> bytes:
    """The merged view of what a node durably holds: the union of every history.

    A view is a pure function of what is held: what is equal is not looked at twice in a world.

    Args:
        node: whose.
        held: what :func:`held_of` says of it now, where that is known.
    """
    accused = frozenset(node.disk.evidence)
    sizes = tuple(_whole_sizes(node, accused)) if accused else ()
    place = held_of(node) if held is None else held, accused, sizes
    found = node.world.views.get(place)
    if found is None:
        found = node.world.views[place] = encode_view(
            facts_of(_counting(node, accused)), accused=accused
        )
    return found


def _whole_sizes(node: Node, accused: Iterable[LogId]) -> Iterator[int]:
    for log in sorted(accused, key=str):
        for _, kept in sorted(node.disk.branches_of(log).items()):
            yield kept.view.whole.size if kept.view.whole else 0


def _counting(node: Node, accused: Container[LogId]) -> Iterator[VerifiedStatement]:
    """What counts: of a log under evidence what is under a head that is held whole."""
    for log in node.disk.logs.keys() | node.disk.branches.keys():
        for branch, kept in node.disk.branches_of(log).items():
            whole_size = kept.view.whole.size if kept.view.whole else 0
            held = HeldBranch(branch, kept.view.size, whole_size)
            limits = limits_of([held], {}, is_accused=log in accused)
            yield from kept.statements[: limits.get(branch)]


def lacks_body(kept: KeptLog, size: int) -> bool:
    """Whether a body is missing among the first so many statements of a log."""
    return bool(kept.missing) and min(kept.missing) < size


def is_converged(world: World) -> bool:
    """Whether all honest nodes have equal heads."""
    first, *others = [heads_of(node) for node in honest(world)]
    return all(first == other for other in others)


def check_quiet(world: World, watch: Watch) -> None:
    """Everything that must hold when the network has been whole for three periods.

    Raises:
        Broken: something does not; the first of :func:`broken_when_quiet`.
    """
    for broken in broken_when_quiet(world, watch):
        raise broken


def broken_when_quiet(world: World, watch: Watch) -> Iterator[Broken]:
    """Everything that does not hold though the network has been whole for three periods."""
    nodes = honest(world)
    yield from broken_forks(world)
    # (4) Equal heads and byte-equal views, forked logs included.
    heads, view = heads_of(nodes[0]), view_of(nodes[0])
    for node in nodes[1:]:
        if heads != heads_of(node):
            yield Broken(CONVERGED, f"{nodes[0].member} and {node.member} have other heads")
        if view != view_of(node):
            yield Broken(CONVERGED, f"{nodes[0].member} and {node.member} have other views")
    yield from _broken_bodies(world)
    for node in nodes:
        yield from _broken_at(world, watch, node)
    # (10) What one honest node was told to erase is gone at every one.
    orders = {each for node in nodes for each in node.disk.erases}
    for node in nodes if orders else ():
        for kept in _branches_at(node):
            for verified in kept.statements:
                is_open = verified.statement.opening is not None
                if verified.id in orders and is_open and node.disk.must_go(verified):
                    yield Broken(ERASED_IS_GONE, f"{node.member} holds a body of {kept.view.log}")


def broken_roots(node: Node) -> Iterator[Broken]:
    """(13) The root of what is kept, computed anew, is the one that its signed head names.

    Not where the disk is known to have changed a byte.
    """
    for kept in () if node.disk.is_rotten else _branches_at(node):
        view = kept.view
        edge = _edge_of(node.world, kept)
        is_signed = view.head is None or not view.is_complete or edge.root() == view.head.root_hash
        if edge != view.held or not is_signed:
            yield Broken(ROOT_IS_HELD, f"{node.member} holds other statements of {view.log}")


def _edge_of(world: World, kept: KeptLog) -> CompactRange:
    """The right edge of what is kept, of what every node keeps alike computed once in a world."""
    entries = tuple([each.id.entry for each in kept.statements])
    found = world.edges.get(entries)
    if found is None:
        found = world.edges[entries] = CompactRange().extend([*map(leaf_hash, entries)])
    return found


def _branches_at(node: Node) -> Iterator[KeptLog]:
    for log in node.disk.logs:
        yield from node.disk.branches_of(log).values()


def _broken_bodies(world: World) -> Iterator[Broken]:
    """(9) What a relay kept back was asked of others, and nobody has signed for what he lacks.

    What an honest member said is missing nowhere; what a liar said is not where one honest node has
    it, or can fetch it from him. What he shows to hostile relays alone, or says once and serves
    nobody, no node can be made to have, and no honest one may sign for it.
    """
    nodes = honest(world)
    lacking = [(node, kept) for node in nodes for kept in _branches_at(node) if kept.missing]
    held = {
        each.id
        for node in nodes
        for kept in (_branches_at(node) if lacking else ())
        for each in kept.statements
        if each.statement.opening is not None
    }
    for node, kept in lacking:
        log = kept.view.log
        issuer = world.nodes[log.member]
        shown = {each.id for peer in nodes for each in issuer.shows(log, peer.member)}
        if issuer.is_honest or not (held | shown).isdisjoint(kept.missing.values()):
            yield Broken(RECEIPT_FOR_ALL, f"{node.member} lacks bodies of {log}")
        receipt = node.disk.receipts.get((log, node.member))
        if receipt is None or receipt.head.size > kept.view.size:
            continue
        is_covered = kept.root(receipt.head.size) == receipt.head.root_hash
        if is_covered and lacks_body(kept, receipt.head.size):
            yield Broken(RECEIPT_FOR_ALL, f"{node.member} signed for bodies of {log} that it lacks")


def _broken_at(world: World, watch: Watch, node: Node) -> Iterator[Broken]:
    yield from broken_roots(node)
    # (5) Nothing acknowledged is lost, anywhere.
    for log, ids in watch.acknowledgements.items():
        held = {each.id for kept in node.disk.branches_of(log).values() for each in kept.statements}
        if not held.issuperset(ids):
            yield Broken(ACKNOWLEDGED, f"{node.member} lacks some of {log}")
    # (6) Nobody honest is blamed by peers.
    blamed = {peer.member for peer in node.engine.peers.values() if peer.faults}
    innocent = {member for member in blamed - world.rotten if world.nodes[member].is_honest}
    if innocent:
        yield Broken(NOBODY_HONEST, f"{node.member} blames {sorted(innocent)}")


STORM_REQUESTS_MAX: Final = 20
"""A second and a peer. Question and answer take some 60 ms at the latencies of ``Weather()``, so
one lane in full use asks 16 times; what there is to catch up with does not fill two at once."""

IDLE_SECONDS: Final = 30.0
"""One period: as long as nobody has anything to say, all is said in it."""


def broken_storm(world: World) -> Iterator[Broken]:
    """(16) When all come back together, nobody is asked more often than he can answer."""
    most = STORM_REQUESTS_MAX * (len(world.nodes) - 1)
    for (member, second), count in world.asked_of.items():
        if count > most:
            yield Broken(NO_STORM, f"{count} requests reached {member} in second {second}")


def broken_silence(world: World) -> Iterator[Broken]:
    """(17) Who is in step only compares, and finds so; one period is let pass.

    But an issuer that meets one whose receipt it never had, beyond the neighbours perhaps for the
    first time, asks for it by telling its head once more.
    """
    before, owed, nodes = Counter(world.sent), _receipts_owed(world), world.nodes.items()
    world.run(world.now + IDLE_SECONDS)
    said = world.sent - before
    others = said.keys() - {"digest", "announce", "heads"}
    if others:
        yield Broken(QUIESCENT, f"nodes in step send {sorted(others)}")
    if said["announce"] > owed:
        yield Broken(QUIESCENT, f"nodes in step announce {said['announce']} times, not {owed}")
    # Each has a round or two, and keeps those warm that it was not in touch with.
    most = len(world.nodes) * (2 + len(world.nodes))
    if said["digest"] > most:
        yield Broken(QUIESCENT, f"nodes in step compare {said['digest']} times, not {most}")
    # Who only calls asks each of the others for calls, in a period twice at most.
    callers = sum(bool(callers_of(node.verifier.roster) & {member}) for member, node in nodes)
    if said["heads"] > (most := 2 * callers * (len(nodes) - 1)):
        yield Broken(QUIESCENT, f"nodes in step poll {said['heads']} times, not {most}")


def _receipts_owed(world: World) -> int:
    """How many receipts on their own heads issuers never had; some met some others never at all."""
    return sum(
        len(world.nodes)
        - 1
        - sum(peer.receipted.get(log, 0) >= sync.view.size for peer in node.engine.peers.values())
        for node in world.nodes.values()
        for log, sync in node.engine.logs.items()
        if log.member == node.member
    )


def missing_receipts(world: World) -> Iterator[tuple[str, str, LogId]]:
    """(7) Every honest peer's receipt on a newest head reaches the head's issuer, at last.

    Yields:
        An issuer, the peer whose receipt it lacks, and on which log.
    """
    nodes = honest(world)
    for issuer in nodes:
        for log, kept in issuer.disk.logs.items():
            if log.member != issuer.member:
                continue
            for peer in nodes:
                receipt = issuer.disk.receipts.get((log, peer.member))
                if peer is not issuer and (receipt is None or receipt.head != kept.view.head):
                    yield issuer.member, peer.member, log

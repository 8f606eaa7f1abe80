"""What must hold of logs with two histories; numbers are those of docs/internals/gossip.md."""

from __future__ import annotations

from collections.abc import Iterator

from federation.errors import FederationError
from federation.protocol.origins import LogId
from federation.provenance.convicting import open_evidence
from tests.simulation.promises import (
    EQUALLY_ACCUSED,
    EVIDENCE_STANDS,
    NO_FORK_UNPROVEN,
    NOBODY_HONEST,
    Broken,
)
from tests.simulation.world import Node, World


def honest(world: World) -> list[Node]:
    """The nodes that promises are made about."""
    return [node for node in world.nodes.values() if node.is_honest]


def histories(nodes: list[Node], log: LogId) -> set[tuple[int, bytes]]:
    """The heads under which nodes hold everything, those left out that another one continues."""
    whole = [
        (kept, head.size)
        for node in nodes
        for kept in node.disk.branches_of(log).values()
        if (head := kept.view.whole) is not None
    ]
    found = {(size, kept.root(size)) for kept, size in whole}
    if len(found) <= 1:
        return found  # nothing that another one could continue
    return {
        (size, kept.root(size))
        for kept, size in whole
        if not any(
            other_size > size and other.root(size) == kept.root(size) for other, other_size in whole
        )
    }


def broken_forks(world: World) -> Iterator[Broken]:
    """Everything about evidence that does not hold though the network has been quiet."""
    nodes = honest(world)
    for node in nodes:
        for log, conviction in node.disk.evidence.items():
            # (6) It convicts nobody honest, (8) and stands alone: one key signed both.
            if world.nodes[log.member].is_honest:
                yield Broken(NOBODY_HONEST, f"{node.member} has evidence against {log}")
            try:
                again = open_evidence(conviction.encoded, node.verifier.roster, world.check)
            except FederationError as error:
                yield Broken(EVIDENCE_STANDS, error.message)
                continue
            key = world.key_of(log.member, log.lane)
            same = (again.log, again.key.public) == (conviction.log, conviction.key.public)
            if not same or again.log != log or again.key.public != key.public:
                yield Broken(
                    EVIDENCE_STANDS, f"what {node.member} has against {log} convicts others"
                )
    # (11) Every honest node holds evidence against the same logs.
    accused = [set(node.disk.evidence) for node in nodes]
    if any(each != accused[0] for each in accused):
        yield Broken(EQUALLY_ACCUSED, "honest nodes hold evidence against other logs")
    # (12) Two histories that honest nodes hold are evidence at all of them.
    for log in {log for node in nodes for log in node.disk.logs} - accused[0]:
        found = histories([node for node in nodes if log in node.disk.logs], log)
        if len(found) > 1:
            yield Broken(NO_FORK_UNPROVEN, f"{log} has {len(found)} histories and no evidence")

"""What must hold of logs with two histories; numbers are those of docs/internals/gossip.md."""

from __future__ import annotations

from federation.protocol.origins import LogId
from federation.provenance.convicting import open_evidence
from tests.simulation.forking import root_at
from tests.simulation.world import Node, World


def honest(world: World) -> list[Node]:
    """The nodes that promises are made about."""
    return [node for node in world.nodes.values() if node.is_honest]


def histories(nodes: list[Node], log: LogId) -> set[tuple[int, bytes]]:
    """The heads under which nodes hold everything, those left out that another one continues."""
    whole = [
        kept
        for node in nodes
        for kept in node.disk.branches_of(log).values()
        if kept.view.is_complete
    ]
    return {
        (kept.view.size, root_at(kept, kept.view.size))
        for kept in whole
        if not any(
            other.view.size > kept.view.size
            and root_at(other, kept.view.size) == root_at(kept, kept.view.size)
            for other in whole
        )
    }


def check_forks(world: World) -> None:
    """Everything that must hold about evidence when the network has been quiet.

    Raises:
        AssertionError: something does not.
    """
    nodes = honest(world)
    for node in nodes:
        for log, conviction in node.disk.evidence.items():
            # (6) It convicts nobody honest, (8) and stands alone: one key signed both.
            assert not world.nodes[log.member].is_honest, f"{log.member} is blamed"
            again = open_evidence(conviction.encoded, node.verifier.roster, world.check)
            assert (again.log, again.key) == (log, conviction.key)
            key = world.key_of(log.member, log.lane)
            assert again.key.public == key.public
    # (11) Every honest node holds evidence against the same logs.
    accused = [set(node.disk.evidence) for node in nodes]
    assert all(each == accused[0] for each in accused), accused
    # (12) Two histories that honest nodes hold are evidence at all of them.
    for log in {log for node in nodes for log in node.disk.logs} - accused[0]:
        found = histories([node for node in nodes if log in node.disk.logs], log)
        assert len(found) <= 1, f"{log} has {len(found)} histories and no evidence"

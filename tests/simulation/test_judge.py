"""The judge of a world says what the production judge says, and keeps only what is proven."""

from __future__ import annotations

import pytest

from federation.errors import SignatureInvalid
from federation.gossip.engine import GossipSettings
from federation.protocol.origins import Lane, LogId
from federation.provenance.verifier import Verifier
from tests.builders import make_statement
from tests.simulation.backend import federation_of
from tests.simulation.world import Node, World


def test_what_is_proven_is_kept_for_all_and_what_is_not_is_judged_each_time() -> None:
    world = World(1, federation_of(("acme", "nova", "umbra")), GossipSettings())
    node, *others = [Node(world, member) for member in ("acme", "nova", "umbra")]
    for each in (node, *others):
        each.start()
    federation_id = world.founded.roster.federation_id
    log = LogId("acme", federation_id, Lane.LIVE)
    said = make_statement(1, member="acme", federation_id=federation_id)
    node.publish(Lane.LIVE, [said])
    world.run(1.0)
    head = node.disk.logs[log].view.head
    assert head is not None

    judge = world.judge(world.founded.roster)
    assert judge is world.judge(node.chain.newest)
    assert judge.open_head(head.note) is judge.open_head(head.note)
    judged_alone = Verifier(world.founded.roster, world.check)
    assert judged_alone.open_head(head.note) == judge.open_head(head.note)
    assert judged_alone.open_statement(log, 0, said) == judge.open_statement(log, 0, said)
    forged = head.note.replace(b"\n1\n", b"\n2\n", 1)
    for _ in range(2):
        with pytest.raises(SignatureInvalid):
            judge.open_head(forged)

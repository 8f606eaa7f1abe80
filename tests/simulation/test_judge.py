"""All who act under one roster share the production judge, which remembers only what is proven."""

from __future__ import annotations

import pytest

from federation.errors import SignatureInvalid
from federation.gossip.engine import GossipSettings
from federation.protocol.origins import Lane, LogId
from federation.provenance.verifier import Verifier
from tests.builders import make_statement
from tests.simulation.backend import federation_of
from tests.simulation.world import Node, World


def test_all_share_one_production_judge_that_remembers_what_is_proven() -> None:
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
    assert type(judge) is Verifier
    assert all(each.verifier is judge for each in (node, *others))
    assert judge is world.judge(node.chain.newest)
    assert head is judge.open_head(head.note)
    assert Verifier(world.founded.roster, world.check).open_head(head.note) == head
    forged = head.note.replace(b"\n1\n", b"\n2\n", 1)
    for _ in range(2):
        with pytest.raises(SignatureInvalid):
            judge.open_head(forged)

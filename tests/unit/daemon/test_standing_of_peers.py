"""How peers stand: what they say beside what they signed."""

from __future__ import annotations

from random import Random

from federation.daemon.standing import PeerLogStanding, peer_standings
from federation.gossip import events
from federation.gossip.engine import GossipEngine, GossipSettings
from federation.protocol.origins import LogId
from tests.builders import ACME, NOVA, UMBRA, make_log, make_roster


def standing(
    own: str, *, there: int, receipts: dict[tuple[str, LogId], int] | None = None
) -> PeerLogStanding:
    """Nova's standing with a node that holds five statements of acme's."""
    made = make_log(5, founded=make_roster(), member=ACME)
    engine = GossipEngine(own, made.verifier, GossipSettings())
    engine.handle(events.Started((made.view,), ()), 0.0, Random(1))
    engine.peers[NOVA].holds[made.log] = there
    known = {(member, made.log): size for (member, _), size in (receipts or {}).items()}
    told = peer_standings(engine, made.founded.roster, known, 0.0)
    (nova,) = [each for each in told if each.member == NOVA]
    (log,) = nova.logs
    return log


def test_a_peer_that_acknowledges_and_signs_nothing_is_told_apart() -> None:
    log = make_log().log
    assert 5 == standing(ACME, there=5).unsigned
    assert 2 == standing(ACME, there=5, receipts={(NOVA, log): 3}).unsigned
    assert 0 == standing(ACME, there=5, receipts={(NOVA, log): 5}).unsigned
    assert 0 == standing(ACME, there=0).unsigned


def test_a_receipt_is_owed_to_the_issuer_alone() -> None:
    assert 0 == standing(UMBRA, there=5).unsigned

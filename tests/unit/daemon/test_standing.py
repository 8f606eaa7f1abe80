"""What is said of catching up: of what comes, never of what is only promised."""

from __future__ import annotations

from random import Random

from federation.daemon.standing import catching_up, log_standings
from federation.gossip import events
from federation.gossip.engine import GossipEngine, GossipSettings
from federation.gossip.pace import WINDOW_SECONDS, Pace
from federation.protocol.checkpoints import Checkpoint
from federation.protocol.checkpoints_signing import sign_checkpoint
from federation.protocol.messages import AnnouncedHead, Announcement
from federation.protocol.origins import Lane, LogId
from tests.builders import ACME, NOVA, UMBRA, make_log, make_roster

FOUNDED = make_roster()
MADE = make_log(3, founded=FOUNDED)
DICE = Random(1)
ABSURD = LogId(UMBRA, FOUNDED.roster.federation_id, Lane.BULK)


def made_engine() -> GossipEngine:
    engine = GossipEngine(NOVA, MADE.verifier, GossipSettings())
    engine.handle(events.Started(()), 0.0, DICE)
    return engine


def announce(engine: GossipEngine, member: str, note: bytes) -> None:
    message = Announcement((AnnouncedHead(note),), 1)
    engine.handle(events.AnnouncementReceived(member, 1, message), 1.0, DICE)


def test_head_of_an_absurd_size_makes_no_time_left() -> None:
    engine, pace, most = made_engine(), Pace(), FOUNDED.roster.limits.log_size
    key = FOUNDED.companies[UMBRA].keys[Lane.BULK]
    announce(engine, UMBRA, sign_checkpoint(Checkpoint(ABSURD.origin, most, bytes(32)), key))
    pace.note(1.0, 100)
    told = catching_up(engine, pace, 2.0)
    assert (0, most, None) == (told.lacking, told.unserved, told.seconds_left)
    (standing,) = log_standings(engine, 2.0)
    assert (most, None) == (standing.lacking, standing.last_served_seconds)


def test_log_that_peers_serve_is_counted_as_long_as_they_do() -> None:
    engine, pace = made_engine(), Pace()
    made = make_log(3, founded=FOUNDED)
    first = make_log(founded=FOUNDED)
    first.say(*made.said)
    step = first.advance(2)
    announce(engine, ACME, made.head().note)
    told = catching_up(engine, pace, 1.0)
    assert (0, 3) == (told.lacking, told.unserved)
    engine.handle(events.Persisted(step, None), 2.0, DICE)
    pace.note(2.0, 2)
    told = catching_up(engine, pace, 2.0 + WINDOW_SECONDS)
    assert (1, 0) == (told.lacking, told.unserved)
    assert told.seconds_left is not None
    told = catching_up(engine, pace, 2.1 + WINDOW_SECONDS)
    assert (0, 1, None) == (told.lacking, told.unserved, told.seconds_left)

"""How the node stands: what its operators are shown of logs, peers and alarms.

Numbers and words only, taken from what the engine and the store know; no signal and no content.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from federation.gossip.engine import GossipEngine
from federation.gossip.pace import WINDOW_SECONDS, Pace
from federation.gossip.peers import PeerView
from federation.protocol.origins import LogId
from federation.protocol.roster import Roster


@dataclass(frozen=True, slots=True)
class LogStanding:
    """One log, as held here.

    Attributes:
        log: which.
        held: statements held durably.
        known: statements under the largest head heard of.
        last_served_seconds: since something that peers served of it became durable; None: never
            since the start.
    """

    log: LogId
    held: int
    known: int
    last_served_seconds: float | None

    @property
    def lacking(self) -> int:
        """How many statements are offered and not held."""
        return self.known - self.held

    @property
    def is_served(self) -> bool:
        """Whether peers serve it: a head alone is a promise, of any size its signer liked."""
        return self.last_served_seconds is not None and self.last_served_seconds <= WINDOW_SECONDS


@dataclass(frozen=True, slots=True)
class PeerLogStanding:
    """One log, between this node and one peer.

    Attributes:
        log: which.
        here: statements held here.
        there: statements the peer last said to hold.
        receipt_size: the largest head of it for which this node keeps the peer's receipt; 0: none.
        is_owed: whether the peer owes this node a receipt for what it holds: of this node's own
            logs, whoever signs receipts at all.
    """

    log: LogId
    here: int
    there: int
    receipt_size: int
    is_owed: bool = False

    @property
    def unsigned(self) -> int:
        """How many statements of this node's own the peer says to hold and gave no receipt for."""
        return max(0, min(self.here, self.there) - self.receipt_size) if self.is_owed else 0

    @property
    def behind_here(self) -> int:
        """How many statements this node lacks that the peer has."""
        return max(0, self.there - self.here)

    @property
    def behind_there(self) -> int:
        """How many statements the peer lacks that this node has."""
        return max(0, self.here - self.there)


@dataclass(frozen=True, slots=True)
class PeerStanding:
    """One peer.

    Attributes:
        member: its name.
        urls: where it is reached.
        link: "up", "waiting" (being left alone after a failure) or "never reached".
        last_contact_seconds: since it last said anything; None: never.
        failures: requests in a row that came to nothing.
        faults: malformed or unproven things it sent.
        unserved: statements it offered and did not serve, requests.
        waits: how often it asked to be asked later.
        unjudged: heads not looked at after others of their message had failed.
        repeats: announcements that told nothing new.
        last_error: in words; None after a success.
        logs: every log either side holds something of.
    """

    member: str
    urls: tuple[str, ...]
    link: str
    last_contact_seconds: float | None
    failures: int
    faults: int
    unserved: int
    waits: int
    unjudged: int
    repeats: int
    last_error: str | None
    logs: tuple[PeerLogStanding, ...]


def log_standings(engine: GossipEngine, now: float) -> list[LogStanding]:
    """Every log held or heard of, in the order of origins.

    Args:
        engine: what it knows.
        now: the engine's clock, seconds.
    """
    standings = []
    for log, sync in sorted(engine.logs.items(), key=lambda pair: pair[0].origin):
        known = max((head.size for head in sync.offers.values()), default=0)
        served = None if sync.served_at is None else max(0.0, now - sync.served_at)
        standings.append(LogStanding(log, sync.view.size, max(known, sync.view.size), served))
    return standings


@dataclass(frozen=True, slots=True)
class CatchingUp:
    """How far behind this node is.

    Attributes:
        lacking: statements to come, of logs that peers serve.
        unserved: statements that peers offer of other logs, and of which none came of late.
        per_second: how many became durable a second, of late.
        seconds_left: at that pace; None where nobody can know, or nothing is lacking.
    """

    lacking: int
    unserved: int
    per_second: float
    seconds_left: float | None


def known_by_answers(engine: GossipEngine) -> dict[LogId, int] | None:
    """How many statements there are of each log, as far as peers said; None before one answered."""
    if all(each.last_answered_at is None for each in engine.peers.values()):
        return None
    return {each.log: each.known for each in log_standings(engine, 0.0)}


def catching_up(engine: GossipEngine, pace: Pace, now: float) -> CatchingUp:
    """How far behind this node is, and how long that will take."""
    standings = log_standings(engine, now)
    lacking = sum(each.lacking for each in standings if each.is_served)
    unserved = sum(each.lacking for each in standings if not each.is_served)
    rate = pace.per_second(now)
    left = pace.seconds_left(now, lacking) if lacking else None
    return CatchingUp(lacking, unserved, rate, left)


def peer_standings(
    engine: GossipEngine,
    roster: Roster,
    receipts: Mapping[tuple[str, LogId], int],
    now: float,
) -> list[PeerStanding]:
    """Every peer, in the order of names.

    Args:
        engine: what it knows.
        roster: for addresses.
        receipts: (member, log) -> newest size cosigned.
        now: the engine's clock, seconds.
    """
    held = {log: sync.view.size for log, sync in engine.logs.items()}
    standings = []
    for name in engine.peers.reachable:
        peer, told = engine.peers[name], roster.member(name)
        logs = sorted({*held, *peer.holds}, key=lambda log: log.origin)
        standings.append(
            PeerStanding(
                member=name,
                urls=told.urls,
                link=_link(peer, now),
                last_contact_seconds=_age(peer, now),
                failures=peer.failures,
                faults=peer.faults,
                unserved=peer.unserved,
                waits=peer.waits,
                unjudged=peer.unjudged,
                repeats=peer.repeats,
                last_error=peer.last_error,
                logs=tuple(
                    PeerLogStanding(
                        log,
                        held.get(log, 0),
                        peer.holds.get(log, 0),
                        receipts.get((name, log), 0),
                        is_owed=log.member == engine.member and bool(told.mirror_keys),
                    )
                    for log in logs
                    if held.get(log) or peer.holds.get(log)
                ),
            )
        )
    return standings


def standing_of(roster: Roster, member: str) -> str:
    """What a member is at the moment, in words: its roles, or why it has none."""
    found = roster.members.get(member)
    if found is None:
        return "not in the roster"
    return " and ".join(sorted(found.roles)) if found.is_active else found.status.value


def _link(peer: PeerView, now: float) -> str:
    if peer.failures and not peer.is_open(now):
        return "waiting"
    if peer.failures:
        return "failing"
    return "up" if peer.last_heard_at is not None else "never reached"


def _age(peer: PeerView, now: float) -> float | None:
    return None if peer.last_heard_at is None else max(0.0, now - peer.last_heard_at)

"""Whom this node tells and asks: the roster's members as it sees them now, and itself among them.

Everybody while members are few, neighbours beyond (``neighbours``); and the suspicion that it is
this node that is cut off, where most peers fall silent together and nobody answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from federation.gossip.dice import Dice
from federation.gossip.events import Command, FetchRoster, RaiseAlarm
from federation.gossip.neighbours import neighbours_of
from federation.gossip.peers import BACKOFF_SECONDS_MAX, ISOLATED_WAIT_SECONDS_MAX, Peers, PeerView
from federation.gossip.reach import callers_of, reachable_from, readers_of
from federation.gossip.waves import WAVE_PEERS, Wave
from federation.protocol.origins import Lane, LogId
from federation.protocol.roster import Roster

WARM_SECONDS: Final = 40.0
"""With a round each 30 s, give or take, a connection never idles for its 90 s of keep-alive."""


class Circle:
    """The peers of one engine.

    Args:
        member: this node's own name.
        roster: the one in force.
        full_view_members: up to so many members every node tells every other one.

    Attributes:
        peers: every other member that can be reached and may read.
        is_isolated: whether it seems to be this node that is cut off from all others.
        ahead: who said to have a newer roster.
    """

    def __init__(self, member: str, roster: Callable[[], Roster], full_view_members: int) -> None:
        self.peers = Peers()
        self.is_isolated = False
        self._member, self._roster = member, roster
        self._full_view_members = full_view_members
        self._roster_asked: int | None = None
        self.ahead: dict[str, None] = {}
        self._read: Roster | None = None
        self._readers: tuple[str, ...] = ()
        self._callers: frozenset[str] = frozenset()

    def meet(self, now: float) -> None:
        """Take the roster's members in; new ones that will be told are compared with."""
        new = self.peers.replace(reachable_from(self._roster(), self._member))
        met = new if self.tells_everybody else [peer.member for peer in self.neighbours()]
        for name in met:
            self.peers[name].compare_soon(now)

    @property
    def tells_everybody(self) -> bool:
        """Whether an issuer tells all the others himself."""
        return len(self.peers.reachable) < self._full_view_members

    def neighbours(self) -> list[PeerView]:
        """Whom to pass on to."""
        roster = self._roster()
        if roster is not self._read:
            self._read = roster
            self._readers, self._callers = readers_of(roster, self._member), callers_of(roster)
        names = neighbours_of(
            self._member,
            self._readers,
            roster.federation_id,
            self.peers.is_silent,
            self._callers,
        )
        return self.peers.reachable_of(names)

    def audience(self) -> list[PeerView]:
        """Whom this node tells of what it publishes itself."""
        if self.tells_everybody:
            return self.peers.reachable_of(self.peers.reachable)
        return self.neighbours()

    def keep_warm(self, now: float) -> None:
        """Neighbours that were not asked anything for long are compared with.

        A connection that idles is closed, and a crisis that begins with handshakes is three round
        trips late; and who is silent is found out before it matters.
        """
        for peer in self.neighbours():
            if now - (peer.last_answered_at or 0.0) >= WARM_SECONDS and peer.is_open(now):
                peer.compare_soon(now)

    def ask_at(self, name: str, lane: Lane) -> float:
        """When a peer may be asked for statements of a lane; never, one that is no peer."""
        peer = self.peers.get(name)
        return float("inf") if peer is None else max(peer.retry_at, peer.serves_at(lane))

    # --- a crisis -------------------------------------------------------------------------------

    def tell_crisis(self, log: LogId, now: float, rng: Dice) -> list[str]:
        """Beyond the audience, some others are told at once; returns whom of both that reaches."""
        told = [peer.member for peer in self.audience() if peer.is_open(now)]
        if not self.tells_everybody:
            names = self.peers.reachable
            others = rng.sample(names, min(WAVE_PEERS, len(names)))
            self._tell_now(log, others, now)
            told += others
        return told

    def send_wave(self, log: LogId, wave: Wave, now: float, rng: Dice) -> None:
        """Too few gave a receipt: as many others are told as well."""
        lacking = [name for name in self.peers.reachable if self._holds(name, log) < wave.size]
        chosen = [name for name in lacking if name not in wave.told]
        if len(chosen) > WAVE_PEERS:
            chosen = rng.sample(chosen, WAVE_PEERS)
        else:  # everybody had a turn, with these: begin again with those who lack it still
            again = [name for name in lacking if name in wave.told]
            chosen += rng.sample(again, min(WAVE_PEERS - len(chosen), len(again)))
            wave.told.clear()
        self._tell_now(log, chosen, now)
        wave.told.update(chosen)

    def _tell_now(self, log: LogId, names: Iterable[str], now: float) -> None:
        for name in names:
            peer = self.peers[name]
            peer.note_probed(now)  # a crisis does not wait for a breaker
            peer.make_due(log, now)

    def _holds(self, name: str, log: LogId) -> int:
        peer = self.peers.views.get(name)
        return 0 if peer is None else peer.holds.get(log, 0)

    # --- how they are doing ---------------------------------------------------------------------

    def note_failed(
        self, peer: PeerView, now: float, rng: Dice, reason: str, retry_after: float | None
    ) -> list[Command]:
        """A request came to nothing: the peer's fault, unless nobody at all answers.

        One that asked for patience did answer.
        """
        if retry_after:
            if peer.note_asked_to_wait(now, rng, retry_after):
                peer.compare_soon(now)
            self._end_isolation(now)
            return []
        longest = ISOLATED_WAIT_SECONDS_MAX if self.is_isolated else BACKOFF_SECONDS_MAX
        peer.note_failed(now, rng, reason, wait_seconds_max=longest)
        if self.is_isolated or not self.peers.seem_cut_off(now):
            return []
        self.is_isolated = True
        text = "most peers stopped answering together: this node's own network may be down"
        return [RaiseAlarm("isolated", text)]

    def note_answered(self, peer: PeerView, now: float, *, compares: bool = False) -> None:
        """A peer answered; one that had been failing is compared with, unless it just was."""
        if peer.note_answered(now) and not compares:
            peer.compare_soon(now)
        self._end_isolation(now)

    def _end_isolation(self, now: float) -> None:
        if self.is_isolated:
            # Back: whoever was given up meanwhile is tried at once, with what he missed.
            self.is_isolated = False
            for each in self.peers.values():
                if each.failures:
                    each.note_probed(now)

    def note_came(self, name: str, now: float) -> None:
        """A peer that cannot be connected to asks what there is for it."""
        peer = self.peers.get(name)
        if peer is None:
            return
        peer.note_heard(now)
        if peer.failures:
            peer.compare_soon(now)  # it was away; an answer will end the count of failures

    # --- rosters --------------------------------------------------------------------------------

    def note_version(self, peer: PeerView, version: int) -> None:
        """A peer said which roster it acts under."""
        peer.roster_version = version
        if version > self._roster().version:
            self.ahead[peer.member] = None

    def fetch_roster_due(self, now: float) -> list[Command]:
        """Ask for the next version, where somebody has a newer one and nobody was asked yet."""
        if self._roster_asked is not None:
            return []
        version = self._roster().version
        for name in list(self.ahead):
            peer = self.peers.get(name)
            if peer is None or peer.roster_version <= version:
                del self.ahead[name]
            elif peer.is_open(now):
                self._roster_asked = version + 1
                return [FetchRoster(peer.member, version + 1)]
        return []

    def note_roster_fetch_ended(self, name: str, *, is_refuted: bool = False) -> None:
        """Whatever came of it; who promised more than he gave is asked again next time.

        Args:
            name: who was asked.
            is_refuted: whether it was his doing that none was proven: it excuses him no longer.
        """
        asked, self._roster_asked = self._roster_asked, None
        peer = self.peers.get(name)
        if peer is not None and asked is not None and self._roster().version < asked:
            peer.roster_refuted = asked if is_refuted else peer.roster_refuted
            peer.roster_version = self._roster().version

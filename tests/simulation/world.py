"""A federation under one heap of events: virtual time, a bad network, disks that forget.

What decides is the production code: ``GossipEngine``, ``LogView``, ``Verifier`` and the codecs of
the wire. What is simulated is what they are given: a clock, chance, a network that delays, drops
and doubles, and a disk (``disk.py``). A seed gives the same schedule every time.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from hashlib import sha256
from heapq import heappop, heappush
from itertools import count
from random import Random
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from zlib import crc32

from federation.errors import FederationError
from federation.gossip import events, joining_events
from federation.gossip.answers import ASKS_MAX
from federation.gossip.engine import GossipEngine, GossipSettings
from federation.gossip.reach import reachable_from, takes_calls
from federation.net.limits import POLL_SECONDS
from federation.protocol.bodies import ActsUnder
from federation.protocol.checkpoints import Checkpoint
from federation.protocol.checkpoints_signing import cosign, sign_checkpoint
from federation.protocol.headers import StatementId
from federation.protocol.keys import SignatureCheck, check_ed25519
from federation.protocol.keys_signing import SigningKey
from federation.protocol.limits_messages import ANNOUNCE_BYTES_MAX
from federation.protocol.merkle_growth import CompactRange
from federation.protocol.messages import (
    Announcement,
    AnnouncementAnswer,
    ComparisonAnswer,
    StatementRange,
)
from federation.protocol.messages_hashes import BundleHashes
from federation.protocol.notes import format_signature_line
from federation.protocol.origins import Cosigner, Lane, LogId, cosigner_name, parse_origin
from federation.protocol.roster import Roster
from federation.protocol.roster_chain import RosterChain
from federation.protocol.statements import Statement
from federation.provenance.log_view import Advance, LogView, leaf_of
from federation.provenance.taking_back import erase_targets
from federation.provenance.verifier import Head, Receipt, VerifiedStatement, Verifier
from tests.builders import Founded, make_statement
from tests.simulation.bounds import (
    ALONE,
    HASHES_UNDER_WAY_MAX,
    OPENINGS_MAX,
    PIECES_UNDER_WAY_MAX,
    RANGES_MAX,
    TIMEOUT_SECONDS,
    UnderWay,
)
from tests.simulation.disk import Disk, KeptLog
from tests.simulation.forking import ForkHands, events_of_gaps
from tests.simulation.governance import Governance
from tests.simulation.network import Network, Weather
from tests.simulation.promises import BOUNDED, LEFT_ALONE, must
from tests.simulation.standing import moved_views, standing_view
from tests.simulation.wire import DECODE, Wire

if TYPE_CHECKING:
    from tests.simulation.checks import Watch

NEW_YEAR_2026: Final = 1_767_225_600
"""What the wall clock shows in the beginning, POSIX seconds."""

FORCED_SHARE: Final = 0.25
"""How often an active point fires."""

RARE_SHARE: Final = 0.1
"""The same where a schedule can bear only a few of it."""

CRASHED_SHARE: Final = 0.05
"""The same where it ends a process: one that does nothing but die tests little else."""

RANGE_PARTS: Final = 3
"""Spaces in a request for a range; one more where it names a branch."""

BUSY_SECONDS: Final = (0.5, 20.0)
"""What a busy peer asks others to wait."""

Reply = Callable[[bytes | None], None]
Ended = Callable[[bytes | None, str], None]
"""Takes the answer to a request, or None and why there is none."""

_Due: TypeAlias = tuple[float, int, Callable[..., None]]
"""When, in which turn of those at one time, and what."""

_AS_BYTES: Final = Struct("<d").pack
"""A time, exactly."""


BUSY: Final = "busy: "
"""How a refusal begins that asks to be left alone; the seconds follow."""


def wait_of(reason: str) -> float | None:
    """How long the peer asked to be left alone, if it did."""
    return float(reason.removeprefix(BUSY)) if reason.startswith(BUSY) else None


_Said: TypeAlias = tuple[Sequence[Statement], Callable[[LogView], object]]


def check_fast(public: bytes, message: bytes, signature: bytes) -> bool:
    """A stand-in for Ed25519 that costs a twentieth and binds key and message as well."""
    return signature == _sign_fast(public, message)


def _sign_fast(public: bytes, message: bytes) -> bytes:
    digest = sha256(public + message).digest()
    return digest + digest


class FastKey(SigningKey):
    """A key whose signatures :func:`check_fast` takes."""

    __slots__ = ()

    def sign(self, message: bytes) -> bytes:
        return _sign_fast(self.public, message)


@lru_cache(maxsize=8_192)
def _fast_key(key: SigningKey) -> FastKey:
    return FastKey(key._private)


class World:
    """Clock, chance, network, and everybody in it.

    Args:
        seed: of everything that is left to chance.
        founded: the federation.
        settings: of every engine.
        is_fast: whether signatures are the fast stand-in.
        buggify: how likely it is that something rare is forced where it hurts; 0: never.

    Attributes:
        now: seconds since the beginning.
        network: what carries messages; changed by the schedule.
        nodes: by member.
        rotten: whose disk changed a byte by itself: what they serve of it is rightly blamed.
        views: what is held -> the view that it makes.
        edges: entries in log order -> the right edge that they make.
        seen: how often something interesting happened.
        sent: how many requests of each kind were made.
        healed_at: since when nothing goes wrong any more, or None.
        asked_of: (member, second) -> requests of the honest that reached it since then.
    """

    def __init__(
        self,
        seed: int,
        founded: Founded,
        settings: GossipSettings,
        *,
        is_fast: bool = True,
        buggify: float = 0.0,
    ) -> None:
        self.now = 0.0
        self.rng = Random(seed)
        self.seed, self.founded, self.settings, self.is_fast = seed, founded, settings, is_fast
        self.governance = Governance(founded)
        self.nodes: dict[str, Node] = {}
        self.views: dict[Hashable, bytes] = {}
        self.edges: dict[tuple[bytes, ...], CompactRange] = {}
        self.rotten: set[str] = set()
        self.watch: Watch | None = None
        self.seen: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self.events = 0
        self.healed_at: float | None = None
        self.asked_of: Counter[tuple[str, int]] = Counter()
        self.wire = Wire()
        self.network = Network(self.rng, self.at, self.seen)
        self._buggify = buggify
        self._points: dict[str, bool] = {}
        self._judges: dict[bytes, Verifier] = {}
        self._trace = 0
        self._ways: dict[tuple[str, str], bytes] = {}
        self._heap: list[_Due] = []
        # All requests are waited for equally long, so these stand in their order by themselves.
        self._timeouts: deque[_Due] = deque()
        self._ticket = count()

    @property
    def weather(self) -> Weather:
        """What the network is like by default."""
        return self.network.weather

    @weather.setter
    def weather(self, weather: Weather) -> None:
        self.network.weather = weather

    @property
    def check(self) -> SignatureCheck:
        """The signature check that every verifier here is given."""
        return check_fast if self.is_fast else check_ed25519

    def judge(self, roster: Roster) -> Verifier:
        """The judge under a roster, on which alone it depends: one for all who act under it."""
        judge = self._judges.get(roster.root_bytes)
        if judge is None:
            judge = self._judges[roster.root_bytes] = Verifier(roster, self.check)
        return judge

    @property
    def trace(self) -> str:
        """A checksum of every message carried and when: equal for equal schedules."""
        return f"{self._trace:08x}"

    def key_of(self, member: str, purpose: str, public: bytes | None = None) -> SigningKey:
        """A member's key; of several, the one of that public key."""
        key = self.governance.key_of(member, purpose, public)
        return _fast_key(key) if self.is_fast else key

    def forces(self, point: str, share: float = FORCED_SHARE) -> bool:
        """Whether what is rare happens at this point this time; most points, in most worlds, not.

        As FoundationDB's BUGGIFY: in each world some of the points are active, and fire often.
        """
        if not self._buggify:
            return False
        is_active = self._points.get(point)
        if is_active is None:
            is_active = self._points[point] = self.rng.random() < self._buggify
        if is_active and self.rng.random() < share:
            self.seen[f"forced: {point}"] += 1
            return True
        return False

    def stop_forcing(self) -> None:
        """Nothing rare is forced from now on."""
        self._buggify = 0.0

    def heal(self) -> None:
        """From now on nothing goes wrong."""
        self.healed_at = self.now

    def at(self, time: float, action: Callable[[], None]) -> None:
        """Do something at a time; at one time, in the order in which it was asked for."""
        heappush(self._heap, (time, next(self._ticket), action))

    def run(self, until: float) -> None:
        """Let everything happen that is due up to then."""
        heap, timeouts = self._heap, self._timeouts
        while heap or timeouts:
            if timeouts and (not heap or timeouts[0] < heap[0]):
                if timeouts[0][0] > until:
                    break
                self.now, _, ended = timeouts.popleft()
                self.events += 1
                ended(None, "no answer in time")
            else:
                if heap[0][0] > until:
                    break
                self.now, _, action = heappop(heap)
                self.events += 1
                action()
        self.now = until

    def end(self) -> None:
        """Let go of everybody: nobody has to look for what refers to each other in a world."""
        for node in self.nodes.values():
            for each in (node.fork_hands, getattr(node, "engine", node), node):
                vars(each).clear()
        if self.watch is not None:
            vars(self.watch).clear()
        self._heap.clear()
        self._timeouts.clear()

    def run_until(self, is_so: Callable[[], bool], seconds: float, step: float = 1.0) -> None:
        """Let time pass, a step at a time, until something is so or as many seconds are over."""
        end = self.now + seconds
        while self.now < end and not is_so():
            self.run(self.now + step)

    def request(
        self,
        caller: Node,
        peer: str,
        kind: str,
        raw: bytes,
        ended: Ended,
    ) -> None:
        """Ask a peer something: the answer or the reason why there is none, exactly once."""
        boot, waiting = caller.boot, [ended]
        self.sent[kind] += 1

        def end(answer: bytes | None, reason: str) -> None:
            if not waiting or caller.boot != boot:
                return
            if caller.is_paused:
                caller.when_running(lambda: waiting and waiting.pop()(answer, reason))
            else:
                waiting.pop()(answer, reason)

        def back(answer: bytes | None) -> None:
            self._carry(peer, caller.member, answer or b"", lambda: end(answer, "refused"))

        def arrive() -> None:
            node = self.nodes[peer]
            if self.healed_at is not None and caller.is_honest:
                self.asked_of[peer, int(self.now)] += 1
            if not node.is_up:
                if not node.is_black_hole:
                    end(None, "no process there")
            elif self.forces("asked to wait"):
                busy = f"{BUSY}{self.rng.uniform(*BUSY_SECONDS)}"
                self._carry(peer, caller.member, b"", lambda: end(None, busy))
            elif not node.lets_in(caller.member):
                self._carry(peer, caller.member, b"", lambda: end(None, "not let in"))
            elif node.is_paused:
                node.when_running(lambda: node.serve(kind, caller.member, raw, back))
            else:
                node.serve(kind, caller.member, raw, back)

        shaken = self.network.weather.is_wide and self.network.handshake_seconds(
            self.now, caller.member, peer
        )
        if shaken:
            self.at(self.now + shaken, lambda: self._carry(caller.member, peer, raw, arrive))
        else:
            self._carry(caller.member, peer, raw, arrive)
        self._timeouts.append((self.now + TIMEOUT_SECONDS, next(self._ticket), end))

    def _carry(self, source: str, target: str, raw: bytes, arrive: Callable[[], None]) -> None:
        way = self._ways.get((source, target))
        if way is None:
            way = self._ways[source, target] = f"{source} {target} ".encode()
        self._trace = crc32(_AS_BYTES(self.now) + way, crc32(raw, self._trace))
        self.network.carry(self.now, source, target, len(raw), arrive)


class Node:
    """One member's process and disk: the engine's hands, as the daemon has them.

    Attributes:
        engine: the production engine; a new one after each start.
        logs: lane -> its own log.
        disk: what outlives a crash.
        boot: how often it crashed; what an earlier life began comes to nothing.
        guard: own log -> size of what it signed last; on no backup, and lost with no disk.
        is_stopped: whether it signs nothing until a person has looked.
        was_put_back: whether its disk holds less than it had said, and nobody has mended that.
        is_black_hole: whether, while it is dead, nothing even refuses what is sent to it.
        is_honest: whether it does what its engine says and nothing else.
    """

    is_honest = True

    def __init__(self, world: World, member: str) -> None:
        self.world, self.member = world, member
        self.disk = Disk()
        federation_id = world.founded.roster.federation_id
        self.logs = {lane: LogId(member, federation_id, lane) for lane in Lane}
        self._mirror_name = cosigner_name(member, federation_id, Cosigner.MIRROR)
        self.verifier = world.judge(world.founded.roster)
        self.boot, self.is_up, self.is_paused, self.is_black_hole = 0, False, False, False
        self.wall_offset_seconds = 0
        self._held: list[Callable[[], object]] = []
        self._pieces: set[tuple[LogId, int]] = set()
        self._trees = Counter[LogId]()
        self._left_alone: dict[str, float] = {}
        self.alarms: list[str] = []
        self.rng = Random(f"{world.seed} {member}")
        world.nodes[member] = self
        self._carry: Mapping[type, Callable[[Any], None]] = {
            events.Announce: self._announce,
            events.AnswerAnnouncement: self._answer_announcement,
            events.Compare: self._compare,
            events.AnswerComparison: self._answer_comparison,
            events.FetchRange: self._fetch_range,
            events.FetchOpenings: self._fetch_openings,
            joining_events.FetchHashes: self._fetch_hashes,
            joining_events.FetchPiece: self._fetch_piece,
            events.Reopen: self._reopen,
            events.Persist: self._persist,
            events.KeepReceipt: self._keep_receipt,
            events.RaiseAlarm: self._raise_alarm,
            events.WakeAt: self._wake_at,
            events.FetchRoster: self._fetch_roster,
        }
        self.guard: dict[LogId, int] = {}
        self.is_stopped = self.was_put_back = False
        self.fork_hands = ForkHands(self)
        self._carry = {**self._carry, **self.fork_hands.carry()}

    # --- its life -------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin, from what is durable."""
        if self.is_up:
            return
        self.is_up, self.is_black_hole = True, False
        if self.world.watch is not None:
            self.world.watch.started(self)
        self.verifier = self.world.judge(self.chain.newest)
        self._look_at_guard()
        self._pieces.clear()
        self._trees.clear()
        self._left_alone.clear()
        self.engine = GossipEngine(self.member, self.verifier, self.world.settings)
        self._wake = self._armed = float("inf")
        self._asks: dict[int, Reply] = {}
        self.under_way = UnderWay()
        self._ask_next = count()
        self._own = {
            log: standing_view(kept, self.verifier) for log, kept in self.disk.logs.items()
        }
        self._queues: dict[LogId, list[_Said]] = {}
        receipts = [
            receipt for (_, member), receipt in self.disk.receipts.items() if member == self.member
        ]
        gaps = (each for log in self.disk.logs for each in events_of_gaps(self, log))
        lacking = tuple(each for each in gaps if each.missing)
        forked = self.fork_hands.forked()
        self.feed(events.Started(tuple(self._own.values()), tuple(receipts), lacking, forked))
        self._poll()
        self._settle_what_a_crash_came_before(receipts)

    def _settle_what_a_crash_came_before(self, receipts: Sequence[Receipt]) -> None:
        """As a node does at its start: what is whole and has no receipt of its own gets one."""
        given = {(receipt.head.log, receipt.head.size) for receipt in receipts}
        for log, kept in list(self.disk.logs.items()):
            is_due = kept.view.is_complete and (log, kept.view.size) not in given
            if self.is_up and is_due and log.member != self.member:
                self.settle(log)

    @property
    def chain(self) -> RosterChain:
        """Its roster: what its disk has, or the first version, which is kept with the keys."""
        return self.disk.chain or self.world.founded.chain

    def _look_at_guard(self) -> None:
        """Hold what was signed last against the disk: an older one may have been put back."""
        for log, size in self.guard.items():
            kept = self.disk.logs.get(log)
            if kept is None or kept.view.size < size:
                self.stop_signing()
        for log, kept in self.disk.logs.items():
            # A crash came between the two writes.
            if log.member == self.member and kept.view.size > self.guard.get(log, 0):
                self.guard[log] = kept.view.size

    def stop_signing(self) -> None:
        """Sign nothing until a person has looked."""
        self.world.seen["signing stopped"] += not self.is_stopped
        self.is_stopped = True

    def crash(self) -> None:
        """End at once: what is pending on the disk is lost, and all that was only remembered."""
        if self.is_up:
            self.world.seen["join interrupted"] += bool(self._pieces)
            self.is_up = self.is_paused = False
            self._held.clear()
            self.boot += 1
            self.world.seen["crash"] += 1
            self.world.seen["crash while writing"] += self.disk.crash(self.world.now)

    def pause(self) -> None:
        """Stop where it stands: what comes in meanwhile waits, as in a kernel's queues."""
        self.is_paused = self.is_up

    def resume(self) -> None:
        """Go on, with all that waited, in order."""
        boot, self.is_paused = self.boot, False
        held, self._held = self._held, []
        for action in held:
            if boot == self.boot:  # it may die of the first of them
                self.when_running(action)

    def when_running(self, action: Callable[[], object]) -> None:
        """Do something now, or as soon as this process is not stopped any more."""
        if self.is_paused:
            self._held.append(action)
        else:
            action()

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something after a while, unless this life ends first."""
        boot = self.boot

        def act() -> None:
            if boot == self.boot and self.is_up:
                self.when_running(action)

        self.world.at(self.world.now + seconds, act)

    def crash_soon(self, point: str) -> None:
        """Where it hurts, this process may die at once; it comes back."""
        if self.world.forces(point, CRASHED_SHARE):
            self.crash()
            self.world.at(self.world.now + self.world.rng.uniform(0.1, 5.0), self.start)

    def feed(self, event: events.Event) -> None:
        """Give the engine an event and carry out what it orders."""
        if not self.is_up:
            return  # it died of what it did just before
        boot = self.boot
        for command in self.engine.handle(event, self.world.now, self.rng):
            if boot == self.boot:  # it may die while it does so
                self._carry[type(command)](command)

    # --- publishing -----------------------------------------------------------------------------

    def publish(
        self,
        lane: Lane,
        statements: Sequence[Statement],
        acknowledged: Callable[[LogView], object] = lambda _view: None,
    ) -> None:
        """Say something, as the publisher does: sign, make durable, acknowledge and tell.

        Where the disk is full it is refused: nothing is said and nothing acknowledged.
        """
        if not self.may_say(lane):
            self.world.seen["publish refused"] += 1
            self.world.seen["crisis on a full disk"] += self.disk.full and lane is Lane.CRISIS
            return
        log = self.logs[lane]
        queue = self._queues.setdefault(log, [])
        queue.append((statements, acknowledged))
        if len(queue) == 1:
            self._publish_next(log)

    def may_say(self, lane: Lane) -> bool:
        """Whether it may and can publish there now; who died of what it did just before cannot."""
        log = self.logs[lane]
        said = self.verifier.roster.logs.get(log)
        is_able = self.is_up and not self.disk.full and not self.is_stopped
        return is_able and said is not None and said.is_open

    @property
    def is_publishing(self) -> bool:
        """Whether something is on its way to be said."""
        return any(self._queues.values())

    def lie(self, statements: Sequence[Statement], shared: float | None = None) -> None:
        """A hostile member's own misdeed, with statements of its own; an honest one has none."""

    def _publish_next(self, log: LogId) -> None:
        statements, acknowledged = self._queues[log][0]
        view = self._own.get(log, LogView(log))
        step = view.advance(self.sign(view, statements), statements, (), self.verifier)

        def done(_seconds: float) -> None:
            self._own[log] = step.view
            self.guard[log] = step.view.size
            if self.world.watch is not None:
                self.world.watch.acknowledged(log, statements)
            acknowledged(step.view)
            boot = self.boot
            self.feed(events.Published(step))
            if boot != self.boot:
                return
            self._queues[log].pop(0)
            if self._queues[log]:
                self._publish_next(log)

        self._write(step, None, done)

    def sign(self, view: LogView, statements: Sequence[Statement]) -> Head:
        """The head that statements of one's own lead to."""
        held = view.held.extend(list(map(leaf_of, statements)))
        checkpoint = Checkpoint(view.log.origin, held.size, held.root())
        public = self.verifier.roster.log(view.log).public
        key = self.world.key_of(self.member, view.log.lane, public)
        note = sign_checkpoint(checkpoint, key)
        return self.verifier.open_head(note)

    def shows(self, log: LogId, _peer: str) -> Sequence[VerifiedStatement]:
        """What a peer can fetch of a log of its own."""
        kept = self.disk.logs.get(log)
        return kept.statements if kept else ()

    # --- the disk -------------------------------------------------------------------------------

    def note_durable(self, step: Advance) -> None:
        """A step is on the disk; for those who want to know."""

    def _write(self, step: Advance, receipt: Receipt | None, done: Callable[[float], None]) -> None:
        """Make a step durable; ``done`` is told how long the disk was busy with it."""

        def commit() -> None:
            self.disk.append(step, receipt)
            gone = self.disk.learn(step.statements)
            if self.world.watch is not None:
                self.world.watch.appended(self, step)
            self.note_durable(step)
            slow = 1.0 if self.world.forces("told late") else 0.002
            # A crash may come in between.
            self.later(self.world.rng.uniform(0, slow), lambda: done(seconds + self.disk.slow))
            self.erased(gone)
            self.crash_soon("crash after commit")

        seconds = self.world.rng.uniform(*self.world.weather.write)
        if self.world.forces("write slow"):
            seconds += self.world.rng.uniform(0.5, 3.0)
        self.disk.write(self.world.at, self.world.now, seconds, commit)
        if self.world.forces("roster changed while writing", RARE_SHARE):
            self.hear_of("refresh", self.member)
        self.crash_soon("crash before commit")

    def _persist(self, command: events.Persist) -> None:
        step = command.step
        is_broken = self.world.forces("write failed once", RARE_SHARE)
        if self.disk.full or is_broken:
            self.world.seen["write failed"] += 1
            self.world.seen["crisis on a full disk"] += step.view.log.lane is Lane.CRISIS
            failed = events.PersistFailed(step.view.log, "no room, or a bad sector")
            self.later(0.001, lambda: self.feed(failed))
            return
        log, kept = step.view.log, self.disk.logs.get(step.view.log)
        erases = [each for each in step.statements if erase_targets(each)]
        lacks = any(
            each.statement.opening is None and not self.disk.must_go(each, erases)
            for each in step.statements
        )
        is_whole = step.view.is_complete and not lacks and not (kept and kept.missing)
        receipt = self._receipt(step.view.head) if is_whole else None

        def done(seconds: float) -> None:
            before = self.engine._reconciliation.window.bytes_max
            self.feed(events.Persisted(step, receipt, seconds))
            after = self.engine._reconciliation.window.bytes_max
            self.world.seen["window shrunk"] += after < before
            if receipt is None:
                self.settle(log)

        self._write(step, receipt, done)

    def _reopen(self, command: events.Reopen) -> None:
        opened = [
            self.verifier.open_statement(command.log, index, statement)
            for index, statement in command.statements.items()
        ]

        def commit() -> None:
            self.world.seen["reopened"] += 1
            self.disk.branches_of(command.log)[command.branch].reopen(opened)
            gone = self.disk.learn(opened, branch=command.branch)
            self.later(0.0, lambda: self.settle(command.log))
            self.erased(gone)

        seconds = self.world.rng.uniform(*self.world.weather.write)
        self.disk.write(self.world.at, self.world.now, seconds, commit)

    def erased(self, gone: frozenset[StatementId]) -> None:
        """Tell the engine what is gone here, and what is looked for no more."""
        if not gone or not self.is_up:
            return
        self.world.seen["erased"] += 1
        self.feed(events.Erased(gone))
        for log in sorted({log for each in gone for log, *_ in self.disk.places[each]}, key=str):
            self.later(0.0, lambda log=log: self.settle(log))  # type: ignore[misc]

    def settle(self, log: LogId) -> None:
        """Say what is missing of a log; where nothing is, give the receipt that waited for it."""
        first, *others = events_of_gaps(self, log) or [events.GapsKnown(log, {})]
        kept = self.disk.logs.get(log)
        receipt = None
        if not first.missing and kept and kept.view.is_complete and log.member != self.member:
            receipt = self._receipt(kept.view.head)
        if receipt is not None:
            self.disk.cosign(receipt)
        for each in (replace(first, receipt=receipt), *others):
            self.feed(each)

    def log_named(self, origin: str) -> LogId:
        """The log of an origin."""
        return parse_origin(origin)

    def _receipt(self, head: Head | None) -> Receipt | None:
        if head is None or head.log in self.disk.evidence or self.is_stopped:
            return None
        key = self.world.key_of(self.member, Cosigner.MIRROR)
        line = cosign(
            head.checkpoint.text,
            self._mirror_name,
            key,
            NEW_YEAR_2026 + int(self.world.now) + self.wall_offset_seconds,
        )
        text = format_signature_line(line).rstrip("\n")
        return self.verifier.open_receipt(head, self.member, Cosigner.MIRROR, text)

    def _raise_alarm(self, command: events.RaiseAlarm) -> None:
        self.alarms.append(command.code)
        self.world.seen["isolated"] += command.code == "isolated"

    # --- the roster -----------------------------------------------------------------------------

    def hear_of(self, change: str, member: str) -> bool:
        """The governors decide something and tell this node; whether they could."""
        node = self.world.nodes[member]
        held = {log: kept.view for log, kept in node.disk.logs.items()}
        governance = self.world.governance
        if not governance.decide(change, member, held):
            return False
        for root in governance.chain.versions[len(self.chain.versions) :]:
            self.adopt(root)
        return True

    def adopt(self, root: bytes) -> None:
        """Another version of the roster is here: judge it, and act under it from now on."""
        before = self.chain
        try:
            self.disk.chain = self.world.governance.extended(before, root)
        except FederationError:
            self.world.seen["roster refused"] += 1
            return
        self.world.seen["roster changed"] += 1
        self.verifier = self.world.judge(self.chain.newest)
        self.under_way = UnderWay(self.under_way)
        self._left_alone.clear()
        known = {log: sync.view for log, sync in self.engine.logs.items()} if self.is_up else {}
        views = moved_views(self.disk, before.newest, self.verifier, known)
        self.world.seen["log ended elsewhere"] += len(views)
        self._own |= {view.log: view for view in views if view.log.member == self.member}
        self.feed(events.RosterChanged(self.verifier, views))
        for lane in Lane:
            log = LogId(self.member, before.federation_id, lane)
            old, new = (each.newest.logs.get(log) for each in (before, self.chain))
            if old and new and old.public != new.public and self.may_say(lane):
                self.publish(lane, [self._acts_under(lane)])

    def _acts_under(self, lane: Lane) -> Statement:
        """Said under each new key, so that nothing waits for the next statement."""
        roster = self.chain.newest
        return make_statement(
            1_000_000 * roster.version + list(Lane).index(lane),
            ActsUnder(roster.version, roster.decision_sha256),
            member=self.member,
            federation_id=roster.federation_id,
        )

    def lets_in(self, member: str) -> bool:
        """Whether the roster in force here lets that member connect."""
        found = self.verifier.roster.members.get(member)
        return found is not None and found.is_active

    # --- calling others only ---------------------------------------------------------------------

    def _poll(self) -> None:
        """Ask for the calls that wait, as a node does that nobody can connect to.

        What it is called for reaches it as any request does; what is played is that it comes.
        """
        roster = self.verifier.roster
        if not self.is_up or takes_calls(roster, self.member):
            return
        for peer in reachable_from(roster, self.member):
            self.world.request(self, peer, "heads", b"", lambda _answer, _reason: None)
        self.later(POLL_SECONDS, self._poll)

    def _fetch_roster(self, command: events.FetchRoster) -> None:
        def ended(root: bytes) -> events.Event:
            if root:
                self.adopt(root)
            return events.RosterFetchEnded(command.peer)

        self.ask(
            command.peer,
            "roster",
            str(command.version).encode(),
            ended,
            lambda _reason: events.RosterFetchEnded(command.peer),
        )

    def _roster(self, raw: bytes) -> bytes | None:
        """Answer with a version, where it is known here."""
        version = int(raw)
        versions = self.chain.versions
        return versions[version - 1] if version <= len(versions) else None

    def _keep_receipt(self, command: events.KeepReceipt) -> None:
        self.disk.write(
            self.world.at,
            self.world.now,
            self.world.rng.uniform(*self.world.weather.write),
            lambda: self.disk.keep_receipt(command.receipt),
        )

    # --- talking --------------------------------------------------------------------------------

    def outgoing(self, message: Any) -> Any:
        """What is really sent in place of what the engine said; the same, for the honest."""
        if self.world.watch is not None:
            self.world.watch.leaving(self, message)
        return message

    def _wake_at(self, command: events.WakeAt) -> None:
        self._wake = command.at
        if command.at < self._armed:
            self._arm()

    def _arm(self) -> None:
        at = self._armed = self._wake
        late = self.world.rng.uniform(0, 1.0) if self.world.forces("timer late", RARE_SHARE) else 0
        self.later(at - self.world.now + late, partial(self._woke, at))

    def _woke(self, armed: float) -> None:
        if armed != self._armed:
            return  # an earlier one took its place: one timer at a time
        self._armed = float("inf")
        if self._wake <= self.world.now:
            self.feed(events.Woke())
        else:
            self._arm()

    def ask(
        self,
        peer: str,
        kind: str,
        raw: bytes,
        answered: Callable[[Any], events.Event],
        failed: Callable[[str], events.Event],
        bound: tuple[Hashable, int] | None = None,
    ) -> None:
        """Send a request, and tell the engine what came of it.

        Args:
            peer, kind, raw: the request.
            answered, failed: what the engine is told.
            bound: what is under way by this, and how often that may be at once; (kind, peer), once.
        """
        if kind in ("announce", "digest"):
            is_asked = self.world.now >= self._left_alone.get(peer, 0.0)
            must(is_asked, LEFT_ALONE, "a peer that asked to wait was asked before its time")
        read, under_way = DECODE[kind][1], self.under_way
        what, most = bound or ((kind, peer), ALONE)
        under_way.begin(what, most)

        def ended(answer: bytes | None, reason: str) -> None:
            under_way.end(what)
            if answer is None:
                if kind in ("announce", "digest") and (wait := wait_of(reason)) is not None:
                    self._left_alone[peer] = self.world.now + wait
                event = failed(reason)
            else:
                try:
                    event = answered(self.world.wire.decode(read, answer))
                except FederationError as error:
                    event = failed(error.message)
            self.feed(event)
            # Those that name what they answer; of the others a shell tells each exactly once.
            if kind in ("range", "hashes") and self.world.forces("answer told twice"):
                self.feed(event)

        self.world.request(self, peer, kind, raw, ended)

    def _announce(self, command: events.Announce) -> None:
        peer, lane = command.peer, command.lane
        message: Announcement = self.outgoing(command.message)
        self.world.seen["inlined"] += any(head.inline for head in message.heads)
        raw = self.world.wire.encode(message)
        fits = len(raw) <= ANNOUNCE_BYTES_MAX or not self.is_honest
        must(fits, BOUNDED, "an announcement exceeds what a peer takes")
        self.ask(
            peer,
            "announce",
            raw,
            lambda answer: events.AnnouncementAnswered(peer, lane, answer),
            lambda reason: events.AnnouncementFailed(peer, lane, reason, wait_of(reason)),
            (("announce", peer, lane), ALONE),
        )
        self.crash_soon("crash after telling")

    def _compare(self, command: events.Compare) -> None:
        peer = command.peer
        self.ask(
            peer,
            "digest",
            self.world.wire.encode(self.outgoing(command.message)),
            lambda answer: events.ComparisonAnswered(peer, answer),
            lambda reason: events.ComparisonFailed(peer, reason, wait_of(reason)),
        )

    def _fetch_range(self, command: events.FetchRange) -> None:
        self.world.seen["pulled"] += 1
        peer, log = command.peer, command.log
        self.ask(
            peer,
            "range",
            f"{log.origin} {command.start} {command.end} {command.head_size}".encode(),
            lambda answer: events.RangeReceived(peer, log, answer, command),
            lambda reason: events.RangeFailed(peer, log, reason, wait_of(reason), command),
            (("range", log.lane), RANGES_MAX[log.lane]),
        )

    def _fetch_openings(self, command: events.FetchOpenings) -> None:
        peer, log, branch = command.peer, command.log, command.branch
        if peer == self.member:
            self.fork_hands.look_here(command)
            return
        root = self.disk.branches_of(log)[branch].root(command.end)
        self.ask(
            peer,
            "openings",
            f"{log.origin} {command.start} {command.end} {command.end} {root.hex()}".encode(),
            lambda answer: events.OpeningsReceived(peer, log, answer, branch),
            lambda reason: events.OpeningsFailed(peer, log, reason, wait_of(reason), branch),
            (("openings", log, branch), OPENINGS_MAX),
        )

    def _fetch_hashes(self, command: joining_events.FetchHashes) -> None:
        self.world.seen["joined late"] += command.start == 0
        peer, log = command.peer, command.log
        self.world.seen["stalled tree asked again"] += self._trees[log] > 0
        self._trees[log] += 1

        def ended(event: events.Event) -> events.Event:
            self._trees[log] -= 1
            return event

        self.ask(
            peer,
            "hashes",
            f"{log.origin} {command.start} {command.end} {command.at}".encode(),
            lambda answer: ended(joining_events.HashesReceived(peer, log, answer, command)),
            lambda reason: ended(
                joining_events.HashesFailed(peer, log, reason, wait_of(reason), command)
            ),
            ("hashes", HASHES_UNDER_WAY_MAX),
        )

    def _fetch_piece(self, command: joining_events.FetchPiece) -> None:
        peer, log, start = command.peer, command.log, command.start
        self.world.seen["several pieces"] += any(
            each == log and at != start for each, at in self._pieces
        )
        self.world.seen["stalled piece asked again"] += (log, start) in self._pieces
        self._pieces.add((log, start))

        def ended(event: events.Event) -> events.Event:
            self._pieces.discard((log, start))
            return event

        self.ask(
            peer,
            "piece",
            f"{log.origin} {start} {command.end} {command.end}".encode(),
            lambda answer: ended(joining_events.PieceReceived(peer, log, start, answer)),
            lambda reason: ended(
                joining_events.PieceFailed(peer, log, start, reason, wait_of(reason))
            ),
            (("piece", peer), PIECES_UNDER_WAY_MAX),
        )

    # --- answering ------------------------------------------------------------------------------

    def serve(self, kind: str, sender: str, raw: bytes, reply: Reply) -> None:
        """A request arrived."""
        if kind in ("announce", "digest"):
            self._hear(kind, sender, raw, reply)
            return
        if kind == "heads":
            peer = self.engine.peers.views.get(sender)
            self.world.seen["asked for calls"] += 1
            self.world.seen["came and was thought away"] += bool(peer and peer.failures)
            self.feed(events.PeerCame(sender))
            reply(b"")
            return
        if kind == "hashes":
            reply(self._hashes(raw))
            return
        if kind in {"range", "openings", "piece"}:
            named = raw.count(b" ") > RANGE_PARTS
            reply(self.fork_hands.serve_branch(raw) if named else self._range(raw))
            return
        if kind == "roster":
            reply(self._roster(raw))
            return
        assert kind == "prefix", kind
        reply(self.fork_hands.prefix(raw))

    def _hear(self, kind: str, sender: str, raw: bytes, reply: Reply) -> None:
        ask = next(self._ask_next)
        try:
            message = self.world.wire.decode(DECODE[kind][0], raw)
        except FederationError:
            reply(None)
            return
        self._asks[ask] = reply
        must(len(self._asks) <= ASKS_MAX + 1, BOUNDED, "too many requests wait for the disk")
        if kind == "announce":
            self.feed(events.AnnouncementReceived(sender, ask, message))
        else:
            self.feed(events.ComparisonReceived(sender, ask, message))

    def _wanted(self, raw: bytes) -> tuple[KeptLog, int, int, int] | None:
        """Which log, from where, to where and at which size; None where it is not served."""
        origin, *numbers = raw.decode().split()
        start, end, size = map(int, numbers)
        kept = next((kept for log, kept in self.disk.logs.items() if log.origin == origin), None)
        if kept is None or size > kept.view.size or self.world.forces("range refused"):
            return None
        return kept, start, end, size

    def _hashes(self, raw: bytes) -> bytes | None:
        found = self._wanted(raw)
        if found is None:
            return None
        kept, start, end, size = found
        message: BundleHashes = self.outgoing(BundleHashes(start, *kept.bundles(start, end, size)))
        return self.world.wire.encode(message)

    def _range(self, raw: bytes) -> bytes | None:
        found = self._wanted(raw)
        if found is None:
            return None
        kept, start, end, size = found
        if self.world.forces("range cut short"):
            end = start + self.world.rng.randint(1, end - start)
        statements = kept.serve(start, end)
        proof = kept.proof(start + len(statements), size)
        message: StatementRange = self.outgoing(StatementRange(start, statements, proof))
        return self.world.wire.encode(message)

    def _answer_announcement(self, command: events.AnswerAnnouncement) -> None:
        message: AnnouncementAnswer = self.outgoing(command.message)
        self._answer(command.ask, self.world.wire.encode(message))

    def _answer_comparison(self, command: events.AnswerComparison) -> None:
        message: ComparisonAnswer = self.outgoing(command.message)
        self._answer(command.ask, self.world.wire.encode(message))

    def _answer(self, ask: int, raw: bytes) -> None:
        reply = self._asks.pop(ask)
        if self.world.forces("answer late"):
            self.later(self.world.rng.uniform(1.0, 2 * TIMEOUT_SECONDS), lambda: reply(raw))
        else:
            reply(raw)
        self.crash_soon("crash after answering")

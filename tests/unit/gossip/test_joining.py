"""Joining late: the tree first, pieces from everybody, each judged alone, written in order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from random import Random

import pytest

from federation.gossip.arrivals import Arrivals
from federation.gossip.events import Command, FetchRange, Persist
from federation.gossip.forks import Forks
from federation.gossip.joining import (
    IDLE_SECONDS_MAX,
    PIECES_MAX,
    PIECES_PER_PEER_MAX,
    SHORT_ANSWERS_MAX,
    STALL_SECONDS,
    TREE_SOURCES_MAX,
)
from federation.gossip.joining_events import (
    FetchHashes,
    FetchPiece,
    HashesFailed,
    HashesReceived,
    PieceFailed,
    PieceReceived,
)
from federation.gossip.peers import PeerView
from federation.gossip.reconciliation import RETRY_SECONDS, SET_ASIDE_SECONDS, Reconciliation
from federation.protocol.limits import TILE_WIDTH
from federation.protocol.merkle_growth import CompactRange
from federation.protocol.messages import StatementRange
from federation.protocol.messages_hashes import BundleHashes
from federation.protocol.origins import Lane
from federation.protocol.statements import Statement
from tests.builders import NOVA, UMBRA, MadeLog, make_log, make_roster, make_statement

FOUNDED = make_roster()
COUNT = 3 * 1_024 + 300
THIRD = "tertia.example"
DICE = Random(7)


@pytest.fixture(scope="module")
def made() -> MadeLog:
    log = make_log(founded=FOUNDED)
    log.say_numbers(range(COUNT))
    return log


class Joiner:
    """A node that holds little of a log which peers offer, driven by hand."""

    def __init__(
        self, made: MadeLog, peers: Sequence[str] = (NOVA, UMBRA), *, holds: int = 0
    ) -> None:
        self.made = made
        self.reconciliation = Reconciliation(made.verifier, join_statements_min=1_000)
        self.peers = {peer: PeerView(peer) for peer in peers}
        self.blamed: list[str] = []
        self.arrivals = Arrivals(
            self.reconciliation,
            self.peers,
            lambda peer, _error: self.blamed.append(peer),
            Forks("delta.example", self.reconciliation, lambda: self.peers),
        )
        if holds:
            follower = make_log(founded=FOUNDED)
            follower.say(*made.said)
            self.reconciliation.hold(follower.advance(holds).view)
        for peer in peers:
            self.reconciliation.hear(peer, made.head(), ())

    @property
    def size(self) -> int:
        return self.reconciliation.sync_of(self.made.log).view.size

    def pump(self, now: float = 0.0) -> list[Command]:
        return self.reconciliation.pump(now, DICE, lambda _peer, _lane: 0.0)

    def answer_hashes(self, now: float = 0.0, *, message: BundleHashes | None = None) -> str:
        """Serve the tree; returns who was asked for it."""
        (fetch,) = self.pump(now)
        assert isinstance(fetch, FetchHashes)
        answer = message or hashes_of(self.made, fetch)
        self.arrivals.hashes(HashesReceived(fetch.peer, fetch.log, answer), now, DICE)
        return fetch.peer

    def answer(self, fetch: FetchPiece, said: Sequence[Statement] | None = None) -> None:
        statements = tuple(self.made.said[fetch.start : fetch.end] if said is None else said)
        message = StatementRange(fetch.start, statements, ())
        self.arrivals.piece(PieceReceived(fetch.peer, fetch.log, fetch.start, message), 0.0, DICE)

    def write(self, persist: Persist) -> None:
        self.reconciliation.note_persisted(persist.step.view)

    def run(self, now: float = 0.0) -> list[FetchPiece]:
        """Answer whatever is asked until nothing is; returns what was asked for, in order."""
        asked = []
        while commands := self.pump(now):
            for command in commands:
                if isinstance(command, FetchPiece):
                    asked.append(command)
                    self.answer(command)
                else:
                    assert isinstance(command, Persist)
                    self.write(command)
        return asked


def hashes_of(made: MadeLog, fetch: FetchHashes) -> BundleHashes:
    leaves = made.leaves[: fetch.at]
    return BundleHashes(
        fetch.start,
        tuple(
            CompactRange().extend(leaves[at * TILE_WIDTH : (at + 1) * TILE_WIDTH]).root()
            for at in range(fetch.start, fetch.end)
        ),
        tuple(leaves[fetch.at // TILE_WIDTH * TILE_WIDTH :]),
    )


def pieces(commands: Sequence[Command]) -> list[FetchPiece]:
    return [command for command in commands if isinstance(command, FetchPiece)]


def test_tree_comes_first_then_pieces_from_several_peers_at_once(made: MadeLog) -> None:
    joiner = Joiner(made)
    joiner.answer_hashes()
    asked = pieces(joiner.pump())
    assert [(0, 1_024), (1_024, 2_048), (2_048, 3_072), (3_072, COUNT)] == [
        (fetch.start, fetch.end) for fetch in asked
    ]
    assert {NOVA, UMBRA} == {fetch.peer for fetch in asked}
    for peer in (NOVA, UMBRA):
        assert PIECES_PER_PEER_MAX == sum(fetch.peer == peer for fetch in asked)
    for fetch in asked:
        joiner.answer(fetch)
    joiner.run()
    assert COUNT == joiner.size
    assert made.log not in joiner.reconciliation.joining._joins


def test_pieces_that_come_out_of_order_wait_and_are_written_in_order(made: MadeLog) -> None:
    joiner = Joiner(made)
    joiner.answer_hashes()
    first, *others = pieces(joiner.pump())
    for fetch in reversed(others):
        joiner.answer(fetch)
        assert [] == [each for each in joiner.pump() if isinstance(each, Persist)]
    joiner.answer(first)
    (persist,) = joiner.pump()
    assert isinstance(persist, Persist)
    assert (0, COUNT) == (persist.step.before.size, persist.step.view.size)
    assert persist.step.view.is_complete


def test_first_step_is_there_long_before_the_last_piece(made: MadeLog) -> None:
    joiner = Joiner(made)
    joiner.answer_hashes()
    joiner.answer(pieces(joiner.pump())[0])
    (persist,) = (each for each in joiner.pump() if isinstance(each, Persist))
    joiner.write(persist)
    assert 1_024 == joiner.size


@pytest.mark.parametrize("holds", [1, TILE_WIDTH - 1, TILE_WIDTH, 1_024, 1_500])
def test_interrupted_join_goes_on_with_the_bundle_it_had_begun(made: MadeLog, holds: int) -> None:
    joiner = Joiner(made, holds=holds)
    joiner.answer_hashes()
    asked = joiner.run()
    assert holds - holds % TILE_WIDTH == asked[0].start
    assert COUNT == joiner.size


def test_tree_that_the_head_does_not_commit_to_is_blamed_and_asked_elsewhere(made: MadeLog) -> None:
    joiner = Joiner(made)
    (fetch,) = joiner.pump()
    assert isinstance(fetch, FetchHashes)
    honest = hashes_of(made, fetch)
    forged = BundleHashes(0, (bytes(32), *honest.bundles[1:]), honest.leaves)
    joiner.arrivals.hashes(HashesReceived(fetch.peer, fetch.log, forged), 0.0, DICE)
    assert [fetch.peer] == joiner.blamed
    assert fetch.peer != joiner.answer_hashes()
    joiner.run(SET_ASIDE_SECONDS)
    assert COUNT == joiner.size


def test_forged_piece_is_blamed_on_who_sent_it_and_served_by_another(made: MadeLog) -> None:
    joiner = Joiner(made)
    joiner.answer_hashes()
    first, *others = pieces(joiner.pump())
    strange = make_statement(COUNT, federation_id=made.log.federation_id)
    joiner.answer(first, [strange, *made.said[1:1_024]])
    assert [first.peer] == joiner.blamed
    for fetch in others:
        joiner.answer(fetch)
    again = pieces(joiner.pump())
    assert [(first.start, True)] == [(each.start, each.peer != first.peer) for each in again]
    joiner.answer(again[0])
    joiner.run()
    assert COUNT == joiner.size


def test_piece_nobody_serves_in_time_is_asked_of_a_second_peer(made: MadeLog) -> None:
    joiner = Joiner(made)
    joiner.answer_hashes()
    first, *others = pieces(joiner.pump())
    for fetch in others:
        joiner.answer(fetch)
    assert [] == joiner.pump(STALL_SECONDS / 2)
    sync = joiner.reconciliation.sync_of(made.log)
    assert STALL_SECONDS == joiner.reconciliation.joining.next_wake(sync, 1.0)
    (second,) = pieces(joiner.pump(STALL_SECONDS))
    assert first.start == second.start
    assert first.peer != second.peer
    joiner.answer(second)
    joiner.answer(first)  # too late, and no harm
    joiner.run(STALL_SECONDS)
    assert COUNT == joiner.size


def test_tree_that_nobody_serves_in_time_is_asked_of_a_second_peer(made: MadeLog) -> None:
    joiner = Joiner(made)
    (first,) = joiner.pump()
    assert isinstance(first, FetchHashes)
    assert [] == joiner.pump(STALL_SECONDS / 2)
    sync = joiner.reconciliation.sync_of(made.log)
    assert STALL_SECONDS == joiner.reconciliation.joining.next_wake(sync, 1.0)
    assert first.peer != joiner.answer_hashes(STALL_SECONDS)
    # Too late, and no harm: not blamed, and nothing of it is taken.
    late = HashesReceived(first.peer, first.log, hashes_of(made, first), first)
    joiner.arrivals.hashes(late, STALL_SECONDS, DICE)
    joiner.run(STALL_SECONDS)
    assert (COUNT, []) == (joiner.size, joiner.blamed)


def test_tree_of_a_slow_peer_is_taken_though_another_one_was_asked_meanwhile(made: MadeLog) -> None:
    joiner = Joiner(made)
    (first,) = joiner.pump()
    (second,) = joiner.pump(STALL_SECONDS)
    assert isinstance(first, FetchHashes)
    assert isinstance(second, FetchHashes)
    slow = HashesReceived(first.peer, first.log, hashes_of(made, first), first)
    joiner.arrivals.hashes(slow, STALL_SECONDS, DICE)
    joiner.run(STALL_SECONDS)
    assert COUNT == joiner.size


def test_forged_tree_of_one_peer_does_not_spoil_what_another_told(made: MadeLog) -> None:
    joiner = Joiner(made)
    (first,) = joiner.pump()
    (second,) = joiner.pump(STALL_SECONDS)
    assert isinstance(first, FetchHashes)
    assert isinstance(second, FetchHashes)
    honest = hashes_of(made, second)
    forged = BundleHashes(0, (bytes(32), *honest.bundles[1:]), honest.leaves)
    received = HashesReceived(second.peer, second.log, forged, second)
    joiner.arrivals.hashes(received, STALL_SECONDS, DICE)
    assert [second.peer] == joiner.blamed
    answer = HashesReceived(first.peer, first.log, hashes_of(made, first), first)
    joiner.arrivals.hashes(answer, STALL_SECONDS, DICE)
    joiner.run(SET_ASIDE_SECONDS + STALL_SECONDS)
    assert (COUNT, [second.peer]) == (joiner.size, joiner.blamed)


def test_members_that_drip_a_tree_together_are_asked_one_after_the_other_and_not_without_end(
    made: MadeLog,
) -> None:
    joiner = Joiner(made, [f"m{number}.example" for number in range(2 * TREE_SOURCES_MAX)])
    joining, sync = joiner.reconciliation.joining, joiner.reconciliation.sync_of(made.log)
    asked, times = list[FetchHashes](), [0.0]
    for _ in range(TREE_SOURCES_MAX):
        (fetch,) = joiner.pump(times[-1])
        assert isinstance(fetch, FetchHashes)
        asked.append(fetch)
        times.append(joining.next_wake(sync, times[-1]) or 0.0)
    assert TREE_SOURCES_MAX == len({each.peer for each in asked})
    waits = [after - before for before, after in pairwise(times)]
    assert [STALL_SECONDS * 2**number for number in range(TREE_SOURCES_MAX - 1)] == waits[:-1]
    now = times[-2] + IDLE_SECONDS_MAX / 2
    assert [] == joiner.pump(now)
    # One that gives up makes room for the next.
    failed = HashesFailed(asked[0].peer, made.log, "no answer in time", None, asked[0])
    joiner.arrivals.hashes_failed(failed, now, DICE)
    (another,) = joiner.pump(now)
    assert isinstance(another, FetchHashes)
    assert another.peer not in {each.peer for each in asked}


def test_peer_that_fails_is_left_alone_for_a_moment_and_then_asked_again(made: MadeLog) -> None:
    joiner = Joiner(made, (NOVA,))
    joiner.answer_hashes()
    for fetch in pieces(joiner.pump()):
        failed = PieceFailed(NOVA, made.log, fetch.start, "refused")
        joiner.arrivals.piece_failed(failed, 0.0, DICE)
    assert [] == joiner.pump()
    assert RETRY_SECONDS == joiner.reconciliation.next_wake(0.0, lambda _peer, _lane: 0.0)
    joiner.run(RETRY_SECONDS)
    assert COUNT == joiner.size


def test_bodies_too_long_for_whole_pieces_are_fetched_range_by_range(made: MadeLog) -> None:
    joiner = Joiner(made)
    joiner.answer_hashes()
    for fetch in pieces(joiner.pump())[:SHORT_ANSWERS_MAX]:
        joiner.answer(fetch, made.said[fetch.start : fetch.start + 3])
    assert made.log not in joiner.reconciliation.joining._joins
    assert any(isinstance(command, FetchRange) for command in joiner.pump())


def test_what_waits_in_memory_is_bounded_whatever_the_number_of_peers(made: MadeLog) -> None:
    peers = [f"peer-{number}.example" for number in range(PIECES_MAX)]
    joiner = Joiner(made, [*peers, THIRD])
    joiner.answer_hashes()
    assert len(pieces(joiner.pump())) <= PIECES_MAX


def test_log_that_lacks_little_is_fetched_as_ever() -> None:
    short = make_log(founded=FOUNDED)
    short.say_numbers(range(50))
    joiner = Joiner(short)
    assert [FetchRange] == [type(command) for command in joiner.pump()]


# --- beside a log that nobody goes on serving ---------------------------------------------------


@pytest.fixture(scope="module")
def honest() -> MadeLog:
    log = make_log(founded=FOUNDED, lane=Lane.BULK)
    log.say_numbers(range(COUNT))
    return log


class Beside(Joiner):
    """A node that joins a log whose tree is proven and whose pieces are refused, and others."""

    def __init__(self, refused: MadeLog, served: MadeLog, *, refuses_from: int = 0) -> None:
        super().__init__(refused, (UMBRA,))
        self.served, self.refuses_from = served, refuses_from
        self.peers[NOVA] = PeerView(NOVA)
        self.under_way: list[FetchPiece] = []

    def step(self, now: float) -> None:
        """Serve what is asked of the served log, and of the other one its tree at most."""
        for command in self.pump(now):
            if isinstance(command, FetchHashes):
                log = self.served if command.log == self.served.log else self.made
                received = HashesReceived(command.peer, command.log, hashes_of(log, command))
                self.arrivals.hashes(received, now, DICE)
            elif isinstance(command, FetchPiece):
                if command.log == self.served.log:
                    self.answer(command, self.served.said[command.start : command.end])
                elif command.start >= self.refuses_from:
                    failed = PieceFailed(command.peer, command.log, command.start, "refused")
                    self.arrivals.piece_failed(failed, now, DICE)
                else:
                    self.under_way.append(command)  # for ever
            elif isinstance(command, Persist):
                self.write(command)

    def join_the_served(self, begins: float) -> float | None:
        """Offer the other log at last; returns when it was whole here, if it was."""
        self.reconciliation.hear(NOVA, self.served.head(), ())
        for step in range(100):
            now = begins + step / 10
            self.step(now)
            if self.reconciliation.sync_of(self.served.log).view.size == COUNT:
                return now
        return None


@pytest.mark.parametrize("is_slow_disk", [False, True])
@pytest.mark.parametrize("refuses_from", [0, 1])
def test_log_whose_pieces_are_refused_does_not_starve_another(
    made: MadeLog, honest: MadeLog, refuses_from: int, *, is_slow_disk: bool
) -> None:
    joiner = Beside(made, honest, refuses_from=refuses_from)
    if is_slow_disk:
        joiner.reconciliation.window.bytes_max = 0
    for step in range(50):
        joiner.step(step / 10)
    assert joiner.join_the_served(5.0) is not None


def test_pieces_that_wait_for_one_that_is_refused_leave_room_for_another_log(
    made: MadeLog, honest: MadeLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("federation.gossip.joining.PIECES_MAX", 3)
    joiner = Beside(made, honest)
    joiner.step(0.0)
    for second in range(30):
        for command in pieces(joiner.pump(float(second))):
            if command.start:
                joiner.answer(command)
            else:
                failed = PieceFailed(command.peer, command.log, 0, "refused")
                joiner.arrivals.piece_failed(failed, float(second), DICE)
    assert joiner.join_the_served(30.0) is not None


def test_place_of_a_log_of_which_nothing_comes_is_free_for_another(
    made: MadeLog, honest: MadeLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("federation.gossip.joining.JOINS_MAX", 1)
    joiner = Beside(made, honest)
    joiner.step(0.0)
    joining = joiner.reconciliation.joining
    joiner.reconciliation.hear(NOVA, honest.head(), ())
    joiner.pump(1.0)  # pieces are asked for, and none will come
    assert (True, False) == (made.log in joining._joins, honest.log in joining._joins)
    sync = joiner.reconciliation.sync_of(made.log)
    assert IDLE_SECONDS_MAX == joining.next_wake(sync, 1.0 + STALL_SECONDS)
    joiner.reconciliation.note_failed(NOVA, honest.log, 0.0)  # range by range meanwhile
    joiner.step(IDLE_SECONDS_MAX)
    assert (False, True) == (made.log in joining._joins, honest.log in joining._joins)

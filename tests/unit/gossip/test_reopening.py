"""Bodies that are missing are asked for at every peer, without end and without haste."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from federation.errors import FederationError
from federation.gossip.events import FetchOpenings, GapsKnown, OpeningsFailed, OpeningsReceived
from federation.gossip.peers import PeerView
from federation.gossip.reopening import ASKED_MAX, PAUSE_SECONDS_FIRST, PAUSE_SECONDS_MAX, Reopening
from federation.gossip.slots import STALL_SECONDS
from federation.protocol.messages import StatementRange
from federation.protocol.statements import Statement, erased_statement
from tests.builders import NOVA, UMBRA, make_log

MADE = make_log(8)
LOG = MADE.log
ME = "me.example"


def bare(statement: Statement) -> Statement:
    return erased_statement(statement.header_bytes, statement.commitment)


class Bench:
    """A reopening with some peers that hold all of the log."""

    def __init__(
        self, *missing: int, peers: Iterable[str] = (NOVA, UMBRA), is_forked: bool = False
    ) -> None:
        self.peers = {name: PeerView(name, holds={LOG: 8}) for name in peers}
        self.blamed: list[tuple[str, str]] = []
        self.reopening = Reopening(ME, lambda: self.peers, self._blame, lambda _log: is_forked)
        self.note(*missing)

    def _blame(self, peer: str, error: FederationError) -> None:
        self.blamed.append((peer, error.code))

    def note(self, *missing: int, now: float = 0.0) -> None:
        known = GapsKnown(LOG, {index: MADE.said[index].id for index in missing})
        self.reopening.note(known, now)

    def asked(self, now: float = 0.0) -> FetchOpenings | None:
        commands = self.reopening.pump(now, Random(1))
        (command,) = commands or (None,)
        assert command is None or isinstance(command, FetchOpenings)
        return command

    def answer(self, fetch: FetchOpenings, *statements: Statement) -> dict[int, Statement]:
        message = StatementRange(fetch.start, statements, ())
        event = OpeningsReceived(fetch.peer, LOG, message)
        return {
            index: statement
            for command in self.reopening.received(event, 0.0, Random(1))
            for index, statement in getattr(command, "statements", {}).items()
        }

    def next_asked(self, now: float = 0.0) -> FetchOpenings:
        """The next request; empty rounds of the pump between two runs are passed over."""
        for _ in range(3):
            if (fetch := self.asked(now)) is not None:
                return fetch
        raise AssertionError("nothing was asked for")


def test_a_run_of_missing_statements_is_asked_for_at_once_and_only_they() -> None:
    bench = Bench(2, 3, 4, 6)
    fetch = bench.next_asked()
    assert (2, 5) == (fetch.start, fetch.end)
    assert bench.asked() is None  # one request at a time
    given = MADE.said[2:5]
    assert dict(enumerate(given, start=2)) == bench.answer(fetch, *given)
    assert bench.asked() is None  # it is being written
    bench.note(6)
    fetch = bench.next_asked()
    assert (6, 7) == (fetch.start, fetch.end)


def test_a_peer_that_drips_holds_no_body_up_and_is_heard_in_the_end() -> None:
    bench = Bench(2, 3)
    stalled, slow = bench.next_asked(), STALL_SECONDS[LOG.lane]
    assert slow == bench.reopening.next_wake(0.0)
    assert bench.asked(slow / 2) is None
    other = bench.next_asked(slow)
    assert {NOVA, UMBRA} == {stalled.peer, other.peer}
    assert {2: MADE.said[2]} == bench.answer(other, MADE.said[2], bare(MADE.said[3]))
    bench.note(3, now=slow)
    assert {3: MADE.said[3]} == bench.answer(stalled, *MADE.said[2:4])
    bench.note(now=slow)
    assert 0 == bench.reopening.missing_count()


def test_so_many_that_drip_are_waited_for_and_no_more() -> None:
    peers = [f"peer{number}.example" for number in range(ASKED_MAX + 2)]
    bench = Bench(2, peers=peers)
    times = [number * STALL_SECONDS[LOG.lane] for number in range(ASKED_MAX)]
    asked = [bench.next_asked(now) for now in times]
    assert ASKED_MAX == len({fetch.peer for fetch in asked})
    assert bench.reopening.next_wake(times[-1]) is None
    assert bench.asked(2 * times[-1]) is None
    bench.reopening.failed(OpeningsFailed(asked[0].peer, LOG, "cut"), 2 * times[-1], Random(1))
    assert bench.next_asked(2 * times[-1]).peer not in {fetch.peer for fetch in asked}


def test_header_and_c_is_no_fault_and_the_next_peer_is_asked() -> None:
    bench = Bench(2)
    first = bench.next_asked()
    assert {} == bench.answer(first, bare(MADE.said[2]))
    second = bench.next_asked()
    assert {NOVA, UMBRA} == {first.peer, second.peer}
    assert [] == bench.blamed


def test_another_statement_is_a_fault_and_is_not_written() -> None:
    bench = Bench(2)
    fetch = bench.next_asked()
    assert {} == bench.answer(fetch, MADE.said[5])
    assert [(fetch.peer, "commitment-mismatch")] == bench.blamed


def test_what_nobody_gives_does_not_keep_the_next_run_waiting() -> None:
    bench = Bench(2, 6)
    starts = []
    for _ in range(4):
        fetch = bench.next_asked()
        starts.append(fetch.start)
        bench.answer(fetch, bare(MADE.said[fetch.start]))
    assert [2, 2, 6, 6] == starts


def test_rounds_in_vain_come_after_growing_pauses_up_to_a_limit() -> None:
    bench = Bench(2)
    now, pauses = 0.0, []
    for _ in range(10):
        while (fetch := bench.asked(now)) is not None:
            bench.answer(fetch, bare(MADE.said[2]))
        due = bench.reopening.next_wake(now)
        assert due is not None
        pauses.append(due - now)
        now = due
    assert PAUSE_SECONDS_FIRST == pauses[0]
    assert sorted(pauses) == pauses
    assert PAUSE_SECONDS_MAX == pauses[-1]


def test_a_failed_request_is_no_answer_and_the_peer_is_left_alone_for_a_while() -> None:
    bench = Bench(2, peers=[NOVA])
    fetch = bench.next_asked()
    event = OpeningsFailed(fetch.peer, LOG, "no answer in time")
    assert [] == bench.reopening.failed(event, 0.0, Random(1))
    assert not bench.peers[NOVA].may_serve(LOG.lane, 0.0)
    assert bench.asked() is None


def test_every_run_is_asked_for_in_a_round_without_anything_else_happening() -> None:
    bench, starts = Bench(0, 2, 4, 6), list[int]()
    while (fetch := bench.asked()) is not None:
        starts.append(fetch.start)
        bench.answer(fetch, bare(MADE.said[fetch.start]))
    assert [0, 0, 2, 2, 4, 4, 6, 6] == starts


def test_a_round_in_which_nobody_can_be_asked_is_over_at_once() -> None:
    bench = Bench(0, 2, 4, 6, peers=[])
    assert bench.asked() is None
    assert PAUSE_SECONDS_FIRST == bench.reopening.next_wake(0.0)


def test_a_peer_that_does_not_hold_it_is_not_asked() -> None:
    bench = Bench(7, peers=[NOVA])
    bench.peers[NOVA].holds[LOG] = 7
    assert bench.asked() is None


def test_a_peer_that_holds_some_of_a_run_is_asked_for_as_much_of_it() -> None:
    bench = Bench(4, 5, 6, 7, peers=[NOVA])
    bench.peers[NOVA].holds[LOG] = 6
    fetch = bench.next_asked()
    assert (NOVA, 4, 6) == (fetch.peer, fetch.start, fetch.end)
    given = MADE.said[4:6]
    assert dict(enumerate(given, start=4)) == bench.answer(fetch, *given)
    bench.note(6, 7)
    assert bench.asked() is None
    assert [] == bench.blamed


def test_nothing_is_asked_for_once_nothing_is_missing() -> None:
    bench = Bench(2)
    fetch = bench.next_asked()
    bench.note()
    assert {} == bench.answer(fetch, MADE.said[2])
    assert bench.asked() is None
    assert 0 == bench.reopening.missing_count()


def test_who_refuses_one_history_of_a_forked_log_is_asked_for_another_at_once() -> None:
    bench = Bench(2, peers=[NOVA], is_forked=True)
    here = bench.next_asked()
    bench.answer(here, bare(MADE.said[2]))
    fetch = bench.next_asked()
    assert NOVA == fetch.peer
    bench.reopening.failed(OpeningsFailed(NOVA, LOG, "refused"), 0.0, Random(1))
    assert bench.peers[NOVA].may_serve(LOG.lane, 0.0)
    assert 0 == bench.peers[NOVA].unserved
    busy = OpeningsFailed(NOVA, LOG, "busy", 9.0)
    bench.reopening.failed(busy, 0.0, Random(1))
    assert not bench.peers[NOVA].may_serve(LOG.lane, 0.0)


def test_of_a_forked_log_it_is_first_looked_whether_another_branch_has_it() -> None:
    bench = Bench(2, 3, is_forked=True)
    here = bench.next_asked()
    assert (ME, 2, 4) == (here.peer, here.start, here.end)
    assert {2: MADE.said[2]} == bench.answer(here, MADE.said[2], bare(MADE.said[3]))
    bench.note(3)
    asked = []
    for _ in range(2):
        fetch = bench.next_asked()
        bench.answer(fetch, bare(MADE.said[3]))
        asked.append(fetch.peer)
    assert [NOVA, UMBRA] == sorted(asked)
    assert [] == bench.blamed

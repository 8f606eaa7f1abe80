"""What peers say is judged, and only who says something unproven is blamed for it."""

from __future__ import annotations

import pytest

from federation.gossip.events import Command, KeepReceipt, Persist, RaiseAlarm
from federation.gossip.fork_events import FindParting, KeepEvidence, PartingFound, StopSigning
from federation.gossip.forks import Forks
from federation.gossip.hearing import FAILURES_MAX, Hearing
from federation.gossip.parting import Parting
from federation.gossip.peers import PeerView
from federation.gossip.reconciliation import Reconciliation
from federation.protocol.evidence import encode_evidence, make_evidence
from federation.protocol.keys import check_ed25519
from federation.protocol.messages import AnnouncedHead, HeldLog
from federation.protocol.notes import NoteSignature
from federation.protocol.notes_writing import add_signatures
from federation.protocol.origins import Cosigner
from federation.provenance.log_view import LogView
from federation.provenance.verifier import Verifier
from tests.builders import ACME, NOVA, UMBRA, MadeLog, make_log, make_roster

FOUNDED = make_roster()
MADE = make_log(3, founded=FOUNDED)


class Bench:
    """A hearing of one member, with nova and umbra as peers."""

    def __init__(
        self,
        member: str = "delta.example",
        *held: LogView,
        verifier: Verifier = MADE.verifier,
    ) -> None:
        self.peers = {name: PeerView(name) for name in (NOVA, UMBRA)}
        self.reconciliation = Reconciliation(verifier)
        for view in held:
            self.reconciliation.sync_of(view.log).view = view
        self.forks = Forks(member, self.reconciliation, lambda: self.peers)
        self.hearing = Hearing(member, self.reconciliation, lambda: self.peers, self.forks)

    def hear(self, announced: AnnouncedHead, peer: str = NOVA) -> list[Command]:
        commands, _log = self.hearing.head(peer, announced)
        return commands

    def faults(self) -> dict[str, int]:
        return {name: peer.faults for name, peer in self.peers.items()}


def other_history(count: int = 3, made: MadeLog = MADE) -> MadeLog:
    other = make_log(founded=FOUNDED, member=made.log.member, lane=made.log.lane)
    other.say_numbers(range(1_000, 1_000 + count))
    other.advance()
    return other


def head_of(made: MadeLog, receipt: str | None = None, *, inline: bool = False) -> AnnouncedHead:
    return AnnouncedHead(made.head().note, tuple(made.said) if inline else (), receipt)


# --- heads --------------------------------------------------------------------------------------


def test_a_head_with_its_statements_is_written() -> None:
    bench = Bench()
    (persist,) = bench.hear(head_of(MADE, inline=True))
    assert isinstance(persist, Persist)
    assert MADE.head() == persist.step.view.head
    assert 3 == bench.peers[NOVA].holds[MADE.log]


@pytest.mark.parametrize("note", [b"", b"junk", MADE.head().note.replace(b"\n3\n", b"\n9\n")])
def test_junk_is_its_senders_fault_and_leaves_nothing(note: bytes) -> None:
    bench = Bench()
    assert ([], None) == bench.hearing.head(NOVA, AnnouncedHead(note))
    assert {NOVA: 1, UMBRA: 0} == bench.faults()
    assert {} == bench.reconciliation.logs
    assert {} == bench.peers[NOVA].holds


def test_junk_from_somebody_who_is_no_peer_is_nothing() -> None:
    bench = Bench()
    assert [] == bench.hear(AnnouncedHead(b"junk"), "stranger.example")


def test_wrong_statements_under_a_true_head_are_their_senders_fault() -> None:
    bench = Bench()
    wrong = AnnouncedHead(MADE.head().note, tuple(reversed(MADE.said)))
    assert [] == bench.hear(wrong)
    assert {NOVA: 1, UMBRA: 0} == bench.faults()
    # The head is true all the same: it is fetched, and somebody else's statements are taken.
    (persist,) = bench.hear(head_of(MADE, inline=True), UMBRA)
    assert isinstance(persist, Persist)
    assert {NOVA: 1, UMBRA: 0} == bench.faults()


def test_what_was_put_under_a_note_is_neither_kept_nor_remembered() -> None:
    bench = Bench(verifier=Verifier(FOUNDED.roster, check_ed25519))
    junk = [NoteSignature(f"junk{number}", bytes(4), bytes(2_000)) for number in range(50)]
    heavy = AnnouncedHead(add_signatures(MADE.head().note, junk), tuple(MADE.said))
    (persist,) = bench.hear(heavy)
    assert isinstance(persist, Persist)
    assert persist.step.view.head is not None
    assert MADE.head().note == persist.step.view.head.note
    assert [MADE.head().note] == list(bench.reconciliation.verifier._opened)


def test_a_head_is_proven_once_however_many_tell_it() -> None:
    asked: list[bytes] = []

    def check(public: bytes, message: bytes, signature: bytes) -> bool:
        asked.append(message)
        return check_ed25519(public, message, signature)

    bench = Bench(verifier=Verifier(FOUNDED.roster, check))
    for peer in (NOVA, UMBRA, NOVA):
        bench.hear(head_of(MADE), peer)
    assert 1 == len(asked)


# --- a message full of junk ---------------------------------------------------------------------


def forged(count: int) -> list[AnnouncedHead]:
    """Notes of one log, each well-formed and not signed by its key."""
    return [
        AnnouncedHead(MADE.head().note.replace(b"\n3\n", b"\n%d\n" % (4 + number)))
        for number in range(count)
    ]


@pytest.mark.parametrize("claimed", [0, 1, 99])
def test_message_full_of_unproven_heads_costs_a_few_checks(claimed: int) -> None:
    checked: list[bytes] = []

    def check(public: bytes, message: bytes, signature: bytes) -> bool:
        checked.append(message)
        return check_ed25519(public, message, signature)

    bench = Bench(verifier=Verifier(FOUNDED.roster, check))
    peer = bench.peers[NOVA]
    peer.roster_version = claimed
    heard = bench.hearing.heads(NOVA, [head_of(MADE), *forged(200), head_of(MADE)])
    assert [MADE.log] + [None] * FAILURES_MAX == [log for _, log in heard]
    assert 1 + FAILURES_MAX == len(checked)
    faults = 0 if claimed == 99 else FAILURES_MAX
    assert (faults, 201 - FAILURES_MAX) == (peer.faults, peer.unjudged)
    # The next message is judged for itself.
    assert 1 == len(bench.hearing.heads(NOVA, [head_of(MADE)]))


def test_true_heads_are_all_heard_however_many_they_are() -> None:
    bench = Bench()
    heads = [head_of(MADE)] * 300
    assert len(heads) == len(bench.hearing.heads(NOVA, heads))
    assert 0 == bench.peers[NOVA].unjudged


# --- one's own logs -----------------------------------------------------------------------------


def test_an_own_head_that_is_not_known_stops_signing_and_raises_one_alarm() -> None:
    bench = Bench(ACME, make_log(2, founded=FOUNDED).view)
    stop, alarm = bench.hear(head_of(MADE, inline=True))
    assert StopSigning(MADE.log, MADE.head(), NOVA) == stop
    assert isinstance(alarm, RaiseAlarm)
    assert "own-head-unknown" == alarm.code
    longer = make_log(4, founded=FOUNDED)
    assert [StopSigning(MADE.log, longer.head(), UMBRA)] == bench.hear(head_of(longer), UMBRA)
    assert {NOVA: 0, UMBRA: 0} == bench.faults()


def test_a_second_unknown_own_head_stops_signing_after_the_first_was_taken_back_in() -> None:
    bench = Bench(ACME, make_log(2, founded=FOUNDED).view)
    bench.hear(head_of(MADE))
    bench.reconciliation.hold(MADE.view)  # a person had it taken back in, and went on
    longer = make_log(4, founded=FOUNDED)
    stop, alarm = bench.hear(head_of(longer))
    assert StopSigning(MADE.log, longer.head(), NOVA) == stop
    assert isinstance(alarm, RaiseAlarm)


def test_an_unknown_own_head_stops_signing_again_where_a_person_went_on_without_it() -> None:
    bench = Bench(ACME, make_log(2, founded=FOUNDED).view)
    bench.hear(head_of(MADE))
    assert [StopSigning(MADE.log, MADE.head(), NOVA)] == bench.hear(head_of(MADE))


def test_an_own_head_with_another_root_is_held_against_the_store_first() -> None:
    bench, other = Bench(ACME, MADE.view), other_history()
    assert [] == bench.hear(head_of(other, inline=True))
    (looked,) = bench.forks.pump(0.0)
    assert FindParting(NOVA, other.head(), {0: MADE.view}, is_accused=False) == looked
    encoded = encode_evidence(make_evidence(MADE.head().note, other.head().note))
    evidence, alarm, stop = bench.forks.found(
        PartingFound(other.head(), Parting(evidence=encoded)), 0.0, None
    )
    assert isinstance(evidence, KeepEvidence)
    assert isinstance(alarm, RaiseAlarm)
    assert "fork" == alarm.code
    assert StopSigning(MADE.log, MADE.head(), "") == stop


def test_an_own_head_that_is_known_or_old_stops_nothing() -> None:
    bench = Bench(ACME, MADE.view)
    assert [] == bench.hear(head_of(MADE))
    assert [] == bench.hear(head_of(make_log(2, founded=FOUNDED)))


# --- forks --------------------------------------------------------------------------------------


def test_two_histories_convict_the_log_once_and_never_who_passed_them_on() -> None:
    bench, other = Bench("delta.example", MADE.view), other_history()
    evidence, alarm = bench.hear(head_of(other, inline=True))
    assert isinstance(evidence, KeepEvidence)
    assert MADE.log == evidence.conviction.log
    assert isinstance(alarm, RaiseAlarm)
    assert [] == bench.hear(head_of(other, inline=True), UMBRA)
    assert [] == bench.hear(head_of(other_history(4), inline=True), UMBRA)
    assert {NOVA: 0, UMBRA: 0} == bench.faults()


def test_statements_that_do_not_fit_are_looked_into_before_anybody_is_blamed() -> None:
    bench, other = Bench("delta.example", MADE.view), other_history(5)
    assert [] == bench.hear(head_of(other, inline=True))
    assert {NOVA: 0, UMBRA: 0} == bench.faults()
    (looked,) = bench.forks.pump(0.0)
    assert isinstance(looked, FindParting)
    assert (NOVA, other.head()) == (looked.peer, looked.head)
    # The head does continue what is held: then the statements were not its own.
    bench.forks.found(PartingFound(other.head(), Parting(extends=True)), 0.0, None)
    assert {NOVA: 1, UMBRA: 0} == bench.faults()


def test_a_head_is_looked_at_again_where_what_is_held_became_another_history_meanwhile() -> None:
    begun, other = make_log(2, founded=FOUNDED), make_log(2, founded=FOUNDED)
    bench = Bench("delta.example", begun.view)
    other.say_numbers(range(1_000, 1_001))
    other.advance()
    bench.forks.doubt(other.head(), NOVA, is_suspect=True)
    (looked,) = bench.forks.pump(0.0)
    assert FindParting(NOVA, other.head(), {0: begun.view}, is_accused=False) == looked
    bench.reconciliation.hold(MADE.view)  # a peer's other history came before the answer
    of_then = Parting(held=begun.view.held, extends=True)
    assert [] == bench.forks.found(PartingFound(other.head(), of_then), 0.0, None)
    assert {NOVA: 0, UMBRA: 0} == bench.faults()
    (looked,) = bench.forks.pump(0.0)
    assert FindParting(NOVA, other.head(), {0: MADE.view}, is_accused=False) == looked
    encoded = encode_evidence(make_evidence(MADE.head().note, other.head().note))
    evidence, _alarm = bench.forks.found(
        PartingFound(other.head(), Parting(evidence=encoded)), 0.0, None
    )
    assert isinstance(evidence, KeepEvidence)


def test_an_older_head_is_held_against_the_store_once() -> None:
    bench, older = Bench("delta.example", MADE.view), make_log(2, founded=FOUNDED)
    for peer in (NOVA, UMBRA):
        assert [] == bench.hear(head_of(older), peer)
    (looked,) = bench.forks.pump(0.0)
    assert isinstance(looked, FindParting)
    assert [] == bench.forks.pump(0.0)
    bench.forks.found(PartingFound(older.head(), Parting(is_known=True)), 0.0, None)
    bench.hear(head_of(older))
    assert [] == bench.forks.pump(0.0)


# --- receipts -----------------------------------------------------------------------------------


def test_a_receipt_on_the_head_held_here_is_kept_once() -> None:
    bench = Bench("delta.example", MADE.view)
    receipt = MADE.receipt(NOVA)
    assert [KeepReceipt(receipt)] == bench.hear(head_of(MADE, receipt.line))
    assert [] == bench.hear(head_of(MADE, receipt.line))
    assert [] == bench.hear(head_of(MADE, MADE.receipt(NOVA, at_seconds=7).line))


def test_a_receipt_on_a_head_that_is_not_held_here_is_not_kept() -> None:
    older = make_log(2, founded=FOUNDED)
    for held in (LogView(MADE.log), make_log(4, founded=FOUNDED).view):
        bench = Bench("delta.example", held)
        assert [] == bench.hear(head_of(older, older.receipt(NOVA).line))
        assert {NOVA: 0, UMBRA: 0} == bench.faults()


def test_a_receipt_that_is_not_the_senders_is_the_senders_fault() -> None:
    bench = Bench("delta.example", MADE.view)
    for number, line in enumerate(
        (MADE.receipt(UMBRA).line, MADE.receipt(NOVA, Cosigner.WITNESS).line, "junk"), start=1
    ):
        assert [] == bench.hear(head_of(MADE, line))
        assert {NOVA: number, UMBRA: 0} == bench.faults()


def test_a_receipt_in_an_answer_is_kept() -> None:
    bench = Bench("delta.example", MADE.view)
    receipt, peer = MADE.receipt(NOVA), bench.peers[NOVA]
    held = HeldLog(MADE.log.sha256, 3, receipt.line)
    assert [KeepReceipt(receipt)] == bench.hearing.answer(peer, MADE.log, held, 5.0)
    assert peer.compare_due is None


def test_an_answer_about_another_history_is_looked_into_and_nobody_is_blamed_yet() -> None:
    bench, other = Bench("delta.example", MADE.view), other_history()
    peer = bench.peers[NOVA]
    held = HeldLog(MADE.log.sha256, 3, other.receipt(NOVA).line)
    assert [] == bench.hearing.answer(peer, MADE.log, held, 5.0)
    assert (0, 5.0) == (peer.faults, peer.compare_due)


@pytest.mark.parametrize("size", [0, 2, 4])
def test_an_answer_about_another_size_is_nothing(size: int) -> None:
    bench = Bench("delta.example", MADE.view)
    held = HeldLog(MADE.log.sha256, size, "junk")
    assert [] == bench.hearing.answer(bench.peers[NOVA], MADE.log, held, 5.0)
    assert {NOVA: 0, UMBRA: 0} == bench.faults()

"""The merged view is a join: no order, path or repetition changes what the federation says."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.protocol.bodies import About, Confirm, Dispute, Endorse, Erase
from federation.protocol.encoding import decode_map
from federation.protocol.headers import StatementId
from federation.protocol.origins import Lane, LogId
from federation.protocol.signals import Signal, SignalType
from federation.protocol.statements import Statement, opened_statement
from federation.protocol.statements_writing import encode_header
from federation.provenance.taking_back import Rulings, erase_targets, must_go, without_opening
from federation.provenance.verifier import VerifiedStatement
from federation.provenance.view import (
    Facts,
    Opinion,
    Standing,
    encode_view,
    facts_of,
    opinions_of,
    opinions_on,
)
from tests.builders import (
    ACME,
    NOVA,
    UMBRA,
    make_confirm,
    make_header,
    make_log,
    make_roster,
    make_salt,
    make_signal,
    make_statement,
    make_withdraw,
)

FOUNDED = make_roster()
FEDERATION = FOUNDED.roster.federation_id
VERIFIER = make_log(founded=FOUNDED).verifier


def judged(statement: Statement, member: str = ACME, lane: Lane = Lane.LIVE) -> VerifiedStatement:
    return VERIFIER.open_statement(LogId(member, FEDERATION, lane), 0, statement)


def confirm(number: int = 0, member: str = ACME, body: Confirm | None = None) -> VerifiedStatement:
    made = make_statement(number, body, member=member, federation_id=FEDERATION)
    return judged(made, member)


def withdraw(number: int, *targets: StatementId, member: str = ACME) -> VerifiedStatement:
    return judged(make_withdraw(number, *targets, member=member, federation_id=FEDERATION), member)


def about(number: int, body: About, *targets: StatementId, member: str = ACME) -> VerifiedStatement:
    made = make_statement(number, body, member=member, federation_id=FEDERATION, references=targets)
    return judged(made, member)


def erase(number: int, *targets: StatementId, member: str = ACME) -> VerifiedStatement:
    return about(number, Erase("data-protection"), *targets, member=member)


def pool() -> list[VerifiedStatement]:
    """Statements of all kinds by three members, about their own and each other's."""
    confirms = [confirm(number, member) for member in (ACME, NOVA, UMBRA) for number in range(4)]
    rng = Random(1)
    withdraws = [
        withdraw(
            100 + number,
            *[each.id for each in rng.sample(confirms, rng.randint(1, 3))],
            member=rng.choice((ACME, NOVA, UMBRA)),
        )
        for number in range(12)
    ]
    bodies: tuple[About, ...] = (Endorse("agrees"), Dispute("benign"))
    reviews = [
        about(200 + number, rng.choice(bodies), rng.choice(confirms).id, member=member)
        for number in range(4)
        for member in (ACME, NOVA, UMBRA)
    ]
    erases = [
        erase(
            300 + number,
            *[each.id for each in rng.sample(confirms + reviews, rng.randint(1, 3))],
            member=rng.choice((ACME, NOVA, UMBRA)),
        )
        for number in range(6)
    ]
    taken = [withdraw(400 + number, reviews[number].id, member=ACME) for number in range(0, 12, 3)]
    return confirms + withdraws + reviews + erases + taken


POOL = pool()
SOME = st.lists(st.sampled_from(POOL))
IDS = st.frozensets(st.sampled_from([each.id for each in POOL]), max_size=3)
SUCCESSORS = st.sampled_from(({}, {ACME: NOVA}, {ACME: NOVA, NOVA: UMBRA}, {ACME: UMBRA}))
GOVERNED = st.builds(Rulings, IDS, IDS, SUCCESSORS)


def only(opinions: Sequence[Opinion]) -> Opinion:
    (opinion,) = opinions
    return opinion


# --- it is a join -------------------------------------------------------------------------------


@given(SOME, SOME, SOME)
def test_joining_is_associative_commutative_and_idempotent(
    first: list[VerifiedStatement], second: list[VerifiedStatement], third: list[VerifiedStatement]
) -> None:
    a, b, c = facts_of(first), facts_of(second), facts_of(third)
    assert a.join(b).join(c) == a.join(b.join(c))
    assert a.join(b) == b.join(a)
    assert a.join(a) == a
    assert a.join(Facts()) == a


@given(SOME, GOVERNED, st.randoms(use_true_random=False), st.integers(0, 30))
def test_no_order_path_or_repetition_changes_the_view(
    statements: list[VerifiedStatement],
    governed: Rulings,
    rng: Random,
    at: int,
) -> None:
    shuffled = statements * 2
    rng.shuffle(shuffled)
    joined = facts_of(shuffled[:at]).join(facts_of(shuffled[at:]))
    assert encode_view(facts_of(statements), governed) == encode_view(joined, governed)


@given(SOME, SOME, GOVERNED, IDS, IDS)
def test_nothing_resurrects(
    before: list[VerifiedStatement],
    more: list[VerifiedStatement],
    governed: Rulings,
    withdrawn: frozenset[StatementId],
    erased: frozenset[StatementId],
) -> None:
    facts = facts_of(before)
    gone = {
        opinion.id: opinion.standing
        for opinion in opinions_of(facts, governed)
        if not opinion.standing.counts
    }
    later = Rulings(governed.withdrawn | withdrawn, governed.erased | erased, governed.successors)
    after = opinions_of(facts.join(facts_of(more)), later)
    standings = {opinion.id: opinion.standing for opinion in after}
    assert all(not standings[each].counts for each in gone)
    # What is erased stays erased; what is withdrawn may be erased yet.
    assert all(
        standings[each] is Standing.ERASED
        for each, standing in gone.items()
        if standing is Standing.ERASED
    )


@given(SOME, GOVERNED)
def test_having_removed_what_must_go_changes_nothing(
    statements: list[VerifiedStatement], governed: Rulings
) -> None:
    erases = [each for each in statements if erase_targets(each)]
    removed = [
        without_opening(each) if must_go(each.id, each.header, erases, governed) else each
        for each in statements
    ]
    assert encode_view(facts_of(statements), governed) == encode_view(facts_of(removed), governed)


# --- who may take back --------------------------------------------------------------------------


def test_a_withdraw_takes_back_its_own_members_statement() -> None:
    said = confirm()
    taken_back = withdraw(1, said.id)
    opinion = only(opinions_of(facts_of([said, taken_back])))
    assert (Standing.WITHDRAWN, (taken_back.id,)) == (opinion.standing, opinion.withdrawn_by)


def test_a_withdraw_that_comes_first_waits_and_then_counts() -> None:
    said = confirm()
    early = facts_of([withdraw(1, said.id)])
    assert opinions_of(early) == ()
    opinion = only(opinions_of(early.join(facts_of([said]))))
    assert Standing.WITHDRAWN is opinion.standing


def test_a_withdraw_by_another_member_is_inert() -> None:
    said = confirm()
    with_theirs = facts_of([said, withdraw(1, said.id, member=UMBRA)])
    assert Standing.ACTIVE is only(opinions_of(with_theirs)).standing
    assert encode_view(facts_of([said])) == encode_view(with_theirs)


def test_one_withdraw_may_take_back_many_and_touches_no_others() -> None:
    mine, also_mine, theirs = confirm(1), confirm(2), confirm(3, NOVA)
    facts = facts_of([mine, also_mine, theirs, withdraw(9, mine.id, also_mine.id, theirs.id)])
    standings = {opinion.id: opinion.standing for opinion in opinions_of(facts)}
    assert {
        mine.id: Standing.WITHDRAWN,
        also_mine.id: Standing.WITHDRAWN,
        theirs.id: Standing.ACTIVE,
    } == standings


def test_withdrawing_a_withdraw_brings_nothing_back() -> None:
    said = confirm()
    first = withdraw(1, said.id)
    opinion = only(opinions_of(facts_of([said, first, withdraw(2, first.id)])))
    assert Standing.WITHDRAWN is opinion.standing


def test_saying_it_again_is_another_statement_that_stands() -> None:
    said, again = confirm(1), confirm(2, body=make_confirm(1))
    facts = facts_of([said, withdraw(3, said.id), again])
    signal = make_signal(1)
    on = opinions_on(opinions_of(facts), SignalType.PDQ, signal.value)
    assert {said.id: Standing.WITHDRAWN, again.id: Standing.ACTIVE} == {
        opinion.id: opinion.standing for opinion in on
    }


def test_governance_takes_back_whose_statement_it_lists() -> None:
    said, kept = confirm(1), confirm(2, NOVA)
    opinions = opinions_of(facts_of([said, kept]), Rulings(frozenset({said.id})))
    assert {said.id: (Standing.WITHDRAWN, ()), kept.id: (Standing.ACTIVE, ())} == {
        opinion.id: (opinion.standing, opinion.withdrawn_by) for opinion in opinions
    }


def test_a_successor_takes_back_what_a_departed_member_said() -> None:
    said = confirm()
    facts = facts_of([said, withdraw(1, said.id, member=UMBRA)])
    for successors, standing in (
        ({}, Standing.ACTIVE),
        ({ACME: NOVA}, Standing.ACTIVE),
        ({ACME: UMBRA}, Standing.WITHDRAWN),
        ({ACME: NOVA, NOVA: UMBRA}, Standing.WITHDRAWN),
        ({ACME: NOVA, NOVA: ACME}, Standing.ACTIVE),
    ):
        rulings = Rulings(successors=successors)
        assert standing is only(opinions_of(facts, rulings)).standing


# --- erased -------------------------------------------------------------------------------------


def test_erased_beats_withdrawn_and_shows_nothing_of_the_confirm() -> None:
    said = confirm()
    taken, gone = withdraw(1, said.id), erase(2, said.id)
    opinion = only(opinions_of(facts_of([said, taken, gone])))
    assert (Standing.ERASED, None) == (opinion.standing, opinion.confirm)
    assert ((taken.id,), (gone.id,)) == (opinion.withdrawn_by, opinion.erased_by)
    assert not opinion.is_in_force(0)
    assert () == opinions_on([opinion], SignalType.PDQ, make_signal(0).value)


def test_an_erased_confirm_is_shown_also_where_its_body_never_was() -> None:
    said = confirm()
    gone = erase(2, said.id)
    assert Standing.ERASED is only(opinions_of(facts_of([without_opening(said), gone]))).standing


def test_a_confirm_whose_body_is_missing_says_nothing_yet() -> None:
    assert () == opinions_of(facts_of([without_opening(confirm())]))


def test_an_erase_that_comes_first_waits_and_one_by_another_member_is_inert() -> None:
    said = confirm()
    early = facts_of([erase(1, said.id)])
    assert () == opinions_of(early)
    assert Standing.ERASED is only(opinions_of(early.join(facts_of([said])))).standing
    theirs = facts_of([said, erase(1, said.id, member=NOVA)])
    assert encode_view(facts_of([said])) == encode_view(theirs)


def test_governance_erases_whose_statement_it_lists() -> None:
    said = confirm()
    opinion = only(opinions_of(facts_of([said]), Rulings(erased=frozenset({said.id}))))
    assert (Standing.ERASED, None, ()) == (opinion.standing, opinion.confirm, opinion.erased_by)


def test_an_erase_without_its_body_erases_nothing() -> None:
    said = confirm()
    facts = facts_of([said, without_opening(erase(1, said.id))])
    assert Standing.ACTIVE is only(opinions_of(facts)).standing


@pytest.mark.parametrize("kind", ["withdraw", "erase", "roster", "later"])
def test_only_what_holds_content_can_be_erased(kind: str) -> None:
    said = confirm()
    header = make_header(kind, federation_id=FEDERATION)
    rulings = Rulings(erased=frozenset({said.id}))
    assert not must_go(said.id, header, [erase(1, said.id)], rulings)


# --- endorsed and disputed ----------------------------------------------------------------------


def test_an_endorse_and_a_dispute_by_one_member_are_both_shown() -> None:
    said = confirm()
    agrees = about(1, Endorse("agrees"), said.id, member=NOVA)
    other = about(2, Dispute("wrong-label"), said.id, member=NOVA)
    opinion = only(opinions_of(facts_of([said, agrees, other])))
    assert ((NOVA,), (NOVA,)) == (opinion.endorsed_by, opinion.disputed_by)
    taken = facts_of([said, agrees, other, withdraw(3, agrees.id, member=NOVA)])
    opinion = only(opinions_of(taken))
    assert ((), (NOVA,)) == (opinion.endorsed_by, opinion.disputed_by)
    assert ["wrong-label"] == [review.reason for review in opinion.reviews]


def test_a_disputed_confirm_is_in_force_all_the_same() -> None:
    said = confirm()
    disputes = [about(number, Dispute("benign"), said.id, member=UMBRA) for number in (1, 2)]
    opinion = only(opinions_of(facts_of([said, *disputes])))
    assert opinion.is_in_force(0)
    assert (UMBRA,) == opinion.disputed_by


def test_nobody_seconds_himself_and_nobody_takes_back_anothers_review() -> None:
    said = confirm()
    own = about(1, Endorse("agrees"), said.id)
    theirs = about(2, Endorse("agrees"), said.id, member=NOVA)
    facts = facts_of([said, own, theirs, withdraw(3, theirs.id, member=UMBRA)])
    assert (NOVA,) == only(opinions_of(facts)).endorsed_by


@pytest.mark.parametrize("how", ["withdrawn", "erased", "governed"])
def test_a_review_that_was_taken_back_is_not_shown(how: str) -> None:
    said = confirm()
    review = about(1, Dispute("benign"), said.id, member=NOVA)
    taking = (
        withdraw(2, review.id, member=NOVA)
        if how == "withdrawn"
        else erase(2, review.id, member=NOVA)
    )
    rulings = Rulings(erased=frozenset({review.id})) if how == "governed" else Rulings()
    said_more = [] if how == "governed" else [taking]
    opinion = only(opinions_of(facts_of([said, review, *said_more]), rulings))
    assert () == opinion.disputed_by


# --- what is not in it --------------------------------------------------------------------------


def test_expiry_is_asked_with_the_time_at_hand() -> None:
    expiring = only(opinions_of(facts_of([confirm(body=make_confirm(expires_at_ms=1_000))])))
    assert Standing.ACTIVE is expiring.standing
    assert [True, False, False] == [expiring.is_in_force(now) for now in (999, 1_000, 1_001)]
    lasting = only(opinions_of(facts_of([confirm()])))
    assert lasting.is_in_force(2**53)
    gone = only(opinions_of(facts_of([confirm()]), Rulings(frozenset({confirm().id}))))
    assert not gone.is_in_force(0)


@pytest.mark.parametrize("kind", ["endorse", "incident", "confirm", "withdraw"])
def test_inert_statements_say_nothing(kind: str) -> None:
    header = encode_header(make_header(kind, federation_id=FEDERATION))
    strange = judged(opened_statement(header, make_salt(), b"\x81\xa1x\x01"))
    assert () == opinions_of(facts_of([strange]))


def test_the_same_statement_in_two_lanes_is_one() -> None:
    made = make_statement(federation_id=FEDERATION)
    both = [judged(made, lane=Lane.LIVE), judged(made, lane=Lane.BULK)]
    assert 1 == len(opinions_of(facts_of(both)))


def test_opinions_on_a_signal_are_those_that_carry_it() -> None:
    pdq, md5 = make_signal(1), make_signal(2, SignalType.MD5)
    both = confirm(1, body=make_confirm(1, signals=[pdq, md5]))
    other = confirm(2)
    opinions = opinions_of(facts_of([both, other]))

    def on(signal: Signal) -> list[StatementId]:
        found = opinions_on(opinions, signal.type, signal.value)
        return [opinion.id for opinion in found]

    assert [both.id] == on(pdq)
    assert [both.id] == on(md5)
    assert [other.id] == on(make_signal(2))
    assert [] == on(make_signal(3))
    assert [] == on(Signal(SignalType.SHA256, pdq.value))


def test_the_view_as_bytes_is_in_the_order_of_ids_and_names_its_version() -> None:
    encoded = encode_view(facts_of(POOL))
    fields = decode_map(encoded, bytes_max=len(encoded))
    opinions = fields["opinions"]
    assert fields["v"] == 1
    assert isinstance(opinions, list)
    ids = [opinion["id"] for opinion in opinions if isinstance(opinion, dict)]
    assert sorted(each.id.entry for each in POOL[:12]) == ids


# --- cut off --------------------------------------------------------------------------------------


def test_what_is_cut_off_is_shown_and_has_no_effect() -> None:
    """Neither is it in force, nor does what was said there take anything back."""
    kept, robbed = confirm(900), confirm(901)
    undone = withdraw(902, kept.id)
    facts = facts_of([kept], [robbed, undone])
    opinions = opinions_of(facts)
    assert [(kept.id, Standing.ACTIVE), (robbed.id, Standing.CUT_OFF)] == [
        (each.id, each.standing) for each in opinions
    ]
    assert opinions[1].is_cut_off
    assert not opinions[1].is_in_force(0)
    assert encode_view(facts_of([kept])) == encode_view(facts)


def test_what_also_stands_where_it_counts_is_not_cut_off() -> None:
    said = confirm(903)
    assert [Standing.ACTIVE] == [each.standing for each in opinions_of(facts_of([said], [said]))]

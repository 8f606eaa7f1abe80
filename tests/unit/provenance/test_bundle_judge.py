"""A bundle is judged step by step, and no byte of a valid one can change unnoticed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.protocol.bundles import Bundle, encode_bundle
from federation.protocol.checkpoints import parse_checkpoint
from federation.protocol.checkpoints_signing import cosign
from federation.protocol.keys import KeyType, SignatureCheck, VerifierKey, check_ed25519
from federation.protocol.notes import NoteSignature, parse_note
from federation.protocol.notes_writing import add_signatures
from federation.protocol.origins import Cosigner, cosigner_name
from federation.protocol.policy import Quorum
from federation.protocol.proofs import TlogProof
from federation.protocol.roster_amendments import propose_members
from federation.protocol.roster_chain import RosterChain
from federation.protocol.roster_proposals import propose_add
from federation.protocol.statements import erased_statement, opened_statement
from federation.provenance.bundle_judge import STATED_STEPS, STEPS, judge_bundle
from federation.provenance.report import Outcome, Report
from tests.builders import (
    ACME,
    NEW_YEAR_2026_MS,
    NOVA,
    UMBRA,
    make_bundle,
    make_key,
    make_log,
    make_member,
    make_roster,
    make_salt,
    sign_and_finish,
)

FOUNDED = make_roster()
MADE = make_log(7, founded=FOUNDED)
BUNDLE = make_bundle(MADE, 2)
ENCODED = encode_bundle(BUNDLE)
FIRST_ROOT = FOUNDED.chain.versions[0]
CHAIN = sign_and_finish(
    propose_add(FOUNDED.chain, make_member("delta.example").request, now_ms=NEW_YEAR_2026_MS),
    FOUNDED.chain,
    FOUNDED.governors,
)


def judge(
    bundle: Bundle | bytes,
    quorum: int = 2,
    *known_roots: bytes,
    first_root: bytes = FIRST_ROOT,
    check: SignatureCheck = check_ed25519,
) -> Report:
    encoded = bundle if isinstance(bundle, bytes) else encode_bundle(bundle)
    return judge_bundle(encoded, first_root, Quorum(quorum), check, known_roots)


def failure(report: Report) -> tuple[int, str | None]:
    """Number and code of the step that failed."""
    assert report.failed_step is not None
    assert not report.is_verified
    assert report.conclusion == "" or report.failed_step.number > STATED_STEPS
    return report.failed_step.number, report.failed_step.code


def noted(change: Callable[[bytes], bytes], bundle: Bundle = BUNDLE) -> Bundle:
    """The bundle with another checkpoint note."""
    note = change(bundle.proof.checkpoint_note)
    return replace(bundle, proof=replace(bundle.proof, checkpoint_note=note))


def cosigned(
    member: str, cosigner: Cosigner = Cosigner.MIRROR, key: str = "", at_seconds: int = 9
) -> NoteSignature:
    """A line on MADE's newest checkpoint under that cosigner's name."""
    name = cosigner_name(member, MADE.log.federation_id, cosigner)
    text = MADE.head().checkpoint.text
    return cosign(text, name, make_key(key or f"{member}/{cosigner}"), at_seconds)


def with_lines(*lines: NoteSignature) -> Bundle:
    return noted(lambda note: add_signatures(note, lines), make_bundle(MADE, 2, ()))


# --- accepted -----------------------------------------------------------------------------------


@pytest.mark.parametrize("index", range(7))
def test_every_statement_of_a_log_has_its_bundle(index: int) -> None:
    report = judge(make_bundle(MADE, index))
    assert report.is_verified
    assert list(range(1, 12)) == [step.number for step in report.steps]
    assert list(STEPS) == [step.title for step in report.steps]
    assert str(MADE.said[index].id) == report.steps[4].detail


def test_the_words_say_stated_and_by_when_and_that_force_was_not_asked() -> None:
    conclusion = judge(BUNDLE).conclusion
    assert conclusion.startswith(f"STATED: {ACME} stated {MADE.said[2].id} (confirm).")
    assert "existed by 2026-01-01 00:00:00 UTC" in conclusion
    assert "still IN FORCE was not asked" in conclusion


def test_without_a_quorum_nothing_is_said_about_when() -> None:
    report = judge(make_bundle(MADE, 2, ()), 0)
    assert report.is_verified
    assert "was not shown" in report.conclusion
    assert "existed by" not in report.conclusion


def test_the_time_is_one_that_no_single_cosigner_can_bring_forward() -> None:
    early, late = cosigned(NOVA, at_seconds=1), cosigned(UMBRA, at_seconds=86_400)
    assert "1970-01-02 00:00:00" in judge(with_lines(early, late), 2).conclusion
    assert "1970-01-01 00:00:01" in judge(with_lines(early, late), 1).conclusion


@pytest.mark.parametrize("at_seconds", [253_402_300_799, 253_402_300_800, 2**63 - 1])
def test_a_time_beyond_every_calendar_is_told_and_breaks_nothing(at_seconds: int) -> None:
    report = judge(with_lines(cosigned(NOVA, at_seconds=at_seconds)), 1)
    assert report.is_verified


def test_a_bundle_carries_the_rosters_after_the_first() -> None:
    assert judge(make_bundle(MADE, 2, chain=CHAIN)).is_verified


def test_a_bundle_that_only_names_its_roster_needs_it_at_hand() -> None:
    named = make_bundle(MADE, 2, chain=CHAIN, carries_chain=False)
    assert judge(named, 2, CHAIN.versions[1]).is_verified
    assert (2, "roster-not-at-hand") == failure(judge(named))


def test_what_cannot_be_read_is_stated_all_the_same() -> None:
    made = make_log(founded=FOUNDED)
    made.say_numbers([0])
    made.say(opened_statement(made.said[0].header_bytes, make_salt(), b"\xc1"))
    report = judge(make_bundle(made, 1))
    assert report.is_verified
    assert "inert" in report.steps[8].detail


def test_no_step_shows_a_signal_or_the_publishers_own_name_for_it() -> None:
    shown = str(judge(BUNDLE))
    assert "item-2" not in shown
    assert MADE.said[2].opening is not None
    assert MADE.said[2].opening.body.hex() not in shown


# --- refused, step by step ----------------------------------------------------------------------


def test_another_root_of_trust_is_refused() -> None:
    other = make_roster(ACME, NOVA).chain.versions[0]
    assert (2, "roster-unproven") == failure(judge(BUNDLE, first_root=other))
    assert (2, "roster-malformed") == failure(judge(BUNDLE, first_root=b"{}"))


def test_a_roster_version_that_governance_did_not_sign_is_refused() -> None:
    proposal = propose_add(
        FOUNDED.chain, make_member("delta.example").request, now_ms=NEW_YEAR_2026_MS
    )
    forged = RosterChain((FIRST_ROOT, proposal.proposal_bytes), proposal.roster, {})
    assert (2, "roster-unproven") == failure(judge(make_bundle(MADE, 2, chain=forged)))


def test_a_head_that_the_log_did_not_sign_is_refused() -> None:
    larger = noted(lambda note: note.replace(b"\n7\n", b"\n8\n"))
    assert (3, "signature-invalid") == failure(judge(larger))


def test_a_copied_statement_is_refused_in_the_copiers_log() -> None:
    umbras = make_log(founded=FOUNDED, member=UMBRA)
    umbras.say(MADE.said[0])
    assert (4, "wrong-member") == failure(judge(make_bundle(umbras, 0, (NOVA,)), 1))


def test_an_erased_statement_is_stated_and_its_words_are_not_shown() -> None:
    said = BUNDLE.statement
    erased = replace(BUNDLE, statement=erased_statement(said.header_bytes, said.commitment))
    report = judge(erased)
    assert report.is_verified
    assert "what it said was not shown" in str(report.conclusion)


def test_another_body_is_another_statement_and_not_in_the_log() -> None:
    said = BUNDLE.statement
    assert said.opening is not None
    other = opened_statement(said.header_bytes, make_salt(99), said.opening.body)
    assert (6, "inclusion-unproven") == failure(judge(replace(BUNDLE, statement=other)))


def test_an_extra_that_nobody_signed_does_not_ride_along() -> None:
    extra = replace(BUNDLE, proof=replace(BUNDLE.proof, extra=b"x"))
    assert (6, "bundle-malformed") == failure(judge(extra))


@pytest.mark.parametrize(
    "line",
    [
        cosigned("stranger.example"),
        cosigned(NOVA, key=f"{NOVA}/live"),
        cosigned(NOVA, at_seconds=0),
        NoteSignature(MADE.log.origin, b"abcd", bytes(64)),
        NoteSignature("nobody", bytes(4), bytes(72)),
    ],
    ids=["a stranger", "another key", "no time", "the log's name", "junk"],
)
def test_one_bad_cosignature_among_good_ones_is_refused(line: NoteSignature) -> None:
    bundle = with_lines(cosigned(UMBRA), line)
    assert (7, "signature-invalid") == failure(judge(bundle, 1))


@pytest.mark.parametrize(("purpose", "failed"), [("mirror", None), ("live", 7)])
def test_the_second_key_of_another_members_lane_is_no_cosigner(
    purpose: str, failed: int | None
) -> None:
    """Under its own log's name and key id, as if nova's live lane could vouch for acme's."""
    member = FOUNDED.roster.member(NOVA)
    keys = tuple((name, name.encode().ljust(1_312, b"\0")) for name in ("live", "mirror"))
    proposal = propose_members(
        FOUNDED.chain, [replace(member, mldsa44_keys=keys)], now_ms=NEW_YEAR_2026_MS
    )
    chain = sign_and_finish(proposal, FOUNDED.chain, FOUNDED.governors)
    name = f"{NOVA}/{MADE.log.federation_id}/{purpose}"
    vkey = VerifierKey(name, KeyType.COSIGNATURE_MLDSA44, dict(keys)[purpose])
    line = NoteSignature(name, vkey.key_id, (9).to_bytes(8, "big") + bytes(2_420))
    bundle = noted(
        lambda note: add_signatures(note, [cosigned(UMBRA), line]),
        make_bundle(MADE, 2, (), chain=chain),
    )
    report = judge_bundle(
        encode_bundle(bundle), FIRST_ROOT, Quorum(1), check_ed25519, check_second=lambda *_: True
    )
    assert failed == (report.failed_step.number if report.failed_step else None)


def test_a_cosignature_of_another_checkpoint_is_refused() -> None:
    smaller = make_log(6, founded=FOUNDED)
    note = parse_note(make_bundle(smaller, 2).proof.checkpoint_note)
    assert 6 == parse_checkpoint(note.text).size
    assert (7, "signature-invalid") == failure(judge(with_lines(*note.signatures[1:]), 1))


@pytest.mark.parametrize(
    ("lines", "quorum"),
    [
        ((), 1),
        ((cosigned(NOVA),), 2),
        ((cosigned(ACME), cosigned(NOVA)), 2),
        ((cosigned(ACME, Cosigner.WITNESS),), 1),
        ((cosigned(NOVA), cosigned(NOVA, Cosigner.WITNESS)), 2),
    ],
    ids=["nobody", "one", "its own member", "its own witness", "one member twice"],
)
def test_a_quorum_is_of_different_members_other_than_the_logs_own(
    lines: tuple[NoteSignature, ...], quorum: int
) -> None:
    assert (8, "quorum-unmet") == failure(judge(with_lines(*lines), quorum))
    assert judge(with_lines(*lines), quorum - 1).is_verified


# --- every byte counts --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bundle", "bit", "stride"),
    [
        (BUNDLE, 0x01, 1),
        (BUNDLE, 0x20, 1),
        (BUNDLE, 0x80, 1),
        # The rosters that it carries are one long base64 text: every fifth byte of it will do.
        (make_bundle(MADE, 6, chain=CHAIN), 0x01, 5),
    ],
    ids=["lowest bit", "letter case", "highest bit", "with its rosters"],
)
def test_no_byte_of_a_valid_bundle_can_be_flipped(bundle: Bundle, bit: int, stride: int) -> None:
    encoded = encode_bundle(bundle)
    assert judge(encoded).is_verified
    chain = range(encoded.index(b'"chain":') + 9, encoded.index(b'"decision":') - 3)
    unnoticed = [
        at
        for at in range(len(encoded))
        if (at not in chain or at % stride == 0)
        and judge(encoded[:at] + bytes([encoded[at] ^ bit]) + encoded[at + 1 :]).is_verified
    ]
    assert [] == unnoticed


@given(st.data())
def test_no_cut_insertion_or_replacement_goes_unnoticed(data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, len(ENCODED)))
    end = data.draw(st.integers(begin, min(len(ENCODED), begin + 9)))
    piece = data.draw(st.binary(max_size=9))
    damaged = ENCODED[:begin] + piece + ENCODED[end:]
    report = judge(damaged)
    assert report.is_verified == (damaged == ENCODED)
    # What was reached passed, then one step failed, and nothing was looked at after it.
    passed, failed, unreached = (
        [step.number for step in report.steps if step.outcome is outcome]
        for outcome in (Outcome.PASSED, Outcome.FAILED, Outcome.NOT_REACHED)
    )
    asked = len(STEPS) if failed else STATED_STEPS
    assert list(range(1, asked + 1)) == [*passed, *failed, *unreached]
    assert len(failed) == (not report.is_verified)


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_junk_is_judged_and_never_raises(bundle: bytes, root: bytes) -> None:
    assert not judge(bundle, 0, root).is_verified
    assert not judge(ENCODED, 0, first_root=root).is_verified


def test_a_check_that_says_no_to_everything_verifies_nothing() -> None:
    report = judge(BUNDLE, check=lambda _public, _message, _signature: False)
    assert (3, "signature-invalid") == failure(report)


def test_a_proof_of_the_largest_log_is_judged() -> None:
    proof = TlogProof(2**63 - 1, (bytes(32),) * 63, None, BUNDLE.proof.checkpoint_note)
    assert (6, "proof-malformed") == failure(judge(replace(BUNDLE, proof=proof)))

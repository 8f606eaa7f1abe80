"""The one judge: nothing unproven gets past, and nothing is believed that it did not make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from federation.errors import (
    FederationError,
    HeaderMalformed,
    LogUnknown,
    MemberUnknown,
    NoteMalformed,
    OriginMalformed,
    SignatureInvalid,
    TooLarge,
    WrongFederation,
    WrongMember,
)
from federation.protocol.bodies import Confirm, Inert
from federation.protocol.checkpoints import Checkpoint
from federation.protocol.checkpoints_signing import cosign, sign_checkpoint
from federation.protocol.keys import check_ed25519
from federation.protocol.notes import NoteSignature, format_signature_line, parse_signature_line
from federation.protocol.notes_writing import add_signatures
from federation.protocol.origins import Cosigner, Lane, LogId, cosigner_name
from federation.protocol.roster import RosterLimits
from federation.protocol.statements import erased_statement, opened_statement
from federation.provenance.reading import body_of
from federation.provenance.verifier import (
    HEADS_OPENED_MAX,
    Head,
    Receipt,
    VerifiedStatement,
    Verifier,
)
from tests.builders import (
    ACME,
    FEDERATION_ID,
    NOVA,
    UMBRA,
    make_key,
    make_log,
    make_roster,
    make_salt,
    make_statement,
)

FOUNDED = make_roster()
MADE = make_log(3, founded=FOUNDED)
HEAD = MADE.head()
VERIFIER = MADE.verifier
ROOT = bytes(range(32))


def signed(origin: str, purpose: str, size: int = 3) -> bytes:
    return sign_checkpoint(Checkpoint(origin, size, ROOT), make_key(purpose))


# --- heads --------------------------------------------------------------------------------------


def test_what_is_proven_is_remembered_and_what_is_not_is_judged_each_time() -> None:
    asked: list[bytes] = []

    def check(public: bytes, message: bytes, signature: bytes) -> bool:
        asked.append(message)
        return check_ed25519(public, message, signature)

    verifier = Verifier(FOUNDED.roster, check)
    head = verifier.open_head(HEAD.note)
    assert head is verifier.open_head(HEAD.note)
    assert 1 == len(asked)
    forged = HEAD.note.replace(b"\n3\n", b"\n2\n", 1)
    for times in (2, 3):
        with pytest.raises(SignatureInvalid):
            verifier.open_head(forged)
        assert times == len(asked)
    # What stands under a note would make it long: that is not remembered.
    heavy = add_signatures(HEAD.note, [NoteSignature("junk", bytes(4), bytes(2_000))])
    for times in (4, 5):
        assert HEAD.note == verifier.open_head(heavy).note
        assert times == len(asked)
    assert [HEAD.note] == list(verifier._opened)
    # Another roster says anew who speaks.
    assert Verifier(FOUNDED.roster, check).open_head(HEAD.note) is not head
    assert 6 == len(asked)


def test_only_so_many_heads_are_remembered() -> None:
    verifier = Verifier(FOUNDED.roster, check_ed25519)
    for number in range(HEADS_OPENED_MAX):
        verifier._opened[b"%d" % number] = HEAD
    verifier.open_head(HEAD.note)
    assert HEADS_OPENED_MAX == len(verifier._opened)
    assert HEAD.note in verifier._opened
    assert b"0" not in verifier._opened


def test_a_head_is_what_its_log_signed() -> None:
    head = VERIFIER.open_head(HEAD.note)
    assert (MADE.log, 3, MADE.view.held.root()) == (head.log, head.size, head.root_hash)
    assert HEAD.note == head.note


@pytest.mark.parametrize(
    ("note", "error"),
    [
        (b"", NoteMalformed),
        (HEAD.note[:-1], NoteMalformed),
        (signed("somewhere.example/log", f"{ACME}/live"), OriginMalformed),
        (signed(f"{ACME}/{FEDERATION_ID}/live", f"{ACME}/live"), WrongFederation),
        (signed(f"stranger.example/{FOUNDED.roster.federation_id}/live", "x"), LogUnknown),
        (signed(f"{MADE.log.origin}/1", f"{ACME}/live"), LogUnknown),
        (signed(MADE.log.origin, f"{ACME}/bulk"), SignatureInvalid),
        (signed(MADE.log.origin, f"{NOVA}/live"), SignatureInvalid),
        (HEAD.note.replace(b"\n3\n", b"\n4\n"), SignatureInvalid),
    ],
)
def test_a_head_that_is_not_proven_is_refused(note: bytes, error: type[FederationError]) -> None:
    with pytest.raises(error):
        VERIFIER.open_head(note)


def test_a_head_over_the_rosters_log_size_is_refused() -> None:
    roster = replace(FOUNDED.roster, limits=RosterLimits(log_size=2))
    with pytest.raises(TooLarge):
        Verifier(roster, check_ed25519).open_head(HEAD.note)


def test_what_a_relay_puts_under_a_note_goes_no_further() -> None:
    junk = [NoteSignature(f"junk{number}", bytes(4), bytes(3_000)) for number in range(40)]
    heavy = add_signatures(HEAD.note, junk)
    assert len(heavy) > 100_000
    assert HEAD.note == VERIFIER.open_head(heavy).note


def test_heads_are_equal_by_log_size_and_root_and_never_by_bytes() -> None:
    other_note = replace(HEAD, note=b"another")
    assert HEAD == other_note
    assert MADE.head(2) != HEAD


# --- statements ---------------------------------------------------------------------------------


def test_a_statement_is_read_as_its_member_made_it() -> None:
    statement = VERIFIER.open_statement(MADE.log, 1, MADE.said[1])
    assert (MADE.log, 1, MADE.said[1].id) == (statement.log, statement.index, statement.id)
    assert isinstance(body_of(statement), Confirm)


def test_a_statement_copied_from_another_members_log_is_refused() -> None:
    umbras = LogId(UMBRA, FOUNDED.roster.federation_id, Lane.LIVE)
    with pytest.raises(WrongMember):
        VERIFIER.open_statement(umbras, 0, MADE.said[0])


def test_a_statement_made_for_another_federation_is_refused() -> None:
    with pytest.raises(WrongFederation):
        VERIFIER.open_statement(MADE.log, 0, make_statement(0))


def test_a_statement_without_its_body_is_proven_and_says_nothing() -> None:
    gone = erased_statement(MADE.said[0].header_bytes, MADE.said[0].commitment)
    verified = VERIFIER.open_statement(MADE.log, 0, gone)
    assert MADE.said[0].id == verified.id
    assert body_of(verified) is None


def test_a_body_over_the_rosters_limit_is_refused() -> None:
    roster = replace(FOUNDED.roster, limits=RosterLimits(body_bytes=20))
    with pytest.raises(TooLarge):
        Verifier(roster, check_ed25519).open_statement(MADE.log, 0, MADE.said[0])


def test_a_header_that_nobody_can_read_is_refused() -> None:
    with pytest.raises(HeaderMalformed):
        VERIFIER.open_statement(MADE.log, 0, opened_statement(b"\xc0", make_salt(), b"\x80"))


@pytest.mark.parametrize("body", [b"\xc1", b"\x80", b"\x00" * 65_536])
def test_a_body_that_breaks_its_grammar_is_accepted_and_inert(body: bytes) -> None:
    strange = opened_statement(MADE.said[0].header_bytes, make_salt(), body)
    assert isinstance(body_of(VERIFIER.open_statement(MADE.log, 0, strange)), Inert)


# --- receipts -----------------------------------------------------------------------------------


def line_of(member: str, cosigner: Cosigner, *, key: str = "", at_seconds: int = 9) -> str:
    name = cosigner_name(member, FOUNDED.roster.federation_id, cosigner)
    signer = make_key(key or f"{member}/{cosigner}")
    return format_signature_line(cosign(HEAD.checkpoint.text, name, signer, at_seconds)).rstrip()


def test_a_receipt_is_a_members_cosignature_on_this_head() -> None:
    line = line_of(NOVA, Cosigner.MIRROR)
    receipt = VERIFIER.open_receipt(HEAD, NOVA, Cosigner.MIRROR, line)
    assert (HEAD, NOVA, Cosigner.MIRROR, 9, line) == (
        receipt.head,
        receipt.member,
        receipt.cosigner,
        receipt.at_seconds,
        receipt.line,
    )


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("", NoteMalformed),
        (line_of(NOVA, Cosigner.MIRROR) + "\n", NoteMalformed),
        (line_of(UMBRA, Cosigner.MIRROR), SignatureInvalid),
        (line_of(NOVA, Cosigner.WITNESS), SignatureInvalid),
        (line_of(NOVA, Cosigner.MIRROR, key=f"{NOVA}/witness"), SignatureInvalid),
        (line_of(NOVA, Cosigner.MIRROR, key=f"{NOVA}/live"), SignatureInvalid),
        (line_of(NOVA, Cosigner.MIRROR, at_seconds=0), SignatureInvalid),
    ],
)
def test_a_receipt_that_is_not_novas_as_mirror_is_refused(
    line: str, error: type[FederationError]
) -> None:
    with pytest.raises(error):
        VERIFIER.open_receipt(HEAD, NOVA, Cosigner.MIRROR, line)


def test_a_receipt_on_another_head_is_refused() -> None:
    with pytest.raises(SignatureInvalid):
        VERIFIER.open_receipt(MADE.head(2), NOVA, Cosigner.MIRROR, line_of(NOVA, Cosigner.MIRROR))


def test_a_receipt_by_nobody_in_the_roster_is_refused() -> None:
    with pytest.raises(MemberUnknown):
        VERIFIER.open_receipt(HEAD, "stranger.example", Cosigner.MIRROR, "")


def test_a_receipts_time_is_part_of_what_is_signed() -> None:
    line = parse_signature_line(line_of(NOVA, Cosigner.MIRROR) + "\n")
    later = replace(line, signature=bytes(7) + b"\x0a" + line.signature[8:])
    with pytest.raises(SignatureInvalid):
        VERIFIER.open_receipt(
            HEAD, NOVA, Cosigner.MIRROR, format_signature_line(later).rstrip("\n")
        )


# --- nobody believes without the judge ----------------------------------------------------------


@pytest.mark.parametrize(
    "forge",
    [
        lambda: Head(MADE.log, 9, ROOT, b"", HEAD.vkey, object()),
        lambda: VerifiedStatement(
            MADE.log, 0, MADE.said[0], MADE.moves[0].statements[0].header, None
        ),
        lambda: Receipt(HEAD, NOVA, Cosigner.MIRROR, 9, "", "seal"),
    ],
)
def test_verified_values_are_made_by_the_verifier_alone(forge: Callable[[], object]) -> None:
    with pytest.raises(TypeError):
        forge()


def test_the_signature_check_that_was_given_is_the_one_that_is_asked() -> None:
    asked: list[tuple[bytes, bytes, bytes]] = []

    def check(public: bytes, message: bytes, signature: bytes) -> bool:
        asked.append((public, message, signature))
        return False

    with pytest.raises(SignatureInvalid):
        Verifier(FOUNDED.roster, check).open_head(HEAD.note)
    assert 1 == len(asked)
    assert (make_key(f"{ACME}/live").public, HEAD.checkpoint.text.encode()) == asked[0][:2]

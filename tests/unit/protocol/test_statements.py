"""Statements: what binds header, salt and body, and what cannot be moved, copied or guessed."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from federation.errors import BodyMalformed, HeaderMalformed
from federation.protocol.bodies import Withdraw, read_body
from federation.protocol.headers import StatementId, decode_header
from federation.protocol.limits import (
    BODY_BYTES_MAX,
    COMMITMENT_TAG,
    ENTRY_TAG,
    HEADER_BYTES_MAX,
    SALT_BYTES,
)
from federation.protocol.limits_content import SIGNALS_MAX
from federation.protocol.messages import StatementRange, encode_range
from federation.protocol.statements import (
    Opening,
    Statement,
    commitment_of,
    erased_statement,
    opened_statement,
)
from federation.protocol.statements_writing import encode_header, make_statement
from tests.builders import (
    ACME,
    FEDERATION_ID,
    UMBRA,
    make_confirm,
    make_header,
    make_salt,
    make_signal,
    make_withdraw,
)
from tests.builders import make_statement as build_statement
from tests.vectors.make_bodies import confirm
from tests.vectors.make_headers import header
from tests.vectors.make_statements import SALT

PAGE = Path(__file__).parents[3] / "docs" / "spec" / "statements.md"
STATEMENT = build_statement()


def opening_of(statement: Statement) -> Opening:
    assert statement.opening is not None
    return statement.opening


def test_example_of_the_page() -> None:
    page = PAGE.read_text("utf-8")
    statement = opened_statement(header(), SALT, confirm())
    assert SALT.hex() in page
    assert f"C           {statement.commitment.hex()}\n" in page
    assert f"entry       {statement.id.entry.hex()}\n" in page
    leaf_hash = sha256(b"\0" + statement.id.entry).digest()
    assert f"leaf hash   {leaf_hash.hex()}\n" in page
    assert f"`{statement.id}`" in page


def test_commitment_and_entry_are_what_the_page_says() -> None:
    opening = opening_of(STATEMENT)
    commitment = sha256(COMMITMENT_TAG + opening.salt + opening.body).digest()
    entry = sha256(ENTRY_TAG + commitment + STATEMENT.header_bytes).digest()
    assert commitment == STATEMENT.commitment == commitment_of(opening)
    assert StatementId(entry) == STATEMENT.id


def test_statement_reads_back() -> None:
    said = decode_header(STATEMENT.header_bytes)
    assert make_header() == said
    assert make_confirm() == read_body(said, opening_of(STATEMENT).body)


def test_statement_copied_under_another_member_has_another_id() -> None:
    opening = opening_of(STATEMENT)
    copied = opened_statement(encode_header(make_header(member=UMBRA)), opening.salt, opening.body)
    assert STATEMENT.commitment == copied.commitment
    assert STATEMENT.id != copied.id


def test_statement_copied_into_another_federation_has_another_id() -> None:
    opening = opening_of(STATEMENT)
    elsewhere = encode_header(make_header(federation_id="00" * 16))
    assert STATEMENT.id != opened_statement(elsewhere, opening.salt, opening.body).id


def test_erased_statement_keeps_its_id_and_tells_nothing() -> None:
    erased = erased_statement(STATEMENT.header_bytes, STATEMENT.commitment)
    assert STATEMENT.id == erased.id
    assert erased.opening is None


def test_same_words_twice_are_two_statements() -> None:
    first = make_statement(make_header(), make_confirm(), make_salt(1))
    second = make_statement(make_header(), make_confirm(), make_salt(2))
    assert first.commitment != second.commitment
    assert first.id != second.id


def test_known_signal_cannot_be_confirmed_from_a_public_leaf_without_the_salt() -> None:
    body = opening_of(STATEMENT).body
    guesses = {sha256(COMMITMENT_TAG + body).digest(), sha256(body).digest()}
    guesses |= {commitment_of(Opening(bytes([filling]) * SALT_BYTES, body)) for filling in range(9)}
    assert STATEMENT.commitment not in guesses


def test_no_byte_can_move_between_salt_and_body() -> None:
    opening = opening_of(STATEMENT)
    joined = opening.salt + opening.body
    for cut in (SALT_BYTES - 1, SALT_BYTES + 1):
        with pytest.raises(BodyMalformed):
            opened_statement(STATEMENT.header_bytes, joined[:cut], joined[cut:])


def test_no_byte_can_move_between_commitment_and_header() -> None:
    joined = STATEMENT.commitment + STATEMENT.header_bytes
    for cut in (31, 33):
        with pytest.raises(BodyMalformed):
            erased_statement(joined[cut:], joined[:cut])


def test_every_flipped_bit_of_header_salt_or_body_gives_another_id() -> None:
    parts = (STATEMENT.header_bytes, opening_of(STATEMENT).salt, opening_of(STATEMENT).body)
    ids = {STATEMENT.id}
    for place, part in enumerate(parts):
        for bit in range(8 * len(part)):
            flipped = bytearray(part)
            flipped[bit // 8] ^= 1 << bit % 8
            changed = (*parts[:place], bytes(flipped), *parts[place + 1 :])
            ids.add(opened_statement(*changed).id)
    assert 1 + 8 * sum(map(len, parts)) == len(ids)


def test_sizes_at_their_limits_are_accepted() -> None:
    opened_statement(bytes(HEADER_BYTES_MAX), SALT, bytes(BODY_BYTES_MAX))
    erased_statement(bytes(HEADER_BYTES_MAX), bytes(32))


@pytest.mark.parametrize("size", [0, HEADER_BYTES_MAX + 1])
def test_header_of_a_wrong_size_is_refused(size: int) -> None:
    with pytest.raises(HeaderMalformed):
        opened_statement(bytes(size), SALT, b"body")
    with pytest.raises(HeaderMalformed):
        erased_statement(bytes(size), bytes(32))


@pytest.mark.parametrize("size", [0, BODY_BYTES_MAX + 1])
def test_body_of_a_wrong_size_is_refused(size: int) -> None:
    with pytest.raises(BodyMalformed):
        opened_statement(b"header", SALT, bytes(size))


@pytest.mark.parametrize("size", [0, 15, 17, 32])
def test_salt_of_a_wrong_size_is_refused(size: int) -> None:
    with pytest.raises(BodyMalformed):
        opened_statement(b"header", bytes(size), b"body")
    with pytest.raises(BodyMalformed):
        make_statement(make_header(), make_confirm(), bytes(size))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_commitment_of_a_wrong_size_is_refused(size: int) -> None:
    with pytest.raises(BodyMalformed):
        erased_statement(b"header", bytes(size))


def test_nobody_signs_what_he_would_read_as_inert() -> None:
    target = [STATEMENT.id]
    for said, body in (
        (make_header("withdraw", references=target), make_confirm()),
        (make_header("confirm", references=target), Withdraw("mistake")),
        (make_header("endorse", references=target), make_confirm()),
        (make_header(version=2), make_confirm()),
        (make_header("withdraw"), Withdraw("mistake")),
    ):
        with pytest.raises(HeaderMalformed):
            make_statement(said, body, SALT)


def test_too_many_signals_say_what_to_do() -> None:
    signals = [make_signal(number, quality=90) for number in range(SIGNALS_MAX)]
    with pytest.raises(BodyMalformed) as caught:
        make_statement(make_header(), make_confirm(signals=signals), SALT)
    assert "split the signals over several statements" == caught.value.hint


def test_withdraw_names_what_it_takes_back() -> None:
    withdraw = make_withdraw(1, STATEMENT.id)
    said = decode_header(withdraw.header_bytes)
    assert (STATEMENT.id,) == said.references
    assert Withdraw("appeal-upheld") == read_body(said, opening_of(withdraw).body)


def test_size_on_the_wire_is_never_underestimated() -> None:
    frame = len(encode_range(StatementRange(start=0, statements=(), proof=())))
    statements = (
        STATEMENT,
        erased_statement(STATEMENT.header_bytes, STATEMENT.commitment),
        opened_statement(bytes(HEADER_BYTES_MAX), SALT, bytes(BODY_BYTES_MAX)),
        opened_statement(b"h", SALT, b"b"),
    )
    for statement in statements:
        one = StatementRange(start=0, statements=(statement,), proof=())
        assert len(encode_range(one)) - frame <= statement.bytes_on_wire


def test_builders_make_the_same_statement_every_time() -> None:
    assert build_statement(3) == build_statement(3)
    assert build_statement(3).id != build_statement(4).id
    assert (ACME, FEDERATION_ID) == (make_header().member, make_header().federation_id)


def test_body_is_in_no_repr() -> None:
    opening = opening_of(STATEMENT)
    for shown in (repr(STATEMENT), repr(opening)):
        assert repr(opening.body)[2:12] not in shown
        assert opening.body.hex()[:12] not in shown

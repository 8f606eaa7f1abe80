"""Headers: who says what, in one encoding, readable by every release."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from federation.errors import HeaderMalformed, RequestMalformed
from federation.protocol.headers import Header, StatementId, decode_header, parse_statement_id
from federation.protocol.limits import HEADER_BYTES_MAX, INTEGER_MAX, REFERENCES_MAX
from federation.protocol.statements_writing import encode_header
from tests.builders import FEDERATION_ID, UMBRA, make_header
from tests.vectors.by_hand import TRUE, array, binary, integer, text
from tests.vectors.make_headers import header as by_hand

PAGE = Path(__file__).parents[3] / "docs" / "spec" / "headers.md"
IDS = tuple(StatementId(number.to_bytes(32, "big")) for number in range(REFERENCES_MAX + 1))


def test_example_of_the_page() -> None:
    page = PAGE.read_text("utf-8").replace("\n", "")
    assert by_hand().hex() in page
    assert by_hand() == encode_header(make_header())


@pytest.mark.parametrize(
    "header",
    [
        make_header(),
        make_header("withdraw", member=UMBRA, references=IDS[:1], claimed_at_ms=0),
        make_header("endorse", references=IDS[:REFERENCES_MAX], claimed_at_ms=INTEGER_MAX),
        make_header(version=2),
    ],
    ids=lambda header: f"{header.kind} v{header.version}",
)
def test_header_reads_back(header: Header) -> None:
    assert header == decode_header(encode_header(header))


def test_header_that_cannot_be_read_cannot_be_written() -> None:
    good = make_header()
    for broken in (
        replace(good, federation_id="not hex"),
        replace(good, federation_id=FEDERATION_ID.upper()),
        replace(good, federation_id=f"{FEDERATION_ID[:30]}  {FEDERATION_ID[30:]}"),
        replace(good, federation_id=FEDERATION_ID[2:]),
        replace(good, member="Acme.example"),
        replace(good, member="\ud800"),
        replace(good, kind=""),
        replace(good, kind="Confirm"),
        replace(good, claimed_at_ms=-1),
        replace(good, claimed_at_ms=INTEGER_MAX + 1),
        replace(good, claimed_at_ms=cast("int", 1.5)),
        replace(good, version=0),
        replace(good, references=IDS),
        replace(good, references=(IDS[0], IDS[0])),
        replace(good, references=(StatementId(b"short"),)),
    ):
        with pytest.raises(HeaderMalformed):
            encode_header(broken)


def test_federation_id_in_upper_case_is_refused_rather_than_lowered() -> None:
    """fromhex takes upper case and spaces; then what was said and what is read would differ."""
    with pytest.raises(HeaderMalformed):
        encode_header(make_header(federation_id="AB" * 16))


def test_order_of_references_is_kept() -> None:
    there, back = make_header(references=IDS[:3]), make_header(references=IDS[2::-1])
    assert IDS[2::-1] == decode_header(encode_header(back)).references
    assert encode_header(there) != encode_header(back)


def test_header_of_a_later_version_is_read_with_fields_nobody_knows() -> None:
    header = decode_header(by_hand(v=integer(2), zone=array([TRUE, text("x")])))
    assert replace(make_header(), version=2) == header


def test_later_version_does_not_excuse_a_malformed_field() -> None:
    for changed in (
        {"fed": binary(b"")},
        {"member": text("Acme")},
        {"kind": integer(1)},
        {"refs": array([])},
        {"at": TRUE},
    ):
        with pytest.raises(HeaderMalformed):
            decode_header(by_hand(v=integer(2), **changed))


def test_free_text_cannot_be_smuggled_into_a_header() -> None:
    for changed in (
        {"note": text("hello")},
        {"kind": text("confirm this please")},
        {"member": text("acme.example hello")},
        {"refs": array([text("hello")])},
        {"at": text("now")},
    ):
        with pytest.raises(HeaderMalformed):
            decode_header(by_hand(**changed))


def test_largest_header_is_read_and_one_byte_more_refused() -> None:
    room = HEADER_BYTES_MAX - len(by_hand(v=integer(2), zone=binary(bytes(1_000)))) + 1_000
    largest = by_hand(v=integer(2), zone=binary(bytes(room)))
    assert HEADER_BYTES_MAX == len(largest)
    assert 2 == decode_header(largest).version
    with pytest.raises(HeaderMalformed):
        decode_header(by_hand(v=integer(2), zone=binary(bytes(room + 1))))


def test_statement_id_reads_back_and_has_one_spelling() -> None:
    statement_id = StatementId(bytes(range(32)))
    spelling = "st_" + bytes(range(32)).hex()
    assert spelling == str(statement_id)
    assert statement_id == parse_statement_id(spelling)
    for wrong in (spelling.upper(), spelling[3:], spelling[:-1], spelling + "0", spelling + "\n"):
        with pytest.raises(RequestMalformed):
            parse_statement_id(wrong)

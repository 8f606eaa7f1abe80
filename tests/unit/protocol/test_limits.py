"""Limits: the page, the code and the arithmetic behind the numbers agree."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

from federation.protocol import limits, limits_content, limits_messages
from federation.protocol.headers import StatementId
from federation.protocol.origins import Lane, LogId
from federation.protocol.signals import SignalType
from federation.protocol.statements_writing import encode_body, encode_header
from tests.builders import FEDERATION_ID, make_confirm, make_header, make_signal
from tests.vectors import make_limits

EVERY = {**vars(limits), **vars(limits_content), **vars(limits_messages)}
PAGE = Path(__file__).parents[3] / "docs" / "spec" / "limits.md"
LONGEST_MEMBER = "a" * 49 + "." + "b" * 50


def numbers() -> dict[str, int]:
    return {
        name: value for name, value in EVERY.items() if name.isupper() and isinstance(value, int)
    }


def tags() -> dict[str, bytes]:
    return {name: value for name, value in EVERY.items() if name.endswith("_TAG")}


def test_page_gives_every_number_of_the_code() -> None:
    rows = re.findall(r"^\| ([A-Z_]+) \| (\d+) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    assert numbers() == {name: int(value) for name, value in rows}


def test_page_gives_every_tag_of_the_code() -> None:
    rows = re.findall(r"^\| ([A-Z_]+_TAG) \| `([^`]+)` \|", PAGE.read_text("utf-8"), re.MULTILINE)
    assert tags() == {name: text.encode("ascii").ljust(32, b"\0") for name, text in rows}


def test_vectors_give_every_name_of_the_code() -> None:
    values = {**numbers(), **{name: tag.hex() for name, tag in tags().items()}}
    assert values == {case["name"]: case["gives"] for case in make_limits.cases()}


def test_no_tag_is_the_beginning_of_another() -> None:
    values = list(tags().values())
    assert {32} == {len(tag) for tag in values}
    assert len(values) == len(set(values))


def test_commitment_and_entry_of_the_same_bytes_differ() -> None:
    following = bytes(64)
    commitment = sha256(limits.COMMITMENT_TAG + following).digest()
    assert commitment != sha256(limits.ENTRY_TAG + following).digest()


def test_largest_header_of_this_version_fits() -> None:
    references = [StatementId(number.to_bytes(32, "big")) for number in range(64)]
    header = make_header(
        "k" * 32,
        member=LONGEST_MEMBER,
        references=references,
        claimed_at_ms=limits.INTEGER_MAX,
    )
    assert len(encode_header(header)) < limits.HEADER_BYTES_MAX
    assert len(encode_header(make_header("k" * 32, member=LONGEST_MEMBER))) < 200


def test_one_more_reference_takes_34_bytes() -> None:
    sizes = [
        len(encode_header(make_header(references=[StatementId(bytes([n]) * 32) for n in range(k)])))
        for k in (1, 2)
    ]
    assert 34 == sizes[1] - sizes[0]


def test_as_many_signals_as_are_allowed_fit_the_body() -> None:
    signals = [make_signal(number) for number in range(limits_content.SIGNALS_MAX)]
    assert len(encode_body(make_confirm(signals=signals))) <= limits.BODY_BYTES_MAX
    rated = [make_signal(number, quality=100) for number in range(1_400)]
    assert len(encode_body(make_confirm(signals=rated))) <= limits.BODY_BYTES_MAX


def test_signals_of_the_largest_known_type_outgrow_the_body_before_the_count_does() -> None:
    one, two = (
        len(
            encode_body(make_confirm(signals=[make_signal(n, SignalType.SHA256) for n in range(k)]))
        )
        for k in (1, 2)
    )
    assert 46 == two - one


def test_longest_origin_leaves_room() -> None:
    log = LogId(LONGEST_MEMBER, FEDERATION_ID, Lane.CRISIS, limits.EPOCH_MAX)
    assert len(log.origin) < limits.ORIGIN_BYTES_MAX


def test_a_full_log_needs_fewer_proof_hashes_than_are_allowed() -> None:
    # RFC 6962: a consistency proof has at most one hash more than the tree has levels.
    levels = limits.LOG_SIZE_MAX.bit_length() - 1
    assert 41 == levels + 1 <= limits.PROOF_HASHES_MAX


def test_a_note_full_of_the_largest_cosignatures_fits() -> None:
    # ML-DSA-44: 2,420 bytes of signature, 8 of time, 4 of key id; the name; dash, spaces, end.
    name = len(LONGEST_MEMBER) + len(FEDERATION_ID) + len("/witness/")
    line = -(-(2_420 + 8 + 4) * 4 // 3) + name + 7
    assert 75 * line <= limits.NOTE_BYTES_MAX


def test_an_announcement_has_room_for_seven_of_the_largest_inline_statements() -> None:
    assert 7 * limits_messages.INLINE_STATEMENT_BYTES_MAX < limits_messages.ANNOUNCE_BYTES_MAX

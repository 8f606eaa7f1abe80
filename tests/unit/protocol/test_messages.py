"""Messages: one form each, every list bounded, and the statements in them verbatim."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from federation.errors import TooLarge
from federation.local_errors.proofs import MessageMalformed
from federation.protocol.encoding_writing import Value, encode
from federation.protocol.limits import (
    BODY_BYTES_MAX,
    HEADER_BYTES_MAX,
    LOG_SIZE_MAX,
    PROOF_HASHES_MAX,
)
from federation.protocol.limits_messages import (
    ANNOUNCE_BYTES_MAX,
    DIGEST_BYTES_MAX,
    INLINE_STATEMENT_BYTES_MAX,
    INLINE_STATEMENTS_MAX,
    LOGS_IN_MESSAGE_MAX,
    RANGE_ANSWER_BYTES_MAX,
    RANGE_BYTES_MAX,
    RANGE_STATEMENTS_MAX,
)
from federation.protocol.messages import (
    AnnouncedHead,
    Announcement,
    AnnouncementAnswer,
    Comparison,
    ComparisonAnswer,
    HeldLog,
    StatementRange,
    decode_announcement,
    decode_announcement_answer,
    decode_comparison,
    decode_comparison_answer,
    decode_range,
    encode_announcement,
    encode_announcement_answer,
    encode_comparison,
    encode_comparison_answer,
    encode_range,
)
from federation.protocol.statements import Statement, erased_statement, opened_statement
from tests.builders import make_salt, make_statement
from tests.vectors.by_hand import array, fields, integer, mapping

HASH = bytes(range(32))
STATEMENTS = tuple(make_statement(number) for number in range(3))
ERASED = erased_statement(STATEMENTS[0].header_bytes, STATEMENTS[0].commitment)
PARTS: list[Value] = [STATEMENTS[0].header_bytes, make_salt(), b"\x80"]


def sized(bytes_on_wire: int) -> Statement:
    """A statement of that size; what it says does not matter here."""
    made = opened_statement(b"h", make_salt(), bytes(bytes_on_wire - 1 - 16 - 12))
    assert bytes_on_wire == made.bytes_on_wire
    return made


# --- what goes in comes out ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        Announcement((), 1),
        Announcement((AnnouncedHead(b"note"),), 1_024),
        Announcement((AnnouncedHead(b"", STATEMENTS, "receipt"), AnnouncedHead(b"x")), 3),
        Announcement((AnnouncedHead(b"note", (ERASED,)),), 1),
        Announcement((AnnouncedHead(b"note", STATEMENTS[:1] * INLINE_STATEMENTS_MAX),), 1),
        Announcement((AnnouncedHead(b"note", (sized(INLINE_STATEMENT_BYTES_MAX),)),), 1),
    ],
)
def test_announcement_comes_back(message: Announcement) -> None:
    assert message == decode_announcement(encode_announcement(message))


@pytest.mark.parametrize(
    "message",
    [
        AnnouncementAnswer((), 1),
        AnnouncementAnswer((HeldLog(HASH, 0), HeldLog(HASH, LOG_SIZE_MAX, "receipt")), 7),
    ],
)
def test_announcement_answer_comes_back(message: AnnouncementAnswer) -> None:
    assert message == decode_announcement_answer(encode_announcement_answer(message))


def test_comparison_comes_back() -> None:
    message = Comparison(HASH, 2)
    assert message == decode_comparison(encode_comparison(message))


@pytest.mark.parametrize(
    "message",
    [
        ComparisonAnswer(None, 1),
        ComparisonAnswer((), 1),
        ComparisonAnswer((AnnouncedHead(b"note", (), "receipt"),), 1),
    ],
)
def test_comparison_answer_comes_back(message: ComparisonAnswer) -> None:
    assert message == decode_comparison_answer(encode_comparison_answer(message))


def test_in_step_and_holding_nothing_are_told_apart() -> None:
    equal, nothing = (ComparisonAnswer(heads, 1) for heads in (None, ()))
    assert encode_comparison_answer(equal) != encode_comparison_answer(nothing)


@pytest.mark.parametrize(
    "message",
    [
        StatementRange(0, STATEMENTS, ()),
        StatementRange(LOG_SIZE_MAX, (ERASED,), (HASH,) * PROOF_HASHES_MAX),
        StatementRange(7, STATEMENTS[:1] * RANGE_STATEMENTS_MAX, (HASH,)),
    ],
)
def test_range_comes_back(message: StatementRange) -> None:
    assert message == decode_range(encode_range(message))


def test_the_longest_range_that_is_served_can_be_read() -> None:
    largest = opened_statement(bytes(HEADER_BYTES_MAX), make_salt(), bytes(BODY_BYTES_MAX))
    count = RANGE_BYTES_MAX // largest.bytes_on_wire + 1
    message = StatementRange(LOG_SIZE_MAX, (largest,) * count, (HASH,) * PROOF_HASHES_MAX)
    raw = encode_range(message)
    assert RANGE_BYTES_MAX < len(raw) <= RANGE_ANSWER_BYTES_MAX
    assert message == decode_range(raw)


def test_many_small_statements_stay_within_their_size_on_the_wire() -> None:
    small = opened_statement(b"h", make_salt(), b"b")
    message = StatementRange(0, (small,) * RANGE_STATEMENTS_MAX, ())
    assert len(encode_range(message)) <= RANGE_STATEMENTS_MAX * small.bytes_on_wire + 64


# --- what is refused ----------------------------------------------------------------------------


def head(**fields: Value) -> dict[str, Value]:
    return {"note": b"note", **fields}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"heads": []},
        {"roster": 1},
        {"heads": [], "roster": 1, "more": 1},
        {"heads": {}, "roster": 1},
        {"heads": [[]], "roster": 1},
        {"heads": [{}], "roster": 1},
        {"heads": [head(more=1)], "roster": 1},
        {"heads": [{"note": "text"}], "roster": 1},
        {"heads": [head(inline=[])], "roster": 1},
        {"heads": [head(inline=b"")], "roster": 1},
        {"heads": [head(inline=[PARTS] * (INLINE_STATEMENTS_MAX + 1))], "roster": 1},
        {"heads": [head(receipt=b"bytes")], "roster": 1},
        {"heads": [head(receipt="r" * 8_193)], "roster": 1},
        {"heads": [], "roster": "1"},
        {"heads": [], "roster": True},
        {"heads": [], "roster": 1_025},
    ],
)
def test_what_is_no_announcement_is_refused(fields: dict[str, Value]) -> None:
    with pytest.raises(MessageMalformed):
        decode_announcement(encode(fields))


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [b"header"],
        [b"header", bytes(31)],
        [b"", bytes(32)],
        [b"header", make_salt(), b""],
        [b"header", bytes(15), b"body"],
        ["header", make_salt(), b"body"],
        [b"header", make_salt(), b"body", b"more"],
        [bytes(HEADER_BYTES_MAX + 1), bytes(32)],
        b"header",
        1,
    ],
)
def test_what_is_no_statement_is_refused(parts: Value) -> None:
    with pytest.raises(MessageMalformed):
        decode_announcement(encode({"heads": [head(inline=[parts])], "roster": 1}))
    with pytest.raises(MessageMalformed):
        decode_range(encode({"from": 0, "proof": [], "statements": [parts]}))


def test_a_statement_too_large_to_ride_inline_is_refused_there_and_served_in_a_range() -> None:
    large = sized(INLINE_STATEMENT_BYTES_MAX + 1)
    announced = encode_announcement(Announcement((AnnouncedHead(b"note", (large,)),), 1))
    with pytest.raises(MessageMalformed):
        decode_announcement(announced)
    served = StatementRange(0, (large,), ())
    assert served == decode_range(encode_range(served))


@pytest.mark.parametrize(
    "held",
    [
        {"log": HASH},
        {"size": 1},
        {"log": HASH, "size": 1, "more": 1},
        {"log": HASH[:31], "size": 1},
        {"log": "log", "size": 1},
        {"log": HASH, "size": False},
        {"log": HASH, "size": LOG_SIZE_MAX + 1},
        {"log": HASH, "size": 1, "receipt": 1},
        [],
    ],
)
def test_what_is_no_held_log_is_refused(held: Value) -> None:
    with pytest.raises(MessageMalformed):
        decode_announcement_answer(encode({"held": [held], "roster": 1}))


@pytest.mark.parametrize(
    "fields",
    [
        {"roster": 1},
        {"vector": HASH},
        {"roster": 1, "vector": HASH[:31]},
        {"roster": 1, "vector": "v" * 32},
        {"more": 1, "roster": 1, "vector": HASH},
    ],
)
def test_what_is_no_comparison_is_refused(fields: dict[str, Value]) -> None:
    with pytest.raises(MessageMalformed):
        decode_comparison(encode(fields))


@pytest.mark.parametrize(
    "changed",
    [
        {"from": LOG_SIZE_MAX + 1},
        {"from": "0"},
        {"statements": []},
        {"statements": [PARTS] * (RANGE_STATEMENTS_MAX + 1)},
        {"proof": [HASH] * (PROOF_HASHES_MAX + 1)},
        {"proof": [HASH[:31]]},
        {"proof": HASH},
        {"more": 1},
    ],
)
def test_what_is_no_range_is_refused(changed: dict[str, Value]) -> None:
    good: dict[str, Value] = {"from": 0, "proof": [], "statements": [PARTS]}
    decode_range(encode(good))
    with pytest.raises(MessageMalformed):
        decode_range(encode(good | changed))


def test_more_logs_than_a_federation_has_are_refused() -> None:
    held: list[Value] = [{"log": HASH, "size": 1}] * (LOGS_IN_MESSAGE_MAX + 1)
    with pytest.raises(MessageMalformed):
        decode_announcement_answer(encode({"held": held, "roster": 1}))
    heads: list[Value] = [head()] * (LOGS_IN_MESSAGE_MAX + 1)
    with pytest.raises(MessageMalformed):
        decode_comparison_answer(encode({"heads": heads, "roster": 1}))


@pytest.mark.parametrize(
    ("decode", "bytes_max"),
    [
        (decode_announcement, ANNOUNCE_BYTES_MAX),
        (decode_announcement_answer, DIGEST_BYTES_MAX),
        (decode_comparison, ANNOUNCE_BYTES_MAX),
        (decode_comparison_answer, DIGEST_BYTES_MAX),
        (decode_range, RANGE_ANSWER_BYTES_MAX),
    ],
)
def test_a_message_over_its_limit_is_refused_unread(
    decode: Callable[[bytes], Any], bytes_max: int
) -> None:
    with pytest.raises(TooLarge):
        decode(b"\xc1" * (bytes_max + 1))
    with pytest.raises(MessageMalformed):
        decode(b"\xc1" * bytes_max)


@pytest.mark.parametrize("part", [array([]), mapping([])], ids=["lists", "maps"])
def test_millions_of_empty_parts_in_a_range_are_refused_while_they_are_counted(part: bytes) -> None:
    """As many as fit in one answer, in lists that are each within the limit."""
    many = array([part] * RANGE_STATEMENTS_MAX)
    rows = array([array([many] * RANGE_STATEMENTS_MAX)] * 3 + [array([many] * 1_000)])
    attack = fields(**{"from": integer(0), "proof": array([]), "statements": rows})
    assert 4_000_000 < len(attack) < RANGE_ANSWER_BYTES_MAX
    tracemalloc.start()
    try:
        with pytest.raises(MessageMalformed):
            decode_range(attack)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()

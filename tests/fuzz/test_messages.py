"""Any bytes at any reader of peer messages: a message, or an error of the sender's fault."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.errors import ProtocolError
from federation.protocol.encoding_writing import Value, encode
from federation.protocol.evidence import Prefix
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
from federation.protocol.messages_calls import WaitingCall, decode_calls, encode_calls
from federation.protocol.messages_prefix import decode_prefix, encode_prefix
from federation.protocol.statements import erased_statement, opened_statement

Codec: TypeAlias = tuple[Callable[[bytes], Any], Callable[[Any], bytes]]

HASHES = st.binary(min_size=32, max_size=32)
VERSIONS = st.integers(0, 1_024)
RECEIPTS = st.none() | st.text(st.characters(codec="utf-8"), max_size=50)
SMALL = st.binary(min_size=1, max_size=60)
STATEMENTS = st.builds(
    opened_statement, SMALL, st.binary(min_size=16, max_size=16), SMALL
) | st.builds(erased_statement, SMALL, HASHES)
HEADS = st.lists(
    st.builds(
        AnnouncedHead,
        st.binary(max_size=60),
        st.lists(STATEMENTS, max_size=3).map(tuple),
        RECEIPTS,
    ),
    max_size=3,
).map(tuple)
HELD = st.lists(st.builds(HeldLog, HASHES, st.integers(0, 2**40), RECEIPTS), max_size=3)
EVIDENCE = st.lists(SMALL, max_size=3).map(tuple)

ANNOUNCEMENT: Codec = decode_announcement, encode_announcement
ANSWER: Codec = decode_announcement_answer, encode_announcement_answer
COMPARISON: Codec = decode_comparison, encode_comparison
COMPARED: Codec = decode_comparison_answer, encode_comparison_answer
RANGE: Codec = decode_range, encode_range
PREFIX: Codec = decode_prefix, encode_prefix
CALLS: Codec = decode_calls, encode_calls
TARGETS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=60).map(
    lambda rest: "/" + rest
)
WAITING = st.builds(
    WaitingCall, st.integers(1, 2**53 - 1), TARGETS, st.none() | st.binary(max_size=60)
)

MESSAGES: list[tuple[Codec, st.SearchStrategy[Any]]] = [
    (ANNOUNCEMENT, st.builds(Announcement, HEADS, VERSIONS, EVIDENCE)),
    (ANSWER, st.builds(AnnouncementAnswer, HELD.map(tuple), VERSIONS)),
    (COMPARISON, st.builds(Comparison, HASHES, VERSIONS)),
    (COMPARED, st.builds(ComparisonAnswer, st.none() | HEADS, VERSIONS)),
    (COMPARED, st.builds(ComparisonAnswer, HEADS, VERSIONS, EVIDENCE)),
    (
        CALLS,
        st.lists(WAITING, max_size=3, unique_by=lambda call: call.number).map(
            lambda calls: tuple(sorted(calls, key=lambda call: call.number))
        ),
    ),
    (PREFIX, st.builds(Prefix, HASHES, st.lists(HASHES, max_size=3).map(tuple))),
    (
        RANGE,
        st.builds(
            StatementRange,
            st.integers(0, 2**40),
            st.lists(STATEMENTS, min_size=1, max_size=3).map(tuple),
            st.lists(HASHES, max_size=3).map(tuple),
        ),
    ),
]
NAMES = [
    "body", "calls", "evidence", "from", "heads", "held", "inline", "log", "note", "number",
    "proof", "receipt", "root", "roster", "size", "statements", "target", "vector",
]  # fmt: skip
# Well-formed values of the right names and the wrong shapes: nearer to the target than noise.
SHAPES: st.SearchStrategy[Value] = st.recursive(
    st.booleans() | st.integers(0, 2**53 - 1) | st.text(max_size=4) | st.binary(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=12,
)


def check_whatever_it_is(codec: Codec, raw: bytes) -> None:
    decode, write = codec
    with suppress(ProtocolError):
        # What is taken has no other form: two nodes cannot have been sent different bytes.
        assert raw == write(decode(raw))


@pytest.mark.parametrize(("codec", "messages"), MESSAGES)
@given(data=st.data())
def test_a_message_comes_back(
    codec: Codec, messages: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    message = data.draw(messages)
    decode, write = codec
    assert message == decode(write(message))


@pytest.mark.parametrize(("codec", "messages"), MESSAGES)
@given(data=st.data())
def test_a_damaged_message_is_taken_or_refused(
    codec: Codec, messages: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    good = codec[1](data.draw(messages))
    begin = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(begin, min(len(good), begin + 8)))
    check_whatever_it_is(codec, good[:begin] + data.draw(st.binary(max_size=8)) + good[end:])


@given(st.binary(max_size=300))
def test_any_bytes_are_taken_or_refused(raw: bytes) -> None:
    for codec, _messages in MESSAGES:
        check_whatever_it_is(codec, raw)


@given(SHAPES)
def test_any_shape_is_taken_or_refused(value: Value) -> None:
    raw = encode(value)
    for codec, _messages in MESSAGES:
        check_whatever_it_is(codec, raw)

"""Encoding: one value, one form; and no bytes that cost more than they are."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import cast

import pytest

from federation.errors import EncodingMalformed, ProtocolError, TooLarge
from federation.protocol.encoding import PACK, decode, decode_map
from federation.protocol.encoding_writing import Value, encode
from federation.protocol.limits import DEPTH_MAX, INTEGER_MAX, PARTS_MAX
from tests.vectors.by_hand import TRUE, array, binary, fields, integer, mapping, text

PAGE = Path(__file__).parents[3] / "docs" / "spec" / "encoding.md"
BYTES_MAX = 4 * 1024 * 1024


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def refusal_of(encoded: bytes) -> str:
    with pytest.raises(ProtocolError) as caught:
        decode(encoded, bytes_max=BYTES_MAX)
    return caught.value.code


def test_example_of_the_page() -> None:
    value: Value = {"who": "acme.example", "at": 7, "seen": True, "v": b"\x00\xff"}
    assert encode(value).hex() in PAGE.read_text("utf-8")
    assert value == decode(encode(value), bytes_max=100)


def test_order_in_which_a_map_was_made_says_nothing() -> None:
    assert encode({"a": 1, "b": {"c": 2, "d": 3}}) == encode({"b": {"d": 3, "c": 2}, "a": 1})


def test_key_order_is_by_code_point_where_utf16_order_differs() -> None:
    # U+FF41 sorts before U+1F701 by code point, and after its surrogates in UTF-16.
    by_code_point = mapping([(text("\uff41"), TRUE), (text("\U0001f701"), TRUE)])
    assert by_code_point == encode({"\U0001f701": True, "\uff41": True})
    by_utf16 = mapping([(text("\U0001f701"), TRUE), (text("\uff41"), TRUE)])
    assert "encoding-malformed" == refusal_of(by_utf16)


@pytest.mark.parametrize(
    "value",
    [None, 1.0, float("nan"), -1, INTEGER_MAX + 1, {1: 2}, {"": 1}, {"k" * 17: 1}, {b"k": 1}],
)
def test_value_without_a_form_cannot_be_encoded(value: object) -> None:
    with pytest.raises(EncodingMalformed):
        encode(cast("Value", value))


@pytest.mark.parametrize("value", [{"a": {1, 2}}, bytearray(1), MappingProxyType({}), "\ud800"])
def test_python_value_that_is_no_value_of_the_encoding_cannot_be_encoded(value: object) -> None:
    with pytest.raises(EncodingMalformed):
        encode(cast("Value", value))


def test_value_that_holds_itself_cannot_be_encoded() -> None:
    value: list[Value] = []
    value.append(value)
    with pytest.raises(EncodingMalformed):
        encode(value)


@pytest.mark.parametrize("bad_key", ["\ud800", "k" * 17])
def test_text_and_keys_are_checked_inside_as_well(bad_key: str) -> None:
    with pytest.raises(EncodingMalformed):
        encode([{"a": {bad_key: 1}}])


def test_tuple_is_encoded_as_a_list() -> None:
    assert encode([1, [2]]) == encode((1, (2,)))


def test_boolean_is_not_an_integer() -> None:
    assert encode(True) != encode(1)
    assert decode(TRUE, bytes_max=1) is True


def test_deepest_value_is_read_and_one_deeper_refused() -> None:
    deepest = b"\x91" * (DEPTH_MAX - 1) + b"\x90"
    assert deepest == encode(decode(deepest, bytes_max=100))
    assert "encoding-malformed" == refusal_of(b"\x91" + deepest)


@pytest.mark.parametrize("depth", [9, 511, 1_023, 1_024, 1_025, 60_000])
@pytest.mark.parametrize("opening", [b"\x91", b"\x81\xa1a"])
def test_deeply_nested_value_is_refused_and_does_not_break_the_reader(
    depth: int, opening: bytes
) -> None:
    assert "encoding-malformed" == refusal_of(opening * depth + b"\x01")


def test_as_many_parts_as_allowed_are_read_and_one_more_refused() -> None:
    half = array([integer(1)] * (PARTS_MAX // 2 - 1))
    full = array([half, half])
    assert full == encode(decode(full, bytes_max=BYTES_MAX))
    assert "encoding-malformed" == refusal_of(array([half, half, integer(1)]))


def test_map_counts_its_values() -> None:
    one_map = fields(a=integer(1), b=integer(2), c=integer(3))
    full = array([one_map] * (PARTS_MAX // 4))
    assert full == encode(decode(full, bytes_max=BYTES_MAX))
    assert "encoding-malformed" == refusal_of(array([*[one_map] * (PARTS_MAX // 4), one_map]))


@pytest.mark.parametrize(
    "attack",
    [
        (b"\xdd" + (65_536).to_bytes(4, "big")) * 1_000,
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xdc\xff\xff" * 1_000,
        b"\xdb\xff\xff\xff\xff",
        array([array([array([])] * 65_000)] * 60),
        array([mapping([])] * 70_000),
        array([integer(0)] * 4_000_000),
    ],
    ids=[
        "nested lists that claim what is not there",
        "a list that claims 2^32 - 1 parts",
        "a map that claims 2^32 - 1 parts",
        "nested lists that claim a little",
        "text that claims 4 GiB",
        "millions of empty lists",
        "too many empty maps",
        "millions of zeros",
    ],
)
def test_claims_are_counted_before_anything_is_built(attack: bytes) -> None:
    """The MessagePack library alone takes gigabytes for the first of these."""
    tracemalloc.start()
    try:
        assert "encoding-malformed" == refusal_of(attack)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_oversized_bytes_are_refused_unread() -> None:
    with pytest.raises(TooLarge):
        decode(b"\xc1" * 9, bytes_max=8)
    with pytest.raises(EncodingMalformed):
        decode(b"\xc1" * 8, bytes_max=8)


@pytest.mark.parametrize("encoded", [array([]), integer(1), text("a"), binary(b"a"), TRUE])
def test_what_is_no_map_is_refused_where_a_map_is_expected(encoded: bytes) -> None:
    with pytest.raises(EncodingMalformed):
        decode_map(encoded, bytes_max=100)


def test_errors_show_nothing_of_what_was_read() -> None:
    secret = "f8f8f0cee0f4a84f"
    attempts = [
        fields(a=text(secret), b=b"\xc0"),
        mapping([(text(secret[:8]), TRUE), (text(secret[:8]), TRUE)]),
        mapping([(text(secret * 2), TRUE)]),
        array([text(secret, 4)]),
        text(secret.encode() + b"\xff"),
    ]
    for attempt in attempts:
        with pytest.raises(EncodingMalformed) as caught:
            decode(attempt, bytes_max=1_000)
        assert secret[:8] not in str(caught.value)
        assert caught.value.__cause__ is None


def test_encoding_takes_any_mapping_that_is_a_dict() -> None:
    ordered: Mapping[str, Value] = dict(sorted({"b": 1, "a": 2}.items(), reverse=True))
    assert fields(a=integer(2), b=integer(1)) == encode(ordered)


@pytest.mark.usefixtures("hasty_threads")
def test_what_threads_encode_at_once_is_each_ones_own() -> None:
    def is_own(letter: str) -> bool:
        value: Value = {"a": [letter.encode() * 500] * 20, "b": letter * 5_000}
        expected = fields(a=array([binary(letter.encode() * 500)] * 20), b=text(letter * 5_000))
        return all(
            encode(value) == expected and decode(expected, bytes_max=BYTES_MAX) == value
            for _ in range(300)
        )

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(is_own, "wxyz"))


def test_what_cannot_be_written_leaves_nothing_for_the_next_one() -> None:
    refused: list[list[object]] = [["left", "\ud800"], [b"left", 2**70], [b"left", object()]]
    for each in refused:
        with pytest.raises((UnicodeEncodeError, OverflowError, TypeError)):
            PACK(each)
        assert array([TRUE]) == encode([True])

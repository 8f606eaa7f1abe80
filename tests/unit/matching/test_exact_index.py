"""Exact signals: the value itself or nothing."""

from __future__ import annotations

import hashlib

import pytest

from federation.local_errors.content import SignalMalformed
from federation.matching.exact_index import ExactIndex
from federation.matching.found import NO_MATCHES, Found, Matches

DIGESTS = [hashlib.sha256(bytes([number])).digest() for number in range(200)]


@pytest.mark.parametrize("length", [16, 32])
@pytest.mark.parametrize("rebuilds", [0, 1, 2])
def test_value_is_found_at_distance_zero_and_one_bit_off_is_not(length: int, rebuilds: int) -> None:
    values = [digest[:length] for digest in DIGESTS]
    index = ExactIndex(length)
    assert 200 == index.add(values)
    for _ in range(rebuilds):
        index.rebuild()
    one_off = bytes([values[0][0] ^ 1]) + values[0][1:]
    expected = [Matches((Found(values[0], 0),), 1), NO_MATCHES, Matches((Found(values[9], 0),), 1)]
    assert expected == index.search_many([values[0], one_off, values[9]])


def test_removed_value_is_not_found_until_it_comes_back() -> None:
    index = ExactIndex(32)
    index.add(DIGESTS)
    index.rebuild()
    assert 1 == index.remove([DIGESTS[7], DIGESTS[7]])
    assert NO_MATCHES == index.search(DIGESTS[7])
    assert 1 == index.add([DIGESTS[7]])
    assert 1 == index.search(DIGESTS[7]).total


def test_empty_index_finds_nothing() -> None:
    index = ExactIndex(16)
    assert NO_MATCHES == index.search(bytes(16))
    index.rebuild()
    assert NO_MATCHES == index.search(bytes(16))


@pytest.mark.parametrize("wrong", [b"", bytes(16), bytes(31), bytes(33)])
def test_wrong_length_is_refused(wrong: bytes) -> None:
    index = ExactIndex(32)
    for refuse in (lambda: index.add([wrong]), lambda: index.search(wrong)):
        with pytest.raises(SignalMalformed):
            refuse()
    assert 0 == len(index)


@pytest.mark.parametrize("value_bytes", [-8, 0, 4, 35])
def test_length_that_is_no_whole_number_of_words_is_refused(value_bytes: int) -> None:
    with pytest.raises(ValueError, match="8-byte words"):
        ExactIndex(value_bytes)

"""Places and keys are what every row is found by: no two statements may share a place."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from federation.protocol.limits import LOG_SIZE_MAX
from federation.protocol.signals import SignalType
from federation.protocol.statements import Statement, erased_statement, opened_statement
from federation.store.places import (
    COMMITMENT_KEPT_BODY_BYTES,
    hkey_of,
    place_of,
    row_of,
    signal_hkey,
    split_place,
    statement_of,
)
from tests.builders import make_salt, make_statement

STEMS = st.integers(min_value=1, max_value=2**23 - 1)
INDEXES = st.integers(min_value=0, max_value=LOG_SIZE_MAX - 1)


def _read_back(statement: Statement) -> Statement:
    place, _, header, salt, commitment, body = row_of(7, statement, unread=False)
    return statement_of((place, header, salt, commitment, body))


@given(STEMS, INDEXES)
def test_place_fits_a_row_number_and_splits_into_what_it_was_made_of(stem: int, index: int) -> None:
    place = place_of(stem, index)
    assert 0 < place < 2**63
    assert (stem, index) == split_place(place)


def test_logs_do_not_overlap() -> None:
    assert place_of(1, LOG_SIZE_MAX - 1) + 1 == place_of(2, 0)


@given(st.binary(min_size=32, max_size=32))
def test_hkey_fits_a_signed_integer(digest: bytes) -> None:
    assert -(2**63) <= hkey_of(digest) < 2**63


def test_equal_values_of_two_signal_types_have_two_hkeys() -> None:
    value = bytes(32)
    assert signal_hkey(SignalType.PDQ, value) != signal_hkey(SignalType.SHA256, value)


def test_statement_is_read_back_with_the_same_bytes_and_id() -> None:
    statement = make_statement(1)
    read = _read_back(statement)
    assert statement == read
    assert statement.id == read.id


def test_erased_statement_keeps_its_commitment() -> None:
    erased = erased_statement(b"header", b"c" * 32)
    assert erased == _read_back(erased)


def test_only_long_bodies_keep_their_commitment() -> None:
    for length in (COMMITMENT_KEPT_BODY_BYTES - 1, COMMITMENT_KEPT_BODY_BYTES):
        statement = opened_statement(b"header", make_salt(), b"b" * length)
        kept = row_of(7, statement, unread=False)[4]
        assert kept == (statement.commitment if length >= COMMITMENT_KEPT_BODY_BYTES else None)


def test_kept_commitment_is_hashed_again_and_not_believed() -> None:
    statement = opened_statement(b"header", make_salt(), b"b" * COMMITMENT_KEPT_BODY_BYTES)
    place, _, header, salt, _, body = row_of(7, statement, unread=False)
    assert statement == statement_of((place, header, salt, b"x" * 32, body))

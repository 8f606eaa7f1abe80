"""The text forms that all log formats share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.errors import NoteMalformed, ProofMalformed, ProtocolError
from federation.protocol.texts import (
    SIZE_LIMIT,
    check_characters,
    format_base64,
    parse_base64,
    parse_decimal,
)


@given(st.binary(max_size=200))
def test_base64_comes_back(raw: bytes) -> None:
    assert raw == parse_base64(format_base64(raw), NoteMalformed, "it")


@given(st.text(alphabet="AB+/=\n -_\u00e9\ud800", max_size=12))
def test_base64_has_one_form(text: str) -> None:
    try:
        raw = parse_base64(text, NoteMalformed, "it")
    except NoteMalformed:
        return
    assert text == format_base64(raw)


@given(st.integers(min_value=0, max_value=SIZE_LIMIT - 1))
def test_decimal_comes_back(value: int) -> None:
    assert value == parse_decimal(str(value), NoteMalformed, "it")


@given(st.text(alphabet="0123456789+-_ .\u0663", max_size=25))
def test_decimal_has_one_form(text: str) -> None:
    try:
        value = parse_decimal(text, NoteMalformed, "it")
    except NoteMalformed:
        return
    assert text == str(value)


@pytest.mark.parametrize("malformed", [NoteMalformed, ProofMalformed])
def test_caller_says_which_format_is_broken(malformed: type[ProtocolError]) -> None:
    for broken in (
        lambda: parse_base64("!", malformed, "the salt"),
        lambda: parse_decimal("!", malformed, "the salt"),
        lambda: check_characters("\0", malformed, "the salt"),
    ):
        with pytest.raises(malformed, match="the salt"):
            broken()


def test_messages_do_not_repeat_what_was_read() -> None:
    with pytest.raises(NoteMalformed) as caught:
        parse_base64("c2VjcmV0!", NoteMalformed, "the seed")
    assert "c2VjcmV0" not in str(caught.value)
    # Nor does the chain that a traceback prints.
    assert caught.value.__suppress_context__

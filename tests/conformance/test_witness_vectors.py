"""Our own vectors of the witness's forms."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.errors import FederationError, ProtocolError, TooLarge
from federation.protocol.notes import format_note
from federation.protocol.witness import (
    ADD_CHECKPOINT_BYTES_MAX,
    format_add_checkpoint,
    format_size,
    parse_add_checkpoint,
    parse_size,
)
from tests.vectors.cases import Case, Json, from_input, text_of
from tests.vectors.generate import FOLDER


def read_request(case: Case) -> Json:
    body = from_input("body", case)
    request = parse_add_checkpoint(body)
    note = format_note(request.note)
    assert body == format_add_checkpoint(request.old_size, request.proof, note)
    return {
        "old_size": str(request.old_size),
        "proof_hex": [digest.hex() for digest in request.proof],
        "origin": request.origin,
        "size": str(request.size),
        "root_hex": request.root_hash.hex(),
    }


def read_size(case: Case) -> Json:
    size = parse_size(text_of(case, "text").encode())
    assert text_of(case, "text").encode() == format_size(size)
    return str(size)


ANSWERS: dict[str, Callable[[Case], Json]] = {
    "add_checkpoint": read_request,
    "witness_size": read_size,
}


def held_cases(name: str) -> list[Case]:
    cases: list[Case] = json.loads((FOLDER / "witness" / f"{name}.json").read_text("ascii"))
    return cases


@pytest.mark.parametrize("case", held_cases("accept"), ids=lambda case: str(case["desc"]))
def test_good_case_is_accepted_with_its_answer(case: Case) -> None:
    assert case["gives"] == ANSWERS[text_of(case, "op")](case)


@pytest.mark.parametrize("case", held_cases("reject"), ids=lambda case: str(case["desc"]))
def test_bad_case_is_refused_with_its_code(case: Case) -> None:
    with pytest.raises(FederationError) as caught:
        ANSWERS[text_of(case, "op")](case)
    assert case["error"] == caught.value.code


def test_a_request_over_the_limit_is_not_read() -> None:
    with pytest.raises(TooLarge):
        parse_add_checkpoint(b"old 0\n".ljust(ADD_CHECKPOINT_BYTES_MAX + 1, b"A"))


@given(st.binary(max_size=400) | st.text(max_size=200).map(lambda text: f"old {text}".encode()))
def test_any_bytes_are_a_request_or_a_protocol_error(body: bytes) -> None:
    try:
        request = parse_add_checkpoint(body)
    except ProtocolError:
        return
    note = format_note(request.note)
    assert body == format_add_checkpoint(request.old_size, request.proof, note)


@given(st.binary(max_size=30))
def test_any_bytes_are_a_size_or_a_protocol_error(body: bytes) -> None:
    try:
        size = parse_size(body)
    except ProtocolError:
        return
    assert body == format_size(size)

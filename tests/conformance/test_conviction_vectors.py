"""Our own vectors of convictions: which files convict whom, and at which step the others fail."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.errors import ProtocolError
from federation.protocol.convictions import decode_conviction, encode_conviction
from federation.protocol.keys import check_ed25519
from federation.provenance.attestation_convicting import STEPS, judge_conviction
from federation.provenance.report import Report
from tests.vectors.cases import Case, from_input, text_of
from tests.vectors.generate import FOLDER


def judged(case: Case, raw: bytes | None = None) -> Report:
    roots = case["roots"]
    assert isinstance(roots, list)
    first, *known = [str(root).encode() for root in roots]
    file = from_input("conviction", case) if raw is None else raw
    return judge_conviction(file, first, check_ed25519, known)


def held_cases(name: str) -> list[Case]:
    cases: list[Case] = json.loads((FOLDER / "convictions" / f"{name}.json").read_text("ascii"))
    return cases


@pytest.mark.parametrize("case", held_cases("accept"), ids=lambda case: str(case["desc"]))
def test_a_conviction_names_the_member_that_signed_and_nobody_else(case: Case) -> None:
    report, gives = judged(case), case["gives"]
    assert isinstance(gives, dict)
    assert report.failed_step is None
    said = f"CONVICTED: {text_of(gives, 'member')} attested that {text_of(gives, 'statement_id')}"
    assert report.conclusion.startswith(said)


@pytest.mark.parametrize("case", held_cases("reject"), ids=lambda case: str(case["desc"]))
def test_other_files_convict_nobody_at_their_step(case: Case) -> None:
    failed = judged(case).failed_step
    assert failed is not None
    assert (case["step"], case["error"]) == (failed.number, failed.code)


def test_every_step_has_a_case() -> None:
    assert set(range(1, len(STEPS) + 1)) == {case["step"] for case in held_cases("reject")}


GOOD = held_cases("accept")[0]
WHOLE = from_input("conviction", GOOD)


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 7))
def test_no_bit_of_a_conviction_can_change_unnoticed(place: int, bit: int) -> None:
    changed = bytearray(WHOLE)
    changed[place] ^= 1 << bit
    assert not judged(GOOD, bytes(changed)).is_verified


@given(st.binary(max_size=200))
def test_any_bytes_convict_nobody(raw: bytes) -> None:
    assert not judged(GOOD, raw).is_verified
    with suppress(ProtocolError):
        assert raw == encode_conviction(decode_conviction(raw))

"""Our own vectors of status attestations: what their text says, and what is no text of one."""

from __future__ import annotations

import json

import pytest

from federation.errors import AttestationMalformed
from federation.protocol.attestations import parse_attestation
from federation.protocol.attestations_signing import format_attestation
from tests.vectors.cases import Case, text_of
from tests.vectors.generate import FOLDER


def held_cases(name: str) -> list[Case]:
    cases: list[Case] = json.loads((FOLDER / "attestations" / f"{name}.json").read_text("ascii"))
    return cases


@pytest.mark.parametrize("case", held_cases("accept"), ids=lambda case: str(case["desc"]))
def test_good_text_is_read_and_is_its_only_form(case: Case) -> None:
    read = parse_attestation(text_of(case, "text"))
    assert text_of(case, "text") == format_attestation(read)
    assert case["gives"] == {
        "roster": list(read.roster),
        "at_ms": read.at_ms,
        "about": read.about,
        "statements": [
            [str(found.id), found.state.value, *map(str, found.by)] for found in read.findings
        ],
        "heads": [[head.origin, str(head.size), head.root_hash.hex()] for head in read.heads],
    }


@pytest.mark.parametrize("case", held_cases("reject"), ids=lambda case: str(case["desc"]))
def test_bad_text_is_refused(case: Case) -> None:
    assert AttestationMalformed.code == case["error"]
    with pytest.raises(AttestationMalformed):
        parse_attestation(text_of(case, "text"))


def test_the_signal_that_was_asked_about_is_in_no_log_line() -> None:
    about = "pdq " + "5a" * 32
    case = next(case for case in held_cases("accept") if f"about {about}" in text_of(case, "text"))
    assert "5a5a" not in repr(parse_attestation(text_of(case, "text")))

"""Our own vectors of evidence: which files convict whom, and at which step the others fail."""

from __future__ import annotations

import json

import pytest

from federation.protocol.keys import check_ed25519
from federation.protocol.roster_chain import RosterChain
from federation.provenance.convicting import STEPS, judge_evidence, open_evidence
from federation.provenance.report import Report
from tests.vectors.cases import Case, from_input, text_of
from tests.vectors.generate import FOLDER


def roots_of(case: Case) -> list[bytes]:
    roots = case["roots"]
    assert isinstance(roots, list)
    return [str(root).encode() for root in roots]


def judged(case: Case) -> Report:
    first_root, *known_roots = roots_of(case)
    return judge_evidence(from_input("evidence", case), first_root, check_ed25519, known_roots)


def held_cases(name: str) -> list[Case]:
    cases: list[Case] = json.loads((FOLDER / "evidence" / f"{name}.json").read_text("ascii"))
    return cases


@pytest.mark.parametrize("case", held_cases("accept"), ids=lambda case: str(case["desc"]))
def test_evidence_convicts_the_key_that_signed_both(case: Case) -> None:
    report, gives = judged(case), case["gives"]
    assert isinstance(gives, dict)
    assert report.failed_step is None
    assert report.conclusion.startswith("CONVICTED: ")
    assert text_of(gives, "key_id_hex") in report.conclusion
    chain = RosterChain.trust(roots_of(case)[0])
    for root in roots_of(case)[1:]:
        chain = chain.extend(root)
    conviction = open_evidence(from_input("evidence", case), chain.newest, check_ed25519)
    assert gives == {
        "origin": conviction.log.origin,
        "member": conviction.log.member,
        "key_id_hex": conviction.key.key_id.hex(),
        "id_hex": conviction.id.hex(),
    }


@pytest.mark.parametrize("case", held_cases("reject"), ids=lambda case: str(case["desc"]))
def test_other_files_convict_nobody_at_their_step(case: Case) -> None:
    failed = judged(case).failed_step
    assert failed is not None
    assert (case["step"], case["error"]) == (failed.number, failed.code)


def test_every_step_has_a_case() -> None:
    assert set(range(1, len(STEPS) + 1)) == {case["step"] for case in held_cases("reject")}

"""Our own vectors of bundles: which files verify, and at which step the others fail.

Two auditors who agree on these agree on what a bundle proves.
"""

from __future__ import annotations

import json

import pytest

from federation.protocol.keys import check_ed25519
from federation.protocol.policy import parse_quorum
from federation.provenance.bundle_judge import STATED_STEPS, STEPS, claims_of, judge_bundle
from federation.provenance.report import Report
from tests.vectors.cases import Case, from_input, text_of
from tests.vectors.generate import FOLDER


def judged(case: Case) -> Report:
    roots = case["roots"]
    assert isinstance(roots, list)
    first_root, *known_roots = [str(root).encode() for root in roots]
    quorum = parse_quorum(text_of(case, "quorum"))
    asked = case.get("in_force")
    return judge_bundle(
        from_input("bundle", case),
        first_root,
        quorum,
        check_ed25519,
        known_roots,
        in_force=None if asked is None else parse_quorum(str(asked)).count,
    )


def held_cases(name: str) -> list[Case]:
    cases: list[Case] = json.loads((FOLDER / "bundles" / f"{name}.json").read_text("ascii"))
    return cases


@pytest.mark.parametrize("case", held_cases("accept"), ids=lambda case: str(case["desc"]))
def test_good_bundle_is_verified_with_its_answer(case: Case) -> None:
    report, gives = judged(case), case["gives"]
    assert isinstance(gives, dict)
    assert report.failed_step is None
    assert report.is_verified
    assert text_of(gives, "statement_id") == report.steps[4].detail
    assert text_of(gives, "statement_id") in report.conclusion
    assert gives["claims"] == claims_of(report, is_force_asked="in_force" in case)
    cosigners = gives["cosigners"]
    assert isinstance(cosigners, list)
    assert report.steps[6].detail.endswith(", ".join(map(str, cosigners)) or "nobody")


@pytest.mark.parametrize("case", held_cases("reject"), ids=lambda case: str(case["desc"]))
def test_bad_bundle_fails_at_its_step_with_its_code(case: Case) -> None:
    report = judged(case)
    failed = report.failed_step
    assert failed is not None
    assert (case["step"], case["error"]) == (failed.number, failed.code)
    claims = claims_of(report, is_force_asked="in_force" in case)
    is_stated = failed.number > STATED_STEPS
    assert {"stated": is_stated, "in_force": False if "in_force" in case else None} == claims


def test_every_step_that_can_fail_has_a_case() -> None:
    # What a statement says is shown at step 9, and never judged.
    steps = set(range(1, len(STEPS) + 1)) - {STATED_STEPS}
    assert steps == {case["step"] for case in held_cases("reject")}

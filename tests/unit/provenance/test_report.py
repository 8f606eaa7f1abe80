"""A report says what was reached, and a judgement cut short has verified nothing."""

from __future__ import annotations

from federation.errors import QuorumUnmet
from federation.provenance.report import Examination, Outcome, Report


def test_the_first_failure_ends_the_judgement() -> None:
    examination = Examination(("one", "two", "three"))
    examination.passed("fine")
    report = examination.failed(QuorumUnmet("too few"))
    assert [(1, Outcome.PASSED), (2, Outcome.FAILED), (3, Outcome.NOT_REACHED)] == [
        (step.number, step.outcome) for step in report.steps
    ]
    assert report.failed_step is not None
    assert ("two", "too few", "quorum-unmet") == (
        report.failed_step.title,
        report.failed_step.detail,
        report.failed_step.code,
    )
    assert not report.is_verified
    assert report.conclusion == ""


def test_a_report_without_failure_is_verified() -> None:
    examination = Examination(("one",))
    examination.passed("fine")
    report = examination.concluded("STATED")
    assert report.is_verified
    assert report.failed_step is None


def test_a_report_of_no_steps_verifies_nothing() -> None:
    assert not Report((), "").is_verified

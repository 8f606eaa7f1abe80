"""How the auditor's program answers: numbered steps for people, one JSON object for programs."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from dataclasses import asdict
from typing import Final

from federation.cli.exits import ExitCode
from federation.errors import FederationError, RosterNotAtHand
from federation.provenance.report import Outcome, Report

PROGRAM: Final = "federation-verify"

_MARKS: Final = dict(zip(Outcome, "✓✗–·", strict=True))  # noqa: RUF001
_ASCII_MARKS: Final = dict(zip(Outcome, "+x-.", strict=True))
_COLOURS: Final = dict(zip(Outcome, ("32", "1;31", "2", "2"), strict=True))  # SGR


def tell(report: Report, conclusion: str, fields: dict[str, object], *, as_json: bool) -> ExitCode:
    """Print a finished judgement; gives the exit code that goes with it.

    Args:
        report: its steps.
        conclusion: what has been shown, or not, in a sentence.
        fields: what else the JSON object has.
        as_json: whether to answer with JSON.
    """
    if as_json:
        steps = [asdict(step) for step in report.steps]
        answer = {"verified": report.is_verified, **fields, "conclusion": conclusion}
        print(json.dumps({**answer, "steps": steps}), flush=True)
    else:
        print(_as_text(report, conclusion), flush=True)
    failed = report.failed_step
    if failed is None:
        return ExitCode.YES
    return ExitCode.UNKNOWN if failed.code == RosterNotAtHand.code else ExitCode.NO


def tell_error(error: FederationError, code: ExitCode, *, as_json: bool) -> ExitCode:
    """Print what was wrong with the question; gives the code back."""
    if as_json:
        told = {"code": error.code, "message": error.message, "hint": error.hint}
        with suppress(OSError):
            print(json.dumps({"error": told}), flush=True)
    hint = f"\nhint: {error.hint}" if error.hint else ""
    print(f"{PROGRAM}: error: {_plain(error.message)}{hint}", file=sys.stderr)
    return code


def conclusion_of(report: Report) -> str:
    """What has been shown; else at which step it ended, and that nothing else may be believed."""
    failed = report.failed_step
    if failed is None:
        return report.conclusion
    if failed.code == RosterNotAtHand.code:
        return f"COULD NOT TELL: step {failed.number} needs a file that was not given."
    if report.conclusion:
        return f"NOT VERIFIED: step {failed.number} failed. What was shown: {report.conclusion}"
    return f"NOT VERIFIED: step {failed.number} failed; nothing after it was asked. Believe none."


def _as_text(report: Report, conclusion: str) -> str:
    marks = _MARKS if _can_write("".join(_MARKS.values())) else _ASCII_MARKS
    lines = []
    for step in report.steps:
        mark = _paint(f"{step.number:2} {marks[step.outcome]}", step.outcome)
        lines.append(f"{mark} {step.title}")
        code = f" ({step.code})" if step.code else ""
        if step.detail or code:
            lines.append(f"     {_plain(step.detail)}{code}")
        if step.hint:
            lines.append(f"     hint: {_plain(step.hint)}")
    outcome = Outcome.PASSED if report.is_verified else Outcome.FAILED
    return "\n".join((*lines, "", _paint(_plain(conclusion), outcome)))


def _plain(text: str) -> str:
    """Without characters that steer a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _can_write(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def _paint(text: str, outcome: Outcome) -> str:
    """The text in the outcome's colour, where somebody sees it on a terminal and wants colours."""
    wants = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return f"\x1b[{_COLOURS[outcome]}m{text}\x1b[0m" if wants and sys.stdout.isatty() else text

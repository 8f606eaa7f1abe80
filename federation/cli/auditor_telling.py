"""How the auditor's program answers: numbered steps for people, one JSON object for programs."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Final, TypeAlias

from federation.cli.exits import ExitCode
from federation.errors import FederationError
from federation.provenance.report import Outcome, Report

PROGRAM: Final = "federation-verify"
NOT_AT_HAND: Final = "-not-at-hand"  # codes of what could not be told for want of a file

_MARKS: Final = dict(zip(Outcome, "✓✗–·", strict=True))  # noqa: RUF001
_ASCII_MARKS: Final = dict(zip(Outcome, "+x-.", strict=True))
_COLOURS: Final = dict(zip(Outcome, ("32", "1;31", "2", "2"), strict=True))  # SGR


@dataclass(frozen=True)
class Told:
    """A finished judgement: what was judged, its steps, and what else its JSON object has."""

    heading: str
    report: Report
    fields: dict[str, object]


# Declares a command's arguments; gives what runs it.
Command: TypeAlias = Callable[[ArgumentParser], Callable[[Namespace], list[Told]]]


def tell(judged: Sequence[Told], *, as_json: bool) -> ExitCode:
    """Print judgements, of which there is at least one; gives the exit code that goes with them."""
    if as_json:
        answers = [_as_fields(each) for each in judged]
        several = {"verified": all(each["verified"] for each in answers), "reports": answers}
        print(json.dumps(answers[0] if len(judged) == 1 else several), flush=True)
    else:
        heads = [each.heading + "\n" for each in judged] if len(judged) > 1 else [""]
        texts = [head + _as_text(each.report) for head, each in zip(heads, judged, strict=True)]
        print("\n\n".join(texts), flush=True)
    failed = [each.report.failed_step for each in judged if each.report.failed_step]
    if all(step.code and step.code.endswith(NOT_AT_HAND) for step in failed):
        return ExitCode.UNKNOWN if failed else ExitCode.YES
    return ExitCode.NO


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
    if failed.code and failed.code.endswith(NOT_AT_HAND):
        return f"COULD NOT TELL: step {failed.number} needs a file that was not given."
    if report.conclusion:
        return f"NOT VERIFIED: step {failed.number} failed. What was shown: {report.conclusion}"
    return f"NOT VERIFIED: step {failed.number} failed; nothing after it was asked. Believe none."


def _as_fields(judged: Told) -> dict[str, object]:
    steps = [asdict(step) for step in judged.report.steps]
    said = {"verified": judged.report.is_verified, **judged.fields}
    return {**said, "conclusion": conclusion_of(judged.report), "steps": steps}


def _as_text(report: Report) -> str:
    is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    marks = _MARKS if is_unicode else _ASCII_MARKS
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
    return "\n".join((*lines, "", _paint(_plain(conclusion_of(report)), outcome)))


def _plain(text: str) -> str:
    """Without characters that steer a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _paint(text: str, outcome: Outcome) -> str:
    """The text in the outcome's colour, where somebody sees it on a terminal and wants colours."""
    wants = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return f"\x1b[{_COLOURS[outcome]}m{text}\x1b[0m" if wants and sys.stdout.isatty() else text

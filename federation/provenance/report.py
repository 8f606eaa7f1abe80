"""Reports: what a judgement looked at, step by step, for a person to follow.

Steps are numbered as in the spec page they come from. The first one that fails ends the judgement;
those after it were not reached and say so, as do those that nobody asked for.

Source: docs/spec/bundles.md, "Judging".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from federation.errors import FederationError


class Outcome(StrEnum):
    """What became of one step."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_REACHED = "not-reached"
    NOT_ASKED = "not-asked"


@dataclass(frozen=True, slots=True)
class Step:
    """One numbered check.

    Attributes:
        number: as in the spec page.
        title: what is checked, in one line.
        outcome: what became of it.
        detail: what was found, or why it failed.
        code, hint: where it failed, the error's stable code, and what can be done, if anything.
    """

    number: int
    title: str
    outcome: Outcome
    detail: str = ""
    code: str | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """A finished judgement: every step of the page, and what has been shown, in its words."""

    steps: tuple[Step, ...]
    conclusion: str

    @property
    def is_verified(self) -> bool:
        """Whether every step that was asked for passed."""
        good = {Outcome.PASSED, Outcome.NOT_ASKED}
        return bool(self.steps) and all(step.outcome in good for step in self.steps)

    @property
    def failed_step(self) -> Step | None:
        """The step that ended the judgement, if one did."""
        return next((step for step in self.steps if step.outcome is Outcome.FAILED), None)


class Examination:
    """Collects steps in their order while a judgement goes on.

    Args:
        titles: the titles of all steps; the first is number 1.
    """

    def __init__(self, titles: Sequence[str]) -> None:
        self._titles = tuple(titles)
        self._steps: list[Step] = []

    def passed(self, detail: str, outcome: Outcome = Outcome.PASSED) -> None:
        """The next step holds, or became what is said."""
        number = len(self._steps) + 1
        self._steps.append(Step(number, self._titles[number - 1], outcome, detail))

    def failed(self, error: FederationError, conclusion: str = "") -> Report:
        """The next step does not hold: the judgement is over, whatever was shown before it."""
        self.passed(error.message, Outcome.FAILED)
        self._steps[-1] = replace(self._steps[-1], code=error.code, hint=error.hint)
        while len(self._steps) < len(self._titles):
            self.passed("", Outcome.NOT_REACHED)
        return Report(tuple(self._steps), conclusion)

    def concluded(self, conclusion: str) -> Report:
        """Every step holds."""
        return Report(tuple(self._steps), conclusion)

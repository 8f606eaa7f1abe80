"""The calls about policy, verdicts, findings and quarantine, as models that validate them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from federation.matching.policy_terms import POLICY_BYTES_MAX
from federation.protocol.limits import INTEGER_MAX
from federation.protocol.limits_content import REASON_CHARACTERS_MAX
from federation.web.match_schemas import ActionWord, MatchedStatement
from federation.web.schemas import (
    SIGNAL_CHARACTERS_MAX,
    TYPES_IN_WORDS,
    StatementIdText,
)

MARKS_MAX = 1_000
"""Signals or statements named in one request."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class KnownSignal(_Model):
    """A known signal, as a match answer names it."""

    type: Annotated[str, Field(description=TYPES_IN_WORDS, max_length=32)]
    value: Annotated[
        str,
        Field(
            description="as in a match answer: of a vpdq or url the SHA-256 that is its identity",
            max_length=SIGNAL_CHARACTERS_MAX,
        ),
    ]


class _About(_Model):
    signals: Annotated[list[KnownSignal], Field(max_length=MARKS_MAX)] = []
    statements: Annotated[
        list[StatementIdText],
        Field(max_length=MARKS_MAX, description="confirms: all signals of each"),
    ] = []


# --- verdicts -----------------------------------------------------------------------------------


class VerdictRequest(_Model):
    """Known signals to be told about."""

    signals: Annotated[list[KnownSignal], Field(min_length=1, max_length=MARKS_MAX)]


class SignalVerdict(_Model):
    """What the federation says of a signal, whatever this platform does about it."""

    type: str
    value: str
    state: Annotated[
        str,
        Field(
            description="positive, disputed, accused, suspended, expired, withdrawn or unknown "
            "(docs/concepts/verdict_and_policy.md)"
        ),
    ]
    statements: Annotated[
        list[MatchedStatement],
        Field(description="every member's, those taken back and expired among them"),
    ]


class VerdictAnswer(_Model):
    """A verdict for each signal, in order."""

    verdicts: list[SignalVerdict]


# --- the policy ---------------------------------------------------------------------------------


class PolicyText(_Model):
    """A policy to be looked at."""

    text: Annotated[str, Field(description="TOML", max_length=POLICY_BYTES_MAX)]


class RuleAnswer(_Model):
    """One rule, in the order in which they are asked."""

    name: str
    action: ActionWord
    stages: list[str]
    members_min: int
    human: bool


class PolicyAnswer(_Model):
    """A policy that was read and found to mean something."""

    file: Annotated[str, Field(description="its path; built-in where there is none")] = ""
    sha256: Annotated[str, Field(description="of its text, hex")]
    taken_at_ms: Annotated[int, Field(description="in force since; 0 where it is not")] = 0
    otherwise: ActionWord
    rules: list[RuleAnswer]
    exceptions: int


class PolicyTrialRequest(PolicyText):
    """A policy to be tried on stored signals and recent matches."""

    after: Annotated[
        int,
        Field(ge=-1, le=INTEGER_MAX, description="where the page before ended; -1 for the first"),
    ] = -1


class Move(_Model):
    """How many decisions go from one action to another; those that stay are told too."""

    before: ActionWord
    after: ActionWord
    count: int


class ChangedDecision(_Model):
    """One decision that would be another one."""

    statement: StatementIdText
    before: ActionWord
    rule_before: str
    after: ActionWord
    rule_after: str


class TrialPart(_Model):
    """What would become of some decisions."""

    asked: int
    moves: list[Move]
    examples: Annotated[list[ChangedDecision], Field(description="some of those that change")]


class PolicyTrialAnswer(_Model):
    """What a policy would change."""

    stored: Annotated[TrialPart, Field(description="one page of the stored signals")]
    recent: Annotated[
        TrialPart | None, Field(description="with the first page: what matched here lately")
    ] = None
    end: Annotated[int | None, Field(description="where the page ended; none at the end")] = None


# --- findings and quarantine --------------------------------------------------------------------


class FindingRequest(_About):
    """What somebody here found who looked at a match."""

    finding: Literal["confirmed", "rejected"]
    reason: Annotated[
        str, Field(max_length=REASON_CHARACTERS_MAX, pattern=r"^[a-z][a-z0-9-]*$")
    ] = "agrees"


class FoundAnswer(_Model):
    """What was kept and told about one known signal."""

    type: str
    value: str
    statements: Annotated[list[StatementIdText], Field(description="that stand behind it")]
    published: Annotated[
        list[StatementIdText], Field(description="endorses or disputes, where the policy says so")
    ]


class FindingAnswer(_Model):
    """One for each signal."""

    finding: Literal["confirmed", "rejected"]
    found: list[FoundAnswer]


class QuarantineDecision(_About):
    """A person's decision about signals."""

    decision: Annotated[
        Literal["release", "except"],
        Field(description="release: they act again; except: they never act here"),
    ]


class HeldSignal(_Model):
    """A signal that is or was held back."""

    type: str
    value: str
    state: Literal["quarantined", "released", "excepted"]
    reason: Literal["flood", "benign", "person"]
    since_ms: int
    decided_at_ms: int | None
    matches: Annotated[int, Field(description="in the window in which it was caught")]
    verdict: str
    statements: Annotated[list[StatementIdText], Field(description="behind the signal")]


class QuarantineAnswer(_Model):
    """Signals that wait for a person, then those decided about, newest first."""

    signals: list[HeldSignal]
    total: int


class QuarantineQuery(BaseModel):
    """Which to show."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    all: Annotated[bool, Field(description="those decided about as well")] = False
    limit: Annotated[int, Field(ge=1, le=MARKS_MAX)] = 100

"""The match calls' requests and answers, as models that validate and describe at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from federation.matching.policy_terms import EXCEPTION_PREFIX, Action
from federation.protocol.limits_content import (
    PDQ_DISTANCE_MAX,
    TLSH_DISTANCE_DEFAULT,
    TLSH_DISTANCE_MAX,
)
from federation.web.schemas import (
    SIGNAL_CHARACTERS_MAX,
    TYPES_IN_WORDS,
    VALUE_IN_WORDS,
    StatementIdText,
)

MATCH_SIGNALS_MAX: Final = 1_000
"""Signals in one match request: at that size a request takes some tens of milliseconds."""


ActionWord = Literal["block", "deny_live", "review", "limit_reach", "label", "allow"]
"""What to do about content, strongest first."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class SignalQuery(_Model):
    """A signal of the content that was uploaded."""

    type: Annotated[str, Field(description=TYPES_IN_WORDS, max_length=32)]
    value: Annotated[str, Field(description=VALUE_IN_WORDS, max_length=SIGNAL_CHARACTERS_MAX)]


class VideoQuery(_Model):
    """When two videos are alike; what is absent is vPDQ's default."""

    distance_max: Annotated[
        int | None,
        Field(ge=0, le=PDQ_DISTANCE_MAX, description="of two frames; else the request's own"),
    ] = None
    quality_min: Annotated[int, Field(ge=0, le=100, description="worse frames do not count")] = 50
    query_percent_min: Annotated[
        int, Field(ge=0, le=100, description="share of the asked video's frames")
    ] = 80
    index_percent_min: Annotated[
        int, Field(ge=0, le=100, description="share of the known video's frames")
    ] = 0


class MatchRequest(_Model):
    """What was uploaded; each signal is answered by its own result, in order."""

    signals: Annotated[list[SignalQuery], Field(min_length=1, max_length=MATCH_SIGNALS_MAX)]
    distance_max: Annotated[
        int | None,
        Field(
            ge=0,
            le=PDQ_DISTANCE_MAX,
            description="largest PDQ Hamming distance; the node's setting where absent",
        ),
    ] = None
    reference: Annotated[
        str | None,
        Field(
            max_length=36,
            description="your own opaque name for the upload, by which it is remembered where "
            "[remembering] is on: at most 16 ASCII characters, 32 hex digits or a UUID",
        ),
    ] = None
    one_content: Annotated[
        bool,
        Field(
            description="whether all the signals are of one content: an exception of the policy "
            "for any of them then allows whatever another matches; so it is with a reference"
        ),
    ] = False
    video: Annotated[VideoQuery, Field(description="for vpdq signals")] = VideoQuery()
    tlsh_distance_max: Annotated[
        int, Field(ge=0, le=TLSH_DISTANCE_MAX, description="largest TLSH distance")
    ] = TLSH_DISTANCE_DEFAULT


class MatchedIncident(_Model):
    """An incident that a matched statement belongs to."""

    id: StatementIdText
    member: str
    title: str
    level: str
    is_open: bool


class MatchedStatement(_Model):
    """A confirm behind a match, neither taken back nor expired."""

    id: StatementIdText
    bundle: Annotated[str, Field(description="path of its provenance bundle on this API")]
    member: str
    word: Annotated[
        str,
        Field(description="what it is worth: in-force, disputed, suspended or accused"),
    ] = "in-force"
    labels: list[str]
    endorsed_by: list[str] = []
    disputed_by: list[str] = []
    incident: Annotated[
        MatchedIncident | None, Field(description="the incident it belongs to, if it is known here")
    ] = None


class MatchedSignal(_Model):
    """A known signal near the one asked about."""

    type: str
    value: Annotated[
        str, Field(description="hex; of a vpdq or url the SHA-256 that is its identity")
    ]
    distance: Annotated[
        int,
        Field(description="bits of a pdq; TLSH's own; of a vpdq 100 less query_percent; else 0"),
    ]
    verdict: Annotated[str, Field(description="what the federation says of it")] = "positive"
    query_percent: Annotated[
        int | None, Field(description="vpdq: how much of the asked video is in this one")
    ] = None
    index_percent: Annotated[
        int | None, Field(description="vpdq: how much of this one is in the asked video")
    ] = None
    statements: list[MatchedStatement]


class PassedOverRule(_Model):
    """A rule of the policy that did not decide."""

    rule: str
    why: str


class MatchResult(_Model):
    """What to do about one signal, and why: this platform's policy on the federation's verdicts."""

    action: ActionWord
    rule: Annotated[
        str,
        Field(
            description="which rule of the policy decided; or nothing-known, exception:NAME, "
            "excepted, quarantine, rejected, crowded or otherwise (docs/guides/writing_a_policy.md)"
        ),
    ]
    reasons: list[str]
    passed_over: Annotated[
        list[PassedOverRule],
        Field(description="the other rules and why each did not; none where nothing is known"),
    ] = []
    matches: list[MatchedSignal]


class MatchAnswer(_Model):
    """A result for each signal asked about, in order."""

    results: list[MatchResult]


def action_on_content(results: Sequence[MatchResult]) -> ActionWord:
    """What to do about one content whose signals were answered with these.

    Content that the platform's own policy excepts by any of its signals is allowed, whatever the
    others match; else the strongest action counts. Allow where there are no signals.
    """
    if any(result.rule.startswith(EXCEPTION_PREFIX) for result in results):
        return "allow"
    return strongest(result.action for result in results)


def strongest(actions: Iterable[ActionWord]) -> ActionWord:
    """What to do about content whose signals were answered with these; allow where none was."""
    strongest = max(map(Action, actions), key=lambda each: each.strength, default=Action.ALLOW)
    return strongest.value

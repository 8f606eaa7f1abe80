"""The platform's own policy, as values: rules, exceptions, and how floods are met.

What the federation says of a signal is its verdict; what this platform does about it is decided
here, by nobody else, and binds nobody else.

Source: docs/guides/writing_a_policy.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from federation.protocol.limits_content import PDQ_DISTANCE_MAX, TLSH_DISTANCE_MAX
from federation.protocol.signals import Signal, SignalType

OWN_MEMBER: Final = "@self"
"""Stands for this node's own member, so that one policy fits several companies."""

EXCEPTION_PREFIX: Final = "exception:"
"""Before an exception's name, where a decision names what decided."""

POLICY_VERSION: Final = 1

RULES_MAX: Final = 100
"""Rules are tried one by one at each match; whoever needs more means something else."""

EXCEPTIONS_MAX: Final = 10_000
"""In the file; those made by commands are kept in the store."""

POLICY_BYTES_MAX: Final = 4 * 1024 * 1024
"""A full list of exceptions with a comment each."""

NAME_CHARACTERS_MAX: Final = 64

DISTANCES_MAX: Final[Mapping[SignalType, int]] = {
    SignalType.PDQ: PDQ_DISTANCE_MAX,
    SignalType.SHA256: 0,
    SignalType.MD5: 0,
    SignalType.URL: 0,
    SignalType.TLSH: TLSH_DISTANCE_MAX,
    SignalType.VPDQ: 100,
}
"""The widest that a match of each type can be: bits of a PDQ, TLSH's own measure, and of a video
the percent of the asked one that is not in the known one."""


class Action(StrEnum):
    """What to do about content."""

    BLOCK = "block"
    DENY_LIVE = "deny_live"
    REVIEW = "review"
    LIMIT_REACH = "limit_reach"
    LABEL = "label"
    ALLOW = "allow"

    @property
    def strength(self) -> int:
        """Higher is stronger: where several signals of one content differ, the strongest counts."""
        return _STRENGTHS[self]


_STRENGTHS: Final = {action: len(Action) - at for at, action in enumerate(Action)}

ACTING: Final = frozenset({Action.BLOCK, Action.DENY_LIVE, Action.LIMIT_REACH})
"""What touches content without a person having looked at it here."""


class Stage(StrEnum):
    """Where the content is when the question is asked."""

    UPLOAD = "upload"
    LIVE = "live"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; it decides when enough members' words count for it.

    Attributes:
        name: unique, lower-case.
        action: what to do.
        stages: where it applies.
        types: of which signals; empty for all.
        labels: a confirm counts when it has one of these; empty for any, and for none.
        without_labels: a confirm that has one of these does not count.
        members: whose word counts; empty for everybody's.
        members_min: how many different members' words it takes.
        distances_max: by type, how far a match may be; the widest where absent.
        human: only what a person confirmed or endorsed counts.
        endorsements: whether an endorse counts as its member's word.
        disputes_max: a confirm with more disputes that stand does not count.
        accused: whether the word of members under evidence counts.
        suspended: whether the word of suspended members counts.
        line: where it stands in the file, from 1.
    """

    name: str
    action: Action
    stages: frozenset[Stage] = frozenset(Stage)
    types: frozenset[SignalType] = frozenset()
    labels: frozenset[str] = frozenset()
    without_labels: frozenset[str] = frozenset()
    members: frozenset[str] = frozenset()
    members_min: int = 1
    distances_max: Mapping[SignalType, int] = field(default_factory=dict)
    human: bool = False
    endorsements: bool = True
    disputes_max: int = 0
    accused: bool = False
    suspended: bool = False
    line: int = 0

    def reach(self, signal_type: SignalType) -> int:
        """How far a match of that type may be; -1 where the rule is not about the type."""
        if self.types and signal_type not in self.types:
            return -1
        return self.distances_max.get(signal_type, DISTANCES_MAX[signal_type])

    @property
    def frame_reach(self) -> int:
        """How far one frame may be from a known video's, in bits; -1 where it is about no videos.

        As far as a PDQ may be.
        """
        if self.reach(SignalType.VPDQ) < 0:
            return -1
        return self.distances_max.get(SignalType.PDQ, DISTANCES_MAX[SignalType.PDQ])


@dataclass(frozen=True, slots=True)
class PolicyException:
    """Content that is never acted on here: it beats every rule.

    Attributes:
        name: unique among the exceptions.
        signal: of the content.
        distance_max: how far uploaded content may be from it.
        line: where it stands in the file, from 1.
    """

    name: str
    signal: Signal
    distance_max: int
    line: int = 0


@dataclass(frozen=True, slots=True)
class FloodGuard:
    """When a signal that matches far above its usual goes to review.

    Attributes:
        matches: in one window, at least; 0 turns the guard off.
        window_seconds: the window.
        times_usual: and at least so many times what is usual for the signal.
        unless_members_min: signals that so many members, or this one, stand for are only alarmed
            about: an attack's own video floods too, and must not come back through this door.
    """

    matches: int = 500
    window_seconds: int = 600
    times_usual: int = 10
    unless_members_min: int = 2


@dataclass(frozen=True, slots=True)
class Publishing:
    """Whether own findings are told to the federation.

    Attributes:
        endorse: a confirmed match endorses the statements behind it.
        dispute: a rejected match disputes them.
    """

    endorse: bool = False
    dispute: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """What one platform does about what the federation says.

    Attributes:
        rules: in order; the first that is satisfied decides.
        otherwise: what to do about a match that no rule decides.
        educational: whether a match that somebody flagged as educational or news goes to review
            instead of being acted on.
        rejected: what to do about a signal whose match a person here rejected: review or allow.
        exceptions: content that is never acted on.
        flood: when a signal goes to quarantine.
        benign_distance_max: how near, in bits, a PDQ may come to the benign reference set.
        publishing: what own findings tell the federation.
    """

    rules: tuple[Rule, ...] = ()
    otherwise: Action = Action.REVIEW
    educational: bool = True
    rejected: Action = Action.REVIEW
    exceptions: tuple[PolicyException, ...] = ()
    flood: FloodGuard = FloodGuard()
    benign_distance_max: int = PDQ_DISTANCE_MAX
    publishing: Publishing = Publishing()

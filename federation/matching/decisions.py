"""What a policy is asked with and answers: nearby signals, people's findings, and decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

from federation.matching.policy_terms import Action
from federation.protocol.signals import SignalType
from federation.provenance.verdict import Verdict

Mark: TypeAlias = tuple[SignalType, bytes]
"""A signal's type and identity (``protocol.signals.identity_of``)."""

EDUCATIONAL_LABEL: Final = "tvec.01"

NOTHING_KNOWN: Final = "nothing-known"
EXCEPTED: Final = "excepted"
QUARANTINE: Final = "quarantine"
REJECTED: Final = "rejected"
CROWDED: Final = "crowded"
OTHERWISE: Final = "otherwise"
RESERVED_NAMES: Final = frozenset(
    {NOTHING_KNOWN, EXCEPTED, QUARANTINE, REJECTED, CROWDED, OTHERWISE}
)
"""What a decision may name beside rules; no rule is called so."""


class Nearby(Protocol):
    """A known signal near the one asked about, and what the federation says of it."""

    @property
    def type(self) -> SignalType:
        """The type of both."""

    @property
    def identity(self) -> bytes:
        """Of the known one."""

    @property
    def distance(self) -> int:
        """Between the two."""

    @property
    def is_frame(self) -> bool:
        """Whether it is the distance of two frames, in bits: the asked one, a video's nearest."""

    @property
    def verdict(self) -> Verdict:
        """On the known one."""


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A rule that did not decide.

    Attributes:
        rule: its name.
        why: in words.
    """

    rule: str
    why: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about one signal of uploaded content.

    Attributes:
        action: what.
        rule: the name of the rule that decided, or one of ``RESERVED_NAMES``.
        why: in words, without any signal.
        others: the rules that did not, in the order of the policy.
    """

    action: Action
    rule: str
    why: str
    others: tuple[PassedOver, ...] = ()


@dataclass(frozen=True)
class LocalFindings:
    """What people here decided about known signals; a value, replaced as a whole.

    Attributes:
        quarantined: held back until a person decides, and why.
        excepted: never acted on here.
        rejected: a match with them was looked at and was wrong.
        confirmed: a match with them was looked at and was right.
    """

    quarantined: Mapping[Mark, str] = field(default_factory=dict)
    excepted: frozenset[Mark] = frozenset()
    rejected: frozenset[Mark] = frozenset()
    confirmed: frozenset[Mark] = frozenset()


NO_FINDINGS: Final = LocalFindings()

MISS: Final = Decision(
    Action.ALLOW, NOTHING_KNOWN, "no signal in force is near it, so there is nothing a rule counts"
)

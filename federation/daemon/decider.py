"""What to do about uploaded content: matches, and the policy's decision on all that are near.

The nearest matches are looked at first. Where they do not decide as strongly as this platform's
policy could, more are: whoever signs many signals close to one that is acted on must not push it
out of sight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from federation.daemon.enforcer import Enforcement, Enforcer
from federation.daemon.matcher import MATCHES_MAX, Match, Matcher, Near
from federation.daemon.searching import Thresholds
from federation.matching.decisions import MISS, Decision
from federation.matching.policy_terms import Stage
from federation.protocol.signals import Signal, SignalType
from federation.protocol.signals_frames import QUALITY_MAX, Frame, encode_frames


@dataclass(frozen=True, slots=True)
class Decided:
    """What came of one signal.

    Attributes:
        matches: the nearest known signals in force, at most ``MATCHES_MAX``.
        decision: on all that are near.
    """

    matches: tuple[Match, ...]
    decision: Decision


class Decider:
    """Matches content and decides about it.

    Args:
        matcher: what the federation says.
        enforcer: what this platform does about it.
    """

    def __init__(self, matcher: Matcher, enforcer: Enforcer) -> None:
        self._matcher, self._enforcer = matcher, enforcer

    async def decide(
        self, signals: Sequence[Signal], wanted: Thresholds, *, is_one_content: bool
    ) -> list[Decided]:
        """What to do about each of some signals of uploads.

        Args:
            signals: of what was uploaded.
            wanted: what counts as near.
            is_one_content: whether all the signals are of one content: then an exception of the
                policy that one of them is near to counts for each that matches something.

        Raises:
            StoreError: the disk.
        """
        contents = [signals] * len(signals) if is_one_content else [[each] for each in signals]
        asking = _Asking(self._enforcer.enforcement, contents, Stage.UPLOAD)
        looked = await self._matcher.look(signals, wanted, asking.is_enough)
        return [asking.decide(at, near) for at, near in enumerate(looked)]

    async def decide_frames(self, frames: Sequence[bytes], wanted: Thresholds) -> list[Decided]:
        """What to do about each of some frames of a live stream.

        A frame may be like a known picture and like a frame of a known video: it is one content,
        and is decided about on both together.

        Args:
            frames: PDQs.
            wanted: what counts as near; it measures frames.

        Raises:
            StoreError: the disk.
        """
        pictures = [Signal(SignalType.PDQ, each) for each in frames]
        films = [
            Signal(SignalType.VPDQ, encode_frames([Frame(each, QUALITY_MAX, 0)])) for each in frames
        ]
        contents = [[each] for each in pictures]
        asking = _Asking(self._enforcer.enforcement, contents * 2, Stage.LIVE)
        looked = await self._matcher.look([*pictures, *films], wanted, asking.is_enough)
        both = zip(looked[: len(frames)], looked[len(frames) :], strict=True)
        return [
            asking.decide(at, _joined(picture, film)) for at, (picture, film) in enumerate(both)
        ]


class _Asking:
    """One call's questions to one policy, though another be taken on meanwhile.

    Args:
        enforcement: what is in force.
        contents: for each question all signals of the content that it is about.
        stage: where the content is.
    """

    def __init__(
        self, enforcement: Enforcement, contents: Sequence[Sequence[Signal]], stage: Stage
    ) -> None:
        self._enforcement, self._contents, self._stage = enforcement, contents, stage
        # By content: the questions about one share it.
        self._exceptions: dict[int, str | None] = {}

    def is_enough(self, at: int, near: Near) -> bool:
        """Whether no more need be looked at."""
        decision = self._decision(at, near.matches, is_cut=False)
        return self._enforcement.policy.is_settled(decision, self._stage)

    def decide(self, at: int, near: Near) -> Decided:
        """Decide on what was looked at."""
        decision = self._decision(at, near.matches, is_cut=near.is_cut)
        return Decided(near.matches[:MATCHES_MAX], decision)

    def _decision(self, at: int, matches: Sequence[Match], *, is_cut: bool) -> Decision:
        if not matches and not is_cut:
            return MISS
        policy, findings = self._enforcement.policy, self._enforcement.findings
        content = self._contents[at]
        if id(content) not in self._exceptions:
            self._exceptions[id(content)] = policy.find_exception(content)
        excepted = self._exceptions[id(content)]
        return policy.decide_on(excepted, matches, self._stage, findings, is_cut=is_cut)


def _joined(one: Near, other: Near) -> Near:
    matches = sorted((*one.matches, *other.matches), key=lambda match: match.distance)
    return Near(tuple(matches), one.is_cut or other.is_cut)

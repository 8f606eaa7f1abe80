"""A live stream's window: its last frames, and whether what they show has to be raised.

Pure: times are arguments. One frame alone is raised by nobody: a live picture passes through
anything for a moment. A window holds so many frames at most, whatever the stream's length.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from federation.matching.decisions import Decision
from federation.matching.policy_terms import Action
from federation.protocol.headers import StatementId
from federation.protocol.signals import SignalType


@dataclass(frozen=True, slots=True)
class LiveHit:
    """What one frame matched.

    Attributes:
        decision: what the policy says of it; never allow.
        mark: the nearest known signal, its type and identity.
        distance: how far the frame is from it.
        statements: the confirms behind it.
    """

    decision: Decision
    mark: tuple[SignalType, bytes] = field(repr=False)
    distance: int
    statements: tuple[StatementId, ...]


@dataclass(frozen=True, slots=True)
class LiveStanding:
    """How a stream stands.

    Attributes:
        frames: looked at, ever.
        window: frames in the window.
        matched: of them, those that match what the policy acts on.
        began_at_ms: the time of the first frame of the match that is raised; None while none is.
        hit: what it is raised for: of the strongest action so far; None while nothing is.
    """

    frames: int
    window: int
    matched: int
    began_at_ms: int | None = None
    hit: LiveHit | None = None

    @property
    def share_percent(self) -> int:
        """How many of the window's frames match, of a hundred."""
        return round(100 * self.matched / self.window) if self.window else 0

    @property
    def action(self) -> Action:
        """What to do about the stream."""
        return self.hit.decision.action if self.hit else Action.ALLOW


class LiveWindow:
    """One stream.

    Args:
        frames_max: how many frames the window holds.
        frames_min: how many of them must match before it is raised.
    """

    __slots__ = ("_began_at_ms", "_count", "_frames", "_frames_min", "_hit", "_matched")

    def __init__(self, frames_max: int, frames_min: int) -> None:
        self._frames: deque[tuple[int, LiveHit | None]] = deque(maxlen=frames_max)
        self._frames_min = frames_min
        self._count = self._matched = 0
        self._began_at_ms: int | None = None
        self._hit: LiveHit | None = None

    def add(self, at_ms: int, hit: LiveHit | None) -> bool:
        """Take a frame in.

        Args:
            at_ms: its time: the stream's or the node's, milliseconds.
            hit: what it matched that the policy acts on, if it did.

        Returns:
            Whether something changed that others want to know: the stream is raised, or for a
            stronger action than before, or no longer.
        """
        frames = self._frames
        if len(frames) == frames.maxlen and frames[0][1] is not None:
            self._matched -= 1
        frames.append((at_ms, hit))
        self._count += 1
        if hit is not None:
            self._matched += 1
        if self._hit is None:
            return hit is not None and self._matched >= self._frames_min and self._raise()
        if not self._matched:
            self._hit = self._began_at_ms = None
            return True
        if hit is not None and _strength(hit) > _strength(self._hit):
            strongest = sum(1 for _, each in frames if each and _strength(each) >= _strength(hit))
            if strongest >= self._frames_min:
                self._hit = hit
                return True
        return False

    def _raise(self) -> bool:
        hits = [(at_ms, each) for at_ms, each in self._frames if each is not None]
        self._began_at_ms = min(at_ms for at_ms, _ in hits)
        # The strongest action that enough frames ask for, at least; the newest of those frames.
        ranked = sorted((_strength(each) for _, each in hits), reverse=True)
        enough = ranked[self._frames_min - 1]
        self._hit = next(each for _, each in reversed(hits) if _strength(each) >= enough)
        return True

    @property
    def standing(self) -> LiveStanding:
        """How the stream stands now."""
        return LiveStanding(
            self._count, len(self._frames), self._matched, self._began_at_ms, self._hit
        )


WINDOW_FRAME_BYTES: Final = 200
"""What a frame in a window takes at most, its hit shared by those that match alike."""


def _strength(hit: LiveHit) -> int:
    return hit.decision.action.strength

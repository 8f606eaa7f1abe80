"""Live streams: frames are matched as they come, and a match is raised while the stream is on.

Each stream has a window of its last frames (``matching/live_windows``). Streams end by a call or by
silence. How many there are at a time is bounded, and with it the memory: ``[live]`` in the config.
What is raised is told to the caller at once, and to everybody else by the teller.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from federation.config import LiveSettings
from federation.daemon.changes import LiveMatchChanged, Mark
from federation.daemon.decider import Decided, Decider
from federation.daemon.searching import Thresholds
from federation.daemon.sightings import NEARS_MAX, Sightings
from federation.daemon.teller import Teller
from federation.local_errors.askers import LiveStreamUnknown, TooBusy
from federation.matching.live_windows import LiveHit, LiveStanding, LiveWindow
from federation.matching.policy_terms import Action, Stage
from federation.matching.video_search import VideoThresholds
from federation.protocol.limits_content import PDQ_QUALITY_MIN

SWEEP_SECONDS: Final = 1.0
"""How often silent streams are looked for; they stand in the order in which they were heard."""

SEEN_MAX: Final = 16
"""Known signals that one stream is counted for: it shows one film or another, not an archive."""

BEGAN, ENDED = "began", "ended"
STRONGER = "stronger"


@dataclass(frozen=True, slots=True)
class LiveFrame:
    """A frame of a stream, as a signal.

    Attributes:
        pdq: 32 bytes.
        quality: PDQ quality, 0 to 100; None where unknown.
        at_ms: the stream's own time, milliseconds; None for the node's clock.
    """

    pdq: bytes = field(repr=False)
    quality: int | None = None
    at_ms: int | None = None


@dataclass(slots=True)
class _Stream:
    window: LiveWindow
    heard_ms: int
    seen: set[Mark] = field(default_factory=set)


class LiveStreams:
    """Every stream that is on.

    Args:
        settings: the bounds.
        distance_max: the node's PDQ distance; a policy may ask for less.
        decider: what is known of a frame, and what the policy says of it.
        sightings: where what was seen is left: once for a stream and a known signal.
        teller: tells others what is raised.
        clock_ms: Unix milliseconds.
    """

    def __init__(
        self,
        settings: LiveSettings,
        distance_max: int,
        decider: Decider,
        sightings: Sightings,
        teller: Teller,
        clock_ms: Callable[[], int],
    ) -> None:
        self._settings, self._decider, self._sightings = settings, decider, sightings
        self._teller, self._clock_ms = teller, clock_ms
        # One frame is alike to a video when it is alike to one of the video's frames.
        videos = VideoThresholds(distance_max, PDQ_QUALITY_MIN, 100, 0, measures_frame=True)
        self._wanted = Thresholds(distance_max, videos)
        self._streams: OrderedDict[str, _Stream] = OrderedDict()

    def __len__(self) -> int:
        """How many streams are on."""
        return len(self._streams)

    async def take(self, name: str, frames: Sequence[LiveFrame]) -> LiveStanding:
        """Match frames of a stream, in order; a stream that was not on begins.

        Args:
            name: the platform's own name of the stream; never logged.
            frames: as they come. Those of a quality below ``PDQ_QUALITY_MIN`` are passed over.

        Returns:
            How the stream stands with them.

        Raises:
            TooBusy: as many streams are on as the config allows.
            StoreError: the disk.
        """
        stream = self._heard(name)
        told = [each for each in frames if not _is_poor(each)]
        decided = await self._decider.decide_frames([each.pdq for each in told], self._wanted)
        if self._streams.get(name) is not stream:
            return stream.window.standing  # it ended meanwhile, and its end was told
        for frame, each in zip(told, decided, strict=True):
            self._saw(stream, each)
            hit = _hit(each)
            before = stream.window.standing.hit
            at_ms = self._clock_ms() if frame.at_ms is None else frame.at_ms
            began_at_ms = stream.window.standing.began_at_ms
            if stream.window.add(at_ms, hit):
                self._tell(name, stream.window.standing, before, began_at_ms)
        return stream.window.standing

    def end(self, name: str) -> LiveStanding:
        """The stream is over.

        Returns:
            How it stood.

        Raises:
            LiveStreamUnknown: it was not on.
        """
        stream = self._streams.pop(name, None)
        if stream is None:
            raise LiveStreamUnknown("no stream of that name is on")
        standing = stream.window.standing
        if standing.hit is not None:
            self._tell_ended(name, standing, standing.hit, standing.began_at_ms)
        return standing

    def raised(self) -> dict[str, LiveStanding]:
        """The streams for which something is raised now, by name."""
        standings = ((name, each.window.standing) for name, each in self._streams.items())
        return {name: standing for name, standing in standings if standing.hit is not None}

    async def run(self) -> None:
        """End silent streams, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.sweep()

    def sweep(self) -> None:
        """End the streams that were silent for too long."""
        silent_since = self._clock_ms() - int(self._settings.silence_seconds * 1_000)
        while self._streams:
            name, stream = next(iter(self._streams.items()))
            if stream.heard_ms > silent_since:
                return
            self.end(name)

    def _heard(self, name: str) -> _Stream:
        stream = self._streams.get(name)
        if stream is None:
            if len(self._streams) >= self._settings.streams_max:
                raise TooBusy(
                    f"{self._settings.streams_max} streams are on, and that is as many as the "
                    f"config allows",
                    hint="end streams that are over, or raise streams_max under [live]",
                )
            window = LiveWindow(self._settings.window_frames, self._settings.frames_min)
            stream = self._streams[name] = _Stream(window, 0)
        stream.heard_ms = self._clock_ms()
        self._streams.move_to_end(name)
        return stream

    def _saw(self, stream: _Stream, decided: Decided) -> None:
        """Count what a frame was near to, unless the stream was counted for it before."""
        marks = {(each.type, each.identity) for each in decided.matches[:NEARS_MAX]}
        if len(stream.seen) < SEEN_MAX and not marks <= stream.seen:
            stream.seen |= marks
            self._sightings.keep(None, (), [decided.matches], Stage.LIVE)

    def _tell(
        self, name: str, standing: LiveStanding, before: LiveHit | None, began_at_ms: int | None
    ) -> None:
        if standing.hit is None:
            if before is not None:
                self._tell_ended(name, standing, before, began_at_ms)
            return
        state = BEGAN if before is None else STRONGER
        self._emit(name, state, standing, standing.hit, standing.began_at_ms)

    def _tell_ended(
        self, name: str, standing: LiveStanding, hit: LiveHit, began_at_ms: int | None
    ) -> None:
        self._emit(name, ENDED, standing, hit, began_at_ms)

    def _emit(
        self, name: str, state: str, standing: LiveStanding, hit: LiveHit, began_at_ms: int | None
    ) -> None:
        self._teller.emit(
            LiveMatchChanged(
                stream=name,
                state=state,
                began_at_ms=began_at_ms or 0,
                frames=standing.window,
                matched=standing.matched,
                mark=hit.mark,
                distance=hit.distance,
                action=str(hit.decision.action),
                rule=hit.decision.rule,
                statements=hit.statements,
            )
        )


def _is_poor(frame: LiveFrame) -> bool:
    """Too little detail: it would match any dark or flat picture."""
    return frame.quality is not None and frame.quality < PDQ_QUALITY_MIN


def _hit(decided: Decided) -> LiveHit | None:
    """What there is to do about a frame, if there is anything."""
    decision, matches = decided.decision, decided.matches
    if decision.action is Action.ALLOW or not matches:
        return None
    nearest = matches[0]
    statements = tuple(voice.opinion.id for voice in nearest.verdict.voices)
    return LiveHit(decision, (nearest.type, nearest.identity), nearest.distance, statements)

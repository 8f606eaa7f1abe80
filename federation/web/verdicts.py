"""From signals as text to what the node says about them: shared by all calls that match."""

from __future__ import annotations

from collections.abc import Sequence

from federation.daemon.matcher import Match
from federation.daemon.searching import Thresholds
from federation.matching.video_search import VideoFound, VideoThresholds
from federation.media.links import signal_of_url
from federation.protocol.signals import Signal, SignalType
from federation.protocol.signals_local import parse_signal
from federation.web import schemas


def read_signal(signal_type: str, value: str, quality: int | None = None) -> Signal:
    """A signal of a request; a URL is brought into its normal form here, at the local door.

    Raises:
        SignalMalformed: an unknown type, or a value that breaks its grammar.
    """
    if signal_type == SignalType.URL:
        return signal_of_url(value)
    return parse_signal(f"{signal_type}:{value}", quality)


def thresholds_of(
    distance_max: int | None, video: schemas.VideoQuery, tlsh_distance_max: int, *, default: int
) -> Thresholds:
    """What a request asks to count as a match; ``default`` is the node's PDQ distance."""
    bits = default if distance_max is None else distance_max
    videos = VideoThresholds(
        distance_max=bits if video.distance_max is None else video.distance_max,
        quality_min=video.quality_min,
        query_percent_min=video.query_percent_min,
        index_percent_min=video.index_percent_min,
    )
    return Thresholds(bits, videos, tlsh_distance_max)


def result_of(matches: Sequence[Match]) -> schemas.MatchResult:
    """Until the platform has a policy of its own, any confirm in force blocks."""
    members = sorted({opinion.member for match in matches for opinion in match.opinions})
    if not matches:
        return schemas.MatchResult(action="allow", reasons=["nothing known in force"], matches=[])
    nearest = min(matches, key=lambda match: match.distance)
    return schemas.MatchResult(
        action="block",
        reasons=[f"confirmed by {', '.join(members)}; nearest {_nearness(nearest)}"],
        matches=[_matched(match) for match in matches],
    )


def _nearness(match: Match) -> str:
    if isinstance(match.found, VideoFound):
        return f"has {match.found.query_percent} % of the video"
    return f"at distance {match.distance}"


def _matched(match: Match) -> schemas.MatchedSignal:
    shares = match.found if isinstance(match.found, VideoFound) else None
    return schemas.MatchedSignal(
        type=match.type.value,
        value=match.found.value.hex(),
        distance=match.distance,
        query_percent=shares.query_percent if shares else None,
        index_percent=shares.index_percent if shares else None,
        statements=[
            schemas.MatchedStatement(
                id=str(opinion.id),
                bundle=f"/v1/statements/{opinion.id}/bundle",
                member=opinion.member,
                labels=list(opinion.confirm.labels) if opinion.confirm else [],
                endorsed_by=list(opinion.endorsed_by),
                disputed_by=list(opinion.disputed_by),
            )
            for opinion in match.opinions
        ],
    )

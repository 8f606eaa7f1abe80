"""From signals as text to what the node says about them: shared by all calls that match."""

from __future__ import annotations

from collections.abc import Sequence

from federation.daemon.matcher import Match
from federation.daemon.searching import Thresholds
from federation.matching.decisions import Decision
from federation.matching.video_search import VideoFound, VideoThresholds
from federation.media.links import signal_of_url
from federation.protocol.signals import Signal, SignalType
from federation.protocol.signals_local import parse_signal
from federation.provenance.verdict import Voice
from federation.store.upload_ring import encode_reference
from federation.web import match_schemas


def read_signal(signal_type: str, value: str, quality: int | None = None) -> Signal:
    """A signal of a request; a URL is brought into its normal form here, at the local door.

    Raises:
        SignalMalformed: an unknown type, or a value that breaks its grammar.
    """
    if signal_type == SignalType.URL:
        return signal_of_url(value)
    return parse_signal(f"{signal_type}:{value}", quality)


def check_reference(reference: str | None) -> None:
    """The platform's name for an upload, where it gave one.

    Raises:
        RequestMalformed: it cannot be one.
    """
    if reference is not None:
        encode_reference(reference)


def thresholds_of(
    distance_max: int | None,
    video: match_schemas.VideoQuery,
    tlsh_distance_max: int,
    *,
    default: int,
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


def result_of(matches: Sequence[Match], decision: Decision) -> match_schemas.MatchResult:
    """What the policy decided about one signal, with what it was decided from."""
    reasons = [decision.why]
    if matches:
        reasons.append(f"nearest {_nearness(matches[0])}")
    return match_schemas.MatchResult(
        action=decision.action.value,
        rule=decision.rule,
        reasons=reasons,
        passed_over=[
            match_schemas.PassedOverRule(rule=each.rule, why=each.why) for each in decision.others
        ],
        matches=[_matched(match) for match in matches],
    )


def _nearness(match: Match) -> str:
    if isinstance(match.found, VideoFound):
        return f"has {match.found.query_percent} % of the video"
    return f"at distance {match.distance}"


def _matched(match: Match) -> match_schemas.MatchedSignal:
    shares = match.found if isinstance(match.found, VideoFound) else None
    return match_schemas.MatchedSignal(
        type=match.type.value,
        value=match.found.value.hex(),
        distance=match.distance,
        verdict=match.verdict.state.value,
        query_percent=shares.query_percent if shares else None,
        index_percent=shares.index_percent if shares else None,
        statements=[
            statement_of_voice(voice) for voice in match.verdict.voices if voice.word.can_match
        ],
    )


def statement_of_voice(voice: Voice) -> match_schemas.MatchedStatement:
    """One member's statement, and what it is worth."""
    opinion = voice.opinion
    return match_schemas.MatchedStatement(
        id=str(opinion.id),
        bundle=f"/v1/statements/{opinion.id}/bundle",
        member=opinion.member,
        word=voice.word.value,
        labels=list(opinion.confirm.labels) if opinion.confirm else [],
        endorsed_by=list(voice.endorsed_by),
        disputed_by=list(voice.disputed_by),
    )
